"""Which name servers this machine's programs ask, by whatever keeps them.

In this order:

``systemd-resolved``, by ``resolvectl``
    where programs ask it. The servers hang on the tunnel's link, for every name (``~.``), and go with it.
``resolvconf`` (Debian's or openresolv)
    where it is installed. The servers are filed under ``ppp0.pypptp``.
``/etc/resolv.conf`` itself
    else; see :mod:`pypptp.net.resolv_conf`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from ipaddress import IPv4Address
from pathlib import Path
from typing import Protocol

from pypptp.errors import NetworkError
from pypptp.net import resolv_conf
from pypptp.net.owner import this_namespace
from pypptp.net.records import NameServersFiled

RESOLVED_FOLDER = Path("/run/systemd/resolve")
_RESOLVED_ADDRESSES = ("127.0.0.53", "127.0.0.54")
_FIRST_PROCESS = Path("/proc/1/ns/net")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_TIMEOUT_SECONDS = 10.0


class Means(Protocol):
    """A way to say which name servers to ask.

    Attributes:
        words: what it is, for people.
        record: what another process needs to take it back; None where the kernel, or a file of its own, knows.
    """

    words: str

    @property
    def record(self) -> NameServersFiled | None:
        """What another process needs to take it back."""

    def set(self, servers: Sequence[IPv4Address]) -> None:
        """Have programs ask ``servers``; called again, it changes them. Raises NetworkError."""

    def take_back(self) -> None:
        """Have them ask whom they asked before. Raises NetworkError."""


def means_for(interface: str, *, instance: str) -> list[Means]:
    """List the ways there are here for a tunnel's name servers, the best first."""
    found: list[Means] = []
    resolvectl, program = _which("resolvectl"), _which("resolvconf")
    if resolvectl is not None and _resolved_is_asked():
        found.append(_Resolved(resolvectl, interface))
    # systemd's own resolvconf is resolvectl by another name.
    if program is not None and Path(program).resolve().name == "resolvconf":
        found.append(_Resolvconf(program, interface))
    found.append(_File(interface, instance))
    return found


def unfile(record: NameServersFiled) -> None:
    """Take back what a dead process filed with resolvconf. Raises NetworkError."""
    program = _which("resolvconf")
    if program is not None:
        _run([program, "-d", record.key])


class _Resolved:
    words = "systemd-resolved"
    record = None

    def __init__(self, program: str, interface: str) -> None:
        self._program = program
        self._interface = interface

    def set(self, servers: Sequence[IPv4Address]) -> None:
        _run([self._program, "dns", self._interface, *map(str, servers)])
        _run([self._program, "domain", self._interface, "~."])

    def take_back(self) -> None:
        # With the link it would go by itself, but the link may stay for the next session.
        _run([self._program, "revert", self._interface])


class _Resolvconf:
    words = "resolvconf"

    def __init__(self, program: str, interface: str) -> None:
        self._program = program
        self.record = NameServersFiled(f"{interface}.pypptp")

    def set(self, servers: Sequence[IPv4Address]) -> None:
        lines = "".join(f"nameserver {server}\n" for server in servers)
        _run([self._program, "-a", self.record.key], lines)

    def take_back(self) -> None:
        _run([self._program, "-d", self.record.key])


class _File:
    record = None

    def __init__(self, interface: str, instance: str) -> None:
        self.words = str(resolv_conf.RESOLV_CONF)
        self._interface = interface
        self._instance = instance
        self._layer: resolv_conf.Layer | None = None

    def set(self, servers: Sequence[IPv4Address]) -> None:
        self.take_back()
        self._layer = resolv_conf.push(self._interface, servers, instance=self._instance)

    def take_back(self) -> None:
        layer, self._layer = self._layer, None
        if layer is not None:
            resolv_conf.pop(layer)


def _resolved_is_asked() -> bool:
    """Whether resolved runs for this network namespace, and /etc/resolv.conf sends programs to it."""
    if not RESOLVED_FOLDER.is_dir():
        return False
    try:
        # It knows the links of the namespace that the machine was started in, and an interface's number means another
        # one elsewhere.
        first = _FIRST_PROCESS.stat()
        here = this_namespace()
        if (first.st_dev, first.st_ino) != (here.device, here.inode):
            return False
    except OSError:
        pass
    path = resolv_conf.RESOLV_CONF
    try:
        if path.is_symlink() and path.resolve().is_relative_to(RESOLVED_FOLDER):
            return True
        words = [line.split() for line in path.read_text(encoding="utf-8", errors="replace").splitlines()]
    except OSError:
        return False
    return any(len(line) > 1 and line[0] == "nameserver" and line[1] in _RESOLVED_ADDRESSES for line in words)


def _which(program: str) -> str | None:
    return shutil.which(program, path=os.environ.get("PATH", "") + os.pathsep + _PATH)


def _run(arguments: Sequence[str], given: str = "") -> None:
    try:
        done = subprocess.run(  # noqa: S603 - a program of the system's, its arguments an interface and addresses
            arguments,
            input=given,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise NetworkError(f"{Path(arguments[0]).name} cannot be run: {error}") from error
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise NetworkError(f"{Path(arguments[0]).name} failed: {said[-1] if said else f'status {done.returncode}'}")


__all__ = ["Means", "means_for", "unfile"]
