"""Targets whose control connection is wrong; the last ones are clients."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from pypptp.control import CallIdAllocator, ControlConnection
from pypptp.control.call_control import CallControl
from pypptp.control.connection import ConnectionState
from pypptp.control.messages import WanErrorNotify
from pypptp.testing.dialogue.memory import Connection, Peers
from tests.testing.spec.mutations.hands import (
    CALL_REPLY,
    COOKIE,
    DISCONNECT,
    ECHO_REPLY,
    START_REPLY,
    breaks,
    control_messages,
    wrapped,
)


@breaks("cc/2.1/1")
def reserved_not_zero(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    peers.wire.control_out = control_messages(START_REPLY, lambda message: message.__setitem__(11, 1))


@breaks("cc/2.1/5")
def starts_twice(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    again = lambda self, message, now: self._send(self._start_reply_message(1))  # noqa: E731 - a method to be patched in
    patch.setattr(ControlConnection, "_start_request_again", again)


@breaks("cc/2.1/6")
def calls_without_start(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    def before_start(original: Any, self: ControlConnection, message: Any, now: float) -> None:
        if message.TYPE == 7:
            self.state = ConnectionState.ESTABLISHED
            self._handlers[message.TYPE](message, now)
        else:
            original(self, message, now)

    wrapped(patch, ControlConnection, "_before_start", before_start)


@breaks("cc/1.4/1", "cc/1.4/2")
def blind_to_the_cookie(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    peers.wire.control_in = lambda octets: [octets[:4] + COOKIE + octets[8:]]


@breaks("cc/1.4/3")
def waits_for_impossible_lengths(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    peers.wire.control_in = lambda octets: [] if int.from_bytes(octets[:2], "big") < 12 else [octets]


@breaks("cc/1.4/9")
def takes_segments_for_messages(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    peers.wire.control_in = lambda octets: [octets] if len(octets) >= 12 else []


@breaks("cc/1.4/10")
def reads_one_message_a_segment(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    peers.wire.control_in = lambda octets: [octets[: int.from_bytes(octets[:2], "big")]]


@breaks("cc/2.5/1")
def echo_without_identifier(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    peers.wire.control_out = control_messages(ECHO_REPLY, lambda message: message.__setitem__(15, 0))


@breaks("cc/3.1/1")
def waits_for_ever(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    peers.config = replace(peers.config, control=replace(peers.config.control, start_timeout=1000.0))


@breaks("cc/3.1/2")
def waits_anew_with_each_octet(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    def receive_data(original: Any, self: ControlConnection, data: bytes, now: float) -> None:
        if self.state is ConnectionState.WAIT_CTL_REQUEST:
            self._deadline = now + 5
        original(self, data, now)

    wrapped(patch, ControlConnection, "receive_data", receive_data)


@breaks("cc/3.1/3")
def refuses_with_another_word(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    wrapped(patch, ControlConnection, "refuse_start", lambda original, self: original(self, 5))


@breaks("cc/2.7/1")
def swaps_the_peer_call_id(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    def swap(message: bytearray) -> None:
        message[14:16] = message[14:16][::-1]

    peers.wire.control_out = control_messages(CALL_REPLY, swap)


@breaks("cc/2.7/5")
def one_id_for_all_calls(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    first: list[bytes] = []

    def same(message: bytearray) -> None:
        first.append(bytes(message[12:14]))
        message[12:14] = first[0]

    peers.wire.control_out = control_messages(CALL_REPLY, same)


@breaks("cc/2.7/6")
def takes_a_call_twice(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    peers.wire.control_out = control_messages(CALL_REPLY, lambda message: message.__setitem__(16, 1))


@breaks("cc/2.7/7")
def counts_call_ids(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    numbers = count(1)
    peers.call_ids = CallIdAllocator(lambda length: next(numbers).to_bytes(length, "big"))


@breaks("cc/2.12/1")
def swaps_its_call_id(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    def swap(message: bytearray) -> None:
        message[12:14] = message[12:14][::-1]

    peers.wire.control_out = control_messages(DISCONNECT, swap)


@breaks("cc/2.12/2")
def clears_any_call(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    def clear(original: Any, self: CallControl, message: Any, now: float) -> None:
        for call in list(self._table):
            original(self, replace(message, call_id=call.peer_call_id), now)

    wrapped(patch, CallControl, "call_clear_request", clear)


@breaks("gre/4.1/9")
def never_ends_a_call(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    def end(original: Any, self: CallControl, *args: Any, **kwargs: Any) -> None:
        return

    wrapped(patch, CallControl, "end", end)


@breaks("cc/2.15/1")
def answers_link_info(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    answer = lambda self, message, now: self._send(WanErrorNotify(peer_call_id=message.peer_call_id))  # noqa: E731
    patch.setattr(CallControl, "link_info", answer)


@breaks("cc/tcp/1")
def does_not_notice_the_end(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Connection, "eof", lambda self: None)


@breaks("cc/2.8/1")
def takes_busy_for_connected(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    peers.wire.control_in = control_messages(CALL_REPLY, lambda message: message.__setitem__(16, 1))


@breaks("cc/2.8/2")
def takes_any_call(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    def bend(message: bytearray) -> None:
        message[14] ^= 0x0F
        message[15] ^= 0x0F

    peers.wire.control_in = control_messages(CALL_REPLY, bend)


@breaks("cc/2.13/1")
def ignores_disconnect(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    peers.wire.control_in = control_messages(DISCONNECT, lambda message: False)
