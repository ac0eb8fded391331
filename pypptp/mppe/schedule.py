"""The key of one direction: how it changes, and the RC4 state it leaves (RFC 3078 section 7.3).

A change is SHA-1 over start key, pad, session key, pad; RC4 of the digest under itself; the salt; RC4 keyed with the
result. Stateless MPPE does it before every packet, so where libcrypto is there it takes no intermediate Python object
but the digest.

The key before the last change is kept, so that a frame that proves implausible takes its change back at no cost to the
others.
"""

from __future__ import annotations

from hashlib import sha1
from typing import Any, Protocol

from pypptp.mppe.keys import PAD1, PAD2, Strength, initial_session_key
from pypptp.mppe.rc4 import DEFAULT, Backend, Handle, LibcryptoBackend, LibcryptoRc4


class Schedule(Protocol):
    """One direction's session key and RC4 state."""

    @property
    def key(self) -> bytes:
        """The session key, 8 or 16 octets."""

    def load(self, key: bytes) -> None:
        """Take this session key and start RC4 with it."""

    def advance(self) -> None:
        """Change the session key once and start RC4 with the new one."""

    def retreat(self) -> None:
        """Undo the last ``advance``. The RC4 state is not brought back: ``restore`` does that where it matters."""

    def crypt(self, handle: Handle, start: int, length: int) -> None:
        """RC4 in place, inside the bound buffer, going on from where it is."""

    def advance_and_crypt(self, handle: Handle, start: int, length: int) -> None:
        """Do ``advance`` and ``crypt`` in one call: what stateless MPPE does with every frame."""

    def key_after(self, key: bytes, changes: int) -> bytes:
        """Return the session key so many changes after the given one. Nothing else moves."""

    def snapshot(self) -> object:
        """Return the RC4 state."""

    def restore(self, snapshot: object) -> None:
        """Go back to it."""


class _PortableSchedule:
    """A schedule over any RC4 backend."""

    __slots__ = ("_length", "_prefix", "_previous", "_rc4", "_salt", "_scratch", "crypt", "key", "restore", "snapshot")

    def __init__(self, start_key: bytes, strength: Strength, backend: Backend) -> None:
        self._length = strength.key_length
        self._prefix = start_key[: self._length] + PAD1
        self._salt = strength.salt
        self._rc4 = backend.cipher()
        self._scratch = backend.cipher()
        self.crypt = self._rc4.crypt
        self.snapshot = self._rc4.snapshot
        self.restore = self._rc4.restore
        self.key = self._previous = b""
        self.load(initial_session_key(start_key, strength))

    def load(self, key: bytes) -> None:
        self.key = key
        self._rc4.set_key(key)

    def advance(self) -> None:
        self._previous = self.key
        self.load(self.key_after(self.key, 1))

    def retreat(self) -> None:
        self.key = self._previous

    def advance_and_crypt(self, handle: Handle, start: int, length: int) -> None:
        self.advance()
        self.crypt(handle, start, length)

    def key_after(self, key: bytes, changes: int) -> bytes:
        scratch, salt, length = self._scratch, self._salt, self._length
        for _ in range(changes):
            interim = sha1(self._prefix + key + PAD2).digest()[:length]
            scratch.set_key(interim)
            key = salt + scratch.process(interim)[len(salt) :]
        return key


class _LibcryptoSchedule:
    """A schedule over OpenSSL's RC4, with the session key where both libraries can see it.

    Two messages of the shape start key, pad, session key, pad lie ready for SHA-1, one with the key, one with the key
    before it; RC4 writes each new key straight into the older one.
    """

    __slots__ = (
        "_length",
        "_message",
        "_message_before",
        "_offset",
        "_rc4",
        "_salt",
        "_salted",
        "_salted_before",
        "_set_key",
        "_state",
        "_target",
        "_target_before",
        "_tools",
        "restore",
        "snapshot",
    )

    def __init__(self, start_key: bytes, strength: Strength, backend: LibcryptoBackend) -> None:
        cipher = LibcryptoRc4(backend)
        self._tools = backend
        self.snapshot = cipher.snapshot
        self.restore = cipher.restore
        self._state = cipher.state
        self._set_key = backend.set_key
        self._rc4 = backend.rc4
        self._length = length = strength.key_length
        self._salt = strength.salt
        self._offset = length + len(PAD1)
        initial = initial_session_key(start_key, strength)
        self._message = bytearray(start_key[:length] + PAD1 + initial + PAD2)
        self._message_before = bytearray(self._message)
        self._target: Any = backend.ffi.from_buffer("unsigned char[]", self._message) + self._offset
        self._target_before: Any = backend.ffi.from_buffer("unsigned char[]", self._message_before) + self._offset
        self.load(initial)

    @property
    def key(self) -> bytes:
        return bytes(self._message[self._offset : self._offset + self._length])

    def load(self, key: bytes) -> None:
        self._message[self._offset : self._offset + self._length] = key
        self._set_key(self._state, self._length, key)

    def advance(self) -> None:
        self.advance_and_crypt(self._target, 0, 0)

    def advance_and_crypt(self, handle: Handle, start: int, length: int) -> None:
        message = self._message
        interim = sha1(message).digest()
        state = self._state
        set_key = self._set_key
        rc4 = self._rc4
        key_length = self._length
        target = self._target_before
        set_key(state, key_length, interim)
        rc4(state, key_length, interim, target)
        newer = self._message_before
        if self._salt:
            newer[self._offset : self._offset + len(self._salt)] = self._salt
        set_key(state, key_length, target)
        self._target_before = self._target
        self._target = target
        self._message_before = message
        self._message = newer
        octets = handle + start
        rc4(state, length, octets, octets)

    def retreat(self) -> None:
        self._target, self._target_before = self._target_before, self._target
        self._message, self._message_before = self._message_before, self._message

    def crypt(self, handle: Handle, start: int, length: int) -> None:
        octets = handle + start
        self._rc4(self._state, length, octets, octets)

    def key_after(self, key: bytes, changes: int) -> bytes:
        message = bytearray(self._message)
        key_at = slice(self._offset, self._offset + self._length)
        salt_at = slice(self._offset, self._offset + len(self._salt))
        message[key_at] = key
        target = self._tools.ffi.from_buffer("unsigned char[]", message) + self._offset
        state, length, salt = LibcryptoRc4(self._tools).state, self._length, self._salt
        set_key, rc4 = self._set_key, self._rc4
        for _ in range(changes):
            interim = sha1(message).digest()
            set_key(state, length, interim)
            rc4(state, length, interim, target)
            message[salt_at] = salt
        return bytes(message[key_at])


def new_schedule(start_key: bytes, strength: Strength, backend: Backend = DEFAULT) -> Schedule:
    """Return the fastest schedule the backend allows, at the initial session key.

    Args:
        start_key: 16 octets, or for 40 and 56 bits at least 8.
        strength: what CCP agreed on.
        backend: whose handles ``crypt`` will be given.

    Raises:
        LocalProtocolError: the start key is too short.
    """
    if isinstance(backend, LibcryptoBackend):
        return _LibcryptoSchedule(start_key, strength, backend)
    return _PortableSchedule(start_key, strength, backend)
