"""The link's phases and policies: both sides joined in memory, and peers that do not keep to them."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pypptp.causes import Cause
from pypptp.errors import LocalProtocolError
from pypptp.mppe.keys import Strength
from pypptp.ppp.auth import AuthMethod, Secret
from pypptp.ppp.ccp import OptionType as CcpOption
from pypptp.ppp.config import LinkConfig, MppePolicy
from pypptp.ppp.control_protocol import NegotiationLimits
from pypptp.ppp.events import (
    AddressWanted,
    Authenticated,
    Encryption,
    LinkClosed,
    NetworkDown,
    NetworkUp,
    SecretWanted,
)
from pypptp.ppp.lcp import OptionType as LcpOption
from pypptp.ppp.link import NAMELESS_PEER, Link, Phase
from pypptp.ppp.packet import Code, ControlPacket
from pypptp.ppp.protocols import ADDRESS_CONTROL, Protocol
from pypptp.roles import Role
from tests.ppp.driving import configure, options_of, seeded
from tests.ppp.linking import (
    BOTH,
    CCP,
    CHAP,
    CLEAR,
    CLIENT,
    DENY,
    DNS,
    IPCP,
    LCP,
    LOCAL,
    PAP,
    PREFER,
    REMOTE,
    REQUIRE,
    SERVER,
    STRONGEST,
    USER,
    Joined,
    assert_decrypts,
    assert_up,
    both,
    configure_frame,
    frame_of,
    packet_in,
)


class TestTheWayUp:
    @pytest.mark.parametrize("method", [AuthMethod.MSCHAPV2, AuthMethod.MSCHAP])
    @pytest.mark.parametrize("stateless", [True, False])
    @pytest.mark.parametrize("strength", Strength)
    def test_encrypted(self, method: AuthMethod, stateless: bool, strength: Strength) -> None:
        joined = both(auth=(method,), strengths=(strength,), stateless=stateless)
        assert_up(joined, Encryption(strength, stateless))
        assert_decrypts(joined)
        assert joined.now == 1000.0, "without a single timer"

    @pytest.mark.parametrize("method", AuthMethod)
    def test_in_clear(self, method: AuthMethod) -> None:
        joined = both(auth=(method,), mppe=DENY)
        assert_up(joined, None)
        assert joined.only(SERVER, Authenticated) == Authenticated(USER, method)
        assert joined.only(CLIENT, NetworkUp).method is method

    @pytest.mark.parametrize("server", MppePolicy)
    @pytest.mark.parametrize("client", MppePolicy)
    def test_each_policy_with_each(self, server: MppePolicy, client: MppePolicy) -> None:
        joined = Joined({"mppe": server}, {"mppe": client}).up()
        if DENY not in (server, client):
            assert_up(joined, STRONGEST)
            assert_decrypts(joined)
        elif REQUIRE not in (server, client):
            assert_up(joined, None)
        else:
            joined.run(30)
            demanding = SERVER if server is REQUIRE else CLIENT
            assert (joined.closed(demanding) or "").startswith("MPPE required")
            assert not any(joined.of(role, NetworkUp) for role in BOTH)

    def test_prefer_without_keys_is_clear_and_ccp_is_rejected(self) -> None:
        joined = both(auth=(AuthMethod.PAP,), mppe=PREFER)
        assert_up(joined, None)
        ((_, reject),) = joined.inject(SERVER, configure_frame(CCP, 1, 1, (CcpOption.DEFLATE, b"\x78\x00")))
        assert (reject.code, reject.data[:2]) == (Code.PROTOCOL_REJECT, b"\x80\xfd")

    def test_events_come_in_their_order(self) -> None:
        joined = both()
        assert [type(event) for event in joined.events[SERVER]] == [
            SecretWanted,
            Authenticated,
            AddressWanted,
            NetworkUp,
        ]
        assert joined.only(SERVER, SecretWanted) == SecretWanted(USER, AuthMethod.MSCHAPV2)
        assert [type(event) for event in joined.events[CLIENT]] == [Authenticated, NetworkUp]
        assert joined.only(CLIENT, NetworkUp).dns == DNS

    def test_the_mtu_leaves_room_for_mppe_in_the_peers_mru(self) -> None:
        assert Joined({}, {"mru": 1400}).up().only(SERVER, NetworkUp).mtu == 1396
        assert Joined({**CLEAR}, {**CLEAR, "mru": 1400}).up().only(SERVER, NetworkUp).mtu == 1400
        assert Joined({}, {"mru": 1500}).up().only(SERVER, NetworkUp).mtu == 1400

    @pytest.mark.parametrize(
        ("client", "mppe", "header"),
        [
            ({}, REQUIRE, "fd"),
            ({"pfc": False}, REQUIRE, "00fd"),
            ({"acfc": False}, REQUIRE, "ff03fd"),
            ({"pfc": False, "acfc": False}, REQUIRE, "ff0300fd"),
            ({"pfc": False, "acfc": False}, DENY, "ff030021"),
            ({}, DENY, "21"),
        ],
    )
    def test_the_header_of_data(self, client: dict[str, Any], mppe: MppePolicy, header: str) -> None:
        joined = Joined({"mppe": mppe}, {"mppe": mppe, **client}).up()
        assert joined.server.data_header.hex() == header

    def test_lcp_is_never_sent_short(self) -> None:
        joined = both()
        joined.server.close("done", joined.now)
        joined.run()
        frames = [frame for _, _, frame in joined.frames if packet_in(frame)[0] == LCP]
        assert frames
        assert all(frame.startswith(ADDRESS_CONTROL + b"\xc0\x21") for frame in frames)

    @pytest.mark.parametrize(("loser", "number"), [*((SERVER, n) for n in range(10)), *((CLIENT, n) for n in range(9))])
    def test_any_one_frame_may_be_lost(self, loser: Role, number: int) -> None:
        seen = []

        def tamper(sender: Role, protocol: int, packet: ControlPacket) -> list[ControlPacket] | None:
            if sender is loser:
                seen.append(packet)
                return [] if len(seen) == number + 1 else None
            return None

        joined = Joined(tamper=tamper).up(10)
        assert len(seen) > number, "there was something to lose"
        assert_up(joined, joined.of(SERVER, NetworkUp)[-1].encryption)
        assert_decrypts(joined)


class TestAuthentication:
    def test_a_wrong_password(self) -> None:
        joined = Joined(password="wrong").up(30)
        assert (joined.closed(CLIENT) or "").startswith("authentication failed")
        assert joined.closed(SERVER) == f"the peer terminated the link: {joined.closed(CLIENT)}"
        assert not joined.of(SERVER, AddressWanted)

    def test_an_unknown_user(self) -> None:
        joined = Joined(client={"name": "mallory"}).up(30)
        assert (joined.closed(CLIENT) or "").startswith("authentication failed")
        assert not joined.of(SERVER, AddressWanted)

    def test_a_method_without_a_second_try(self) -> None:
        config = {"auth": (AuthMethod.CHAP,), **CLEAR}
        joined = Joined(config, config, password="wrong").up(30)
        assert joined.closed(SERVER) == "wrong user name or password"
        assert not joined.of(SERVER, AddressWanted)

    @pytest.mark.parametrize("willing", [AuthMethod.PAP, AuthMethod.MSCHAP, AuthMethod.CHAP])
    def test_a_client_that_would_rather_prove_less(self, willing: AuthMethod) -> None:
        """The downgrade: the server is asked for less than it allows, and says no (RFC 1661 section 6.2)."""
        joined = Joined({}, {"auth": (willing,)}).up(40)
        reason = "the peer refused every authentication protocol offered"
        assert joined.closed(SERVER) == reason
        assert joined.closed(CLIENT) == f"the peer terminated the link: {reason}"
        assert len(joined.sent(SERVER, LCP)) < 10, "at once, not after ten rounds"
        assert joined.server.phase is joined.client.phase is Phase.DEAD

    def test_the_best_that_both_allow(self) -> None:
        joined = Joined(
            {"auth": (AuthMethod.MSCHAPV2, AuthMethod.CHAP), **CLEAR}, {"auth": (AuthMethod.CHAP,), **CLEAR}
        )
        assert joined.up().only(SERVER, Authenticated).method is AuthMethod.CHAP

    def test_a_server_whose_peer_leaves_authentication_out(self) -> None:
        def tamper(sender: Role, protocol: int, packet: ControlPacket) -> list[ControlPacket] | None:
            options = options_of(packet) if (sender, protocol, packet.code) == (SERVER, LCP, 1) else []
            asked = [option for option in options if option[0] == LcpOption.AUTHENTICATION]
            if not asked:
                return None
            joined.server.receive(configure_frame(LCP, 4, packet.identifier, *asked), joined.now)
            return []

        joined = Joined(tamper=tamper)
        joined.up(30)
        assert joined.closed(SERVER) == "the peer refused every authentication protocol offered"
        assert not joined.of(SERVER, AddressWanted)

    def test_a_client_whose_server_asks_for_nothing(self) -> None:
        joined = Joined({"auth": (), **CLEAR}, {**CLEAR}).up()
        assert joined.only(CLIENT, Authenticated) == Authenticated("", None)
        assert joined.client.network_up
        joined = Joined({"auth": (), **CLEAR}).up(30)
        assert joined.closed(CLIENT) == "MPPE is required, but its keys come from MS-CHAP and that did not run"
        assert "MPPE is required" in (joined.closed(SERVER) or "")

    @pytest.mark.parametrize("method", [AuthMethod.PAP, AuthMethod.CHAP])
    def test_a_method_without_keys_where_mppe_is_required(self, method: AuthMethod) -> None:
        joined = Joined({"auth": (method,)}, {"auth": (method,), "mppe": PREFER}).up(30)
        assert joined.closed(SERVER) == "MPPE is required, but its keys come from MS-CHAP and that did not run"
        assert not joined.of(SERVER, AddressWanted)

    def test_a_challenge_at_any_time(self) -> None:
        joined = both()
        joined.server.rechallenge(joined.now)
        joined.run()
        assert len(joined.of(SERVER, SecretWanted)) == 2
        assert len(joined.of(SERVER, Authenticated)) == 1
        assert_up(joined, STRONGEST)

    def test_a_later_challenge_answered_wrongly_ends_the_link(self) -> None:
        joined = both()
        joined.answers = False
        joined.server.rechallenge(joined.now)
        joined.run()
        joined.server.provide_secret(None, joined.now)
        joined.run(10)
        assert joined.closed(SERVER) == "wrong user name or password"
        assert not joined.server.network_up

    def test_a_silent_client_is_given_up(self) -> None:
        joined = Joined(tamper=lambda sender, protocol, packet: [] if (sender, protocol) == (CLIENT, CHAP) else None)
        joined.up(60)
        assert joined.closed(SERVER) == "no answer to 10 CHAP Challenges"

    def test_another_methods_packets_are_discarded(self) -> None:
        joined = Joined(answers=False).up()
        before = joined.server.discarded
        request = ControlPacket(1, 1, b"\x05alice\x05guess")
        assert joined.inject(SERVER, frame_of(PAP, request)) == []
        assert joined.server.discarded == before + 1
        assert joined.server.phase is Phase.AUTHENTICATE

    def test_negotiating_anew_while_the_secret_is_looked_up_ends_the_link(self) -> None:
        """Else the secret of one name could be held against the response of another."""
        joined = Joined(answers=False).up()
        assert joined.only(SERVER, SecretWanted).name == USER
        joined.inject(SERVER, configure_frame(LCP, 1, 200))
        joined.run(10)
        assert joined.closed(SERVER) == "LCP was negotiated anew during the authentication"

    def test_an_answer_that_comes_too_late_is_ignored(self) -> None:
        joined = Joined(answers=False).up()
        joined.inject(SERVER, frame_of(LCP, ControlPacket(Code.TERMINATE_REQUEST, 1)))
        joined.server.provide_secret(None, joined.now)
        joined.run(10)
        joined.server.provide_secret(None, joined.now)
        assert joined.closed(SERVER) == "the peer terminated the link"

    def test_another_user_cannot_take_over_the_link(self) -> None:
        joined = Joined({**CLEAR, "auth": (AuthMethod.PAP,)}, {**CLEAR, "auth": (AuthMethod.PAP,)}).up()
        joined.server.receive(configure_frame(LCP, 1, 200), joined.now)
        for frame in joined.server.frames_to_send():
            packet = packet_in(frame)[1]
            if packet.code == Code.CONFIGURE_REQUEST:
                joined.server.receive(frame_of(LCP, ControlPacket(2, packet.identifier, packet.data)), joined.now)
        joined.server.receive(frame_of(PAP, ControlPacket(1, 1, b"\x03bob\x03bob")), joined.now)
        event = joined.server.next_event()
        while not isinstance(event, SecretWanted):
            event = joined.server.next_event()
        assert event.name == "bob"
        joined.server.provide_secret(Secret(password="bob"), joined.now)
        assert joined.server.closing == LinkClosed("the peer came back as another user", True)


class TestPhases:
    @pytest.mark.parametrize("protocol", [CCP, IPCP, Protocol.IPV4, Protocol.COMPRESSED, 0x8057, 0x1235])
    def test_what_comes_before_its_phase_is_discarded(self, protocol: int) -> None:
        joined = Joined(answers=False)
        joined.up()
        assert joined.server.phase is Phase.AUTHENTICATE
        assert joined.inject(SERVER, configure_frame(protocol, 1, 1)) == []
        assert joined.server.discarded == 1

    def test_chap_before_lcp_is_open_is_discarded(self) -> None:
        link = Link(CLIENT, LinkConfig(name=USER), random=seeded())
        link.up(0.0)
        link.frames_to_send()
        link.receive(frame_of(CHAP, ControlPacket(1, 1, b"\x10" + bytes(16))), 0.0)
        assert link.frames_to_send() == []
        assert link.discarded == 1

    @pytest.mark.parametrize("protocol", [0x8057, 0xC029, 0xC02B, 0x1235, 0x1234, 0xC227])
    def test_what_is_not_spoken_is_rejected_and_the_session_goes_on(self, protocol: int) -> None:
        joined = both()
        ((_, first),) = joined.inject(SERVER, ADDRESS_CONTROL + protocol.to_bytes(2, "big") + b"hello")
        ((_, second),) = joined.inject(SERVER, ADDRESS_CONTROL + protocol.to_bytes(2, "big") + b"hello")
        assert first.code == second.code == Code.PROTOCOL_REJECT
        assert first.data == second.data == protocol.to_bytes(2, "big") + b"hello"
        assert first.identifier != second.identifier
        assert_up(joined, STRONGEST)

    def test_a_protocol_reject_fits_the_peers_mru(self) -> None:
        joined = Joined({}, {"mru": 300}).up()
        ((_, reject),) = joined.inject(SERVER, ADDRESS_CONTROL + b"\x80\x57" + bytes(1000))
        assert len(reject.build()) == 300

    @pytest.mark.parametrize("protocol", [CCP, IPCP])
    def test_a_code_reject_fits_the_peers_mru(self, protocol: int) -> None:
        joined = Joined({}, {"mru": 300}).up()
        ((_, reject),) = joined.inject(SERVER, frame_of(protocol, ControlPacket(200, 1, bytes(1000))))
        assert len(reject.build()) == 300

    @pytest.mark.parametrize("protocol", [0x0021, 0x0057, 0x00FB, 0x00FD])
    def test_data_is_never_rejected(self, protocol: int) -> None:
        joined = both()
        assert joined.inject(SERVER, ADDRESS_CONTROL + protocol.to_bytes(2, "big") + b"hello") == []

    def test_protocol_rejects_of_others_change_nothing(self) -> None:
        joined = both()
        reject = ControlPacket(Code.PROTOCOL_REJECT, 9, b"\x80\x57\x01\x01\x00\x04")
        assert joined.inject(SERVER, frame_of(LCP, reject)) == []
        assert_up(joined, STRONGEST)

    @pytest.mark.parametrize(
        ("protocol", "words"),
        [
            (LCP, "LCP: rejected by the peer"),
            (IPCP, "IPCP: rejected by the peer"),
            (CHAP, "the peer rejected the authentication protocol"),
        ],
    )
    def test_protocol_rejects_of_what_the_link_needs_end_it(self, protocol: int, words: str) -> None:
        joined = both()
        reject = ControlPacket(Code.PROTOCOL_REJECT, 9, protocol.to_bytes(2, "big") + bytes(4))
        joined.inject(SERVER, frame_of(LCP, reject))
        joined.run(20)
        assert joined.closed(SERVER) == words

    def test_the_peer_may_have_no_address(self) -> None:
        """pptpd without localip sends none."""

        def tamper(sender: Role, protocol: int, packet: ControlPacket) -> list[ControlPacket] | None:
            if (sender, protocol, packet.code) == (SERVER, IPCP, Code.CONFIGURE_REQUEST):
                joined.server.receive(frame_of(IPCP, ControlPacket(2, packet.identifier, packet.data)), joined.now)
                return [configure(Code.CONFIGURE_REQUEST, packet.identifier, [])]
            return None

        joined = Joined(tamper=tamper)
        joined.up()
        assert joined.only(CLIENT, NetworkUp).peer == NAMELESS_PEER

    def test_a_client_that_names_no_address_has_the_one_it_was_assigned(self) -> None:
        def tamper(sender: Role, protocol: int, packet: ControlPacket) -> list[ControlPacket] | None:
            if (sender, protocol, packet.code) == (CLIENT, IPCP, Code.CONFIGURE_REQUEST):
                return [configure(Code.CONFIGURE_REQUEST, packet.identifier, [])]
            if (sender, protocol, packet.code) == (SERVER, IPCP, Code.CONFIGURE_NAK):
                frame = configure_frame(IPCP, Code.CONFIGURE_REQUEST, packet.identifier)
                joined.server.receive(frame, joined.now)
                return []
            return None

        joined = Joined(tamper=tamper)
        joined.up()
        assert joined.only(SERVER, NetworkUp).peer == REMOTE

    def test_a_server_that_gives_no_address(self) -> None:
        joined = Joined(answers=False, server=CLEAR, client=CLEAR)
        joined.up()
        joined.server.provide_secret(None, joined.now)
        joined.answers = True
        joined.run(10)
        assert joined.closed(SERVER)

    def test_no_address_left(self) -> None:
        joined = Joined(answers=False)
        joined.up()
        joined.answer(joined.server, joined.only(SERVER, SecretWanted))
        joined.run()
        assert joined.only(SERVER, AddressWanted) == AddressWanted(USER)
        joined.server.close("no address left in the pool", joined.now)
        joined.run(10)
        assert joined.closed(CLIENT) == "the peer terminated the link: no address left in the pool"

    def test_an_address_nobody_assigns_is_not_waited_for_for_ever(self) -> None:
        patient = {"establish_timeout": 500, "limits": NegotiationLimits(max_configure=100)}
        joined = Joined({}, patient, answers=False).up()
        joined.answer(joined.server, joined.only(SERVER, SecretWanted))
        joined.run(70)
        assert joined.closed(SERVER) == "no network after 60 s, phase network"

    @pytest.mark.parametrize("starter", BOTH)
    def test_lcp_is_negotiated_anew_by_either_side(self, starter: Role) -> None:
        joined = both()
        other = CLIENT if starter is SERVER else SERVER
        joined.inject(other, configure_frame(LCP, 1, 200, (LcpOption.MAGIC_NUMBER, b"anew")))
        joined.run(20)
        assert_up(joined, STRONGEST)
        assert_decrypts(joined)
        assert len(joined.of(SERVER, NetworkDown)) == 1
        assert len(joined.of(SERVER, AddressWanted)) == 1, "it keeps the address it has"

    def test_a_terminate_ack_out_of_nothing(self) -> None:
        joined = both()
        joined.inject(SERVER, frame_of(LCP, ControlPacket(Code.TERMINATE_ACK, 9)))
        joined.run(20)
        assert_up(joined, STRONGEST)

    def test_ipcp_ended_by_the_peer_ends_the_link(self) -> None:
        joined = both()
        ((protocol, ack),) = joined.inject(SERVER, frame_of(IPCP, ControlPacket(Code.TERMINATE_REQUEST, 9)))
        assert (protocol, ack) == (IPCP, ControlPacket(Code.TERMINATE_ACK, 9))
        assert not joined.server.network_up
        joined.run(10)
        assert joined.closed(SERVER) == "the peer ended IPCP"

    def test_a_link_comes_up_once(self) -> None:
        joined = both()
        with pytest.raises(LocalProtocolError, match="comes up once"):
            joined.server.up(joined.now)
        joined.server.close("done", joined.now)
        joined.run(10)
        with pytest.raises(LocalProtocolError, match="comes up once"):
            joined.server.up(joined.now)


def cause(joined: Joined) -> Cause:
    """Why the client's link ended, for programs."""
    return joined.only(CLIENT, LinkClosed).cause


def losing(sender: Role, protocol: int, packet: ControlPacket) -> list[ControlPacket]:
    return []


class TestCauses:
    """What a client can tell a program, or whoever decides whether it dials again."""

    def test_a_wrong_password(self) -> None:
        assert cause(Joined(password="wrong").up(30)) is Cause.AUTHENTICATION

    def test_a_wrong_password_whose_failure_got_lost(self) -> None:
        joined = Joined(
            {"auth": (AuthMethod.CHAP,), **CLEAR},
            {"auth": (AuthMethod.CHAP,), **CLEAR},
            password="wrong",
            tamper=lambda sender, protocol, packet: [] if (protocol, packet.code) == (CHAP, 4) else None,
        )
        assert cause(joined.up(30)) is Cause.AUTHENTICATION

    @pytest.mark.parametrize(
        ("server", "client"), [({}, {"auth": (AuthMethod.PAP,)}), ({"auth": (AuthMethod.PAP,), **CLEAR}, {})]
    )
    def test_no_method_in_common(self, server: dict[str, Any], client: dict[str, Any]) -> None:
        assert cause(Joined(server, client).up(40)) is Cause.METHOD

    @pytest.mark.parametrize(("server", "client"), [(REQUIRE, DENY), (DENY, REQUIRE)])
    def test_no_encryption_in_common(self, server: MppePolicy, client: MppePolicy) -> None:
        assert cause(Joined({"mppe": server}, {"mppe": client}).up(40)) is Cause.ENCRYPTION

    def test_no_address_left(self) -> None:
        joined = Joined(answers=False).up()
        joined.answer(joined.server, joined.only(SERVER, SecretWanted))
        joined.run()
        joined.server.close("no address left in the pool", joined.now)
        joined.run(10)
        assert cause(joined) is Cause.BUSY

    def test_the_server_hangs_up(self) -> None:
        joined = both()
        joined.server.close("maintenance", joined.now)
        joined.run(10)
        assert cause(joined) is Cause.HUNG_UP

    def test_we_hang_up(self) -> None:
        joined = both()
        joined.client.close("the user asked for it", joined.now)
        joined.run(10)
        assert cause(joined) is Cause.ASKED

    def test_nobody_answers(self) -> None:
        assert cause(Joined(tamper=losing).up(100)) is Cause.TIMED_OUT

    def test_a_negotiation_that_never_ends(self) -> None:
        joined = Joined(answers=False, client={"establish_timeout": 5.0}).up(20)
        assert cause(joined) is Cause.TIMED_OUT

    def test_a_dead_peer(self) -> None:
        joined = both(echo_interval=10.0, echo_failure=3)
        joined.tamper = losing
        joined.run(120)
        assert cause(joined) is Cause.PEER_DEAD


class TestTheEnd:
    @pytest.mark.parametrize("closer", BOTH)
    def test_either_side_ends_it_with_its_reason(self, closer: Role) -> None:
        joined = both()
        joined.links[closer].close("maintenance", joined.now)
        joined.run(10)
        other = CLIENT if closer is SERVER else SERVER
        assert joined.only(closer, LinkClosed) == LinkClosed("maintenance", False)
        assert joined.only(other, LinkClosed) == LinkClosed("the peer terminated the link: maintenance", True)
        for role in BOTH:
            assert len(joined.of(role, NetworkDown)) == 1
            assert [type(event) for event in joined.events[role]][-2:] == [NetworkDown, LinkClosed]
            assert joined.links[role].get_timer() is None
            assert joined.links[role].phase is Phase.DEAD
        assert joined.only(other, NetworkDown).reason == "the peer terminated the link: maintenance"

    def test_terminate_is_acknowledged_and_the_network_is_down_at_once(self) -> None:
        joined = both()
        answers = joined.inject(SERVER, frame_of(LCP, ControlPacket(Code.TERMINATE_REQUEST, 9, b"bye\n\x1b[31m")))
        assert answers == [(LCP, ControlPacket(Code.TERMINATE_ACK, 9))]
        assert not joined.server.network_up
        assert joined.server.encryptor is None
        joined.run(10)
        assert joined.closed(SERVER) == r"the peer terminated the link: bye\n\x1b[31m"

    def test_a_peer_that_is_gone(self) -> None:
        joined = both()
        joined.tamper = lambda sender, protocol, packet: []
        joined.server.close("done", joined.now)
        before = joined.now
        joined.run(60)
        assert len(joined.sent(SERVER, LCP, Code.TERMINATE_REQUEST)) == 2
        assert joined.closed(SERVER) == "done"
        assert joined.frames[-1][0] <= before + 60

    def test_nobody_there(self) -> None:
        joined = Joined(tamper=lambda sender, protocol, packet: []).up(100)
        for role in BOTH:
            assert joined.closed(role) == "LCP: no answer to 10 Configure-Requests"

    def test_a_peer_that_ends_it_while_lcp_is_negotiated(self) -> None:
        """RFC 1661 goes on negotiating; when nothing comes of it, the peer's words are the reason."""
        link = Link(SERVER, LinkConfig(name="server"), random=seeded())
        link.up(0.0)
        link.receive(frame_of(LCP, ControlPacket(Code.TERMINATE_REQUEST, 9, b"not with you")), 0.0)
        assert link.closing is None
        now = 0.0
        while (deadline := link.get_timer()) is not None and link.phase is not Phase.DEAD:
            now = deadline
            link.handle_timer(now)
        assert now <= 30
        assert link.next_event() == LinkClosed("the peer terminated the link: not with you", True)

    def test_an_early_terminate_request_does_not_switch_the_policies_off(self) -> None:
        config = {"auth": (AuthMethod.CHAP,), **CLEAR}
        joined = Joined(config, config, password="wrong")
        for link in joined.links.values():
            link.up(joined.now)
        joined.server.receive(frame_of(LCP, ControlPacket(Code.TERMINATE_REQUEST, 9)), joined.now)
        joined.run(30)
        assert joined.closed(SERVER) == "wrong user name or password"

    def test_echoes_find_a_dead_peer(self) -> None:
        joined = both(echo_interval=10.0, echo_failure=3)
        joined.run(35)
        assert joined.server.lcp.echoes_unanswered == 0
        joined.tamper = lambda sender, protocol, packet: []
        before = joined.now
        joined.run(60)
        assert joined.closed(SERVER) == "no answer to 3 LCP Echo-Requests"
        assert joined.only(SERVER, NetworkDown).reason == "no answer to 3 LCP Echo-Requests"
        requests = [when for when, role, frame in joined.frames if role is SERVER and packet_in(frame)[1].code == 9]
        assert [round(when - before) for when in requests if when > before] == [5, 15, 25]

    def test_echoes_without_a_limit_are_sent_and_never_end_the_link(self) -> None:
        joined = both(echo_interval=10.0, echo_failure=0)
        joined.tamper = lambda sender, protocol, packet: []
        joined.run(200)
        assert len(joined.sent(SERVER, LCP, Code.ECHO_REQUEST)) == 20
        assert joined.closed(SERVER) is None

    def test_no_echoes_at_all(self) -> None:
        joined = both(echo_interval=0)
        joined.run(500)
        assert not joined.sent(SERVER, LCP, Code.ECHO_REQUEST)
        assert joined.server.get_timer() is None

    def test_a_looped_back_link(self) -> None:
        link = Link(SERVER, LinkConfig(name="server"), random=seeded())
        link.up(0.0)
        for _ in range(50):
            for frame in link.frames_to_send():
                link.receive(frame, 0.0)
        assert link.next_event() == LinkClosed("the link is looped back: the peer's Magic-Number is ours", False)

    def test_a_negotiation_without_end_is_ended(self) -> None:
        """The peer acknowledges ours and never asks for its own: no counter of RFC 1661 bounds that."""
        joined = Joined(
            tamper=lambda sender, protocol, packet: [] if (sender, packet.code) == (CLIENT, 1) else None,
            client={"establish_timeout": 500},
        )
        joined.up(70)
        assert joined.closed(SERVER) == "no network after 60 s, phase establish"

    def test_who_begins_anew_and_anew_has_no_more_time_for_it(self) -> None:
        """LCP opens each time, so no counter runs out; the clock goes on from the first packet."""
        joined = Joined(
            tamper=lambda sender, protocol, packet: [] if (sender, protocol) == (CLIENT, CHAP) else None,
            client={"establish_timeout": 500},
        )
        joined.up(20)
        assert joined.server.phase is Phase.AUTHENTICATE
        for _ in range(2):
            joined.client.lcp.renegotiate(joined.now)
            joined.run(19)
            assert joined.closed(SERVER) is None
        joined.run(4)
        assert joined.closed(SERVER) == "no network after 60 s, phase authenticate"

    def test_a_link_that_was_up_has_its_time_again(self) -> None:
        joined = both()
        joined.run(500)
        joined.client.lcp.renegotiate(joined.now)
        joined.run(50)
        assert_up(joined, STRONGEST)


FRAMES = st.one_of(
    st.binary(max_size=40),
    st.builds(
        lambda protocol, code, identifier, data: frame_of(protocol, ControlPacket(code, identifier, data)),
        st.sampled_from([*Protocol, 0x1234]),
        st.integers(0, 16),
        st.integers(0, 20),
        st.one_of(
            st.binary(max_size=24),
            st.sampled_from(
                [b"\x01\x04\x05\x78", b"\x12\x06\x01\x00\x00\x40", b"\x03\x06\x00\x00\x00\x00", b"\x80\xfd"]
            ),
        ),
    ),
)


class TestAnyFrames:
    """Whatever comes in whatever phase: nothing is raised, answers are bounded, the link goes on or says why not."""

    @pytest.mark.parametrize("role", BOTH)
    @pytest.mark.parametrize("policy", [REQUIRE, PREFER])
    @pytest.mark.parametrize("already_up", [True, False])
    @settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
    @given(frames=st.lists(FRAMES, max_size=12), data=st.data())
    def test_to_one_side(
        self, role: Role, policy: MppePolicy, already_up: bool, frames: list[bytes], data: st.DataObject
    ) -> None:
        config = {"mppe": policy, "limits": NegotiationLimits(restart_interval=1.0), "establish_timeout": 30.0}
        joined = Joined(config, config)
        for link in joined.links.values():
            link.up(joined.now)
        if already_up:
            joined.run()
        link = joined.links[role]
        for frame in frames:
            before = len(joined.frames)
            link.receive(frame, joined.now)
            joined.collect()
            assert len(joined.frames) - before <= 8
            if data.draw(st.booleans()):
                joined.run(data.draw(st.sampled_from([0.0, 0.5, 3.0])))
            if policy is REQUIRE:
                assert not link.network_up or (link.encryptor is not None and link.decryptor is not None)
        joined.run(120)
        for side in BOTH:
            if joined.closed(side) is None:
                assert joined.links[side].network_up
            else:
                assert joined.closed(side)
                assert joined.links[side].phase is Phase.DEAD
                assert not joined.links[side].network_up


def test_the_address_of_a_nameless_peer_is_not_one_of_ours() -> None:
    assert IPv4Address("10.64.64.64") == NAMELESS_PEER not in (LOCAL, REMOTE)
