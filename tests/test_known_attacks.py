"""Published attacks on other PPTP and PPP implementations, rebuilt from their descriptions and held against ours."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pypptp.control.messages import (
    CallClearRequest,
    CallDisconnectNotify,
    EchoReply,
    EchoRequest,
    OutgoingCallReply,
    StartControlConnectionReply,
)
from pypptp.endpoint import EndpointConfig
from pypptp.ppp.auth import AuthMethod
from pypptp.ppp.config import LinkConfig, MppePolicy
from pypptp.testing.dialogue.control import call_request, start_request
from pypptp.testing.playbook import Frame, Playbook, Segment, Stage, lcp, pap

EAP = 0xC227
EAP_REQUEST, EAP_RESPONSE = 1, 2
MD5_CHALLENGE = 4
MAKERS = pytest.mark.parametrize("make", [Playbook.against_server, Playbook.against_client])


def eap(code: int, name: bytes) -> Frame:
    """An MD5-Challenge whose name is longer than the buffer that pppd had for it."""
    value = bytes(16)
    body = bytes((MD5_CHALLENGE, len(value))) + value + name
    return Frame(EAP, bytes((code, 1)) + (4 + len(body)).to_bytes(2, "big") + body)


# CVE-2020-8597: pppd copied the name of an EAP packet into a buffer of 256 octets, and took EAP packets although EAP
# had not been negotiated; so anybody who could send one to a PPTP server overflowed its stack before authentication.


@MAKERS
@pytest.mark.parametrize("stage", [Stage.CALL, Stage.LCP, Stage.AUTHENTICATION, Stage.IPCP])
@pytest.mark.parametrize("code", [EAP_REQUEST, EAP_RESPONSE])
def test_eap_that_nobody_negotiated(make: Callable[[], Playbook], stage: Stage, code: int) -> None:
    with make() as play:
        play.reach(stage)
        play.send(eap(code, b"A" * 1300), eap(code, b""), Frame(EAP, bytes((code, 1, 0, 5, MD5_CHALLENGE))))
        if stage <= Stage.LCP:
            # Until the authentication is over other protocols are discarded in silence (RFC 1661 sections 3.5 and 5.7).
            play.expect_nothing(lcp.protocol_reject(), during=0.5)
        else:
            assert play.expect(lcp.protocol_reject()).data[:2] == EAP.to_bytes(2, "big")
        play.reach(Stage.IPCP)


# CVE-2022-23253 and CVE-2022-23270: Windows' RAS server was brought down from afar by what one control connection may
# send: a second Start-Control-Connection-Request, and Echo-Requests faster than their replies were taken.


def test_the_connection_is_started_twice() -> None:
    with Playbook.against_server() as play:
        play.reach(Stage.TCP)
        play.send(start_request(), start_request(), start_request())
        assert play.expect(StartControlConnectionReply).result_code == 1
        # It is told that there is one already, or its connection ends; either way nothing else does.
        play.wait(5.0)
    with Playbook.against_server() as play:
        play.reach(Stage.IPCP)
        assert play.ping()


def test_a_flood_of_echoes_that_nobody_reads() -> None:
    with Playbook.against_server() as play:
        play.reach(Stage.CONNECTION)
        flood = b"".join(EchoRequest(identifier=number).build() for number in range(2000))
        play.send(Segment(flood))
        replies = 0
        while play.expect(EchoReply, within=0.1).identifier != 1999:
            replies += 1
        assert replies <= 1999
        play.reach(Stage.IPCP)
        assert play.ping()


# CVE-2021-42870: accel-ppp used a call after it was freed when Call-Clear-Request came right behind
# Outgoing-Call-Request, with the id of somebody else's call, or of none.


@pytest.mark.parametrize("clear", [77, 78, 0, 0xFFFF])
def test_a_call_is_cleared_in_the_segment_that_places_it(clear: int) -> None:
    with Playbook.against_server() as play:
        play.reach(Stage.CONNECTION)
        play.send(Segment(call_request(77).build() + CallClearRequest(call_id=clear).build()))
        play.expect(OutgoingCallReply, result_code=1, peer_call_id=77)
        if clear == 77:
            play.expect(CallDisconnectNotify)
        else:
            play.expect_nothing(CallDisconnectNotify, during=1.0)
        play.reach(Stage.IPCP)
        assert play.ping()


def test_another_ones_call_is_not_cleared() -> None:
    with Playbook.against_server() as play:
        play.reach(Stage.IPCP)
        own = play.call
        play.send(CallClearRequest(call_id=own.peer_call_id), CallClearRequest(call_id=(own.call_id + 1) & 0xFFFF))
        play.expect_nothing(CallDisconnectNotify, during=1.0)
        assert play.ping()


# CVE-2026-55706: a server compared only as many octets of a PAP password as the peer had sent, so that none were right.


@pytest.mark.parametrize(
    "data",
    [
        bytes((5,)) + b"alice" + bytes((0,)),
        bytes((5,)) + b"alice",
        bytes((5,)) + b"alice" + bytes((1,)) + b"w",
        bytes((5,)) + b"alice" + bytes((11,)) + b"wonderland",
        bytes((5,)) + b"alice" + bytes((9,)) + b"wonderland",
        bytes((0, 0)),
        b"\xff",
        b"",
    ],
)
def test_a_password_that_is_empty_or_cut(data: bytes) -> None:
    link = LinkConfig(name="pptpd", auth=(AuthMethod.PAP,), mppe=MppePolicy.DENY)
    with Playbook.against_server({"alice": "wonderland"}, config=EndpointConfig(link=link)) as play:
        play.reach(Stage.LCP)
        play.send(pap.request(data=data))
        play.expect_nothing(pap.ack(), during=5.0)
    with Playbook.against_server({"alice": "wonderland"}, config=EndpointConfig(link=link)) as play:
        play.reach(Stage.LCP)
        play.send(pap.request("alice", "wonderland"))
        play.expect(pap.ack(), within=5.0)
