import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp.control import messages as m
from pypptp.control.codes import MAGIC_COOKIE, GeneralError
from pypptp.errors import LocalProtocolError
from tests.conftest import VECTORS
from tests.control.captured import captured_messages

OCTETS_BY_TYPE = {1: 156, 2: 156, 3: 16, 4: 16, 5: 16, 6: 20, 7: 168, 8: 32, 9: 220, 10: 24, 11: 28, 12: 16, 13: 148}
OCTETS_BY_TYPE |= {14: 40, 15: 24}
TYPES = {cls.TYPE.value: cls for cls in m.Message.__subclasses__() if hasattr(cls, "TYPE")}
UNSIGNED = {"B": 0xFF, "H": 0xFFFF, "I": 0xFFFFFFFF}


def any_message() -> st.SearchStrategy[m.Message]:
    def of_type(cls: type[m.Message]) -> st.SearchStrategy[m.Message]:
        """Read the class's wire format back into a strategy for each field."""
        strategies: dict[str, st.SearchStrategy[Any]] = {}
        for name, kind in zip(cls.FIELDS, kinds_of(cls), strict=True):
            if kind in UNSIGNED:
                strategies[name] = st.integers(0, UNSIGNED[kind])
            else:
                strategies[name] = st.binary(max_size=int(kind)).map(lambda octets: octets.rstrip(b"\0"))
        return st.builds(cls, **strategies)

    return st.one_of([of_type(cls) for cls in TYPES.values()])


def kinds_of(cls: type[m.Message]) -> list[str]:
    """ "B", "H" or "I" of each number, the size of each string, from the struct format."""
    found, digits = [], ""
    for letter in cls.BODY.format[1:]:
        if letter.isdigit():
            digits += letter
            continue
        if letter != "x":
            found.append(digits if letter == "s" else letter)
        digits = ""
    return found


def framed(message_type: int, body: bytes, *, length: int | None = None, pptp_type: int = 1) -> bytes:
    length = 12 + len(body) if length is None else length
    return struct.pack(">HHIHH", length, pptp_type, MAGIC_COOKIE, message_type, 0) + body


def test_every_type_has_the_length_of_the_rfc() -> None:
    assert {value: cls.LENGTH for value, cls in TYPES.items()} == OCTETS_BY_TYPE


@given(any_message())
def test_what_is_built_is_read_back(message: m.Message) -> None:
    data = message.build()
    assert len(data) == message.LENGTH == int.from_bytes(data[:2], "big")
    assert m.parse_message(data) == message
    assert m.parse_message(data).build() == data


@given(any_message(), st.binary(min_size=1, max_size=64))
def test_trailing_octets_are_ignored(message: m.Message, rest: bytes) -> None:
    data = message.build()
    assert m.parse_message(data + rest) == message
    assert m.parse_message((len(data) + len(rest)).to_bytes(2, "big") + data[2:] + rest) == message


@pytest.mark.parametrize("message_type", sorted(TYPES))
def test_every_type_cut_at_every_octet_is_refused(message_type: int) -> None:
    # cc/1.4/5: the declared length is honest or not, nothing behind it is read
    whole = framed(message_type, bytes(OCTETS_BY_TYPE[message_type] - 12))
    assert m.parse_message(whole).build() == whole
    for length in range(len(whole)):
        declared = length.to_bytes(2, "big") + whole[2:]
        for data in (whole[:length], declared[:length], declared):
            with pytest.raises(m.MalformedMessage) as caught:
                m.parse_message(data)
            assert caught.value.code == GeneralError.BAD_FORMAT


@given(st.binary(max_size=300))
def test_any_octets_are_a_message_or_malformed(data: bytes) -> None:
    try:
        m.parse_message(data)
    except m.MalformedMessage:
        pass


@given(st.integers(0, 20), st.binary(max_size=260))
def test_any_body_is_a_message_or_malformed(message_type: int, body: bytes) -> None:
    try:
        message = m.parse_message(framed(message_type, body))
    except m.MalformedMessage:
        assert len(body) + 12 < OCTETS_BY_TYPE.get(message_type, 9999)
    else:
        again = message.build()
        assert m.parse_message(again) == message


@pytest.mark.parametrize(("message_type", "pptp_type"), [(99, 1), (0, 1), (16, 1), (1, 0), (1, 2)])
def test_what_version_1_does_not_define_is_unknown_not_malformed(message_type: int, pptp_type: int) -> None:
    # cc/1.4/7, cc/1.4/8
    with pytest.raises(m.UnknownMessage) as caught:
        m.parse_message(framed(message_type, bytes(144), pptp_type=pptp_type))
    assert caught.value.code is None


def test_a_wrong_cookie_is_malformed() -> None:
    data = bytearray(m.EchoRequest(identifier=1).build())
    data[4] ^= 1
    with pytest.raises(m.MalformedMessage, match="cookie"):
        m.parse_message(bytes(data))


@pytest.mark.parametrize("message_type", sorted(TYPES))
def test_reserved_fields_are_ignored_and_sent_as_zero(message_type: int) -> None:
    # cc/2.1/3: all ones everywhere; what comes back zero was reserved
    body = b"\xff" * (OCTETS_BY_TYPE[message_type] - 12)
    data = framed(message_type, body)
    data = data[:10] + b"\xa1\x96" + data[12:]
    rebuilt = m.parse_message(data).build()
    assert rebuilt[10:12] == b"\0\0"
    pads = {1: 2, 3: 3, 4: 2, 6: 2, 7: 2, 10: 2, 11: 2, 12: 2, 13: 2, 14: 2, 15: 2}
    assert rebuilt[12:].count(0) == pads.get(message_type, 0)


@pytest.mark.parametrize(
    "message",
    [
        m.StartControlConnectionRequest(framing_capabilities=3, bearer_capabilities=3, host_name=b"h" * 65),
        m.CallDisconnectNotify(call_id=1, result_code=1, call_statistics=b"s" * 129),
        m.CallClearRequest(call_id=65536),
        m.EchoRequest(identifier=-1),
        m.OutgoingCallReply(call_id=1, peer_call_id=1, result_code=256),
    ],
)
def test_what_does_not_fit_the_wire_is_not_built(message: m.Message) -> None:
    with pytest.raises(LocalProtocolError, match=message.TYPE.text):
        message.build()


def test_a_phone_number_longer_than_its_field_is_clipped() -> None:
    # cc/2.7/4
    body = struct.pack(">HHIIIIHHHH", 1, 1, 300, 10, 3, 3, 64, 0, 200, 0) + b"5" * 128
    message = m.parse_message(framed(7, body))
    assert isinstance(message, m.OutgoingCallRequest)
    assert (message.phone_number_length, message.phone_number) == (200, b"5" * 64)
    assert message.build() == framed(7, body)


def test_the_length_of_a_number_is_filled_in() -> None:
    message = m.IncomingCallRequest(
        call_id=1, call_serial_number=1, call_bearer_type=1, dialed_number=b"123", dialing_number=b"45678"
    )
    assert (message.dialed_number_length, message.dialing_number_length) == (3, 5)
    assert message.build()[24:28] == b"\0\3\0\5"


@pytest.mark.parametrize(
    ("octets", "shown"),
    [
        (b"", ""),
        (b"MoretonBay", "MoretonBay"),
        (b"Microsoft\0rubbish", "Microsoft"),
        (b"a\x1b[31m\n\xff", "a\\x1b[31m\\x0a\\xff"),
        (b"back\\slash", "back\\x5cslash"),
        (b"x" * 65, "x" * 61 + "..."),
    ],
)
def test_printable(octets: bytes, shown: str) -> None:
    assert m.printable(octets) == shown


@given(st.binary(max_size=200), st.integers(0, 80))
def test_printable_is_one_short_line_of_ascii(octets: bytes, limit: int) -> None:
    shown = m.printable(octets, limit)
    assert len(shown) <= max(limit, 3)
    assert shown.isascii()
    assert shown.isprintable()


def test_the_microsoft_example(vectors: dict[str, Any]) -> None:
    """[MS-PTPT] section 4: a Windows Vista client and a Server 2008."""
    example = vectors["ms_ptpt_example"]
    start = m.StartControlConnectionRequest(
        framing_capabilities=example["sccrq"]["framing"],
        bearer_capabilities=example["sccrq"]["bearer"],
        maximum_channels=example["sccrq"]["max_channels"],
        firmware_revision=example["sccrq"]["firmware"],
        vendor_name=example["sccrq"]["vendor"].encode(),
    )
    assert len(start.build()) == example["sccrq"]["len"]
    assert start.build()[12:28] == bytes.fromhex("01000000 00000001 00000001 0000 0000")
    assert start.build()[28:92] == bytes(64)

    wanted = example["ocrq"]
    subaddress = bytes.fromhex(wanted["subaddress_first16"])
    request = m.OutgoingCallRequest(
        call_id=wanted["call_id"],
        call_serial_number=wanted["serial"],
        minimum_bps=wanted["min_bps"],
        maximum_bps=wanted["max_bps"],
        bearer_type=wanted["bearer"],
        framing_type=wanted["framing"],
        packet_receive_window_size=wanted["window"],
        packet_processing_delay=wanted["ppd"],
        subaddress=subaddress,
    )
    data = request.build()
    assert len(data) == wanted["len"]
    assert data[12:40] == bytes.fromhex("faea 0001 0000012c 05f5e100 00000003 00000003 0040 0000 0000 0000")
    assert data[104:120] == subaddress
    assert m.parse_message(data) == request

    reply = m.OutgoingCallReply(
        call_id=example["ocrp"]["call_id"],
        peer_call_id=example["ocrp"]["peer"],
        result_code=example["ocrp"]["result"],
        connect_speed=example["ocrp"]["connect_speed"],
        packet_receive_window_size=example["ocrp"]["window"],
    )
    assert len(reply.build()) == example["ocrp"]["len"]
    assert reply.build()[12:] == bytes.fromhex("e40a faea 01 00 0000 00512502 4000 0000 00000000")

    notify = m.CallDisconnectNotify(call_id=example["cdn"]["call_id"], result_code=example["cdn"]["result"])
    assert len(notify.build()) == example["cdn"]["len"]
    assert notify.build()[12:18] == bytes.fromhex("e40a 00 00 0000")

    stop = m.StopControlConnectionRequest(reason=example["stop"]["reason"])
    assert stop.build().hex() == "001000011a2b3c4d0003000001000000"
    assert len(stop.build()) == example["stop"]["len"]


def test_captured_messages_are_rebuilt_octet_by_octet() -> None:
    seen: set[str] = set()
    for path in sorted((VECTORS / "captures" / "lab").glob("*.pcap")):
        for data in captured_messages(path):
            message = m.parse_message(data)
            seen.add(message.TYPE.name)
            assert message.build() == data, path.name
    assert {"START_CONTROL_CONNECTION_REQUEST", "ECHO_REPLY", "OUTGOING_CALL_REPLY", "CALL_CLEAR_REQUEST"} <= seen
    assert {"CALL_DISCONNECT_NOTIFY", "STOP_CONTROL_CONNECTION_REPLY"} <= seen


@pytest.mark.parametrize(
    ("name", "count"),
    [("rerange/pptp-only.pcap", 13), ("tcpdump/pptp.pcap", 5), ("chapcrack/sample.dump", 5)],
)
def test_messages_other_people_captured_are_rebuilt_octet_by_octet(shared_dir: Path, name: str, count: int) -> None:
    found = captured_messages(shared_dir / "captures" / name)
    assert [m.parse_message(data).build() for data in found] == found
    assert len(found) == count
