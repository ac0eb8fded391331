"""What is left of many sessions, of many failures, and of a server that is asked to end."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections import deque
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Final

from pypptp.ppp.packet import Code
from pypptp.ppp.protocols import Protocol
from pypptp.testing.dialogue.call import Call
from pypptp.testing.dialogue.case import Case
from pypptp.testing.dialogue.stages import Login
from pypptp.testing.dialogue.verdicts import Failed, Finding, Skipped, Unreached, require
from pypptp.testing.spec.checks.mschap_v2 import attempt, next_challenge
from pypptp.testing.spec.registry import check

SESSIONS: Final = 100
CYCLES: Final = 1000
WARM_UP: Final = 100
TIME_UP: Final = 120.0
"""Seconds after which a server that is slow has shown enough."""
GROWTH: Final = 0.05
UNREMARKABLE: Final = 256 << 10
"""Octets by which a process may grow in any case: of one that holds a megabyte, 5 % are a dozen pages."""
ATTEMPTS: Final = 20
LATEST: Final = 20
FUTILE: Final = 10.0
"""Failures a second up to which guessing counts as limited."""
FAILURES: Final = 1000
STOP_SECONDS: Final = 10.0
NO_PID: Final = "needs --server-pid, and a server on this machine"
PAGE: Final = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Resources:
    """What a process holds, and those it has started."""

    processes: int
    descriptors: int
    threads: int
    resident: int


def resources(pid: int) -> Resources:
    """Look at a process of this machine, and at its children and theirs: some servers have one for each connection."""
    descriptors = threads = pages = 0
    tree = family(pid)
    for one in tree:
        folder = Path(f"/proc/{one}")
        try:
            pages += int((folder / "statm").read_text(encoding="ascii").split()[1])
            descriptors += len(list((folder / "fd").iterdir()))
            threads += len(list((folder / "task").iterdir()))
        except OSError:
            # A child that has ended since; the server itself must not.
            if one == pid:
                raise Unreached(f"the server's process {pid} is gone") from None
    return Resources(len(tree), descriptors, threads, pages * PAGE)


def family(pid: int) -> list[int]:
    """Return a process and its descendants, those included that have ended and were not waited for."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            # The name in parentheses may hold anything.
            parent = int((folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(folder.name))
    found = [pid]
    for one in found:
        found += children.get(one, ())
    return found


def interfaces(pid: int) -> set[str]:
    """Return the names of the interfaces the process sees."""
    lines = Path(f"/proc/{pid}/net/dev").read_text(encoding="ascii").splitlines()[2:]
    return {line.partition(":")[0].strip() for line in lines}


def same_host(case: Case) -> int:
    """Return the server's process number.

    Raises:
        Skipped: it was not given.
    """
    if case.target.pid is None:
        raise Skipped(NO_PID)
    return case.target.pid


@check("life/1", alone=True, order=1000, deadline=90.0)
async def stops_in_order(case: Case) -> str:
    """SIGTERM with 100 sessions, or as many as it has addresses for."""
    pid = same_host(case)
    before = interfaces(pid)
    calls: list[Call] = []
    for _ in range(SESSIONS):
        call = await case.call()
        try:
            await reach_network(case, call)
        except Unreached:
            await call.control.stop()
            break
        calls.append(call)
    require(calls, "no session came up")
    await case.stages.settle(calls[-1])
    held = await asyncio.to_thread(interfaces, pid)
    loop = asyncio.get_running_loop()
    handle = os.pidfd_open(pid)
    try:
        began = loop.time()
        signal.pidfd_send_signal(handle, signal.SIGTERM)
        ended = asyncio.Event()
        loop.add_reader(handle, ended.set)
        farewells = await asyncio.gather(*(_farewell(call) for call in calls))
        terminated, told = (sum(column) for column in zip(*farewells, strict=True))
        try:
            async with asyncio.timeout(max(0.1, STOP_SECONDS - (loop.time() - began))):
                await ended.wait()
        except TimeoutError:
            raise Failed(f"still running {STOP_SECONDS:g} s after SIGTERM") from None
        took = loop.time() - began
    finally:
        loop.remove_reader(handle)
        os.close(handle)
    require(terminated == len(calls), f"{terminated} of {len(calls)} sessions got an LCP Terminate-Request")
    require(told == len(calls), f"{told} of {len(calls)} were told on the control connection")
    ours = {name for _, name in socket.if_nameindex()}
    left = (held - before) & ours
    require(not left, f"left behind: {', '.join(sorted(left))}")
    words = f"{len(calls)} sessions told in both ways, over after {took:.1f} s, {len(held - before)} interfaces gone"
    return f"{words}; the exit status of a process that is not ours cannot be seen"


async def _farewell(call: Call) -> tuple[bool, bool]:
    """Say whether a session was ended by LCP, and on the control connection; it goes, told or not."""
    terminated = await call.try_expect(Protocol.LCP, Code.TERMINATE_REQUEST, STOP_SECONDS / 2) is not None
    told = bool(await call.ended(STOP_SECONDS / 4))
    await call.control.stop()
    return terminated, told


@check("life/2", alone=True, order=20, deadline=180.0)
async def many_cycles(case: Case) -> str:
    """1,000 times connect, log in, get an address, leave."""
    pid = same_host(case)
    loop = asyncio.get_running_loop()
    began = loop.time()
    idle = resources(pid)
    for _ in range(WARM_UP):
        await _cycle(case)
    # With a process for each connection the last ones take a while to go.
    before = await _at_rest(pid, idle.processes)
    cycles = WARM_UP
    while cycles < CYCLES and loop.time() - began < TIME_UP:
        await _cycle(case)
        cycles += 1
    after = await _at_rest(pid, before.processes, before.descriptors)
    require(after.processes <= before.processes, f"processes: {before.processes}, then {after.processes}")
    require(after.descriptors <= before.descriptors, f"descriptors: {before.descriptors}, then {after.descriptors}")
    require(after.threads <= before.threads + 2, f"threads: {before.threads}, then {after.threads}")
    grown = after.resident / before.resident - 1
    enough = after.resident - before.resident > UNREMARKABLE
    require(grown <= GROWTH or not enough, f"resident memory grew by {grown:.1%}, to {after.resident >> 10} KiB")
    return (
        f"{cycles} cycles: processes {before.processes} and {after.processes}, descriptors {before.descriptors} and "
        f"{after.descriptors}, threads {before.threads} and {after.threads}, memory {grown:+.1%}; "
        "every cycle got an address and a call id"
    )


async def reach_network(case: Case, call: Call) -> None:
    """Take a call up to its address."""
    await case.stages.open_lcp(call)
    await case.stages.log_in(call)
    await case.stages.open_ccp(call)
    await case.stages.open_ipcp(call)


async def _cycle(case: Case) -> None:
    for attempts in range(ATTEMPTS):
        call = await case.call()
        try:
            await reach_network(case, call)
        except Unreached as unreached:
            # The address of the one before is given back only when its interface is gone.
            if attempts == ATTEMPTS - 1:
                raise Failed(f"an address or call id is not given back: {unreached}") from None
            await asyncio.sleep(0.05)
            continue
        finally:
            call.close()
            await call.control.stop()
            case.forget(call)
        return


async def _at_rest(pid: int, processes: int, descriptors: float = inf) -> Resources:
    found = resources(pid)
    for _ in range(50):
        await asyncio.sleep(0.1)
        again = resources(pid)
        if again == found and again.processes <= processes and again.descriptors <= descriptors:
            break
        found = again
    return found


@check("life/3", alone=True, order=5, deadline=120.0)
async def many_failures(case: Case) -> str:
    """1,000 wrong passwords from one address, and somebody else who logs in meanwhile."""
    source = case.network.source()
    loop = asyncio.get_running_loop()
    began = loop.time()
    failures = 0
    times: deque[float] = deque(maxlen=LATEST)
    limit = ""
    while failures < FAILURES and not limit:
        call = None
        try:
            call = await case.lcp_open_on(await case.started(source=source))
            login: Login | None = await case.stages.challenge(call)
            while login is not None and failures < FAILURES and not limit:
                require(not await attempt(case, call, login, b"spec-life-3", right=False), "let in")
                failures += 1
                times.append(loop.time())
                limit = slowed(times)
                login = next_challenge(login)
        except Unreached as refused:
            limit = str(refused)
        finally:
            if call is not None:
                call.close()
                await call.control.stop()
                case.forget(call)
    seconds = loop.time() - began
    try:
        other, _ = await case.logged_in()
    except Finding as finding:
        raise Unreached(f"after {failures} failures nobody else is let in: {finding}") from None
    await other.control.stop()
    words = f"{failures} failures in {seconds:.1f} s from one address"
    rate = failures / max(seconds, 0.001)
    require(limit, f"{words}, and no end: whoever guesses may do so {rate:.0f} times a second")
    return f"{words}, then: {limit}; another address is let in"


def slowed(times: deque[float]) -> str:
    """Say how slow the latest failures were, if that makes guessing futile."""
    if len(times) < LATEST:
        return ""
    seconds = times[-1] - times[0]
    return f"{LATEST / seconds:.1f} a second" if seconds > LATEST / FUTILE else ""
