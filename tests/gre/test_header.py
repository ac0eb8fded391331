import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp.errors import LocalProtocolError
from pypptp.gre import GreHeader, build_header, parse_header

numbers32 = st.none() | st.integers(0, 0xFFFFFFFF)


@pytest.mark.parametrize(
    ("wire", "header"),
    [
        ("3001880b0010abcd00000005", GreHeader(16, 0xABCD, 5, None, 12)),
        ("3081880b0010abcd0000000500000004", GreHeader(16, 0xABCD, 5, 4, 16)),
        ("2081880b0000abcd00000004", GreHeader(0, 0xABCD, None, 4, 12)),
        ("2001880b0000abcd", GreHeader(0, 0xABCD, None, None, 8)),
    ],
)
def test_octets_of_section_4_1(wire: str, header: GreHeader) -> None:
    data = bytes.fromhex(wire)
    assert parse_header(data) == header
    assert build_header(header.payload_length, header.call_id, header.sequence, header.acknowledgement) == data


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF), numbers32, numbers32, st.binary(max_size=20))
def test_round_trip_whole_split_and_with_trailing_octets(
    length: int, call_id: int, sequence: int | None, acknowledgement: int | None, trailing: bytes
) -> None:
    wire = build_header(length, call_id, sequence, acknowledgement)
    header = GreHeader(length, call_id, sequence, acknowledgement, len(wire))
    assert parse_header(wire + trailing) == header
    assert parse_header(trailing + wire + trailing, len(trailing), len(trailing) + len(wire)) == header
    for cut in range(len(wire)):
        assert parse_header(wire[:cut]) is None
        assert parse_header(wire + trailing, 0, cut) is None


@given(st.binary(max_size=40), st.integers(-5, 50), st.none() | st.integers(-5, 50))
def test_any_octets_and_positions_never_raise(data: bytes, start: int, end: int | None) -> None:
    header = parse_header(data, start, end)
    assert header is None or header.header_length in (8, 12, 16)


@pytest.mark.parametrize("bit", [bit for bit in range(16) if bit not in (3, 8)])
def test_each_wrong_bit_of_the_first_word_is_refused(bit: int) -> None:
    data = bytearray(build_header(0, 1, 2, 3))
    data[bit // 8] ^= 0x80 >> bit % 8
    assert parse_header(data) is None


def test_other_protocol_type_is_refused() -> None:
    assert parse_header(bytes.fromhex("300108000010abcd00000005")) is None


@pytest.mark.parametrize("values", [(65536, 1, 0, 0), (0, 65536, 0, 0), (0, 1, 1 << 32, 0), (0, 1, 0, -1)])
def test_values_the_fields_cannot_carry(values: tuple[int, int, int, int]) -> None:
    with pytest.raises(LocalProtocolError):
        build_header(*values)
