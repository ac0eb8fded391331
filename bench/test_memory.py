"""What an idle session of a server holds in memory, its place in the data plane included."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from bench.cores import Pair
from pypptp.aio.dataplane import DataPlane
from pypptp.control import CallIdAllocator
from pypptp.endpoint import Endpoint

SESSIONS = 500
MOST_KIB = 40.0


def resident_octets() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_an_idle_session_is_small() -> None:
    if not Path("/proc/self/statm").exists():
        pytest.skip("needs Linux's /proc")
    loop = asyncio.new_event_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gre:
        gre.bind(("127.0.0.1", 0))
        plane = DataPlane(loop, gre)
        call_ids = CallIdAllocator(os.urandom)
        # What only the first sessions need, caches and code, is not theirs.
        for _ in range(20):
            Pair(call_ids=call_ids).connect()
        before = resident_octets()
        ends: list[Endpoint] = []
        for _ in range(SESSIONS):
            end = Pair(call_ids=call_ids).connect().server.end
            ends.append(end)
            session = next(iter(end.sessions.values()))
            plane.attach(session, local=IPv4Address(1), peer=IPv4Address(2), settle=lambda now: None)
        kib = (resident_octets() - before) / SESSIONS / 1024
        plane.close()
    loop.close()
    print(f"{kib:.1f} KiB for each of {len(ends)} idle sessions")
    assert kib <= MOST_KIB
