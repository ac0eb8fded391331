"""Recorded sessions of real peers through one tunnel per call id, at the times of the recording."""

import json
import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from pypptp.gre import DELIVER, Tunnel, TunnelConfig, parse_header
from tests.gre.driving import drain, run_timers


def gre_packets(path: Path) -> Iterator[tuple[float, bytes]]:
    """Time and GRE packet of each IPv4 packet of protocol 47 in a capture file, fragments (in order) put together."""
    data = path.read_bytes()
    order = "<" if data[:4] == bytes.fromhex("d4c3b2a1") else ">"
    (link_type,) = struct.unpack_from(order + "I", data, 20)
    link_length = {1: 14, 12: 0, 101: 0, 113: 16}[link_type]
    position = 24
    fragments: dict[bytes, bytes] = {}
    while position + 16 <= len(data):
        seconds, micros, captured, _ = struct.unpack_from(order + "IIII", data, position)
        packet = data[position + 16 + link_length : position + 16 + captured]
        position += 16 + captured
        if len(packet) >= 20 and packet[0] >> 4 == 4 and packet[9] == 47:
            total = int.from_bytes(packet[2:4], "big")
            name = packet[4:6] + packet[12:20]
            body = fragments.pop(name, b"") + packet[(packet[0] & 15) * 4 : total]
            if packet[6] & 0x20:  # more fragments follow
                fragments[name] = body
            else:
                yield seconds + micros / 1e6, body


def kinds_of(packets: list[tuple[float, bytes]]) -> Counter[str]:
    kinds: Counter[str] = Counter()
    for _, packet in packets:
        header = parse_header(packet)
        if header is None:
            continue
        if header.sequence is None:
            kinds["ack_only"] += 1
        else:
            kinds["seq_only" if header.acknowledgement is None else "seq_and_ack"] += 1
    return kinds


@pytest.mark.parametrize("name", ["rerange/pptp-only.pcap", "chapcrack/sample.dump", "chapcrack/pptp.cap"])
def test_recorded_session(shared_dir: Path, name: str) -> None:
    expected = json.loads((shared_dir / "captures" / "expected.json").read_text())[name]["gre"]
    packets = list(gre_packets(shared_dir / "captures" / name))
    kinds = kinds_of(packets)
    assert kinds == {key: expected[key] for key in ("ack_only", "seq_only", "seq_and_ack") if expected[key]}
    assert delivered(packets) == kinds["seq_only"] + kinds["seq_and_ack"] - expected.get("duplicate_seq", 0)


def delivered(packets: list[tuple[float, bytes]]) -> int:
    tunnels: dict[int, Tunnel] = {}
    count, now = 0, 0.0
    for now, packet in packets:
        header = parse_header(packet)
        assert header is not None
        tunnel = tunnels.setdefault(header.call_id, Tunnel(header.call_id, 0, config=TunnelConfig()))
        count += len(run_timers(tunnel, now))
        count += tunnel.receive(packet, 0, len(packet), now) == DELIVER
        count += len(drain(tunnel))
    count += sum(len(run_timers(tunnel, now + 1)) for tunnel in tunnels.values())
    for tunnel in tunnels.values():
        assert not {key: value for key, value in tunnel.counters().items() if key.startswith("wrong") and value}
    return count


def test_lab_sessions_lose_nothing(shared_dir: Path) -> None:
    captures = [path for path in sorted((shared_dir / "captures" / "lab").glob("*.pcap")) if ".inner" not in path.name]
    assert captures
    for path in captures:
        packets = list(gre_packets(path))
        kinds = kinds_of(packets)
        assert delivered(packets) == kinds["seq_only"] + kinds["seq_and_ack"], path.name


def test_malformed_captures_never_raise(shared_dir: Path) -> None:
    captures = [*(shared_dir / "captures" / "tcpdump").glob("*.pcap")]
    assert captures
    for path in captures:
        data = path.read_bytes()
        for start in range(0, len(data), 7):
            for call_id in (0, int.from_bytes(data[start + 6 : start + 8], "big")):
                Tunnel(call_id, 0).receive(data, start, len(data), 0.0)
