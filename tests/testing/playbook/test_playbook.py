from __future__ import annotations

from collections.abc import Callable

import pytest

from pypptp.control.messages import (
    CallDisconnectNotify,
    EchoReply,
    EchoRequest,
    OutgoingCallReply,
    OutgoingCallRequest,
    StartControlConnectionReply,
    StartControlConnectionRequest,
)
from pypptp.errors import LocalProtocolError
from pypptp.ppp.packet import Code
from pypptp.ppp.protocols import Protocol
from pypptp.testing.dialogue.control import call_request, start_reply, start_request
from pypptp.testing.playbook import (
    ANY,
    Frame,
    Gre,
    Ip,
    Playbook,
    PlayFailed,
    Segment,
    Stage,
    ccp,
    chap,
    ipcp,
    lcp,
)


def test_a_server_that_is_asked_for_pap_ends_the_call() -> None:
    with Playbook.against_server({"alice": "wonderland"}) as play:
        play.reach(Stage.CALL)
        request = play.expect(lcp.configure_request(authentication="mschap-v2"))
        play.send(lcp.configure_nak(request, authentication="pap"))
        assert b"authenticat" in play.expect(lcp.terminate_request()).data
        play.expect_nothing(lcp.configure_request(authentication="pap"))
        assert play.expect_end(within=10.0) == "Call-Disconnect-Notify"


@pytest.mark.parametrize("stage", list(Stage))
@pytest.mark.parametrize("make", [Playbook.against_server, Playbook.against_client])
def test_either_role_reaches_every_stage(make: Callable[[], Playbook], stage: Stage) -> None:
    with make() as play:
        play.reach(stage)
        if stage is Stage.IPCP and make == Playbook.against_server:
            assert play.ping()


def test_every_layer_by_hand_towards_a_server() -> None:
    with Playbook.against_server({"bob": "builder"}) as play:
        play.reach(Stage.TCP)
        play.send(start_request())
        assert play.expect(StartControlConnectionReply, result_code=1).host_name is not None
        play.send(call_request(77))
        reply = play.expect(OutgoingCallReply, peer_call_id=77, result_code=1)
        assert play.call.peer_call_id == reply.call_id

        request = play.expect(lcp.configure_request(authentication="mschap-v2", magic_number=ANY))
        play.send(lcp.configure_ack(request), lcp.configure_request(mru=1400, magic_number=0x1234, identifier=9))
        play.expect(lcp.configure_ack(mru=1400, identifier=9))

        challenge = play.expect(chap.challenge())
        assert challenge.name == b"pptpd"
        play.send(chap.mschap_v2_response(challenge, "bob", "builder"))
        assert play.expect(chap.success(), within=3.0).data.startswith(b"S=")
        assert play.expect(ccp.configure_request(mppe=0x01000040))["mppe"] == b"\1\0\0\x40"


def test_a_wrong_password_is_refused_with_the_code_of_the_rfc() -> None:
    with Playbook.against_server({"alice": "wonderland"}) as play:
        play.reach(Stage.LCP)
        challenge = play.expect(chap.challenge())
        play.send(chap.mschap_v2_response(challenge, "alice", "looking-glass"))
        assert play.expect(chap.failure(), within=5.0).data.startswith(b"E=691 R=1")


def test_every_layer_by_hand_towards_a_client() -> None:
    with Playbook.against_client("alice", "wonderland") as play:
        play.reach(Stage.TCP)
        play.expect(StartControlConnectionRequest)
        play.send(start_reply())
        request = play.expect(OutgoingCallRequest)
        play.send(
            OutgoingCallReply(
                call_id=5,
                peer_call_id=request.call_id,
                result_code=1,
                connect_speed=100_000,
                packet_receive_window_size=64,
            )
        )
        play.begin_at(Stage.CALL)
        play.reach(Stage.IPCP)
        play.send(EchoRequest(identifier=3))
        play.expect(EchoReply, identifier=3)


def test_gre_frames_and_what_is_in_them() -> None:
    with Playbook.against_server() as play:
        play.reach(Stage.IPCP)
        number = play.call.sequence
        play.send(Ip(play.call.echo_packet(1)))
        assert play.expect(Ip())[:1] == b"E"
        assert play.expect(Gre(acknowledgement=number)).acknowledgement == number
        play.send(Frame(0x8057, bytes((1, 1, 0, 4))))
        assert play.expect(lcp.protocol_reject()).data[:2] == b"\x80\x57"
        play.send(Gre(raw=b"\x30\x01"), Gre(b"\xff\x03\xc0\x21\x09\x07\0\x08\0\0\0\0", sequence=play.call.sequence))
        assert play.expect(lcp.echo_reply(identifier=7)).code == Code.ECHO_REPLY
        play.call.sequence += 1  # a number of one's own choice does not count
        play.send(ipcp.packet(42, b"??", identifier=1))
        play.expect_nothing(Frame(Protocol.PAP), during=0.5)
        assert play.expect(Frame(Protocol.IPCP))[0] == Code.CODE_REJECT


def test_clear_data_where_mppe_is_required_does_not_come_back() -> None:
    with Playbook.against_server() as play:
        play.reach(Stage.IPCP)
        play.send(Ip(play.call.echo_packet(1), clear=True))
        play.expect_nothing(Ip(), during=1.0)


def test_the_end_of_a_call_and_of_a_connection() -> None:
    with Playbook.against_server() as play:
        play.reach(Stage.LCP)
        play.send(lcp.terminate_request(b"enough"))
        play.expect(lcp.terminate_ack())
        assert play.expect_end(within=5.0) == CallDisconnectNotify.TYPE.text
    with Playbook.against_server() as play:
        play.reach(Stage.CONNECTION)
        play.send(Segment(b"\0" * 40))
        assert play.expect_end() == "the control connection was closed"


def test_what_was_not_awaited_yet_is_kept() -> None:
    with Playbook.against_server() as play:
        play.reach(Stage.CALL)
        play.send(lcp.configure_request(magic_number=1, identifier=1))
        play.expect(lcp.configure_ack(identifier=1))
        assert play.expect(lcp.configure_request()).time <= play.now


def test_failures_show_the_exchange() -> None:
    with Playbook.against_server() as play:
        play.reach(Stage.CALL)
        with pytest.raises(
            PlayFailed, match=r"LCP Configure-Request mru=0001 did not come\n.*(?s:.)*AUTHENTICATION MS-CHAPv2"
        ):
            play.expect(lcp.configure_request(mru=1))
        with pytest.raises(PlayFailed, match=r"Configure-Request came, and must not"):
            play.expect_nothing(lcp.configure_request(), during=4.0)
        with pytest.raises(PlayFailed, match="did not end the call"):
            play.expect_end()
        with pytest.raises(PlayFailed, match="Echo-Reply identifier 7 did not come"):
            play.expect(EchoReply, identifier=7)
    with Playbook.against_client(password="another") as play:
        play.case.stages.nt_hash = bytes(16)
        with pytest.raises(PlayFailed, match="Response is wrong"):
            play.reach(Stage.AUTHENTICATION)


def test_lines_out_of_place() -> None:
    with Playbook.against_server() as play:
        with pytest.raises(LocalProtocolError, match="no control connection"):
            play.send(start_request())
        play.reach(Stage.TCP)
        with pytest.raises(LocalProtocolError, match="no call yet"):
            play.send(lcp.configure_request())
        play.reach(Stage.CALL)
        with pytest.raises(LocalProtocolError, match="can only be awaited"):
            play.send(Ip())
        with pytest.raises(LocalProtocolError, match="ANY is for what is awaited"):
            play.send(lcp.configure_request(mru=ANY))
        with pytest.raises(LocalProtocolError, match="awaited as messages"):
            play.expect_nothing(Segment(b""))


def test_the_same_play_runs_the_same_way() -> None:
    def perform() -> list[str]:
        with Playbook.against_server() as play:
            play.reach(Stage.IPCP)
            play.wait(100.0)
            return play.transcript()

    assert perform() == perform()


def test_closing_twice_is_no_error() -> None:
    play = Playbook.against_server()
    play.close()
    play.close()
