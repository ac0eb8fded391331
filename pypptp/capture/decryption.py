"""MPPE frames of a recorded session decrypted after the fact (RFC 3078, RFC 3079).

A live receiver has each frame once, in order, and must not be led astray; here everything that was sent lies open. So
frames are taken in GRE sequence order, a key is a matter of counting and not of state, and a frame may be as late as it
likes. The number of key changes between two frames is the largest that fits the coherency counts modulo 4096 and does
not exceed the distance of their sequence numbers: a frame that uses up a count uses up a number too.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol, TypeAlias

from pypptp.capture.recording import PppFrame
from pypptp.capture.sessions import Agreement, Direction, Epoch, Handshake
from pypptp.mppe.keys import Strength, initial_session_key
from pypptp.mppe.plausibility import is_plausible
from pypptp.mppe.rc4 import DEFAULT
from pypptp.mppe.schedule import new_schedule
from pypptp.ppp.protocols import Protocol as PppProtocol

COUNTS = 4096
COUNT_MASK = COUNTS - 1
FLAG_INTERVAL = 256
"""Stateful MPPE changes its key at every count whose low octet is 0xFF (RFC 3078 section 7.2)."""
BIT_FLUSHED = 0x80
BIT_COMPRESSED = 0x20
BIT_ENCRYPTED = 0x10
HEADER_LENGTH = 2

FIRST_ALLOWANCE = 1_000_000
ALLOWANCE_PER_FRAME = 16
BLOCK = 64
"""Keys between two that are kept for good."""
BLOCKS_CACHED = 256
TRIAL_FRAMES = 64
_REKEYS_MISSED = 3
_INFINITY = 1 << 62

_KNOWN_PROTOCOLS = frozenset(protocol.value for protocol in PppProtocol)
_SHORT_PROTOCOLS = frozenset({PppProtocol.VJ_COMPRESSED, PppProtocol.VJ_UNCOMPRESSED})
"""Protocols besides IP that are met with a one-octet protocol field; each makes an accident likelier by 1 in 256."""

StartKey: TypeAlias = Callable[[Handshake, Strength], bytes | None]
"""Gives the start key of the direction at hand, None where the login is not of the user whose password is known."""


class Work:
    """What may be spent on keys: so much at first, and so much for every frame.

    A forged frame can claim to be 4 billion keys away. Files whose frames were really sent never come near the limit.
    """

    __slots__ = ("left",)

    def __init__(self, first: int = FIRST_ALLOWANCE) -> None:
        self.left = first

    def earn(self, frames: int) -> None:
        """Add what some frames entitle to."""
        self.left += frames * ALLOWANCE_PER_FRAME

    def spend(self, key_changes: int) -> bool:
        """Take so many key changes from what is left, if it is enough."""
        if key_changes > self.left:
            return False
        self.left -= key_changes
        return True


class KeyChain:
    """The session keys of stateless MPPE by frame index: frame 0 has the first key after the initial one."""

    def __init__(self, start_key: bytes, strength: Strength, work: Work) -> None:
        self._schedule = new_schedule(start_key, strength)
        self._kept = [initial_session_key(start_key, strength)]
        self._cache: OrderedDict[int, list[bytes]] = OrderedDict()
        self._work = work

    def key(self, index: int) -> bytes | None:
        """Return the key of a frame, or None where working it out would cost too much."""
        block, place = divmod(index + 1, BLOCK)
        keys = self._cache.get(block)
        if keys is None:
            missing = max(0, block + 1 - len(self._kept))
            if not self._work.spend((missing + 1) * BLOCK):
                return None
            schedule = self._schedule
            while len(self._kept) <= block:
                self._kept.append(schedule.key_after(self._kept[-1], BLOCK))
            schedule.load(self._kept[block])
            keys = [schedule.key]
            while len(keys) < BLOCK:
                schedule.advance()
                keys.append(schedule.key)
            self._cache[block] = keys
            if len(self._cache) > BLOCKS_CACHED:
                self._cache.popitem(last=False)
        else:
            self._cache.move_to_end(block)
        return keys[place]


class Verdict(Enum):
    """What became of a frame that was not decrypted."""

    DUPLICATE = "its count was decrypted already"
    UNDECRYPTABLE = "no key known makes sense of it"


class _Trial(Protocol):
    """One key and what it opens."""

    def attempt(self, frame: PppFrame, *, strict: bool) -> bytes | Verdict:
        """Decrypt a frame. With ``strict`` only what cannot be an accident counts."""


class StatelessTrial:
    """Frames of one epoch of stateless MPPE, in any order."""

    def __init__(self, start_key: bytes, agreement: Agreement, border: int, work: Work) -> None:
        assert agreement.strength is not None
        self._chain = KeyChain(start_key, agreement.strength, work)
        self._compression = agreement.compression
        self._rc4 = DEFAULT.cipher()
        self._anchors: list[tuple[int, int]] = [(border, -1)]
        self._taken: set[int] = set()

    def attempt(self, frame: PppFrame, *, strict: bool) -> bytes | Verdict:
        assert frame.sequence is not None
        count = _count(frame)
        position = bisect_right(self._anchors, (frame.sequence, _INFINITY)) - 1
        sequence, index = self._anchors[max(position, 0)]
        distance = frame.sequence - sequence
        changes = (count - index) % COUNTS
        changes += (distance - changes) // COUNTS * COUNTS
        expected = index + changes
        first = self._decrypt(frame, expected)
        if expected in self._taken:
            if 0 <= distance < COUNTS or (first is not None and _is_sound(first, frame.missing, strict=False)):
                return Verdict.DUPLICATE
        elif first is not None and _is_sound(first, frame.missing, strict=strict):
            return self._accept(frame, expected, first)
        for other in (expected - COUNTS, expected + COUNTS, expected - 2 * COUNTS):
            if other in self._taken:
                continue
            plaintext = self._decrypt(frame, other)
            if plaintext is not None and _is_sound(plaintext, frame.missing, strict=True):
                return self._accept(frame, other, plaintext)
        if strict or first is None or expected in self._taken:
            return Verdict.UNDECRYPTABLE
        if _has_protocol(first) or (self._compression and frame.information[0] & BIT_COMPRESSED):
            return self._accept(frame, expected, first)
        return Verdict.UNDECRYPTABLE

    def _accept(self, frame: PppFrame, index: int, plaintext: bytes) -> bytes:
        assert frame.sequence is not None
        self._taken.add(index)
        insort(self._anchors, (frame.sequence, index))
        return plaintext

    def _decrypt(self, frame: PppFrame, index: int) -> bytes | None:
        key = self._chain.key(index) if index >= 0 else None
        if key is None:
            return None
        self._rc4.set_key(key)
        return self._rc4.process(frame.information[HEADER_LENGTH:])


class StatefulTrial:
    """Frames of one epoch of stateful MPPE, in GRE sequence order.

    The key stream runs on from frame to frame, so what follows a frame that was not captured is lost until the sender
    starts anew. On a FLUSHED frame Linux changes the key first, RFC 3078 section 3.1 only starts RC4 again with the
    current one; the plaintext tells which it was.
    """

    def __init__(self, start_key: bytes, agreement: Agreement, border: int, work: Work) -> None:
        assert agreement.strength is not None
        self._schedule = new_schedule(start_key, agreement.strength)
        self._work = work
        self._compression = agreement.compression
        self._sequence = border
        self._index = -1
        self._taken: set[int] = set()

    def attempt(self, frame: PppFrame, *, strict: bool) -> bytes | Verdict:
        assert frame.sequence is not None
        if strict:
            return Verdict.UNDECRYPTABLE
        changes = (_count(frame) - self._index) % COUNTS
        distance = frame.sequence - self._sequence
        changes += (distance - changes) // COUNTS * COUNTS
        index = self._index + changes
        if changes <= 0:
            return Verdict.DUPLICATE if index in self._taken else Verdict.UNDECRYPTABLE
        plaintext = self._try(frame, index, changes)
        if plaintext is None:
            return Verdict.UNDECRYPTABLE
        self._taken.add(index)
        self._sequence, self._index = frame.sequence, index
        return plaintext

    def _try(self, frame: PppFrame, index: int, changes: int) -> bytes | None:
        schedule = self._schedule
        key, state = schedule.key, schedule.snapshot()
        for number, key_changes in enumerate(self._ways(frame, index, changes)):
            if key_changes is not None:
                if not self._work.spend(key_changes + 1):
                    break
                schedule.load(schedule.key_after(key, key_changes))
            # What was cut off the capture moved the key stream on all the same.
            octets = bytearray(frame.information[HEADER_LENGTH:] + bytes(frame.missing))
            schedule.crypt(DEFAULT.bind(octets), 0, len(octets))
            plaintext = bytes(octets[: len(octets) - frame.missing])
            surprising = changes > 1 and number > 0
            if _is_sound(plaintext, frame.missing, strict=surprising):
                return plaintext
            unchecked = self._compression and frame.information[0] & BIT_COMPRESSED
            if changes == 1 and (unchecked or _has_protocol(plaintext)):
                return plaintext
            schedule.load(key)
            schedule.restore(state)
        return None

    @staticmethod
    def _ways(frame: PppFrame, index: int, changes: int) -> Iterable[int | None]:
        """Yield how often the key may have changed before this frame, the likeliest first; None: RC4 just runs on."""
        fresh = bool(frame.information[0] & BIT_FLUSHED) or index % FLAG_INTERVAL == FLAG_INTERVAL - 1
        if changes == 1:
            return (1, 0, None) if fresh else (None,)
        if not fresh:
            return ()
        flags_missed = index // FLAG_INTERVAL - (index - changes + 1) // FLAG_INTERVAL
        return (*range(flags_missed + 1, flags_missed + 2 + _REKEYS_MISSED), flags_missed)


def _count(frame: PppFrame) -> int:
    return (frame.information[0] << 8 | frame.information[1]) & COUNT_MASK


def _is_sound(plaintext: bytes, missing: int, *, strict: bool) -> bool:
    octets = bytearray(plaintext) + bytes(missing)
    return is_plausible(octets, 0, len(octets), strict)


def _has_protocol(plaintext: bytes) -> bool:
    """Whether a protocol field stands at the beginning; for a frame whose key is known and whose place is right.

    Senders do encrypt what RFC 3078 section 3 would leave in clear, and tests encrypt IP that is none.
    """
    if len(plaintext) < HEADER_LENGTH:
        return False
    first, second = plaintext[0], plaintext[1]
    if first & 1:
        return first in _SHORT_PROTOCOLS
    return bool(second & 1) and (first == 0 or (first << 8) + second in _KNOWN_PROTOCOLS)


@dataclass(slots=True)
class DirectionOutcome:
    """What became of one direction's MPPE frames.

    Attributes:
        frames: all of them.
        decrypted: ``(frame, plaintext)`` in the sender's order; the plaintext begins with its PPP protocol field.
        duplicates: repeats of a count that was seen already.
        undecryptable: the rest.
    """

    frames: int = 0
    decrypted: list[tuple[PppFrame, bytes]] = field(default_factory=list)
    duplicates: int = 0
    undecryptable: int = 0


_Result: TypeAlias = list[tuple[PppFrame, bytes | Verdict]]

_LIKELY = tuple(
    Agreement(strength, stateless)
    for strength, stateless in (
        (Strength.BITS_128, True),
        (Strength.BITS_128, False),
        (Strength.BITS_40, True),
        (Strength.BITS_40, False),
        (Strength.BITS_56, True),
        (Strength.BITS_56, False),
    )
)
"""What is tried, in this order, where the CCP negotiation was not captured."""


def decrypt_direction(direction: Direction, start_key: StartKey | None, work: Work) -> DirectionOutcome:
    """Decrypt what one end of a session sent; without keys only count."""
    frames = direction.encrypted_frames()
    outcome = DirectionOutcome(len(frames))
    work.earn(len(frames))
    usable = [frame for frame in frames if frame.sequence is not None and _is_encrypted(frame)]
    usable.sort(key=lambda frame: (frame.sequence, frame.number))
    results = _Decryption(direction.epochs, start_key, work).run(usable)
    seen: set[tuple[int | None, bytes]] = set()
    for frame, result in results:
        if isinstance(result, bytes):
            outcome.decrypted.append((frame, result))
            seen.add((frame.sequence, frame.information))
    for frame, result in results:
        if isinstance(result, bytes):
            continue
        # A frame nobody can decrypt may still have been captured twice.
        mark = (frame.sequence, frame.information)
        if result is Verdict.DUPLICATE or mark in seen:
            outcome.duplicates += 1
        else:
            outcome.undecryptable += 1
        seen.add(mark)
    outcome.undecryptable += len(frames) - len(usable)
    return outcome


def _is_encrypted(frame: PppFrame) -> bool:
    return len(frame.information) > HEADER_LENGTH and bool(frame.information[0] & BIT_ENCRYPTED)


class _Decryption:
    """The epochs of one direction, each with its trial, over the frames of that direction."""

    def __init__(self, epochs: Sequence[Epoch], start_key: StartKey | None, work: Work) -> None:
        self._epochs = epochs
        self._start_key = start_key
        self._work = work

    def run(self, frames: Sequence[PppFrame]) -> _Result:
        borders = [epoch.border for epoch in self._epochs]
        groups: dict[int, list[PppFrame]] = {}
        early: list[PppFrame] = []
        for frame in frames:
            assert frame.sequence is not None
            place = bisect_left(borders, frame.sequence) - 1
            handshake = self._epochs[place].handshake if place >= 0 else None
            # Numbers above the border, but captured before the login: another call that used the same call id.
            if place < 0 or (handshake is not None and frame.number < handshake.number):
                early.append(frame)
            else:
                groups.setdefault(place, []).append(frame)
        trials: dict[int, _Trial] = {}
        results: dict[int, _Result] = {}
        for place, group in sorted(groups.items()):
            trial, result = self._epoch(self._epochs[place], group)
            previous = max((number for number in trials if number < place), default=None)
            if previous is not None and not _decrypted(result):
                # A peer that answered a repeated Configure-Request did not begin anew with its keys.
                again = [(frame, trials[previous].attempt(frame, strict=False)) for frame in group]
                if _decrypted(again):
                    results[place] = again
                    continue
            if trial is not None:
                trials[place] = trial
            results[place] = result
        ordered = [item for _, result in sorted(results.items()) for item in result]
        places = sorted(trials)
        ordered = [self._elsewhere(frame, result, trials, places) for frame, result in ordered]
        strays = [self._elsewhere(frame, Verdict.UNDECRYPTABLE, trials, places) for frame in early]
        if any(isinstance(result, bytes) for _, result in strays):
            ordered = sorted(ordered + strays, key=lambda item: (item[0].sequence, item[0].number))
        else:
            ordered += strays
        return ordered

    def _elsewhere(
        self, frame: PppFrame, result: bytes | Verdict, trials: dict[int, _Trial], places: Sequence[int]
    ) -> tuple[PppFrame, bytes | Verdict]:
        """Give a frame that its own epoch could not decrypt to the nearest ones on either side."""
        if result is Verdict.UNDECRYPTABLE:
            assert frame.sequence is not None
            following = bisect_left(places, frame.sequence, key=lambda place: self._epochs[place].border)
            for place in places[max(0, following - 2) : following + 1]:
                attempt = trials[place].attempt(frame, strict=True)
                if attempt is not Verdict.UNDECRYPTABLE:
                    return frame, attempt
        return frame, result

    def _epoch(self, epoch: Epoch, frames: Sequence[PppFrame]) -> tuple[_Trial | None, _Result]:
        agreements = (epoch.agreement,) if epoch.agreement is not None else _LIKELY
        if len(agreements) > 1:
            sample = frames[:TRIAL_FRAMES]
            tried = [(agreement, self._attempt_all(epoch, agreement, sample)[1]) for agreement in agreements]
            agreements = (max(tried, key=lambda item: _decrypted(item[1]))[0],)
        return self._attempt_all(epoch, agreements[0], frames)

    def _attempt_all(
        self, epoch: Epoch, agreement: Agreement, frames: Sequence[PppFrame]
    ) -> tuple[_Trial | None, _Result]:
        key = None
        if self._start_key is not None and epoch.handshake is not None and agreement.strength is not None:
            key = self._start_key(epoch.handshake, agreement.strength)
        if key is None:
            return None, [(frame, Verdict.UNDECRYPTABLE) for frame in frames]
        kind = StatelessTrial if agreement.stateless else StatefulTrial
        trial = kind(key, agreement, epoch.border, self._work)
        return trial, [(frame, trial.attempt(frame, strict=False)) for frame in frames]


def _decrypted(result: _Result) -> int:
    return sum(isinstance(item, bytes) for _, item in result)
