from ipaddress import IPv4Address

from pypptp.testing.dialogue import packets
from pypptp.testing.dialogue.transcript import KEPT, Direction, Entry, Layer, Transcript

NEAR, FAR = IPv4Address("127.0.0.2"), IPv4Address("127.0.0.1")


def entry(direction: Direction, layer: Layer, octets: bytes, time: float = 0.0) -> Entry:
    ports = (40000, 1723) if layer is Layer.CONTROL else (0, 0)
    return Entry(time, direction, layer, octets, "" if octets else "a remark", NEAR, FAR, ports)


def test_captured() -> None:
    transcript = Transcript(0.0)
    transcript.add(entry(Direction.SENT, Layer.CONTROL, b"a" * 1500))
    transcript.add(entry(Direction.REMARK, Layer.REMARK, b""))
    transcript.add(entry(Direction.RECEIVED, Layer.CONTROL, b"bcd", 1.5))
    transcript.add(entry(Direction.SENT, Layer.CONTROL, b"e"))
    transcript.add(entry(Direction.RECEIVED, Layer.GRE, b"gre", 2.0))
    captured = transcript.captured()
    assert [len(packet) - 40 for _, packet in captured[:4]] == [1400, 100, 3, 1]
    times = [time for time, _ in captured]
    assert times == [0.0, 0.0, 1.5, 0.0, 2.0]
    # Sequence and acknowledgement numbers go with the octets, each direction for itself.
    numbers = [
        (int.from_bytes(packet[24:28], "big"), int.from_bytes(packet[28:32], "big")) for _, packet in captured[:4]
    ]
    assert numbers == [(1, 1), (1401, 1), (1, 1501), (1501, 4)]
    ends = [(packet[12:16], packet[16:20]) for _, packet in captured]
    assert ends[0] == (NEAR.packed, FAR.packed)
    assert ends[2] == ends[4] == (FAR.packed, NEAR.packed)
    assert [packet[9] for _, packet in captured] == [packets.TCP] * 4 + [packets.GRE]
    assert captured[4][1][20:] == b"gre"


def test_a_flood_keeps_its_beginning_and_its_end() -> None:
    transcript = Transcript(0.0)
    for number in range(3 * KEPT):
        transcript.add(entry(Direction.SENT, Layer.GRE, number.to_bytes(4, "big")))
    numbers = [int.from_bytes(kept.octets, "big") for kept in transcript.entries]
    assert numbers == [*range(KEPT), *range(2 * KEPT, 3 * KEPT)]
    assert transcript.left_out == KEPT
    assert not transcript.heard()


def test_heard() -> None:
    transcript = Transcript(0.0)
    transcript.add(entry(Direction.REMARK, Layer.REMARK, b""))
    assert not transcript.heard()
    transcript.add(entry(Direction.RECEIVED, Layer.CONTROL, b"x"))
    assert transcript.heard()
