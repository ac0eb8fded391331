"""Who still holds a network namespace."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

_LINK = re.compile(r"net:\[(\d+)\]")


def holders(inodes: Mapping[int, str]) -> list[str]:
    """List processes in these namespaces or with a descriptor of one, and mounts of one, in words.

    Args:
        inodes: number and name of each namespace, see :meth:`pypptp.testing.scenario.hosts.Hosts.inodes`.
    """
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        for link in _links(process):
            match = _LINK.fullmatch(link)
            if match is not None and int(match[1]) in inodes:
                found.add(f"namespace {inodes[int(match[1])]}: held by process {process.name} ({_name(process)})")
    try:
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        mounts = []
    for line in mounts:
        # 36 35 0:4 net:[4026532175] /run/netns/name rw shared:1 - nsfs nsfs rw
        match = _LINK.search(line)
        if match is not None and int(match[1]) in inodes:
            found.add(f"namespace {inodes[int(match[1])]}: mounted on {line.split()[4]}")
    return sorted(found)


def _links(process: Path) -> Iterator[str]:
    """Read what a process's threads and descriptors point to; those that end meanwhile hold nothing."""
    for link in (*process.glob("task/*/ns/net"), *process.glob("fd/*")):
        try:
            yield str(link.readlink())
        except OSError:
            continue


def _name(process: Path) -> str:
    try:
        return (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return "ended meanwhile"


def marked_processes(variable: str, value: str) -> list[str]:
    """List the processes that were started with an environment variable of this value, as number and name."""
    mark = f"{variable}={value}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes().split(b"\0"):
                found.append(f"{process.name} ({_name(process)})")
        except OSError:
            continue
    return sorted(found)
