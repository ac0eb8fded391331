"""A peer that sends all it can, and never reads, cannot make us hold more than was worked out."""

from __future__ import annotations

import gc
import tracemalloc
from types import BuiltinFunctionType, FunctionType, ModuleType

import pytest

from pypptp.control import MAXIMUM_PENDING_OUTPUT, EchoRequest, OutgoingCallRequest
from pypptp.endpoint import Endpoint
from pypptp.gre import build_header
from pypptp.mppe.cipher import MAXIMUM_CHANGES
from pypptp.ppp.packet import Code, ControlPacket
from pypptp.testing import SimulatedNetwork
from tests import held
from tests.peers import connected

CODE = (type, ModuleType, FunctionType, BuiltinFunctionType)


def octets_held(holder: object) -> int:
    """Octets in all the bytes and bytearrays that an object leads to, each once."""
    total, seen, waiting = 0, set(), [holder]
    while waiting:
        found = waiting.pop()
        if id(found) in seen or isinstance(found, CODE):
            continue
        seen.add(id(found))
        if isinstance(found, bytes | bytearray):
            total += len(found)
        else:
            waiting += gc.get_referents(found)
    return total


def several_calls() -> SimulatedNetwork:
    network = connected(addresses=tuple(f"192.168.1.{number}" for number in range(1, held.CALLS + 1)))
    for _ in range(held.CALLS - 1):
        network.client.control.place_call(network.now)
    network.client.settle(network.now)
    server = network.server

    def all_up() -> bool:
        sessions = server.sessions.values()
        return len(sessions) == held.CALLS and all(session.link.network_up for session in sessions)

    assert network.run_until(all_up, 30)
    return network


def flood_call(server: Endpoint, call_id: int, now: float) -> None:
    session = server.sessions[call_id]

    def send(frame: bytes, sequence: int) -> None:
        assert len(frame) <= held.LARGEST_FRAME
        server.receive_datagram(build_header(len(frame), call_id, sequence=sequence & 0xFFFFFFFF) + frame, now)

    highest = session.tunnel.highest_received
    assert highest is not None
    # Keys far ahead: two frames that prove one another, with a count that fits.
    decryptor = session.link.decryptor
    assert decryptor is not None
    for number in (highest + MAXIMUM_CHANGES, highest + MAXIMUM_CHANGES + 1):
        send(b"\xfd\x9f\xff" + bytes(held.LARGEST_FRAME - 3), number)
    # What the protocols remember of the latest packets, as long as they can be.
    highest = session.tunnel.highest_received or 0
    for protocol, code in ((0xC021, Code.IDENTIFICATION), (0xC021, 99), (0x80FD, 99), (0x8021, 99), (0xC223, 2)):
        highest += 1
        packet = ControlPacket(code, 1, bytes(held.LARGEST_FRAME - 8)).build()
        send(b"\xff\x03" + protocol.to_bytes(2, "big") + packet, highest)
    # What is far ahead and further; a gap that is never filled, and everything behind it.
    for number in range(1 << 27, 1 << 31, 1 << 27):
        send(b"\xfd\x90\x00" + bytes(held.LARGEST_FRAME - 3), highest + number)
    for number in (*range(highest + 2, highest + 300), *range(highest + 2, highest + 66)):
        send(b"\xfd\x90\x00" + bytes(held.LARGEST_FRAME - 3), number)


def flood(network: SimulatedNetwork) -> None:
    """All that one peer can send in one moment: no timer of ours runs in it, and it reads nothing."""
    server, now = network.server, network.now
    for call_id in list(server.sessions):
        flood_call(server, call_id, now)
    for number in range(20):
        request = OutgoingCallRequest(
            call_id=60_000 + number,
            call_serial_number=number,
            minimum_bps=0,
            maximum_bps=0,
            bearer_type=3,
            framing_type=3,
            packet_receive_window_size=0xFFFF,
        )
        server.receive_data(request.build(), now)
    for number in range(10_000):
        server.receive_data(EchoRequest(identifier=number).build(), now)
    server.receive_data(EchoRequest(identifier=1).build()[:-1], now)


def several_calls_with_cheap_keys(monkeypatch: pytest.MonkeyPatch) -> SimulatedNetwork:
    """It is about how many keys are kept; to work them all out takes a second, and a minute under tracemalloc."""
    network = several_calls()
    for session in network.server.sessions.values():
        assert session.link.decryptor is not None
        monkeypatch.setattr(type(session.link.decryptor._schedule), "key_after", lambda *_: bytes(bytearray(16)))
    return network


def test_the_most_a_connection_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    network = several_calls_with_cheap_keys(monkeypatch)
    server = network.server
    before = octets_held(server)
    flood(network)
    after = octets_held(server)
    # Packets for a TUN are not the endpoint's, nor is what waits in asyncio's transport.
    elsewhere = held.CALLS * held.EARLY_TUN + held.CONTROL_OUT - MAXIMUM_PENDING_OUTPUT
    assert after - before <= held.CONNECTION - elsewhere
    # It is no idle bound. Of the queue half is for an owner who does not take what is ready, and ours does.
    assert after - before > held.CALLS * (0.45 * held.REORDER + held.KEYS_AHEAD) + MAXIMUM_PENDING_OUTPUT / 2
    assert len(server.sessions) == held.CALLS
    # And it is given back when the flood is over.
    network.server.data_to_send()
    network.run(5.0)
    assert octets_held(server) < before + held.CALLS * held.NEGOTIATION


def test_and_the_interpreter_takes_little_more(monkeypatch: pytest.MonkeyPatch) -> None:
    network = several_calls_with_cheap_keys(monkeypatch)
    gc.collect()
    tracemalloc.start()
    try:
        flood(network)
        network.server.packets_received()
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken < held.CONNECTION * 1.25
