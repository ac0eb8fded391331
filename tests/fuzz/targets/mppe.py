"""A stream of MPPE frames with forged ones between: a forged frame never costs a genuine one."""

from __future__ import annotations

from pypptp.mppe import Decryptor, Encryptor, Strength
from tests.fuzz.script import read_script
from tests.mppe.frames import START, plaintext


def stream(data: bytes) -> None:
    """Steps of no octets are genuine frames, those of one octet as many lost ones, all others forged."""
    if not data:
        return
    strength = (Strength.BITS_128, Strength.BITS_56, Strength.BITS_40)[data[0] % 3]
    encryptor = Encryptor(START, strength, stateless=True)
    decryptor = Decryptor(START, strength, stateless=True, sequence=0)
    sequence = 0
    for step in read_script(data[1:]):
        octets = step.octets
        if len(octets) == 1:
            for _ in range(octets[0]):
                encryptor.encrypt_frame(plaintext(sequence))
            sequence += octets[0]
        elif not octets:
            sequence += 1
            genuine = plaintext(sequence)
            assert decryptor.decrypt_frame(encryptor.encrypt_frame(genuine), sequence) == genuine
        else:
            # The number a forger sees is the next one, or one a little further on.
            number = sequence + 1 + int(step.delay * 10) % 64
            if decryptor.decrypt_frame(octets, number) is not None:
                return  # by luck it makes sense: MPPE has no integrity, and nobody can tell
