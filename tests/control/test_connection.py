"""The connection itself: start, stop, keep-alive, what is out of place. Calls are in test_call_control.py."""

import itertools
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp.causes import Cause
from pypptp.control import (
    MAXIMUM_PENDING_OUTPUT,
    CallClearRequest,
    CallDisconnectNotify,
    CallEnded,
    CallRequested,
    ConnectionClosed,
    ConnectionStarted,
    ConnectionState,
    ControlConfig,
    ControlConnection,
    EchoReply,
    EchoRequest,
    IncomingCallConnected,
    IncomingCallReply,
    IncomingCallRequest,
    Message,
    OutgoingCallReply,
    OutgoingCallRequest,
    SetLinkInfo,
    StartControlConnectionReply,
    StartControlConnectionRequest,
    StartResult,
    StopControlConnectionReply,
    StopControlConnectionRequest,
    StopReason,
    WanErrorNotify,
    printable,
)
from pypptp.errors import LocalProtocolError
from pypptp.roles import Role
from tests.control.joined import Alone, Joined, call_ids, events, messages_in, only, start_request

OCRQ = OutgoingCallRequest(
    call_id=0xB358,
    call_serial_number=0,
    minimum_bps=2400,
    maximum_bps=10_000_000,
    bearer_type=3,
    framing_type=3,
    packet_receive_window_size=3,
)
START_OK = StartControlConnectionReply(result_code=1, framing_capabilities=0, bearer_capabilities=0)


def started_server(config: ControlConfig | None = None) -> Alone:
    server = Alone(Role.SERVER, config)
    server.give(start_request())
    server.events()
    return server


def started_client(config: ControlConfig | None = None) -> Alone:
    client = Alone(Role.CLIENT, config)
    client.connection.start(client.now)
    client.give(START_OK)
    client.events()
    assert client.connection.established
    return client


def with_call(server: Alone) -> int:
    server.give(OCRQ)
    server.events()
    own = server.connection.accept_call(OCRQ.call_id, server.now)
    server.taken()
    return own


# -- Start (2.1, 2.2, 3.1) ---------------------------------------------------------------------------------------------


def test_start_is_answered_as_the_rfc_lays_it_out() -> None:
    # cc/2.1/1
    server = Alone(Role.SERVER, ControlConfig(vendor_name=b"linux", maximum_channels=1))
    server.connection.receive_data(start_request(host_name=b"h", vendor_name=b"v"), server.now)
    data = server.connection.data_to_send()
    assert data[:28] == bytes.fromhex("009c0001 1a2b3c4d 0002 0000 0100 01 00 00000003 00000003 0001 0001")
    assert len(data) == 156
    started = only(ConnectionStarted, server.events())
    assert (started.host_name, started.vendor_name) == (b"h", b"v")
    assert server.connection.established


def test_start_octet_by_octet() -> None:
    # cc/1.4/9
    whole, pieces = Alone(Role.SERVER), Alone(Role.SERVER)
    whole.connection.receive_data(start_request(), 1000.0)
    for octet in start_request():
        pieces.connection.receive_data(bytes([octet]), 1000.0)
    assert pieces.connection.data_to_send() == whole.connection.data_to_send()


@pytest.mark.parametrize("version", [0x0200, 0x0000, 0x00FF, 0xFFFF])
def test_another_version_is_refused_with_ours(version: int) -> None:
    # cc/2.1/2
    server = Alone(Role.SERVER)
    (reply,) = server.give(start_request(protocol_version=version))
    assert isinstance(reply, StartControlConnectionReply)
    assert (reply.result_code, reply.protocol_version) == (StartResult.VERSION_NOT_SUPPORTED, 0x0100)
    assert server.connection.closed
    assert f"0x{version:04x}" in only(ConnectionClosed, server.events()).reason


def test_a_later_revision_of_version_1_is_answered_with_ours() -> None:
    server = Alone(Role.SERVER)
    (reply,) = server.give(start_request(protocol_version=0x0101))
    assert isinstance(reply, StartControlConnectionReply)
    assert (reply.result_code, reply.protocol_version) == (StartResult.OK, 0x0100)


def test_reserved_fields_of_a_start_are_ignored() -> None:
    # cc/2.1/3
    server = Alone(Role.SERVER)
    data = bytearray(start_request())
    data[10:12] = data[14:16] = b"\xa1\x96"
    server.give(bytes(data))
    assert server.connection.established


def test_names_of_64_octets_of_rubbish() -> None:
    # cc/2.1/4
    server = Alone(Role.SERVER)
    server.give(start_request(host_name=bytes(range(1, 65)), vendor_name=b"\xff\x1b" * 32))
    started = only(ConnectionStarted, server.events())
    assert (len(started.host_name), len(started.vendor_name)) == (64, 64)
    assert printable(started.host_name).isprintable()


def test_a_second_start_changes_nothing() -> None:
    # cc/2.1/5
    server = started_server()
    own = with_call(server)
    (reply,) = server.give(start_request())
    assert isinstance(reply, StartControlConnectionReply)
    assert reply.result_code == StartResult.ALREADY_EXISTS
    assert server.events() == []
    assert list(server.connection.calls) == [own]


@pytest.mark.parametrize(
    "message",
    [
        OCRQ,
        EchoRequest(identifier=1),
        EchoReply(identifier=1),
        START_OK,
        CallClearRequest(call_id=1),
        SetLinkInfo(peer_call_id=1),
        IncomingCallRequest(call_id=1, call_serial_number=1, call_bearer_type=1),
    ],
)
def test_anything_before_the_start_closes(message: Message) -> None:
    # cc/2.1/6
    server = Alone(Role.SERVER)
    for reply in server.give(message):
        assert isinstance(reply, OutgoingCallReply)
        assert (reply.result_code, reply.error_code, reply.call_id) == (2, 1, 0)
    assert server.connection.closed
    assert message.TYPE.text in str(server.connection.close_reason)
    assert len(server.ids) == 0


def test_one_segment_with_start_call_and_echo_is_answered_in_order() -> None:
    # cc/1.4/10
    server = Alone(Role.SERVER)
    server.connection.receive_data(start_request() + OCRQ.build() + EchoRequest(identifier=9).build(), server.now)
    while (event := server.connection.next_event()) is not None:
        if isinstance(event, CallRequested):
            server.connection.accept_call(event.peer_call_id, server.now)
    assert [type(reply) for reply in server.taken()] == [StartControlConnectionReply, OutgoingCallReply, EchoReply]


@pytest.mark.parametrize("follow", ["data_to_send", "receive_data", "receive_eof"])
def test_input_behind_a_call_request_does_not_wait_for_an_owner_who_is_late(follow: str) -> None:
    server = started_server()
    server.connection.receive_data(OCRQ.build() + EchoRequest(identifier=9).build() * 100, server.now)
    if follow == "receive_data":
        server.connection.receive_data(OCRQ.build(), server.now)
    elif follow == "receive_eof":
        server.connection.receive_eof(server.now)
    assert server.taken()[:100] == [EchoReply(identifier=9)] * 100


@pytest.mark.parametrize("kept", [0, 1, 155])
def test_a_server_waits_for_the_whole_start_not_for_each_octet(kept: int) -> None:
    # cc/3.1/1, cc/3.1/2
    server = Alone(Role.SERVER, now=50.0)
    for count, octet in enumerate(start_request()[:kept]):
        server.wait(50.0 + count * 4.9 / 156)
        server.connection.receive_data(bytes([octet]), server.now)
    assert server.connection.get_timer() == 55.0
    server.wait(54.999)
    assert not server.connection.closed
    server.wait(55.0)
    assert only(ConnectionClosed, server.events()).clean is False
    assert server.connection.data_to_send() == b""


def test_the_start_deadline_can_be_set() -> None:
    assert Alone(Role.SERVER, ControlConfig(start_timeout=60.0)).connection.get_timer() == 1060.0


def test_an_owner_can_refuse_the_start() -> None:
    # cc/3.1/3: one connection too many
    server = Alone(Role.SERVER)
    server.connection.refuse_start(StartResult.NOT_AUTHORIZED)
    (reply,) = server.give(start_request())
    assert isinstance(reply, StartControlConnectionReply)
    assert reply.result_code == StartResult.NOT_AUTHORIZED
    assert server.connection.closed
    assert not any(isinstance(event, ConnectionStarted) for event in server.events())


def test_a_client_reports_a_refused_start_by_name() -> None:
    client = Alone(Role.CLIENT)
    client.connection.start(client.now)
    client.give(StartControlConnectionReply(result_code=4, error_code=9, framing_capabilities=0, bearer_capabilities=0))
    closed = only(ConnectionClosed, client.events())
    assert "Not Authorized (4)" in closed.reason
    assert "9" not in closed.reason  # cc/2.16/1


def test_a_client_stops_a_server_of_another_version() -> None:
    client = Alone(Role.CLIENT)
    client.connection.start(client.now)
    client.taken()
    (stop,) = client.give(
        StartControlConnectionReply(
            protocol_version=0x0200, result_code=1, framing_capabilities=0, bearer_capabilities=0
        )
    )
    assert stop == StopControlConnectionRequest(reason=StopReason.STOP_PROTOCOL)
    client.give(StopControlConnectionReply())
    assert "0x0200" in only(ConnectionClosed, client.events()).reason


def test_a_client_waits_thirty_seconds_for_the_start_reply() -> None:
    client = Alone(Role.CLIENT)
    assert client.connection.get_timer() is None
    client.connection.start(client.now)
    assert client.connection.get_timer() == 1030.0
    client.wait(1030.0)
    assert "Start-Control-Connection-Reply" in only(ConnectionClosed, client.events()).reason


def test_both_roles_joined_agree() -> None:
    pair = Joined(ControlConfig(host_name=b"client", vendor_name=b"A"), ControlConfig(host_name=b"server"))
    pair.client.start(pair.now)
    pair.carry(step=1)
    assert only(ConnectionStarted, events(pair.client)).host_name == b"server"
    assert only(ConnectionStarted, events(pair.server)).host_name == b"client"


def test_colliding_starts_between_two_hosts_make_two_connections() -> None:
    # cc/3.1/4: each host is client on one TCP connection and server on the other, the starts cross
    one, other = Joined(), Joined()
    one.client.start(one.now)
    other.client.start(other.now)
    one.carry()
    other.carry()
    assert one.client.established
    assert other.server.established


def test_two_clients_on_one_tcp_connection_do_not_wait_for_good() -> None:
    left, right = Alone(Role.CLIENT), Alone(Role.CLIENT)
    left.connection.start(left.now)
    right.connection.start(right.now)
    left_sent, right_sent = left.connection.data_to_send(), right.connection.data_to_send()
    left.connection.receive_data(right_sent, left.now)
    right.connection.receive_data(left_sent, right.now)
    left_sent, right_sent = left.connection.data_to_send(), right.connection.data_to_send()
    left.connection.receive_data(right_sent, left.now)
    right.connection.receive_data(left_sent, right.now)
    assert left.connection.established
    assert right.connection.established


# -- Framing and format (1.4) ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        start_request()[:4] + b"\xde\xad\xbe\xef" + start_request()[8:],
        b"\0\0",
        b"\0\1",
        b"\0\x0b",
        b"\xff\xff",
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_out_of_step_in_the_first_message_closes_in_silence(data: bytes) -> None:
    # cc/1.4/1, cc/1.4/3, cc/1.4/4
    server = Alone(Role.SERVER)
    server.connection.receive_data(data, server.now)
    assert server.connection.closed
    assert server.connection.data_to_send() == b""
    assert server.connection.malformed_messages == 1
    server.connection.receive_data(start_request(), server.now)
    assert server.connection.data_to_send() == b""


def test_out_of_step_later_ends_the_calls() -> None:
    # cc/1.4/2
    server = started_server()
    own = with_call(server)
    assert server.give(EchoRequest(identifier=1).build()[:4] + bytes(12)) == []
    ended, closed = server.events()
    assert isinstance(ended, CallEnded)
    assert ended.call_id == own
    assert isinstance(closed, ConnectionClosed)
    assert "cookie" in closed.reason
    assert len(server.ids) == 0


@pytest.mark.parametrize(
    ("data", "established", "answer"),
    [
        (bytes.fromhex("000c00011a2b3c4d00010000"), False, StartControlConnectionReply),
        (bytes.fromhex("001000011a2b3c4d00070000b3580000"), True, OutgoingCallReply),
        (bytes.fromhex("001000011a2b3c4d00090000b3580000"), True, IncomingCallReply),
        (bytes.fromhex("000c00011a2b3c4d00030000"), True, StopControlConnectionReply),
        (bytes.fromhex("000c00011a2b3c4d00070000"), True, None),
        (bytes.fromhex("000c00011a2b3c4d00050000"), True, None),
        (bytes.fromhex("000d00011a2b3c4d000c0000ff"), True, None),
    ],
)
def test_a_message_too_short_for_its_type_is_told_and_closes(
    data: bytes, established: bool, answer: type[Message] | None
) -> None:
    # cc/1.4/5, FreeBSD D57383
    server = started_server() if established else Alone(Role.SERVER)
    replies = server.give(data)
    assert [type(reply) for reply in replies] == ([answer] if answer else [])
    for reply in replies:
        assert (reply.result_code, reply.error_code) == (2, 2)  # type: ignore[attr-defined]
        assert getattr(reply, "peer_call_id", 0xB358) == 0xB358
    assert server.connection.closed
    assert server.connection.malformed_messages == 1


def test_a_longer_message_is_read_and_its_rest_skipped() -> None:
    # cc/1.4/6
    server = started_server()
    longer = (16 + 64).to_bytes(2, "big") + EchoRequest(identifier=5).build()[2:] + b"\x1a" * 64
    assert server.give(longer + EchoRequest(identifier=6).build()) == [
        EchoReply(identifier=5),
        EchoReply(identifier=6),
    ]


@pytest.mark.parametrize(("pptp_type", "message_type"), [(0, 5), (2, 5), (1, 99), (1, 0), (1, 16)])
def test_unknown_types_are_ignored(pptp_type: int, message_type: int) -> None:
    # cc/1.4/7, cc/1.4/8
    server = started_server()
    data = bytearray(EchoRequest(identifier=5).build())
    data[3], data[9] = pptp_type, message_type
    assert server.give(bytes(data)) == []
    assert server.connection.unknown_messages == 1
    assert server.connection.established


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize(
    "message",
    [
        START_OK,
        StopControlConnectionReply(),  # cc/2.3/3
        EchoReply(identifier=1),
        OutgoingCallReply(call_id=1, peer_call_id=2, result_code=1),  # cc/2.8/2
        IncomingCallReply(call_id=1, peer_call_id=2, result_code=1),
        IncomingCallConnected(peer_call_id=1, connect_speed=1, packet_receive_window_size=1, framing_type=1),
        CallClearRequest(call_id=1),  # cc/2.12/2
        CallDisconnectNotify(call_id=1, result_code=1),
        WanErrorNotify(peer_call_id=1),  # cc/2.14/1
        SetLinkInfo(peer_call_id=1),  # cc/2.15/2
    ],
)
def test_what_fits_nothing_is_counted_and_ignored(role: Role, message: Message) -> None:
    peer = started_server() if role is Role.SERVER else started_client()
    assert peer.give(message) == []
    assert peer.events() == []
    assert peer.connection.unexpected_messages == 1
    assert peer.connection.established


@pytest.mark.parametrize("role", list(Role))
def test_an_incoming_call_is_refused_by_name(role: Role) -> None:
    # cc/2.9/1
    peer = started_server() if role is Role.SERVER else started_client()
    peer.connection.receive_data(
        IncomingCallRequest(call_id=0xABCD, call_serial_number=1, call_bearer_type=1).build(), peer.now
    )
    data = peer.connection.data_to_send()
    assert data == bytes.fromhex("001800011a2b3c4d000a0000 0000 abcd 03 00 0000 0000 0000")
    assert len(peer.ids) == 0


# -- Stop (2.3, 2.4) ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", [1, 2, 3, 200])
@pytest.mark.parametrize("role", list(Role))
def test_a_stop_is_confirmed_and_ends_everything(role: Role, reason: int) -> None:
    # cc/2.3/1, cc/2.3/2
    peer = started_server() if role is Role.SERVER else started_client()
    if role is Role.SERVER:
        with_call(peer)
    assert peer.give(StopControlConnectionRequest(reason=reason)) == [StopControlConnectionReply(result_code=1)]
    *ended, closed = peer.events()
    assert isinstance(closed, ConnectionClosed)
    assert closed.clean
    assert str(reason) in closed.reason
    assert len(ended) == (role is Role.SERVER)
    assert len(peer.ids) == 0
    assert peer.connection.get_timer() is None


def test_our_stop_waits_for_the_reply() -> None:
    pair = Joined().started()
    pair.call()
    pair.client.stop(StopReason.STOP_LOCAL_SHUTDOWN, pair.now)
    pair.client.stop(StopReason.STOP_LOCAL_SHUTDOWN, pair.now)
    assert pair.client.state is ConnectionState.WAIT_STOP_REPLY
    assert [type(event) for event in events(pair.client)] == [CallEnded]
    pair.carry()
    assert [type(event) for event in events(pair.client)] == [ConnectionClosed]
    assert [type(event) for event in events(pair.server)] == [CallEnded, ConnectionClosed]
    assert pair.client.closed
    assert pair.server.closed
    assert len(pair.client_ids) == len(pair.server_ids) == 0


def test_a_server_names_its_calls_before_it_stops_as_pptpd_does() -> None:
    server = started_server()
    own = with_call(server)
    server.connection.stop(StopReason.NONE, server.now)
    assert server.taken() == [
        CallDisconnectNotify(call_id=own, result_code=3),
        StopControlConnectionRequest(reason=1),
    ]


def test_stop_replies_that_never_come_are_not_waited_for() -> None:
    server = started_server()
    server.connection.stop(StopReason.NONE, server.now)
    server.taken()
    assert server.give(EchoRequest(identifier=3), OCRQ) == [EchoReply(identifier=3)]
    assert server.connection.get_timer() == server.now + 3.0
    server.wait(server.now + 3.0)
    closed = only(ConnectionClosed, server.events())
    assert closed.clean
    assert "no Stop-Control-Connection-Reply" in closed.reason


def test_stops_that_cross_end_both() -> None:
    pair = Joined().started()
    pair.client.stop(StopReason.NONE, pair.now)
    pair.server.stop(StopReason.NONE, pair.now)
    pair.carry()
    assert pair.client.closed
    assert pair.server.closed


def test_stop_before_the_start_just_closes() -> None:
    client = Alone(Role.CLIENT)
    client.connection.stop(StopReason.NONE, client.now)
    assert client.connection.closed
    assert client.taken() == []


@pytest.mark.parametrize("reason", ["the peer closed the connection", "connection reset by peer"])
def test_the_end_of_tcp_ends_the_calls(reason: str) -> None:
    # cc/tcp/1
    server = started_server()
    with_call(server)
    server.connection.receive_eof(server.now, reason)
    server.connection.receive_eof(server.now, reason)
    ended, closed = server.events()
    assert isinstance(ended, CallEnded)
    assert closed == ConnectionClosed(reason=reason, clean=False)
    assert len(server.ids) == 0


# -- Keep-alive (2.5, 2.6, 3.1.4) --------------------------------------------------------------------------------------


def test_an_echo_is_answered_with_its_identifier() -> None:
    # cc/2.5/1
    server = started_server()
    server.connection.receive_data(EchoRequest(identifier=0xDEADBEEF).build(), server.now)
    assert server.connection.data_to_send().hex() == "001400011a2b3c4d00060000deadbeef01000000"


@pytest.mark.parametrize("make", [started_server, started_client])
def test_silence_is_asked_about_after_sixty_seconds_and_ends_sixty_later(make: Callable[[], Alone]) -> None:
    # cc/2.5/3, cc/2.5/4
    peer = make()
    assert peer.connection.get_timer() == 1060.0
    peer.wait(1059.9)
    assert peer.taken() == []
    peer.wait(1060.0)
    (echo,) = peer.taken()
    assert isinstance(echo, EchoRequest)
    assert peer.connection.get_timer() == 1120.0
    peer.wait(1119.9)
    assert peer.connection.established
    peer.wait(1120.0)
    closed = only(ConnectionClosed, peer.events())
    assert (closed.clean, closed.reason) == (False, "no Echo-Reply within 60 s")


def test_the_reply_starts_the_silence_anew() -> None:
    server = started_server()
    server.wait(1060.0)
    (echo,) = server.taken()
    assert isinstance(echo, EchoRequest)
    server.wait(1100.0)
    server.give(EchoReply(identifier=echo.identifier))
    assert server.connection.get_timer() == 1160.0
    server.wait(1160.0)
    (second,) = server.taken()
    assert isinstance(second, EchoRequest)
    assert second.identifier != echo.identifier


def test_any_message_is_a_life_sign_before_the_request() -> None:
    server = started_server()
    server.wait(1030.0)
    server.give(EchoRequest(identifier=1))
    assert server.connection.get_timer() == 1090.0


def test_a_reply_nobody_asked_for_is_no_life_sign() -> None:
    # cc/2.5/2
    server = started_server()
    server.wait(1030.0)
    server.give(EchoReply(identifier=1))
    assert server.connection.get_timer() == 1060.0
    server.wait(1060.0)
    (echo,) = server.taken()
    assert isinstance(echo, EchoRequest)
    server.give(EchoReply(identifier=echo.identifier ^ 0x10000))
    assert server.connection.get_timer() == 1120.0
    assert server.connection.established
    assert server.connection.unexpected_messages == 2


def test_a_short_setting_and_none() -> None:
    assert started_server(ControlConfig(echo_interval=2.0)).connection.get_timer() == 1002.0
    assert started_server(ControlConfig(echo_interval=0)).connection.get_timer() is None


def test_two_idle_ends_keep_each_other_alive_for_a_day() -> None:
    pair = Joined().started()
    echoes = 0
    while pair.now < 1000.0 + 86_400:
        due = min(timer for timer in (pair.client.get_timer(), pair.server.get_timer()) if timer is not None)
        assert due > pair.now
        pair.now = due
        pair.client.handle_timer(pair.now)
        pair.server.handle_timer(pair.now)
        pair.carry()
        echoes += 1
    assert echoes == 1440
    assert pair.client.established
    assert pair.server.established


# -- A peer that does not read -----------------------------------------------------------------------------------------


def test_echoes_of_a_peer_that_does_not_read_are_not_kept() -> None:
    # cc/1.4/11, cc/2.5/5
    server = started_server()
    own = with_call(server)
    for identifier in range(10_000):
        server.connection.receive_data(EchoRequest(identifier=identifier).build(), server.now)
    assert server.connection.congested
    data = server.connection.data_to_send()
    assert len(data) <= MAXIMUM_PENDING_OUTPUT
    replies = messages_in(data)
    assert replies == [EchoReply(identifier=identifier) for identifier in range(len(replies))]
    assert len(replies) + server.connection.echoes_unanswered == 10_000
    assert server.give(EchoRequest(identifier=77)) == [EchoReply(identifier=77)]
    assert list(server.connection.calls) == [own]


def test_other_answers_to_a_peer_that_does_not_read_close() -> None:
    server = started_server()
    with_call(server)
    for _ in range(10_000):
        server.connection.receive_data(start_request(), server.now)
    assert server.connection.closed
    data = server.connection.data_to_send()
    assert len(data) <= MAXIMUM_PENDING_OUTPUT
    assert all(isinstance(reply, StartControlConnectionReply) for reply in messages_in(data))
    assert [type(event) for event in server.events()] == [CallEnded, ConnectionClosed]


# -- Misuse and rubbish ------------------------------------------------------------------------------------------------


def test_methods_of_the_other_role_or_state_are_refused() -> None:
    server, client = started_server(), started_client()
    misuses: list[Callable[[], object]] = [
        lambda: server.connection.start(0),
        lambda: server.connection.refuse_start(),
        lambda: server.connection.place_call(0),
        lambda: server.connection.clear_call(1, 0),
        lambda: server.connection.set_link_info(1, 0, 0),
        lambda: server.connection.accept_call(1, 0),
        lambda: server.connection.disconnect_call(1, 3, 0),
        lambda: client.connection.start(0),
        lambda: client.connection.accept_call(1, 0),
        lambda: client.connection.refuse_call(1, 7, 0, 0, 0),
        lambda: client.connection.disconnect_call(1, 3, 0),
        lambda: client.connection.clear_call(1, 0),
        lambda: Alone(Role.CLIENT).connection.place_call(0),
    ]
    for misuse in misuses:
        with pytest.raises(LocalProtocolError):
            misuse()


some_messages = st.sampled_from(
    [
        start_request(),
        START_OK.build(),
        StopControlConnectionReply().build(),
        EchoRequest(identifier=1).build(),
        EchoReply(identifier=1).build(),
        OCRQ.build(),
        OutgoingCallReply(call_id=0, peer_call_id=1, result_code=1).build(),
        IncomingCallRequest(call_id=1, call_serial_number=1, call_bearer_type=1).build(),
        CallClearRequest(call_id=OCRQ.call_id).build(),
        CallDisconnectNotify(call_id=OCRQ.call_id, result_code=4).build(),
        CallDisconnectNotify(call_id=0, result_code=4).build(),
        WanErrorNotify(peer_call_id=1).build(),
        SetLinkInfo(peer_call_id=1).build(),
        bytes.fromhex("000c00011a2b3c4d00630000"),
    ]
)


@given(
    role=st.sampled_from(list(Role)),
    steps=st.lists(
        st.one_of(
            some_messages,
            st.tuples(some_messages, st.integers(0, 220), st.integers(0, 255)),
            st.binary(max_size=40),
            st.floats(0, 200),
            st.sampled_from(["accept", "place", "clear", "disconnect", "stop", "eof"]),
        ),
        max_size=25,
    ),
)
def test_whatever_comes_in_whatever_state_nothing_raises_and_nothing_leaks(
    role: Role, steps: list[bytes | tuple[bytes, int, int] | float | str]
) -> None:
    peer = started_server() if role is Role.SERVER else started_client()
    connection = peer.connection
    requested: list[int] = []
    said: set[int] = set()
    for step in steps:
        if isinstance(step, bytes):
            connection.receive_data(step, peer.now)
        elif isinstance(step, tuple):
            data = bytearray(step[0])
            data[step[1] % len(data)] = step[2]
            connection.receive_data(bytes(data), peer.now)
        elif isinstance(step, float):
            peer.wait(peer.now + step)
        elif step == "stop":
            connection.stop(1, peer.now)
        elif step == "eof":
            connection.receive_eof(peer.now)
        else:
            try:
                if step == "accept" and requested:
                    connection.accept_call(requested.pop(), peer.now)
                elif step == "place":
                    connection.place_call(peer.now)
                elif step == "clear" and connection.calls:
                    connection.clear_call(next(iter(connection.calls)), peer.now)
                elif step == "disconnect" and connection.calls:
                    connection.disconnect_call(next(iter(connection.calls)), 3, peer.now)
            except LocalProtocolError:
                pass
        for event in peer.events():
            if isinstance(event, CallRequested):
                requested.append(event.peer_call_id)
            if isinstance(event, ConnectionClosed):
                assert connection.closed
        peer.taken()
        said.update(connection.calls)
        assert len(peer.ids) == len(connection.calls)
        assert connection.get_timer() is None or not connection.closed
    connection.receive_eof(peer.now)
    assert connection.closed
    assert len(peer.ids) == 0


@given(st.lists(st.integers(0, 200), max_size=12))
def test_the_same_stream_cut_anyhow_gives_the_same_answers(cuts: list[int]) -> None:
    stream = start_request() + EchoRequest(identifier=1).build() + OCRQ.build() + OCRQ.build()
    whole = Alone(Role.SERVER)
    whole.connection.receive_data(stream, whole.now)
    cut = Alone(Role.SERVER)
    edges = [0, *sorted(min(position, len(stream)) for position in itertools.accumulate(cuts)), len(stream)]
    for start, end in itertools.pairwise(edges):
        cut.connection.receive_data(stream[start:end], cut.now)
    assert cut.connection.data_to_send() == whole.connection.data_to_send()
    assert cut.events() == whole.events()


def test_many_connections_share_one_set_of_ids() -> None:
    ids = call_ids()
    connections = [ControlConnection(Role.SERVER, ControlConfig(), call_ids=ids, now=0) for _ in range(50)]
    own = set()
    for connection in connections:
        connection.receive_data(start_request() + OCRQ.build(), 0)
        own.add(connection.accept_call(OCRQ.call_id, 0))  # the same peer id on each: many clients behind one address
    assert len(own) == len(ids) == 50


def test_start_requests_say_what_real_clients_say() -> None:
    client = Alone(Role.CLIENT)
    client.connection.start(client.now)
    (start,) = client.taken()
    assert isinstance(start, StartControlConnectionRequest)
    assert (start.protocol_version, start.framing_capabilities, start.bearer_capabilities) == (0x0100, 3, 3)
    assert start.maximum_channels == 0


# Why, for programs.


def refusing(result: int) -> bytes:
    return StartControlConnectionReply(result_code=result, framing_capabilities=0, bearer_capabilities=0).build()


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        (refusing(StartResult.ALREADY_EXISTS), Cause.BUSY),
        (refusing(StartResult.NOT_AUTHORIZED), Cause.CALL_REFUSED),
        (b"HTTP/1.0 400 Bad Request\r\n\r\n", Cause.NOT_PPTP),
        (StopControlConnectionRequest(reason=StopReason.STOP_LOCAL_SHUTDOWN).build(), Cause.HUNG_UP),
    ],
)
def test_why_a_server_does_not_let_us_in(octets: bytes, why: Cause) -> None:
    client = Alone(Role.CLIENT)
    client.connection.start(client.now)
    client.connection.receive_data(octets, client.now)
    assert only(ConnectionClosed, client.events()).why is why


def test_why_a_silent_server_is_left() -> None:
    client = Alone(Role.CLIENT)
    client.connection.start(client.now)
    client.connection.handle_timer(client.now + 30)
    assert only(ConnectionClosed, client.events()).why is Cause.TIMED_OUT


def test_why_a_call_ends_with_a_server_that_is_dead_or_gone() -> None:
    for act, why in (
        (lambda client: client.connection.receive_eof(client.now), Cause.LOST),
        (_fall_silent, Cause.PEER_DEAD),
    ):
        client = started_client()
        own = client.connection.place_call(client.now)
        client.give(OutgoingCallReply(call_id=7, peer_call_id=own, result_code=1))
        client.events()
        act(client)
        found = client.events()
        assert only(CallEnded, found).why is why
        assert only(ConnectionClosed, found).why is why


def _fall_silent(client: Alone) -> None:
    for _ in range(2):
        client.now += 60
        client.connection.handle_timer(client.now)
