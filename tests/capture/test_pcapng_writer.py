from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers import inet, l2
from scapy.utils import PcapNgReader

from pypptp.capture.pcap_file import CaptureError, read_capture
from pypptp.capture.pcapng_writer import PcapngWriter

NOW = 1_700_000_000_123_456_789


@given(st.lists(st.tuples(st.binary(max_size=70), st.sampled_from([1, 101, 113]), st.text(max_size=9)), max_size=8))
def test_there_and_back(tmp_path_factory: pytest.TempPathFactory, packets: list[tuple[bytes, int, str]]) -> None:
    path = tmp_path_factory.mktemp("pcapng") / "x.pcapng"
    with PcapngWriter(path) as writer:
        for number, (octets, link_type, comment) in enumerate(packets):
            writer.write(
                NOW + number,
                octets,
                link_type=link_type,
                interface="wire",
                original_length=len(octets) + number,
                comment=comment,
            )
    capture = read_capture(path)
    assert [(p.time, p.data, p.link_type, p.original_length) for p in capture] == [
        (NOW + number, octets, link_type, len(octets) + number) for number, (octets, link_type, _) in enumerate(packets)
    ]
    assert capture.damage == ""


def test_another_program_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "x.pcapng"
    with PcapngWriter(path) as writer:
        writer.write(NOW, b"\x45" + bytes(19), link_type=101, interface="inside", comment="a remark")
        writer.write(NOW, bytes(12) + b"\x08\0", link_type=1, interface="wire")
    with PcapNgReader(str(path)) as reader:
        packets = list(reader)
    assert [type(packet) for packet in packets] == [inet.IP, l2.Ether]
    assert packets[0].comments == [b"a remark"]


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="No such file"):
        PcapngWriter(tmp_path / "no" / "x.pcapng")
