import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp.control.framing import MAXIMUM_MESSAGE_LENGTH, FramingError, MessageBuffer
from pypptp.control.messages import EchoRequest
from tests.control.joined import start_request

ECHO = EchoRequest(identifier=7).build()


def drain(buffer: MessageBuffer) -> list[bytes]:
    found = []
    while (message := buffer.next_message()) is not None:
        found.append(message)
    return found


def test_messages_come_out_whole_however_the_stream_is_cut() -> None:
    stream = start_request() + ECHO + ECHO
    for cut in range(len(stream) + 1):
        buffer = MessageBuffer()
        buffer.feed(stream[:cut])
        found = drain(buffer)
        buffer.feed(stream[cut:])
        found += drain(buffer)
        assert found == [start_request(), ECHO, ECHO]
        assert len(buffer) == 0


def test_octet_by_octet() -> None:
    buffer = MessageBuffer()
    found = []
    for octet in start_request() + ECHO:
        buffer.feed(bytes([octet]))
        found += drain(buffer)
    assert found == [start_request(), ECHO]


@pytest.mark.parametrize("length", [0, 1, 11, MAXIMUM_MESSAGE_LENGTH + 1, 65535])
def test_an_impossible_length_is_found_with_its_second_octet(length: int) -> None:
    # cc/1.4/3, cc/1.4/4: nothing is waited for, nothing is held
    buffer = MessageBuffer()
    buffer.feed(length.to_bytes(2, "big"))
    with pytest.raises(FramingError, match=str(length)):
        buffer.next_message()
    buffer.feed(bytes(100_000))
    assert len(buffer) == 0


def test_a_wrong_cookie_is_found_with_its_first_wrong_octet() -> None:
    buffer = MessageBuffer()
    buffer.feed(ECHO[:5])
    assert buffer.next_message() is None
    buffer.feed(b"\xff")
    with pytest.raises(FramingError, match="cookie"):
        buffer.next_message()


def test_the_stream_is_not_found_again_after_an_error() -> None:
    buffer = MessageBuffer()
    buffer.feed(b"\0\0")
    with pytest.raises(FramingError):
        buffer.next_message()
    buffer.feed(ECHO)
    with pytest.raises(FramingError):
        buffer.next_message()


def test_a_message_longer_than_its_type_keeps_the_stream_in_step() -> None:
    # cc/1.4/6
    longer = (16 + 64).to_bytes(2, "big") + ECHO[2:] + bytes(64)
    buffer = MessageBuffer()
    buffer.feed(longer + ECHO)
    assert drain(buffer) == [longer, ECHO]


@given(st.lists(st.binary(max_size=400), max_size=8))
def test_any_octets_give_messages_or_a_framing_error_and_little_is_held(pieces: list[bytes]) -> None:
    buffer = MessageBuffer()
    whole = b""
    try:
        for piece in pieces:
            buffer.feed(piece)
            whole += piece
            for message in drain(buffer):
                assert whole.startswith(message)
                whole = whole[len(message) :]
            assert len(buffer) == len(whole) < MAXIMUM_MESSAGE_LENGTH
    except FramingError:
        assert len(buffer) == 0
