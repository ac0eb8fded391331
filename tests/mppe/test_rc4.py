import sys
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp.errors import LocalProtocolError
from pypptp.mppe import rc4 as module
from pypptp.mppe.rc4 import Backend, LibcryptoBackend, load_backend, self_test


@pytest.fixture(params=["libcrypto", "cryptography"])
def backend(request: pytest.FixtureRequest) -> Backend:
    try:
        return load_backend(request.param)
    except LocalProtocolError as error:
        pytest.skip(str(error))


def test_published_values(vectors: dict[str, Any], backend: Backend) -> None:
    assert len(vectors["rc4"]) == 4
    tried = 0
    for vector in vectors["rc4"]:
        key = bytes.fromhex(vector["key"]) if "key" in vector else vector["key_ascii"].encode()
        if len(key) < 5 and backend.name == "cryptography":
            continue  # it refuses keys of 24 and 32 bits; MPPE's have 64 and 128
        cipher = backend.cipher()
        cipher.set_key(key)
        if "ct" in vector:
            assert cipher.process(vector["pt_ascii"].encode()).hex() == vector["ct"]
        else:
            assert cipher.process(bytes(16)).hex() == vector["keystream_offset_0"]
        tried += 1
    assert tried == (4 if backend.name == "libcrypto" else 2)


def test_the_short_keys_too(vectors: dict[str, Any]) -> None:
    # The key schedule knows no lower limit; only the libraries do. "Key" thrice over is the same schedule as "Key".
    for vector in vectors["rc4"][:2]:
        assert module.rc4(vector["key_ascii"].encode() * 4, vector["pt_ascii"].encode()).hex() == vector["ct"]


def test_in_place_touches_only_what_it_was_told(backend: Backend) -> None:
    buffer = bytearray(b"....pedia....")
    handle = backend.bind(buffer)
    cipher = backend.cipher()
    cipher.set_key(b"WikiWiki")
    cipher.crypt(handle, 4, 5)
    assert buffer == b"...." + bytes.fromhex("1021bf0420") + b"...."


def test_a_bound_buffer_keeps_its_size(backend: Backend) -> None:
    buffer = bytearray(16)
    handle = backend.bind(buffer)
    with pytest.raises(BufferError):
        buffer.extend(b"more")
    del handle


@given(
    key=st.sampled_from([5, 8, 16]).flatmap(lambda n: st.binary(min_size=n, max_size=n)),
    first=st.binary(max_size=300),
    second=st.binary(max_size=300),
)
def test_backends_agree_and_snapshots_hold(key: bytes, first: bytes, second: bytes) -> None:
    results = set()
    for name in ("libcrypto", "cryptography"):
        try:
            cipher = load_backend(name).cipher()
        except LocalProtocolError:
            continue
        cipher.set_key(key)
        a = cipher.process(first)
        snapshot = cipher.snapshot()
        b = cipher.process(second)
        cipher.skip(7)
        cipher.restore(snapshot)
        assert cipher.process(second) == b
        results.add((a, b))
    assert len(results) == 1


def test_a_library_that_is_not_there_or_has_no_rc4_is_passed_over() -> None:
    with pytest.raises(OSError, match=r"libnothing\.so\.9, libc\.so\.6"):
        LibcryptoBackend(("libnothing.so.9", "libc.so.6"))


@pytest.mark.parametrize("failure", [OSError("gone"), AttributeError("RC4_set_key"), ImportError("cffi")])
def test_without_libcrypto_the_other_backend_is_chosen(monkeypatch: pytest.MonkeyPatch, failure: Exception) -> None:
    def refuse(*_: object) -> None:
        raise failure

    monkeypatch.setattr(LibcryptoBackend, "__init__", refuse)
    assert module._choose().name == "cryptography"


def test_without_cffi_the_other_backend_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cffi", None)
    assert module._choose().name == "cryptography"


def test_a_backend_that_computes_something_else_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    right = load_backend("cryptography")

    class Cipher:
        """The right stream, one octet late after a restore."""

        def __init__(self) -> None:
            self.inner = right.cipher()

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

        def restore(self, snapshot: object) -> None:
            self.inner.restore(snapshot)
            self.inner.skip(1)

    class Forgetful:
        name = "forgetful"
        bind = staticmethod(right.bind)

        def cipher(self) -> Any:
            return Cipher()

    class Reversed(Forgetful):
        def cipher(self) -> Any:
            cipher = right.cipher()
            return SimpleNamespace(
                set_key=lambda key: cipher.set_key(key[::-1]),
                crypt=cipher.crypt,
                skip=cipher.skip,
                snapshot=cipher.snapshot,
                restore=cipher.restore,
            )

    assert self_test(right)
    assert not self_test(Forgetful())
    assert not self_test(Reversed())
    monkeypatch.setattr(module, "self_test", lambda backend: backend.name != "libcrypto")
    assert module._choose().name == "cryptography"


def test_an_unknown_backend_is_the_callers_mistake() -> None:
    with pytest.raises(LocalProtocolError, match="'openssl'"):
        load_backend("openssl")


def test_the_choice_has_a_name() -> None:
    assert module.BACKEND in ("libcrypto", "cryptography")
    assert module.DEFAULT.name == module.BACKEND
    assert module.bind(bytearray(1)) is not None
