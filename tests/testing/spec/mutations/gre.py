"""Targets that tunnel wrongly."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from pypptp.gre import build_header, parse_header
from pypptp.ppp.packet import ControlPacket
from pypptp.ppp.protocols import ADDRESS_CONTROL
from pypptp.testing.dialogue.memory import Peers
from tests.testing.spec.mutations.hands import (
    breaks,
)


@breaks("gre/4.1/1")
def pads_its_packets(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    peers.wire.gre_out = lambda datagram: [datagram + b"\0"]


@breaks("gre/4.1/2")
def leaves_numbers_out(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    def double(datagram: bytes) -> list[bytes]:
        if not datagram[0] & 0x10:
            return [datagram]
        return [datagram[:8] + (2 * int.from_bytes(datagram[8:12], "big")).to_bytes(4, "big") + datagram[12:]]

    peers.wire.gre_out = double


@breaks("gre/4.1/3")
def takes_any_header(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    def mend(datagram: bytes) -> list[bytes]:
        return [bytes((0x30 & (datagram[0] | 0x20), datagram[1] | 1, 0x88, 0x0B)) + datagram[4:]]

    peers.wire.gre_in = mend


@breaks("gre/4.1/6")
def delivers_empty_frames(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    def fill(datagram: bytes) -> list[bytes]:
        header = parse_header(datagram)
        if header is None or header.payload_length or header.sequence is None:
            return [datagram]
        frame = ADDRESS_CONTROL + b"\xc0\x21" + ControlPacket(200, 1).build()
        return [build_header(len(frame), header.call_id, header.sequence) + frame]

    peers.wire.gre_in = fill


@breaks("gre/4.1/7", "gre/4.1/8")
def takes_packets_from_anywhere(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    peers.checks_source = False


@breaks("gre/4.3/1", "gre/4.3/2")
def does_not_look_at_numbers(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    numbers: dict[int, Any] = {}

    def renumber(datagram: bytes) -> list[bytes]:
        header = parse_header(datagram)
        if header is None or header.sequence is None:
            return [datagram]
        number = next(numbers.setdefault(header.call_id, count()))
        return [datagram[:8] + number.to_bytes(4, "big") + datagram[12:]]

    peers.wire.gre_in = renumber


@breaks("gre/4.3/5")
def compares_numbers_as_they_are(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    highest = [0]

    def compare(datagram: bytes) -> list[bytes]:
        header = parse_header(datagram)
        if header is None or header.sequence is None:
            return [datagram]
        late = header.sequence < highest[0]
        highest[0] = max(highest[0], header.sequence)
        return [] if late else [datagram]

    peers.wire.gre_in = compare


@breaks("gre/4.2/1")
def waits_for_its_window(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    sent = count(1)
    peers.wire.gre_out = lambda datagram: [datagram] if not datagram[0] & 0x10 or next(sent) <= 6 else []


@breaks("gre/4.2/2")
def never_acknowledges(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    peers.wire.gre_out = lambda datagram: [datagram] if datagram[0] & 0x10 else []
