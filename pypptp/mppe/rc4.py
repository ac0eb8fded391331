"""RC4, in place in packet buffers, from whichever library here does it fastest.

Two backends stand behind one shape:

``libcrypto``
    OpenSSL's own RC4 through cffi's ABI mode: no compiler, no build step, 2.7 us for a 1400-octet packet with a fresh
key. ``cryptography``
    The ARC4 of the cryptography package: there wherever pypptp is, 8 us for the same.

The choice is made once, at import, by a self-test against RFC 6229. Where libcrypto is missing, carries another name,
was built without RC4, or belongs to another operating system, the second one is taken and nothing is said.

A packet buffer is bound once (``bind``) and keeps its size as long as the handle lives. The handle is opaque and
belongs to the backend that made it.
"""

from __future__ import annotations

import sys
from typing import Any, Final, Protocol, TypeAlias, cast

from pypptp.errors import LocalProtocolError

Handle: TypeAlias = Any
"""A bound packet buffer: a cffi pointer or a memoryview. Only the backend that made it can use it."""


class Rc4(Protocol):
    """One RC4 state. Both backends take keys of 5, 7, 8, 10, 16, 20, 24 and 32 octets; MPPE's have 8 or 16."""

    def set_key(self, key: bytes) -> None:
        """Start anew with this key."""

    def crypt(self, handle: Handle, start: int, length: int) -> None:
        """Encrypt or decrypt length octets in place, from position start of the bound buffer.

        The caller vouches that they lie inside the buffer: the fast backend writes where it is told.
        """

    def process(self, data: bytes) -> bytes:
        """Encrypt or decrypt a copy of data."""

    def skip(self, length: int) -> None:
        """Let length octets of key stream go by."""

    def snapshot(self) -> object:
        """Return the state, to be given back to ``restore``."""

    def restore(self, snapshot: object) -> None:
        """Go back to the state a snapshot of this same object recorded."""


class Backend(Protocol):
    """A library that does RC4."""

    @property
    def name(self) -> str:
        """How ``BACKEND``, logs and benchmarks call it."""

    def bind(self, buffer: bytearray) -> Handle:
        """Return the handle by which this backend reaches the buffer, which cannot be resized as long as it lives."""

    def cipher(self) -> Rc4:
        """Return a new RC4 state without a key."""


# --- libcrypto
# ---------------------------------------------------------------------------------------------------------

_DECLARATIONS = """
void RC4_set_key(void *key, int len, const unsigned char *data);
void RC4(void *key, size_t len, const unsigned char *indata, unsigned char *outdata);
"""

# By soname, newest first; never the bare "libcrypto.dylib", whose loading macOS answers by ending the process.
_LIBRARIES: Final[dict[str, tuple[str, ...]]] = {
    "darwin": ("libcrypto.3.dylib", "libcrypto.1.1.dylib"),
    "win32": ("libcrypto-3-x64.dll", "libcrypto-3.dll", "libcrypto-1_1-x64.dll"),
}
_LIBRARIES_ELSEWHERE: Final = ("libcrypto.so.3", "libcrypto.so.1.1", "libcrypto.so")

# struct rc4_key_st is 258 unsigned ints (1032 octets); the assembler versions keep within it. Rounded up, and aligned.
_STATE_WORDS: Final = 136


class LibcryptoRc4:
    """An ``RC4_KEY`` of OpenSSL."""

    __slots__ = ("_memmove", "_new", "_rc4", "_set_key", "state")

    def __init__(self, backend: LibcryptoBackend) -> None:
        self._new = backend.ffi.new
        self._memmove = backend.ffi.memmove
        self._set_key = backend.set_key
        self._rc4 = backend.rc4
        self.state: Any = self._new("unsigned long long[]", _STATE_WORDS)

    def set_key(self, key: bytes) -> None:
        """Start anew with this key."""
        self._set_key(self.state, len(key), key)

    def crypt(self, handle: Handle, start: int, length: int) -> None:
        """Encrypt or decrypt in place."""
        octets = handle + start
        self._rc4(self.state, length, octets, octets)

    def process(self, data: bytes) -> bytes:
        """Encrypt or decrypt a copy."""
        out = bytearray(len(data))
        octets = self._new("unsigned char[]", data)
        self._rc4(self.state, len(data), octets, octets)
        self._memmove(out, octets, len(data))
        return bytes(out)

    def skip(self, length: int) -> None:
        """Let key stream go by."""
        self.process(bytes(length))

    def snapshot(self) -> object:
        """Return a copy of the state."""
        copy = self._new("unsigned long long[]", _STATE_WORDS)
        self._memmove(copy, self.state, 8 * _STATE_WORDS)
        return copy

    def restore(self, snapshot: object) -> None:
        """Go back to such a copy."""
        self._memmove(self.state, snapshot, 8 * _STATE_WORDS)


class LibcryptoBackend:
    """OpenSSL through cffi. Raises OSError, AttributeError or ImportError where that cannot be had."""

    name = "libcrypto"

    def __init__(self, libraries: tuple[str, ...] | None = None) -> None:
        # Here, not at the top: without cffi the module must still import.
        import cffi

        if libraries is None:
            libraries = _LIBRARIES.get(sys.platform, _LIBRARIES_ELSEWHERE)
        self.ffi: Any = cast("Any", cffi.FFI())
        self.ffi.cdef(_DECLARATIONS)
        self.set_key: Any
        self.rc4: Any
        for name in libraries:
            try:
                self._library: Any = self.ffi.dlopen(name)
                self.set_key, self.rc4 = self._library.RC4_set_key, self._library.RC4
                break
            except (OSError, AttributeError):
                continue
        else:
            raise OSError("no libcrypto with RC4: tried " + ", ".join(libraries))

    def bind(self, buffer: bytearray) -> Handle:
        """Return a pointer into the buffer."""
        return self.ffi.from_buffer("unsigned char[]", buffer)

    def cipher(self) -> Rc4:
        """Return a new RC4 state without a key."""
        return LibcryptoRc4(self)


# --- cryptography
# ------------------------------------------------------------------------------------------------------


class _CryptographyRc4:
    """An ARC4 context of the cryptography package, which can neither be copied nor keyed again.

    A snapshot is therefore the key and the position in its stream, and going back costs the stream up to there: at most
    what stateful MPPE sends in 256 frames, about a millisecond, and only after a frame that was refused.
    """

    __slots__ = ("_backend", "_key", "_position", "_update", "_update_into")

    def __init__(self, backend: _CryptographyBackend) -> None:
        self._backend = backend
        self._key = b""
        self._position = 0

    def set_key(self, key: bytes) -> None:
        context = self._backend.context(key)
        self._update_into = context.update_into
        self._update = context.update
        self._key = key
        self._position = 0

    def crypt(self, handle: Handle, start: int, length: int) -> None:
        octets = handle[start : start + length]
        self._update_into(octets, octets)
        self._position += length

    def process(self, data: bytes) -> bytes:
        self._position += len(data)
        out: bytes = self._update(data)
        return out

    def skip(self, length: int) -> None:
        self.process(bytes(length))

    def snapshot(self) -> object:
        return (self._key, self._position)

    def restore(self, snapshot: object) -> None:
        key, position = cast("tuple[bytes, int]", snapshot)
        self.set_key(key)
        self.skip(position)


class _CryptographyBackend:
    """The cryptography package. Raises ImportError or its UnsupportedAlgorithm where it has no ARC4."""

    name = "cryptography"

    def __init__(self) -> None:
        # Here, not at the top: with libcrypto at hand its import is time spent for nothing.
        from cryptography.hazmat.decrepit.ciphers.algorithms import ARC4
        from cryptography.hazmat.primitives.ciphers import Cipher

        self._algorithm = ARC4
        self._cipher = Cipher

    def context(self, key: bytes) -> Any:
        return self._cipher(self._algorithm(key), mode=None).encryptor()

    def bind(self, buffer: bytearray) -> Handle:
        return memoryview(buffer)

    def cipher(self) -> Rc4:
        return _CryptographyRc4(self)


# --- choice
# ------------------------------------------------------------------------------------------------------------

# RFC 6229 section 2: key, offset in the stream, sixteen octets found there.
_SELF_TEST: Final = (
    ("0102030405", 0, "b2396305f03dc027ccc3524a0a1118a8"),
    ("0102030405", 4096, "ff25b58995996707e51fbdf08b34d875"),
    ("0102030405060708090a0b0c0d0e0f10", 0, "9ac7cc9a609d1ef7b2932899cde41b97"),
)


def self_test(backend: Backend) -> bool:
    """Return whether the backend computes what RFC 6229 prints, in place and after a restore."""
    buffer = bytearray(24)
    handle = backend.bind(buffer)
    for key, offset, expected in _SELF_TEST:
        cipher = backend.cipher()
        cipher.set_key(bytes.fromhex(key))
        cipher.skip(offset)
        snapshot = cipher.snapshot()
        for _ in range(2):
            buffer[:] = bytes(24)
            cipher.crypt(handle, 4, 16)
            if buffer != bytes(4) + bytes.fromhex(expected) + bytes(4):
                return False
            cipher.restore(snapshot)
    return True


def load_backend(name: str) -> Backend:
    """Return the backend "libcrypto" or "cryptography", self-tested.

    Raises:
        LocalProtocolError: it cannot be had here, fails its self-test, or has another name.
    """
    kinds: dict[str, type[LibcryptoBackend] | type[_CryptographyBackend]] = {
        "libcrypto": LibcryptoBackend,
        "cryptography": _CryptographyBackend,
    }
    if name not in kinds:
        raise LocalProtocolError(f"no RC4 backend is called {name!r}")
    # A library that loads and then misbehaves must cost speed, not the program.
    try:
        backend: Backend = kinds[name]()
        passed = self_test(backend)
    except Exception as error:
        raise LocalProtocolError(f"RC4 from {name} cannot be had here: {error}") from error
    if not passed:
        raise LocalProtocolError(f"RC4 from {name} fails the values of RFC 6229")
    return backend


def _choose() -> Backend:
    try:
        return load_backend("libcrypto")
    except LocalProtocolError:
        return load_backend("cryptography")


DEFAULT: Final[Backend] = _choose()
"""The backend every cipher uses that is not told otherwise."""

BACKEND: Final[str] = DEFAULT.name
"""Its name: "libcrypto" or "cryptography"."""


def bind(buffer: bytearray) -> Handle:
    """Bind a packet buffer to the default backend."""
    return DEFAULT.bind(buffer)


def rc4(key: bytes, data: bytes) -> bytes:
    """Return data encrypted, or decrypted, under a fresh key of 8, 16, or another length ``Rc4`` names."""
    cipher = DEFAULT.cipher()
    cipher.set_key(key)
    return cipher.process(data)
