"""MPPE: encrypting and decrypting PPP frames (RFC 3078).

A frame on the wire, behind PPP protocol 0x00FD::

    |A|B|C|D|    count (12)   |  encrypted: PPP protocol field and packet ...
     |     |
     |     encrypted, always set
     FLUSHED: RC4 was started anew for this frame; always set in stateless mode

Both directions have a key and a count of their own. The packet path works in place on a bound buffer (``rc4.bind``) and
answers with a verdict; refused frames are counters. ``encrypt_frame`` and ``decrypt_frame`` do the same on bytes.

What is encrypted is the caller's choice; RFC 3078 section 3 wants protocols 0x0021 to 0x00FA and no others.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from pypptp.mppe.keys import Strength
from pypptp.mppe.plausibility import Plausibility, is_plausible
from pypptp.mppe.rc4 import DEFAULT, Backend, Handle
from pypptp.mppe.schedule import new_schedule

PROTOCOL: Final = 0x00FD
"""The PPP protocol number of an MPPE frame."""

HEADER_LENGTH: Final = 2
"""Octets of the MPPE header, which MPPE adds to every packet."""

FLUSHED: Final = 0x8000
ENCRYPTED: Final = 0x1000
_STATELESS: Final = FLUSHED | ENCRYPTED
_LAST_HEADER: Final = 0x9FFF
_COUNT_MASK: Final = 0x0FFF
_COUNTS: Final = 0x1000

# Verdicts of Decryptor.decrypt. Only OK leaves a plaintext.
OK: Final = 0
SHORT: Final = 1
"""No room for a header and one octet, or positions outside the buffer."""
NOT_ENCRYPTED: Final = 2
"""The D bit is missing."""
NOT_FLUSHED: Final = 3
"""The A bit is missing where it must be set: in stateless mode, and on a stateful frame whose count ends in 0xFF."""
LATE: Final = 4
"""Not after the last good frame in GRE sequence."""
IMPLAUSIBLE: Final = 5
"""A count the GRE sequence does not allow, or a plaintext nobody would send."""
NEEDS_RESET: Final = 6
"""Stateful: frames were lost. Send a CCP Reset-Request, and again on a timer as long as ``discarding`` is true."""
DISCARDED: Final = 7
"""Stateful: still waiting for a FLUSHED frame."""

VERDICTS: Final = ("ok", "short", "not encrypted", "not flushed", "late", "implausible", "needs reset", "discarded")
"""What to call each verdict, by number."""

MAXIMUM_CHANGES: Final = 65536
"""Key changes one frame can ask for: 65,536 frames lost in a row, over a second at full speed."""

CHANGES_PER_SECOND: Final = 65536
"""Key changes for lost frames that a sender may have worked out for it in a second, in the long run: more frames than
a line loses, and a tenth or so of one processor."""

_CHECKPOINT_EVERY: Final = 256
# Linux answers a Reset-Request with a key change, so each answer that gets lost puts the receiver one change behind.
_LOST_RESETS: Final = 8

_SEQUENCE_MASK: Final = 0xFFFFFFFF
_HALF_SEQUENCE: Final = 0x80000000
# MPPE header, protocol field, IPv4 header.
_IPV4_FRAME: Final = 24
_NO_HEADER: Final = -1

_header = Struct("!H")
_pack_header = _header.pack_into
_unpack_start = Struct("!IH").unpack_from


class Allowance:
    """How many key changes a sender may still have worked out for frames it says were lost.

    Forged frames pay once for all of them, since the keys are kept. Who has the right keys could have a tenth of a
    second with every other frame, each a genuine jump of 65,536. So only good frames are charged, and nobody else can
    use up what a sender has. It goes on through negotiations of CCP: new keys are no new allowance.
    """

    __slots__ = ("_at", "_left")

    def __init__(self) -> None:
        self._left = float(MAXIMUM_CHANGES)
        self._at = 0.0

    def is_left(self, now: float) -> bool:
        """Say whether another jump may be worked out; it may then cost more than is left."""
        self._left = min(MAXIMUM_CHANGES, self._left + max(0.0, now - self._at) * CHANGES_PER_SECOND)
        self._at = now
        return self._left > 0

    def spend(self, changes: int) -> None:
        """Charge a jump."""
        self._left -= changes


class Encryptor:
    """The sending direction of one session.

    The first frame of a stateful session carries no FLUSHED bit, as with Linux and Windows; RFC 3078 section 3.1 can be
    read either way.

    Raises:
        LocalProtocolError: the start key is too short for the strength.
    """

    __slots__ = (
        "_advance",
        "_advance_and_crypt",
        "_bind",
        "_count",
        "_crypt",
        "_flush",
        "_stateless",
        "stateless",
        "strength",
    )

    def __init__(self, start_key: bytes, strength: Strength, *, stateless: bool, backend: Backend = DEFAULT) -> None:
        schedule = new_schedule(start_key, strength, backend)
        self._advance = schedule.advance
        self._advance_and_crypt = schedule.advance_and_crypt
        self._crypt = schedule.crypt
        self._bind = backend.bind
        self._count = 0
        self._flush = False
        self.strength = strength
        self.stateless = self._stateless = stateless

    def encrypt(self, handle: Handle, buffer: bytearray, start: int, end: int) -> None:
        """Encrypt one frame in place.

        Args:
            handle: the buffer, bound to this cipher's backend.
            buffer: the buffer itself.
            start: where the 2-octet MPPE header goes; the plaintext, PPP protocol field first, follows it.
            end: position behind the plaintext, inside the buffer.
        """
        count = self._count
        if self._stateless:
            _pack_header(buffer, start, _STATELESS | count)
            self._advance_and_crypt(handle, start + 2, end - start - 2)
            self._count = count + 1 & _COUNT_MASK
            return
        if self._flush or count & 0xFF == 0xFF:
            self._flush = False
            self._advance()
            _pack_header(buffer, start, _STATELESS | count)
        else:
            _pack_header(buffer, start, ENCRYPTED | count)
        self._crypt(handle, start + 2, end - start - 2)
        self._count = count + 1 & _COUNT_MASK

    def encrypt_frame(self, plaintext: bytes) -> bytes:
        """Return the MPPE frame, header first, for a plaintext that starts with its PPP protocol field."""
        buffer = bytearray(HEADER_LENGTH) + plaintext
        self.encrypt(self._bind(buffer), buffer, 0, len(buffer))
        return bytes(buffer)

    def reset(self) -> None:
        """Answer a CCP Reset-Request: the next frame changes the key and is FLUSHED.

        RFC 3078 section 8.2 would only restart RC4 under the same key; Linux changes it, and so do the recorded
        sequences. However many requests come before that frame, the key changes once. In stateless mode there is
        nothing to reset.
        """
        self._flush = not self._stateless


class Decryptor:
    """The receiving direction of one session.

    What is late is decided by the GRE sequence, never by the count: with 12 bits, a burst of 2,048 lost frames would
    look like the past. How often the key changed since the last good frame is the largest number that agrees with both.
    It is worked out on the side, and kept only if the plaintext makes sense, so neither a forged frame nor a late one
    moves the key.

    Args (beside those of ``Encryptor``):
        sequence: GRE sequence of the frame with which CCP opened: encrypted frames come after it. Without it the
            first frame is believed about the frames lost before it, up to 4,095.
        plausibility: what to hold a plaintext against.
        allowance: what jumps may cost, where ``decrypt`` is told the time.

    Attributes:
        discarding: stateful: frames were lost, and a Reset-Request is to be repeated until this is false.
        implausible_in_a_row: implausible frames since the last good one that came as one sender's would: each with a
            later GRE number and a count that is later by as much at most. A peer whose every frame is implausible has
            other keys; somebody who tries all counts has not, and must not look like it.
        short, not_encrypted, not_flushed, late, implausible, discarded: refused frames by reason.
        losses: stateful: how often frames were found missing.
    """

    __slots__ = (
        "_advance_and_crypt",
        "_allowance",
        "_backend",
        "_checkpoints",
        "_clear",
        "_clear_since",
        "_count",
        "_next_header",
        "_plausibility",
        "_position",
        "_refused_count",
        "_refused_sequence",
        "_schedule",
        "_sequence",
        "_sequence_known",
        "_stateless",
        "discarded",
        "discarding",
        "implausible",
        "implausible_in_a_row",
        "late",
        "losses",
        "not_encrypted",
        "not_flushed",
        "short",
        "stateless",
        "strength",
    )

    def __init__(
        self,
        start_key: bytes,
        strength: Strength,
        *,
        stateless: bool,
        sequence: int | None = None,
        plausibility: Plausibility = is_plausible,
        allowance: Allowance | None = None,
        backend: Backend = DEFAULT,
    ) -> None:
        self._allowance = Allowance() if allowance is None else allowance
        self._backend = backend
        self._schedule = new_schedule(start_key, strength, backend)
        self._advance_and_crypt = self._schedule.advance_and_crypt
        self._plausibility = plausibility
        self.strength = strength
        self.stateless = self._stateless = stateless
        # Of the last good frame; before the first one, as if there had been one with count -1.
        self._count = -1
        self._sequence = 0 if sequence is None else sequence
        self._sequence_known = sequence is not None
        # Frames in clear since the frame with number _clear_since; void once another one was good.
        self._clear = 0
        self._clear_since = -1
        # The header of the frame that takes the short way. Every frame with count 0 goes the long way, which is where
        # _count and _position catch up: that spares the others two stores.
        self._next_header = _NO_HEADER
        # Key changes made so far, and keys further on that refused frames made us work out, by the changes they need.
        self._position = 0
        self._checkpoints: dict[int, bytes] = {}
        self.discarding = False
        # Of the last frame that was implausible.
        self._refused_count = self._refused_sequence = 0
        self.implausible_in_a_row = 0
        self.short = self.not_encrypted = self.not_flushed = self.late = self.implausible = self.discarded = 0
        self.losses = 0

    def decrypt(
        self, handle: Handle, buffer: bytearray, start: int, end: int, sequence: int, now: float | None = None
    ) -> int:
        """Decrypt one frame in place and return a verdict.

        With OK the plaintext, PPP protocol field first, is buffer[start + 2:end]. With any other verdict keys and
        counts are as before, and what the buffer holds there is worthless.

        Args:
            handle: the buffer, bound to this cipher's backend.
            buffer: the buffer itself.
            start: position of the MPPE header.
            end: position behind the frame.
            sequence: the GRE sequence number it came with.
            now: the time; without it jumps may cost what they want, as in a recording.
        """
        if not start + _IPV4_FRAME <= end <= len(buffer):
            return self._decrypt_other(handle, buffer, start, end, sequence, now)
        header = buffer[start] << 8 | buffer[start + 1]
        # From 4,097 on, the same count can mean that 4,096 frames were lost.
        if header != self._next_header or not 0 < (sequence - self._sequence & _SEQUENCE_MASK) <= _COUNTS:
            return self._decrypt_other(handle, buffer, start, end, sequence, now)
        payload = start + 2
        length = end - payload
        self._advance_and_crypt(handle, payload, length)
        # Protocol 0x0021 and an IPv4 header without options, or else a closer look.
        protocol_version_tos, total_length = _unpack_start(buffer, payload)
        if not (protocol_version_tos >> 8 == 0x002145 and 20 <= total_length <= length - 2) and not self._plausibility(
            buffer, payload, end, False
        ):
            self._schedule.retreat()
            return self._refuse_as_implausible(header & _COUNT_MASK, sequence)
        self._next_header = header + 1 if header != _LAST_HEADER else _NO_HEADER
        self._sequence = sequence
        if self.implausible_in_a_row:
            self.implausible_in_a_row = 0
        return OK

    def pass_over(self) -> None:
        """A frame in clear took a GRE number: LCP's Echo, CCP, whatever is no encrypted packet.

        Such frames move the GRE sequence but not the count. Without this, two days of LCP echoes on an idle link would
        look like 4,096 lost frames, and the next packet be tried with the wrong key.
        """
        if self._clear_since != self._sequence:
            self._clear_since = self._sequence
            self._clear = 0
        self._clear += 1

    def decrypt_frame(self, frame: bytes, sequence: int) -> bytes | None:
        """Return the plaintext of an MPPE frame, PPP protocol field first, or None when it is refused."""
        buffer = bytearray(frame)
        if self.decrypt(self._backend.bind(buffer), buffer, 0, len(buffer), sequence) != OK:
            return None
        return bytes(buffer[HEADER_LENGTH:])

    # --- everything but the next frame of a stateless session ---

    def _decrypt_other(
        self, handle: Handle, buffer: bytearray, start: int, end: int, sequence: int, now: float | None
    ) -> int:
        if start < 0 or end - start <= HEADER_LENGTH or end > len(buffer):
            self.short += 1
            return SHORT
        header = buffer[start] << 8 | buffer[start + 1]
        if not header & ENCRYPTED:
            self.not_encrypted += 1
            return NOT_ENCRYPTED
        count = header & _COUNT_MASK
        flushed = bool(header & FLUSHED)
        if not flushed and (self._stateless or count & 0xFF == 0xFF):
            self.not_flushed += 1
            return NOT_FLUSHED
        self._catch_up()
        # Frames from the last good one to this one: 1 when none was lost. The count knows that modulo 4,096.
        advance = count - self._count & _COUNT_MASK or _COUNTS
        if self._sequence_known:
            ahead = sequence - self._sequence & _SEQUENCE_MASK
            if ahead == 0 or ahead >= _HALF_SEQUENCE:
                self.late += 1
                return LATE
            if advance > ahead:
                return self._refuse_as_implausible(count, sequence)
            clear = self._clear if self._clear_since == self._sequence else 0
            # The least number stays possible whatever was in clear: somebody may have put a frame in clear in the place
            # of an encrypted one.
            advance += max(0, min(ahead - clear, MAXIMUM_CHANGES) - advance) // _COUNTS * _COUNTS
        if self._stateless:
            if advance > 1 and now is not None and not self._allowance.is_left(now):
                return self._refuse_as_implausible(count, sequence)
            work = self._work_for(advance)
            before = self._schedule.key
            key = self._key_after(before, advance)
            if not self._try_key(handle, buffer, start, end, key, strict=advance != 1):
                self._schedule.load(before)
                return self._refuse_as_implausible(count, sequence)
            if advance > 1:
                self._allowance.spend(work)
            self._move_on(advance)
        else:
            verdict = self._decrypt_stateful(handle, buffer, start, end, advance, flushed)
            if verdict == IMPLAUSIBLE:
                return self._refuse_as_implausible(count, sequence)
            if verdict != OK:
                return verdict
        self._count = count
        if self._stateless:
            self._next_header = (_STATELESS | count) + 1 if count != _COUNT_MASK else _NO_HEADER
        self._sequence = sequence
        self._sequence_known = True
        self.implausible_in_a_row = 0
        return OK

    def _catch_up(self) -> None:
        """Take note of the frames that went the short way since the last one that did not."""
        if self._next_header != _NO_HEADER:
            count = (self._next_header & _COUNT_MASK) - 1
        elif self._stateless and self._count >= 0:
            count = _COUNT_MASK
        else:
            return
        self._position += count - self._count
        self._count = count

    def _refuse_as_implausible(self, count: int, sequence: int) -> int:
        self.implausible += 1
        later = sequence - self._refused_sequence & _SEQUENCE_MASK
        # The same count again is 4,096 frames later, or somebody else's.
        further = count - self._refused_count & _COUNT_MASK or _COUNTS
        follows = further <= later < _HALF_SEQUENCE
        self.implausible_in_a_row = self.implausible_in_a_row + 1 if follows and self.implausible_in_a_row else 1
        self._refused_count, self._refused_sequence = count, sequence
        return IMPLAUSIBLE

    def _try_key(self, handle: Handle, buffer: bytearray, start: int, end: int, key: bytes, *, strict: bool) -> bool:
        """Start RC4 with this session key, decrypt, and return whether the plaintext is plausible."""
        self._schedule.load(key)
        self._schedule.crypt(handle, start + 2, end - start - 2)
        return self._plausibility(buffer, start + 2, end, strict)

    def _move_on(self, changes: int) -> None:
        self._position += changes
        if self._checkpoints:
            self._checkpoints = {at: key for at, key in self._checkpoints.items() if at > self._position}

    def _work_for(self, changes: int) -> int:
        """How many changes ``_key_after`` has to work out."""
        goal = self._position + changes
        known = goal - goal % _CHECKPOINT_EVERY
        if known in self._checkpoints:
            return goal - known
        if changes <= _CHECKPOINT_EVERY:
            return changes
        return goal - max((at for at in self._checkpoints if at <= goal), default=self._position)

    def _key_after(self, key: bytes, changes: int) -> bytes:
        """The session key so many changes from now.

        A forged frame can ask for 65,536 changes, a tenth of a second, and the next one for as many again. So keys on
        the way are remembered: whatever comes after the first asks for 255 changes at most.
        """
        at = self._position
        goal = at + changes
        if changes <= _CHECKPOINT_EVERY:
            known = goal - goal % _CHECKPOINT_EVERY
            if known in self._checkpoints:
                key, at = self._checkpoints[known], known
            return self._schedule.key_after(key, goal - at)
        for known in range(at - at % _CHECKPOINT_EVERY + _CHECKPOINT_EVERY, goal + 1, _CHECKPOINT_EVERY):
            reached = self._checkpoints.get(known)
            if reached is None:
                reached = self._checkpoints[known] = self._schedule.key_after(key, known - at)
            key, at = reached, known
        return self._schedule.key_after(key, goal - at)

    # --- stateful (RFC 3078 section 8.2, as Linux ppp_mppe reads it) ---

    def _decrypt_stateful(
        self, handle: Handle, buffer: bytearray, start: int, end: int, advance: int, flushed: bool
    ) -> int:
        schedule = self._schedule
        in_step = advance == 1
        rc4_before = schedule.snapshot()
        if not flushed:
            if not in_step:
                if self.discarding:
                    self.discarded += 1
                    return DISCARDED
                self.discarding = True
                self.losses += 1
                return NEEDS_RESET
            # In step although frames seemed lost: what seemed so was a forged count.
            schedule.crypt(handle, start + 2, end - start - 2)
            if self._plausibility(buffer, start + 2, end, self.discarding):
                self.discarding = False
                return OK
            schedule.restore(rc4_before)
            if self.discarding:
                self.discarded += 1
                return DISCARDED
            return IMPLAUSIBLE
        # The sender changed its key at every count that ends in 0xFF, seen or not, and for this frame.
        first_missed = self._count + 1
        behind = first_missed + advance - 1
        missed = (behind >> 8) - (first_missed >> 8)
        is_flag = behind & 0xFF == 0xFF
        key_before = schedule.key
        key_missed = self._key_after(key_before, missed)
        ciphertext = bytes(buffer[start:end])
        surely_next = in_step and not self.discarding
        for further in self._possible_changes(is_flag, surely_next):
            buffer[start:end] = ciphertext
            key = schedule.key_after(key_missed, further)
            if self._try_key(handle, buffer, start, end, key, strict=not surely_next or further != 1):
                self._move_on(missed + further)
                self.discarding = False
                return OK
        schedule.load(key_before)
        schedule.restore(rc4_before)
        return IMPLAUSIBLE

    @staticmethod
    def _possible_changes(is_flag: bool, surely_next: bool) -> list[int]:
        """How often the key can have changed for a FLUSHED frame, beyond the flag frames missed; likeliest first."""
        possible = [1]
        if not is_flag:
            # RFC 3078 section 8.2 to the letter, as FreeBSD does it: RC4 starts anew under the key it had.
            possible.append(0)
        if not surely_next:
            possible.extend(range(2, 2 + _LOST_RESETS))
        return possible
