import pytest

from pypptp.errors import LocalProtocolError
from pypptp.mppe.keys import Strength, initial_session_key
from pypptp.mppe.rc4 import Backend, load_backend
from pypptp.mppe.schedule import new_schedule

from .frames import START


@pytest.fixture(params=["libcrypto", "cryptography"])
def backend(request: pytest.FixtureRequest) -> Backend:
    try:
        return load_backend(request.param)
    except LocalProtocolError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("strength", Strength)
def test_keys_change_alike_step_by_step_and_at_once(strength: Strength, backend: Backend) -> None:
    schedule = new_schedule(START, strength, backend)
    first = schedule.key
    assert first == initial_session_key(START, strength)
    for changes in range(1, 6):
        schedule.advance()
        assert schedule.key == new_schedule(START, strength, backend).key_after(first, changes)
        assert schedule.key.startswith(strength.salt)
        assert len(schedule.key) == strength.key_length
    portable = new_schedule(START, strength, load_backend("cryptography"))
    assert portable.key_after(first, 5) == schedule.key


def test_the_first_stateless_key_of_the_recorded_session(backend: Backend) -> None:
    # rerange/pptp-only.pcap, client to server: start key, initial key, and the keys of its first two frames.
    schedule = new_schedule(bytes.fromhex("5feb418becd3d469e35a579c206297d0"), Strength.BITS_128, backend)
    assert schedule.key.hex() == "c5bf9f928c2e71358c7c95b610c82e4d"
    schedule.advance()
    assert schedule.key.hex() == "baa4ed9219b9068aacc7fab65caf1c34"
    schedule.advance()
    assert schedule.key.hex() == "4124c35b868dd5cc11e4285e03a0d0f4"


def test_a_change_taken_back_leaves_no_trace(backend: Backend) -> None:
    schedule = new_schedule(START, Strength.BITS_40, backend)
    keys = []
    for _ in range(4):
        schedule.advance()
        keys.append(schedule.key)
        schedule.retreat()
        schedule.advance()
        assert schedule.key == keys[-1]
    assert len(set(keys)) == 4


def test_working_ahead_moves_nothing(backend: Backend) -> None:
    buffer, untouched = bytearray(32), bytearray(32)
    schedule, other = (new_schedule(START, Strength.BITS_128, backend) for _ in range(2))
    schedule.key_after(schedule.key, 100)
    schedule.crypt(backend.bind(buffer), 0, 32)
    other.crypt(backend.bind(untouched), 0, 32)
    assert buffer == untouched
    assert schedule.key == other.key
