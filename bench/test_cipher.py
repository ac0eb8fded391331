"""RC4 in each backend, and MPPE's change of keys."""

from __future__ import annotations

from hashlib import sha1

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from pypptp.errors import LocalProtocolError
from pypptp.mppe import Backend, Strength, load_backend
from pypptp.mppe.schedule import new_schedule

KEY = bytes(range(16))


@pytest.fixture(params=["libcrypto", "cryptography"])
def backend(request: pytest.FixtureRequest) -> Backend:
    try:
        return load_backend(request.param)
    except LocalProtocolError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("octets", [64, 1400])
def test_rc4_with_a_fresh_key(benchmark: BenchmarkFixture, backend: Backend, octets: int) -> None:
    buffer = bytearray(octets)
    handle, cipher = backend.bind(buffer), backend.cipher()

    def encrypt() -> None:
        cipher.set_key(KEY)
        cipher.crypt(handle, 0, octets)

    encrypt()
    assert any(buffer)
    benchmark(encrypt)


def test_mppe_rekey(benchmark: BenchmarkFixture, backend: Backend) -> None:
    schedule = new_schedule(KEY, Strength.BITS_128, backend)
    before = schedule.key
    benchmark(schedule.advance)
    assert schedule.key != before


def test_sha1_of_a_key_change(benchmark: BenchmarkFixture) -> None:
    message = bytes(112)
    assert len(benchmark(lambda: sha1(message).digest())) == 20
