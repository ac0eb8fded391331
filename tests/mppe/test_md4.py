from typing import Any

from pypptp.mppe.md4 import md4


def test_published_values(vectors: dict[str, Any]) -> None:
    assert len(vectors["md4"]) == 7
    for vector in vectors["md4"]:
        assert md4(vector["in_ascii"].encode()).hex() == vector["out"]


def test_every_length_around_a_block_is_padded_into_another_digest() -> None:
    digests = {md4(b"x" * length) for length in range(130)}
    assert len(digests) == 130


def test_padding_that_just_fits_and_just_does_not() -> None:
    # Computed with OpenSSL's legacy provider: 55 octets leave room for the length in one block, 56 do not.
    assert md4(b"a" * 55).hex() == "c889c81dd86c4d2e025778944ea02881"
    assert md4(b"a" * 56).hex() == "d5f9a9e9257077a5f08b0b92f348b0ad"
    assert md4(b"a" * 64).hex() == "52f5076fabd22680234a3fa9f9dc5732"
