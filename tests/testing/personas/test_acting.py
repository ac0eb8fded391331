from __future__ import annotations

from dataclasses import replace

from pypptp.gre import build_header
from pypptp.ppp.packet import Code
from pypptp.ppp.protocols import Protocol
from pypptp.testing import personas
from pypptp.testing.personas import Persona
from pypptp.testing.personas.habits import CcpHabits
from tests.testing.personas.wire import Wire

IPV6CP_REQUEST = bytes((1, 9, 0, 14, 1, 10)) + bytes(8)


def connected(persona: Persona) -> Wire:
    with persona.in_memory() as peer:
        peer.connect()
        return Wire(peer)


def test_a_protocol_it_does_not_speak_is_rejected_whole() -> None:
    with personas.ACCEL_PPP.in_memory() as peer:
        peer.connect()
        frame = b"\xff\x03" + Protocol.IPV6CP.to_bytes(2, "big") + IPV6CP_REQUEST
        assert peer.call.highest is not None
        header = build_header(len(frame), peer.call.call_id, peer.call.highest + 1, None)

        async def come() -> None:
            peer.call.receive_datagram(header + frame)

        peer._run(come())
        packet = Wire(peer).first(Protocol.LCP, Code.PROTOCOL_REJECT).packet
        assert packet is not None
        assert packet.data == Protocol.IPV6CP.to_bytes(2, "big") + IPV6CP_REQUEST


def test_one_that_speaks_ipv6_is_not_stopped_by_a_reject() -> None:
    wire = connected(personas.PPTPD)
    assert wire.frames(Protocol.LCP, Code.PROTOCOL_REJECT, mine=False)
    assert len(wire.frames(Protocol.IPV6CP)) == 1


def test_a_strength_it_does_not_grant_is_not_taken() -> None:
    only_40 = replace(personas.PPTPD, ccp=CcpHabits(grants=0x01000020))
    with only_40.in_memory() as peer:
        try:
            peer.connect()
        except AssertionError as error:
            assert "Terminate-Request" in str(error)  # noqa: PT017 - and what else it says is shown
        else:
            raise AssertionError("40 bits are taken where 128 are required")


def test_where_short_headers_were_not_agreed_on_all_octets_are_sent() -> None:
    """RouterOS rejects them of its clients; a Windows behind a server that does not ask for them sends none either."""
    wire = connected(personas.ROUTEROS)
    assert all(said.full_header for said in wire.said if said.mine and said.protocol)


def test_each_protocol_counts_for_itself_or_all_do_together() -> None:
    def requests(persona: Persona) -> dict[int, int]:
        wire = connected(persona)
        first = {protocol: wire.first(protocol).packet for protocol in (Protocol.LCP, Protocol.CCP, Protocol.IPCP)}
        return {protocol: packet.identifier for protocol, packet in first.items() if packet is not None}

    assert requests(personas.PPTP_LINUX) == {Protocol.LCP: 1, Protocol.CCP: 1, Protocol.IPCP: 1}
    assert len(set(requests(personas.WINDOWS_10).values())) == 3
