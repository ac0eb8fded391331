"""Logins and key changes found in a recorded call."""

from __future__ import annotations

from pypptp.capture.calls import find_calls
from pypptp.capture.pcap_file import Capture
from pypptp.capture.recording import record
from pypptp.capture.sessions import Agreement, RecordedSession, follow_call
from pypptp.mppe.keys import Strength
from pypptp.ppp.packet import ControlPacket
from tests.capture.tape import CHALLENGE, CLIENT, RESPONSE, SERVER, Tape, option, pcap


def follow(tape: Tape) -> RecordedSession:
    (call,) = find_calls(record(Capture(pcap(tape.packets))))
    return follow_call(call)


def test_a_login_is_read() -> None:
    tape = Tape()
    tape.set_up()
    session = follow(tape)
    (handshake,) = session.handshakes
    assert (handshake.challenge, handshake.response, handshake.name) == (CHALLENGE, RESPONSE, b"LAB\\User")
    assert handshake.version == 2
    assert session.users == ["LAB\\x5cUser"]
    assert session.client == CLIENT


def test_a_refused_login_leaves_nothing() -> None:
    tape = Tape()
    tape.login(success=False)
    tape.ppp(False, 0xC223, ControlPacket(4, 7, b"E=691 R=0"))
    session = follow(tape)
    assert session.handshakes == []
    assert session.client == CLIENT


def test_the_repeated_answer_to_a_repeated_response_is_one_login() -> None:
    tape = Tape()
    tape.login()
    tape.packets += [tape.gre(packet[12:16] == CLIENT.packed, packet[32:]) for packet in tape.packets[1:]]
    assert len(follow(tape).handshakes) == 1


def test_a_challenge_on_an_open_link_changes_no_keys() -> None:
    tape = Tape()
    tape.set_up()
    before = {source: list(direction.epochs) for source, direction in follow(tape).directions.items()}
    tape.ppp(False, 0xC223, ControlPacket(1, 8, b"\x10" + bytes(16) + b"pptpd"))
    tape.ppp(True, 0xC223, ControlPacket(2, 8, b"\x31" + bytes(49) + b"User"))
    tape.ppp(False, 0xC223, ControlPacket(3, 8, b"S="))
    session = follow(tape)
    assert len(session.handshakes) == 2
    assert {source: direction.epochs for source, direction in session.directions.items()} == before


def test_ccp_may_settle_on_something_else_each_way() -> None:
    tape = Tape()
    tape.login()
    tape.ppp(True, 0x80FD, ControlPacket(2, 1, option(18, b"\x00\x00\x00\x21")))
    tape.ppp(False, 0x80FD, ControlPacket(2, 1, option(26, b"\x78\x00")))
    session = follow(tape)
    assert session.directions[CLIENT].epochs[-1].agreement == Agreement(Strength.BITS_40, False, True)
    assert session.directions[SERVER].epochs[-1].agreement == Agreement(None)


def test_the_client_is_who_has_to_log_in_where_no_login_tells() -> None:
    pap = Tape()
    pap.ppp(True, 0xC023, ControlPacket(1, 1, b"\x04user\x06secret"))
    asked = Tape()
    asked.ppp(False, 0xC021, ControlPacket(1, 1, b"\x03\x04\xc0\x23"))
    called = Tape()
    called.control()
    called.ppp(False, 0xC021, ControlPacket(1, 1))
    for tape in (pap, asked, called):
        assert follow(tape).client == CLIENT
