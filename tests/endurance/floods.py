"""Floods against a server while others work with it: what those others notice.

    python -m tests.endurance.floods [--seconds 20] [--json FILE] [FLOOD ...]

Each flood is sent by a process of its own that holds itself to a quarter of one core: without that, two cores would
show only who gets more of them.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import socket
import struct
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ipaddress import IPv4Address
from itertools import count
from pathlib import Path
from typing import Any

from pypptp.control.messages import CallClearRequest, EchoRequest
from pypptp.gre import build_header
from pypptp.net.raw_gre import open_gre_socket
from pypptp.roles import Role
from pypptp.testing.dialogue.case import Case, Target
from pypptp.testing.dialogue.control import call_request, start_request
from pypptp.testing.dialogue.network import TargetSilent
from pypptp.testing.dialogue.sockets import Addresses, ServerNetwork
from pypptp.testing.dialogue.verdicts import Failed
from tests.endurance.ground import PORT, SERVER, USER, Ground, ground

SHARE = 0.25
"""Of one core."""
WORKERS = 20
WORKER_PINGS = 10.0
NEWCOMERS = 10
LOSS_ALLOWED = 0.001
SLOWER_ALLOWED = 1.0
LEAD = 1.0
"""Seconds a flood has before anybody is measured."""
_FIRST_HOST = 0x7F800000
"""127.128.0.0: the floods' own addresses, apart from those of loads."""

Flood = Callable[["Pace"], Awaitable[None]]


class Pace:
    """Holds this process to its share of a core, and to its time.

    Args:
        seconds: how long the flood is.
    """

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds
        self._began = time.monotonic()
        self.sent = 0

    @property
    def over(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() >= self._until

    async def step(self, sent: int = 1) -> None:
        """Count what was sent, and wait until its cost is earned."""
        self.sent += sent
        owed = time.process_time() / SHARE - (time.monotonic() - self._began)
        await asyncio.sleep(max(owed, 0.0))


_hosts = count(1)


async def _connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    source = str(IPv4Address(_FIRST_HOST + next(_hosts) % 60_000 + 1))
    return await asyncio.open_connection(SERVER, PORT, local_addr=(source, 0))


async def _drop(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def echo(pace: Pace) -> None:
    """Echo-Requests as fast as they are answered."""
    while not pace.over:
        with contextlib.suppress(OSError):
            reader, writer = await _connect()
            writer.write(start_request().build())
            await reader.read(1024)
            batch = b"".join(EchoRequest(identifier=number).build() for number in range(64))
            while not pace.over:
                writer.write(batch)
                await writer.drain()
                if not await reader.read(65_536):
                    break
                await pace.step(64)
            await _drop(writer)
        await pace.step(0)


async def half_open(pace: Pace) -> None:
    """Connections on which nothing, or half a message, is said."""
    held: list[asyncio.StreamWriter] = []
    while not pace.over:
        with contextlib.suppress(OSError):
            _, writer = await _connect()
            if pace.sent % 2:
                writer.write(start_request().build()[:100])
            held.append(writer)
        if len(held) > 500:
            await _drop(held.pop(0))
        await pace.step()
    for writer in held:
        await _drop(writer)


async def wrong_password(pace: Pace) -> None:
    """Log-ins with a wrong password, of the user the others work as."""
    target = Target(role=Role.SERVER, user=USER, password="wrong", timeout=2.0)
    addresses = Addresses(IPv4Address(SERVER))
    while not pace.over:
        network = ServerNetwork(IPv4Address(SERVER), PORT, addresses, 2.0)
        case = Case(target, network)
        with contextlib.suppress(Failed, TargetSilent, OSError):
            await case.logged_in(source=IPv4Address(_FIRST_HOST + next(_hosts) % 60_000 + 1))
        await case.close()
        await pace.step()


async def garbage_gre(pace: Pace) -> None:
    """GRE packets of no call, of calls that others have, and of no sense at all, from an address of nobody's."""
    chance = random.Random(1)
    with open_gre_socket("127.128.0.9") as gre:
        while not pace.over:
            for _ in range(50):
                body = chance.randbytes(chance.randrange(1, 200))
                kind = chance.randrange(3)
                if kind:
                    header = build_header(len(body), chance.randrange(0x10000), chance.randrange(1 << 32), None)
                    body = header + body if kind == 1 else header[: chance.randrange(8)] + body
                with contextlib.suppress(BlockingIOError):
                    gre.sendto(body, (SERVER, 0))
            with contextlib.suppress(BlockingIOError):
                while True:
                    gre.recv(1)
            await pace.step(50)


async def slow_readers(pace: Pace) -> None:
    """Connections that ask without end and never read an answer."""
    held: list[socket.socket] = []
    loop = asyncio.get_running_loop()
    batch = b"".join(EchoRequest(identifier=number).build() for number in range(64))
    while not pace.over:
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.setblocking(False)
        connection.bind((str(IPv4Address(_FIRST_HOST + next(_hosts) % 60_000 + 1)), 0))
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(2.0):
                await loop.sock_connect(connection, (SERVER, PORT))
                await loop.sock_sendall(connection, start_request().build())
                for _ in range(200):
                    with contextlib.suppress(BlockingIOError):
                        connection.send(batch)
                    await pace.step(64)
        held.append(connection)
        if len(held) > 100:
            held.pop(0).close()
        await pace.step(0)
    for connection in held:
        connection.close()


async def huge_lengths(pace: Pace) -> None:
    """Messages that say they are 64 KiB long, and begin."""
    whole = start_request().build()
    while not pace.over:
        with contextlib.suppress(OSError):
            _, writer = await _connect()
            writer.write(struct.pack(">H", 0xFFFF) + whole[2:] + bytes(8192))
            await writer.drain()
            await _drop(writer)
        await pace.step()


async def disconnect_storm(pace: Pace) -> None:
    """Calls placed and cleared in one breath, and connections reset in the middle."""
    while not pace.over:
        with contextlib.suppress(OSError):
            reader, writer = await _connect()
            writer.write(start_request().build())
            for number in range(1, 9):
                writer.write(call_request(number).build() + CallClearRequest(call_id=number).build())
            await writer.drain()
            await reader.read(1024)
            await _drop(writer)
        await pace.step(8)


FLOODS: dict[str, Flood] = {
    "echo": echo,
    "half-open": half_open,
    "wrong-password": wrong_password,
    "garbage-gre": garbage_gre,
    "slow-readers": slow_readers,
    "huge-lengths": huge_lengths,
    "disconnect-storm": disconnect_storm,
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the others noticed.

    Attributes:
        flood: its name; ``none`` without one.
        sent: what it sent, in its own unit.
        pings: of the workers.
        lost: of these.
        setup: the slowest newcomer's, in milliseconds.
        established: newcomers who got in.
        dropped: workers who lost their session.
    """

    flood: str
    sent: int
    pings: int
    lost: int
    setup: float
    established: int
    dropped: int

    def complaints(self, calm: Outcome) -> list[str]:
        """Say what was worse than without a flood."""
        found = []
        if self.lost > self.pings * LOSS_ALLOWED:
            found.append(f"{self.flood}: {self.lost} of {self.pings} pings lost")
        if self.setup > calm.setup + SLOWER_ALLOWED * 1000:
            found.append(f"{self.flood}: a set-up took {self.setup:.0f} ms, {calm.setup:.0f} ms without it")
        if self.established < NEWCOMERS or self.dropped:
            found.append(f"{self.flood}: {NEWCOMERS - self.established} newcomers not in, {self.dropped} sessions lost")
        return found


def measure(site: Ground, flood: str | None, seconds: float) -> Outcome:
    """Let the workers work and newcomers come, with a flood or without."""
    sender = None
    if flood is not None:
        command = [sys.executable, "-P", "-m", "tests.endurance.floods", "--send", flood, "--seconds"]
        sender = site.program(flood, *command, str(seconds + 2 * LEAD + 4.0))
        time.sleep(LEAD)
    workers = site.start_load(sessions=WORKERS, rate=0.0, hold=seconds, pings=WORKER_PINGS, timeout=20.0)
    time.sleep(min(1.0, seconds / 3))
    newcomers = site.load(
        sessions=NEWCOMERS, rate=NEWCOMERS / max(seconds / 2, 0.5), hold=0.1, timeout=20.0, patience=90
    )
    said, complaints = workers.communicate(timeout=seconds + 60.0)
    assert workers.returncode in (0, 3), complaints
    report: dict[str, Any] = json.loads(said)
    sent = 0
    if sender is not None:
        with sender:
            sent = sender.await_line(
                lambda line: int(line.split()[-1]) if line.startswith("sent ") else None, patience=seconds + 30.0
            )
    return Outcome(
        flood=flood or "none",
        sent=sent,
        pings=report["pings"]["sent"],
        lost=report["pings"]["lost"],
        setup=newcomers["phases"].get("setup", {"max": 0.0})["max"],
        established=newcomers["established"],
        dropped=WORKERS - report["released"],
    )


def main() -> int:
    """Run them all; exit status 1 where somebody noticed too much."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--send", choices=FLOODS, help=argparse.SUPPRESS)
    parser.add_argument("floods", nargs="*", metavar="FLOOD", help=f"of {', '.join(FLOODS)} (all)")
    arguments = parser.parse_args()
    if arguments.send is not None:
        pace = Pace(arguments.seconds)
        asyncio.run(FLOODS[arguments.send](pace))  # type: ignore[arg-type]
        print(f"sent {pace.sent}", flush=True)
        return 0
    with tempfile.TemporaryDirectory() as folder, ground(Path(folder)) as site:
        calm = measure(site, None, arguments.seconds)
        outcomes = [calm, *(measure(site, flood, arguments.seconds) for flood in arguments.floods or FLOODS)]
    for outcome in outcomes:
        print(
            f"{outcome.flood:<17} sent {outcome.sent:>8}, pings {outcome.pings} lost {outcome.lost}, "
            f"newcomers {outcome.established} slowest {outcome.setup:.0f} ms, sessions lost {outcome.dropped}"
        )
    if arguments.json is not None:
        found = [{name: getattr(outcome, name) for name in outcome.__slots__} for outcome in outcomes]
        arguments.json.write_text(json.dumps(found, indent=1) + "\n", encoding="ascii")
    complaints = [complaint for outcome in outcomes for complaint in outcome.complaints(calm)]
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
