"""Targets whose CCP or MPPE is wrong."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from pypptp.mppe.cipher import Decryptor
from pypptp.mppe.keys import keys_for_mschap_v2
from pypptp.ppp import ccp, encryption, link
from pypptp.ppp.auth import mschap_v2
from pypptp.ppp.config import MppePolicy
from pypptp.ppp.protocols import Protocol
from pypptp.session import Session
from pypptp.testing.dialogue.memory import Peers
from tests.testing.spec.mutations.hands import (
    breaks,
    encrypted,
    lose,
    wrapped,
)


@breaks("ccp/2/2")
def goes_on_in_clear(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    peers.config = replace(peers.config, link=replace(peers.config.link, mppe=MppePolicy.PREFER))


@breaks("ccp/3/1")
def answers_every_reset(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ccp, "RESET_BURST", 1_000_000)
    patch.setattr(ccp, "RESETS_PER_SECOND", 1_000_000_000)


@breaks("ccp/3/2")
def never_asks_for_a_reset(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(link.Link, "request_reset", lambda self, now: None)


@breaks("ccp/4/1")
def ignores_the_end_of_ccp(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    peers.wire.gre_in = lose(Protocol.CCP, 5)


@breaks("mppe/3/1")
def sets_a_bit_more(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    def mark(datagram: bytearray, at: int) -> None:
        datagram[at] |= 0x20

    peers.wire.gre_out = encrypted(mark)


@breaks("mppe/3/2")
def needs_no_flushed(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    def flush(datagram: bytearray, at: int) -> None:
        if datagram[at] & 0x10:
            datagram[at] |= 0x80

    peers.wire.gre_in = encrypted(flush)


@breaks("mppe/3/3")
def takes_clear_packets(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    def load_path(original: Any, self: Session) -> None:
        original(self)
        self._receives_clear = self._network_up

    wrapped(patch, Session, "_load_path", load_path)


@breaks("mppe/3/4")
def negotiates_inside(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    def take_frame(original: Any, self: Session, handle: Any, buffer: bytearray, *rest: Any) -> int:
        start, end, sequence, now = rest
        was_encrypted = buffer[start : start + 4] == b"\xff\x03\x00\xfd"
        found: int = original(self, handle, buffer, *rest)
        if was_encrypted and not found and buffer[start + 6] in (0x80, 0xC0, 0xC2):
            self.link.receive(bytes(buffer[start + 6 : end]), now, sequence)
            self._follow_link(now)
        return found

    wrapped(patch, Session, "_take_frame", take_frame)


@breaks("mppe/7/1")
def stumbles_over_the_wrap(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    seen = count()
    first = lambda datagram, at: not (datagram[at : at + 2] == b"\x90\x00" and next(seen))  # noqa: E731
    peers.wire.gre_in = encrypted(first)


@breaks("mppe/8/1")
def cannot_catch_up(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    last: dict[bytes, int] = {}

    def follow(datagram: bytearray, at: int) -> bool:
        key, number = bytes(datagram[6:8]), int.from_bytes(datagram[at : at + 2], "big") & 0xFFF
        step = (number - last.get(key, -1)) % 4096
        if step == 1:
            last[key] = number
        return step == 1

    peers.wire.gre_in = encrypted(follow)


@breaks("mppe/8/2")
def loses_its_way_by_a_late_frame(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    # As lwIP did before 3d896ba0: a lower count moved the key on by nearly 4,096 changes, for good.
    last: dict[bytes, int] = {}

    def follow(datagram: bytearray, at: int) -> bool:
        key, number = bytes(datagram[6:8]), int.from_bytes(datagram[at : at + 2], "big") & 0xFFF
        if number < last.get(key, 0):
            number = 1 << 16
        last[key] = max(number, last.get(key, 0))
        return last[key] < 1 << 16

    peers.wire.gre_in = encrypted(follow)


class Trusting(Decryptor):
    """Believes every count and every plaintext."""

    asked = 0

    def decrypt(
        self, handle: Any, buffer: bytearray, start: int, end: int, sequence: int, now: float | None = None
    ) -> int:
        self.asked += 4095
        return super().decrypt(handle, buffer, start, end, self.asked)

    def _try_key(self, handle: Any, buffer: bytearray, start: int, end: int, key: bytes, *, strict: bool) -> bool:
        super()._try_key(handle, buffer, start, end, key, strict=strict)
        return True


@breaks("mppe/8/3")
def believes_forged_counts(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(encryption, "Decryptor", Trusting)


@breaks("mppe/8/4")
def checks_no_checksum(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    peers.checks_checksum = False


@breaks("mppe/9/1")
def one_key_for_both_directions(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    original = keys_for_mschap_v2

    def same(nt_hash: bytes, response: bytes, is_server: bool) -> Any:
        keys = original(nt_hash, response, is_server)
        return replace(keys, receive_start=keys.send_start)

    patch.setattr(mschap_v2, "keys_for_mschap_v2", same)
