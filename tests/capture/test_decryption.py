"""Keys by count, and how much of them a forged frame can cost."""

from __future__ import annotations

import pytest

from pypptp.capture.decryption import ALLOWANCE_PER_FRAME, BLOCK, BLOCKS_CACHED, KeyChain, StatelessTrial, Verdict, Work
from pypptp.capture.recording import PppFrame
from pypptp.capture.sessions import Agreement
from pypptp.mppe.cipher import Encryptor
from pypptp.mppe.keys import Strength, initial_session_key
from pypptp.mppe.schedule import new_schedule
from tests.capture.tape import ip_frame

START = bytes(range(16))


@pytest.mark.parametrize("strength", Strength)
def test_keys_come_in_any_order(strength: Strength) -> None:
    schedule = new_schedule(START, strength)
    initial = initial_session_key(START, strength)
    chain = KeyChain(START, strength, Work())
    for index in (0, 5000, 1, BLOCK - 1, BLOCK, 4999, 3 * BLOCK - 2, 0):
        assert chain.key(index) == schedule.key_after(initial, index + 1)


def test_keys_thrown_out_of_the_cache_are_found_again() -> None:
    chain = KeyChain(START, Strength.BITS_128, Work())
    first = chain.key(0)
    chain.key(BLOCK * (BLOCKS_CACHED + 10))
    for block in range(BLOCKS_CACHED + 5):
        chain.key(block * BLOCK + 3)
    assert chain.key(0) == first


def test_work_is_paid_for() -> None:
    work = Work(10 * BLOCK)
    chain = KeyChain(START, Strength.BITS_128, work)
    assert chain.key(100 * BLOCK) is None
    assert work.left == 10 * BLOCK
    assert chain.key(5 * BLOCK) is not None
    assert chain.key(9 * BLOCK) is None
    work.earn(10)
    assert work.left == 10 * ALLOWANCE_PER_FRAME + (10 - 6) * BLOCK
    assert chain.key(9 * BLOCK) is not None


def test_an_accident_is_not_taken_for_a_frame_of_another_place() -> None:
    encryptor = Encryptor(START, Strength.BITS_128, stateless=True)
    frames = [
        PppFrame(number, 0, number + 1, 0xFD, encryptor.encrypt_frame(ip_frame(number)), 0) for number in range(20)
    ]
    trial = StatelessTrial(START, Agreement(Strength.BITS_128), 0, Work())
    assert trial.attempt(frames[0], strict=False) == ip_frame(0)
    assert trial.attempt(frames[0], strict=False) is Verdict.DUPLICATE
    frames[5].information = frames[5].information[:2] + bytes(40)
    assert trial.attempt(frames[5], strict=True) is Verdict.UNDECRYPTABLE
    assert trial.attempt(frames[9], strict=True) == ip_frame(9)
    assert trial.attempt(frames[4], strict=False) == ip_frame(4)
