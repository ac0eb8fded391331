"""What passed, in words: the end of it, up to the verdict."""

from ipaddress import IPv4Address

from pypptp.control.messages import EchoReply, EchoRequest
from pypptp.gre import build_header
from pypptp.ppp.packet import ControlPacket
from pypptp.ppp.protocols import ADDRESS_CONTROL
from pypptp.testing.dialogue.annotation import annotate
from pypptp.testing.dialogue.transcript import Direction, Entry, Layer, Transcript

NEAR, FAR = IPv4Address("127.0.0.2"), IPv4Address("127.0.0.1")


def entry(time: float, direction: Direction, layer: Layer, octets: bytes, text: str = "") -> Entry:
    return Entry(time, direction, layer, octets, text, NEAR, FAR, (40000, 1723))


def made() -> Transcript:
    transcript = Transcript(100.0)
    request = EchoRequest(identifier=7).build()
    transcript.add(entry(0.0, Direction.SENT, Layer.CONTROL, request + request))
    transcript.add(entry(0.5, Direction.RECEIVED, Layer.CONTROL, EchoReply(identifier=7).build()))
    frame = ADDRESS_CONTROL + b"\xc0\x21" + ControlPacket(5, 9, b"bye").build()
    transcript.add(entry(1.0, Direction.RECEIVED, Layer.GRE, build_header(len(frame), 12, 3, 4) + frame))
    transcript.add(entry(1.5, Direction.REMARK, Layer.REMARK, b"", "the connection is gone"))
    return transcript


def test_words() -> None:
    lines = annotate(made())
    assert len(lines) == 5
    assert lines[0] == lines[1]
    assert lines[1].startswith("    0.000 -> control Echo-Request")
    assert lines[3].startswith("    1.000 <- gre     call 12 ack 4 seq 3: LCP Terminate-Request id 9")
    assert lines[4] == "    1.500 -- the connection is gone"


def test_the_end_of_it() -> None:
    assert annotate(made(), 2) == annotate(made())[-2:]


def test_nothing_after_the_verdict() -> None:
    transcript = made()
    transcript.judged = 1.0
    assert annotate(transcript) == annotate(made())[:-1]
    assert annotate(transcript, 1) == annotate(made())[-2:-1]
