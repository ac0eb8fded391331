"""What personas say first is what the recorded ones said, but for the values a session has of its own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from pypptp.capture.decoding import MessageLine, decode
from pypptp.capture.pcap_file import read_capture
from pypptp.control.messages import (
    Message,
    OutgoingCallReply,
    OutgoingCallRequest,
    StartControlConnectionReply,
    StartControlConnectionRequest,
    parse_message,
)
from pypptp.ppp.lcp import OptionType
from pypptp.ppp.packet import Code, parse_options, parse_packet
from pypptp.ppp.protocols import Protocol
from pypptp.roles import Role
from pypptp.testing import personas
from pypptp.testing.personas import Persona
from tests.testing.personas.quirks import whole

LAB = Path(__file__).parents[2] / "vectors" / "captures" / "lab" / "mppe128-stateless.pcap"
SHARED = Path(__file__).parents[4] / "shared" / "captures"
RERANGE, TCPDUMP = SHARED / "rerange" / "pptp-only.pcap", SHARED / "tcpdump" / "pptp.pcap"
CHAPCRACK = SHARED / "chapcrack" / "sample.dump"

REQUEST, REPLY = StartControlConnectionRequest, StartControlConnectionReply
CALL, ANSWER = OutgoingCallRequest, OutgoingCallReply
LCP, CCP, IPCP = Protocol.LCP, Protocol.CCP, Protocol.IPCP
OWN_VALUES = {(LCP, OptionType.MAGIC_NUMBER), (LCP, OptionType.ENDPOINT_DISCRIMINATOR)}
Words = dict[object, object]


def control_words(octets: Iterable[bytes]) -> Words:
    """Return the first message of each kind, without call ids and the like."""
    words: Words = {}
    for each in octets:
        message: Message = parse_message(each)
        if isinstance(message, OutgoingCallRequest):
            message = replace(message, call_id=0, call_serial_number=0, subaddress=b"x" if message.subaddress else b"")
        elif isinstance(message, OutgoingCallReply):
            message = replace(message, call_id=0, peer_call_id=0)
        words.setdefault(type(message), message)
    return words


def ppp_words(protocol: int, information: bytes) -> object:
    """Return the options of a Configure-Request, without Magic-Number and addresses; None where it is none."""
    packet = parse_packet(information)
    if packet is None or packet.code != Code.CONFIGURE_REQUEST:
        return None
    options = parse_options(packet.data) or []
    own = [(protocol, option.type) in OWN_VALUES or (protocol, option.type) == (IPCP, 3) for option in options]
    return [(option.type, b"" if mask else option.value) for option, mask in zip(options, own, strict=True)]


def recorded(path: Path, role: Role, after: int) -> tuple[Words, int | None]:
    """Return the first words of one end in a capture, and the number of its first GRE packet."""
    if not path.is_file():
        pytest.skip("no ../shared beside the project")
    lines: list[MessageLine] = [
        line
        for line in decode(read_capture(path)).messages()
        if line.number > after and line.from_client is (role is Role.CLIENT)
    ]
    words = control_words(line.octets for line in lines if line.layer == "PPTP")
    for line in lines:
        protocol = {"LCP": LCP, "CCP": CCP, "IPCP": IPCP}.get(line.layer)
        if protocol is not None and (said := ppp_words(protocol, line.octets)) is not None:
            words.setdefault(protocol, said)
    return words, next((line.sequence for line in lines if line.sequence is not None), None)


def played(persona: Persona) -> tuple[Words, int | None]:
    wire = whole(persona)
    words = control_words(said.octets for said in wire.said if said.mine and said.message is not None)
    for protocol in (LCP, CCP, IPCP):
        packet = wire.first(protocol).packet
        assert packet is not None
        words[protocol] = ppp_words(protocol, packet.build())
    return words, wire.gre()[0].sequence


@pytest.mark.parametrize(
    ("persona", "capture", "after", "kinds"),
    [
        pytest.param(personas.PPTP_LINUX, LAB, 0, (REQUEST, CALL, LCP, IPCP), id="pptp-linux"),
        pytest.param(personas.PPTP_LINUX, CHAPCRACK, 0, (REQUEST, CALL, LCP, CCP), id="pptp-linux, require-mppe"),
        pytest.param(personas.PPTPD, LAB, 0, (REPLY, LCP, CCP), id="pptpd"),
        pytest.param(personas.PPTPD, CHAPCRACK, 0, (REPLY, LCP, CCP, IPCP), id="pptpd with Van Jacobson"),
        pytest.param(personas.WINDOWS_2000, TCPDUMP, 0, (REQUEST, CALL, LCP), id="Windows 2000"),
        pytest.param(personas.WINDOWS_10, RERANGE, 30, (REQUEST, CALL, LCP, CCP, IPCP), id="Windows 10"),
        pytest.param(personas.RRAS, RERANGE, 30, (REPLY, ANSWER, LCP, CCP, IPCP), id="RRAS"),
    ],
)
def test_the_first_words_are_the_recorded_ones(
    persona: Persona, capture: Path, after: int, kinds: tuple[object, ...]
) -> None:
    real, first = recorded(capture, persona.role, after)
    said, own_first = played(persona)
    assert {kind: said[kind] for kind in kinds} == {kind: real[kind] for kind in kinds}
    assert own_first == first
