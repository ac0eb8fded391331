"""Both kinds of capture file, in every byte order and resolution, whole and cut."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp.capture.pcap_file import LINKTYPE_RAW, Capture, CapturedPacket, CaptureError, PcapWriter, read_capture

PACKETS = [b"one", b"two packets", b""]


def pcap(packets: list[bytes], order: str, magic: int = 0xA1B2C3D4, link_type: int = 1, fraction: int = 5) -> bytes:
    out = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, link_type)
    for packet in packets:
        out += struct.pack(order + "IIII", 7, fraction, len(packet), len(packet) + 2) + packet
    return out


def block(order: str, kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    return struct.pack(order + "II", kind, len(body) + 12) + body + struct.pack(order + "I", len(body) + 12)


def pcapng(
    packets: list[bytes], order: str, *, link_type: int = 1, options: bytes = b"", ticks: int = 7_000_005
) -> bytes:
    out = block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))
    out += block(order, 1, struct.pack(order + "HHI", link_type, 0, 0) + options)
    for packet in packets:
        header = struct.pack(order + "IIIII", 0, ticks >> 32, ticks & 0xFFFFFFFF, len(packet), len(packet) + 2)
        out += block(order, 6, header + packet)
    return out


def option(order: str, code: int, value: bytes) -> bytes:
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def expected(time: int, link_type: int = 1) -> list[CapturedPacket]:
    return [
        CapturedPacket(number, time, link_type, packet, len(packet) + 2) for number, packet in enumerate(PACKETS, 1)
    ]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("magic", "time"), [(0xA1B2C3D4, 7_000_005_000), (0xA1B23C4D, 7_000_000_005)])
def test_pcap(order: str, magic: int, time: int) -> None:
    capture = Capture(pcap(PACKETS, order, magic))
    assert list(capture) == expected(time)
    assert list(capture) == expected(time)
    assert capture.damage == ""


@pytest.mark.parametrize("order", ["<", ">"])
def test_link_type_is_the_low_half_of_its_word(order: str) -> None:
    assert {packet.link_type for packet in Capture(pcap(PACKETS, order, link_type=0x30000032))} == {50}


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("resolution", "offset", "time"),
    [
        (None, None, 7_000_005_000),
        (9, None, 7_000_005),
        (0x80 | 10, None, 7_000_005 * 1_000_000_000 // 1024),
        (6, 100, 107_000_005_000),
        (6, -1000, 0),
        (0x7F, None, 0),
    ],
)
def test_pcapng(order: str, resolution: int | None, offset: int | None, time: int) -> None:
    options = b""
    if resolution is not None:
        options += option(order, 9, bytes((resolution,)))
    if offset is not None:
        options += option(order, 14, struct.pack(order + "q", offset))
    options += option(order, 0, b"")
    assert list(Capture(pcapng(PACKETS, order, options=options))) == expected(time)


def test_pcapng_other_blocks() -> None:
    order = ">"
    out = pcapng([], order, link_type=113)
    out += block(order, 0x0BAD, b"unknown")
    out += block(order, 3, struct.pack(order + "I", 3) + b"one")
    out += block(order, 2, struct.pack(order + "HHIIII", 0, 0, 0, 7_000_005, 3, 5) + b"two")
    out += block(order, 6, struct.pack(order + "IIIII", 9, 0, 0, 3, 3) + b"no such interface")
    out += block(order, 6, struct.pack(order + "IIIII", 0, 0, 0, 99, 99) + b"longer than its block")
    packets = list(Capture(out))
    assert [(packet.data, packet.link_type, packet.number) for packet in packets] == [
        (b"one", 113, 1),
        (b"two", 113, 2),
    ]


def test_pcapng_sections_may_differ() -> None:
    both = pcapng([b"a"], "<", link_type=1) + pcapng([b"b"], ">", link_type=101)
    assert [(packet.data, packet.link_type) for packet in Capture(both)] == [(b"a", 1), (b"b", 101)]


@pytest.mark.parametrize("data", [b"", b"\xd4\xc3\xb2\xa1", b"GIF89a", bytes(100), b"\x0a\x0d\x0d\x0a" + bytes(40)])
def test_no_capture(data: bytes) -> None:
    with pytest.raises(CaptureError):
        Capture(data)


def test_unreadable_files_are_named_by_the_system(tmp_path: Path) -> None:
    for path, words in ((tmp_path / "absent", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(CaptureError, match=words):
            read_capture(path)


@pytest.mark.parametrize("whole", [pcap(PACKETS, "<"), pcapng(PACKETS, ">")], ids=["pcap", "pcapng"])
def test_cut_at_every_octet(whole: bytes) -> None:
    packets = list(Capture(whole))
    seen = set()
    for length in range(len(whole)):
        try:
            capture = Capture(whole[:length])
        except CaptureError:
            assert length < 28
            continue
        read = list(capture)
        assert read == packets[: len(read)]
        seen.add(len(read))
    assert seen == {0, 1, 2}


def test_impossible_block_lengths_end_the_reading() -> None:
    for length in (0, 8, 13, 0xFFFFFFFC):
        capture = Capture(pcapng([b"a"], "<") + struct.pack("<II", 6, length) + bytes(40))
        assert len(list(capture)) == 1
        assert capture.damage


@given(st.sampled_from([pcap([], "<"), pcap([], ">"), pcapng([], "<"), pcapng([], ">"), b""]), st.binary(max_size=300))
def test_any_octets_are_read_or_refused(start: bytes, rest: bytes) -> None:
    try:
        capture = Capture(start + rest)
    except CaptureError:
        assert not start
        return
    for packet in capture:
        assert packet.data in rest
        assert packet.time >= 0


def test_what_is_written_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "inner.pcap"
    with PcapWriter(path) as writer:
        writer.write(1_700_000_000_123_456_789, b"E packet")
        writer.write(5, b"cut", 1400)
    packets = list(read_capture(path))
    assert packets[0] == CapturedPacket(1, 1_700_000_000_123_456_000, LINKTYPE_RAW, b"E packet", 8)
    assert (packets[1].data, packets[1].original_length) == (b"cut", 1400)


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="No such file"):
        PcapWriter(tmp_path / "no" / "such" / "folder")
