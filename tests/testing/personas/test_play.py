from __future__ import annotations

import pytest

from pypptp.control.messages import EchoReply, EchoRequest
from pypptp.ppp.packet import Code
from pypptp.testing import personas
from pypptp.testing.personas import PERSONAS, Persona
from pypptp.testing.playbook import Ip, PlayFailed, Stage, lcp
from tests.testing.personas.wire import Wire, peers_of, target

CLIENT, SERVER = personas.WINDOWS_XP, personas.PPTPD


def test_the_example_of_the_package() -> None:
    with personas.WINDOWS_XP.in_memory("alice", "wonderland") as peer:
        peer.connect()
        assert peer.ping()
        peer.hang_up()
        assert target(peer).over.is_set()


@pytest.mark.parametrize("persona", [CLIENT, SERVER])
def test_single_lines_go_on_where_it_has_come_to(persona: Persona) -> None:
    with persona.in_memory() as peer:
        peer.connect()
        peer.reach(Stage.IPCP)
        peer.send(lcp.echo_request(b"\0\0\0\7", identifier=77))
        assert peer.expect(lcp.echo_reply(identifier=77)).code == Code.ECHO_REPLY
        peer.send(EchoRequest(identifier=3))
        assert peer.expect(EchoReply, identifier=3).result_code == 1
        peer.send(Ip(peer.call.echo_packet(5)))
        assert peer.expect(Ip())


@pytest.mark.parametrize("persona", PERSONAS, ids=lambda persona: persona.name)
def test_a_wrong_password_is_a_failed_play(persona: Persona) -> None:
    with persona.in_memory("alice", "looking-glass", target_password="wonderland") as peer:
        with pytest.raises(PlayFailed, match=rf"^{persona.name}: (Failure|the client's Response is wrong)"):
            peer.connect()
        peer.wait(20.0)
        assert not target(peer).endpoint.sessions
        assert not peer.ping()


def test_a_server_without_an_address_ends_it() -> None:
    with CLIENT.in_memory() as peer:
        peers_of(peer).free.clear()
        with pytest.raises(PlayFailed, match="Windows XP: Terminate-Request 'no address left in the pool'"):
            peer.connect()


def test_nobody_answers() -> None:
    with CLIENT.in_memory() as peer:
        peers_of(peer).wire.gre_out = lambda datagram: []
        with pytest.raises(PlayFailed, match="Windows XP: no answer"):
            peer.connect()


def test_it_keeps_asking_where_packets_are_lost() -> None:
    with CLIENT.in_memory() as peer:
        number = iter(range(1 << 20))
        peers_of(peer).wire.gre_out = lambda datagram: [datagram] if next(number) % 3 else []
        peer.connect()
        assert peer.now > 2.0
        requests = Wire(peer).frames(0x8021, Code.CONFIGURE_REQUEST)
        assert len(requests) > 2


@pytest.mark.parametrize("persona", PERSONAS, ids=lambda persona: persona.name)
def test_the_same_play_runs_the_same_way(persona: Persona) -> None:
    def perform() -> list[bytes]:
        with persona.in_memory() as peer:
            peer.connect()
            peer.hang_up()
            peer.wait(5.0)
            return [said.octets for said in Wire(peer).said]

    assert perform() == perform()


@pytest.mark.parametrize("persona", PERSONAS, ids=lambda persona: persona.name)
def test_it_lives_through_ten_minutes_of_nothing(persona: Persona) -> None:
    """Echo-Requests are answered, those of LCP and those of the control connection."""
    with persona.in_memory() as peer:
        peer.connect()
        peer.wait(600.0)
        assert peer.ping()
        assert not target(peer).over.is_set()


def test_closing_before_anything_is_no_error() -> None:
    play = CLIENT.in_memory()
    play.close()
    play.close()
