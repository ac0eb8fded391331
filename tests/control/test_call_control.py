"""Calls over a control connection (RFC 2637 2.7 to 2.15, 3.2)."""

from itertools import pairwise

import pytest

from pypptp.causes import Cause
from pypptp.control import (
    CallClearRequest,
    CallDisconnectNotify,
    CallEnded,
    CallEstablished,
    CallRefused,
    CallRequested,
    CallState,
    ConnectionClosed,
    ControlConfig,
    LinkInfo,
    OutgoingCallReply,
    OutgoingCallRequest,
    SetLinkInfo,
    StopReason,
    WanErrorNotify,
    WanErrors,
)
from pypptp.errors import LocalProtocolError
from tests.control.joined import Alone, Joined, events, only
from tests.control.test_connection import OCRQ, started_client, started_server, with_call


def request(call_id: int, *, window: int = 64, minimum: int = 300, maximum: int = 100_000_000) -> OutgoingCallRequest:
    return OutgoingCallRequest(
        call_id=call_id,
        call_serial_number=1,
        minimum_bps=minimum,
        maximum_bps=maximum,
        bearer_type=3,
        framing_type=3,
        packet_receive_window_size=window,
    )


def placed(client: Alone, peer_call_id: int = 0) -> int:
    own = client.connection.place_call(client.now)
    client.give(OutgoingCallReply(call_id=peer_call_id, peer_call_id=own, result_code=1))
    client.events()
    return own


def test_a_call_is_set_up_between_the_two() -> None:
    # cc/2.7/1
    pair = Joined().started()
    client_id = pair.client.place_call(pair.now)
    pair.carry()
    asked = only(CallRequested, events(pair.server))
    assert (asked.peer_call_id, asked.peer_window) == (client_id, 64)
    server_id = pair.server.accept_call(client_id, pair.now)
    assert server_id == asked.call_id
    pair.carry()
    established = only(CallEstablished, events(pair.client))
    assert (established.call_id, established.peer_call_id) == (client_id, server_id)
    assert established.peer_window == 64
    assert pair.client.calls[client_id].state is CallState.ESTABLISHED
    assert pair.client.get_timer() == pair.server.get_timer() == pair.now + 60


def test_the_answer_is_laid_out_as_the_rfc_says() -> None:
    # cc/2.7/1
    server = started_server()
    server.give(OCRQ)
    own = server.connection.accept_call(OCRQ.call_id, server.now)
    data = server.connection.data_to_send()
    assert data[:12].hex() == "002000011a2b3c4d00080000"
    assert data[12:20] == own.to_bytes(2, "big") + bytes.fromhex("b358 01 00 0000")
    assert int.from_bytes(data[24:26], "big") >= 1


def test_the_request_says_what_real_clients_say() -> None:
    client = started_client()
    own = client.connection.place_call(client.now)
    data = client.connection.data_to_send()
    assert data[:14] == bytes.fromhex("00a800011a2b3c4d00070000") + own.to_bytes(2, "big")
    # From the bearer's side as pptp-linux: 2400 to 10,000,000, any bearer, any framing; the window is Windows's.
    assert data[16:40] == bytes.fromhex("00000960 00989680 00000003 00000003 0040 0000 0000 0000")
    assert data[40:] == bytes(128)


def test_pptpds_call_id_0_is_a_call_id() -> None:
    client = started_client()
    own = client.connection.place_call(client.now)
    client.give(OutgoingCallReply(call_id=0, peer_call_id=own, result_code=1, packet_receive_window_size=3))
    assert only(CallEstablished, client.events()).peer_call_id == 0
    client.connection.set_link_info(own, 0, 0xFFFFFFFF)
    assert SetLinkInfo(peer_call_id=0, send_accm=0) in client.taken()
    client.give(CallDisconnectNotify(call_id=0, result_code=3))
    assert only(CallEnded, client.events()).peer_call_id == 0


def test_a_client_may_call_itself_0_too() -> None:
    server = started_server()
    server.give(request(0))
    server.connection.accept_call(0, server.now)
    server.taken()
    (notify,) = server.give(CallClearRequest(call_id=0))
    assert isinstance(notify, CallDisconnectNotify)


@pytest.mark.parametrize("window", [0, 1, 65535])
def test_any_window_is_accepted_and_0_counts_as_1(window: int) -> None:
    # cc/2.7/2
    server = started_server()
    server.give(request(5, window=window))
    assert only(CallRequested, server.events()).peer_window == max(window, 1)
    client = started_client()
    own = client.connection.place_call(client.now)
    client.give(OutgoingCallReply(call_id=1, peer_call_id=own, result_code=1, packet_receive_window_size=window))
    assert only(CallEstablished, client.events()).peer_window == max(window, 1)


def test_a_minimum_above_the_maximum_is_accepted() -> None:
    # cc/2.7/3
    server = started_server()
    server.give(request(5, minimum=0xFFFFFFFF, maximum=0))
    server.connection.accept_call(5, server.now)
    (reply,) = server.taken()
    assert isinstance(reply, OutgoingCallReply)
    assert reply.result_code == 1


def test_one_call_too_many_is_refused_with_its_own_id() -> None:
    # cc/2.7/5
    server = started_server(ControlConfig(maximum_calls=1))
    own = with_call(server)
    assert server.give(request(7)) == [OutgoingCallReply(call_id=0, peer_call_id=7, result_code=2, error_code=4)]
    assert server.events() == []
    assert list(server.connection.calls) == [own]
    assert len(server.ids) == 1


@pytest.mark.parametrize("accepted", [False, True])
def test_a_live_peer_call_id_used_again_is_refused(accepted: bool) -> None:
    # cc/2.7/6
    server = started_server()
    server.give(OCRQ)
    own = only(CallRequested, server.events()).call_id
    if accepted:
        server.connection.accept_call(OCRQ.call_id, server.now)
        server.taken()
    assert server.give(OCRQ) == [OutgoingCallReply(call_id=0, peer_call_id=OCRQ.call_id, result_code=2, error_code=5)]
    assert server.events() == []
    assert list(server.connection.calls) == [own]


def test_a_cleared_peer_call_id_may_be_used_again() -> None:
    server = started_server()
    first = with_call(server)
    server.give(CallClearRequest(call_id=OCRQ.call_id))
    assert with_call(server) != first


def test_several_calls_on_one_connection_end_one_by_one() -> None:
    pair = Joined().started()
    calls = [pair.call() for _ in range(8)]
    with pytest.raises(LocalProtocolError, match="8 calls"):
        pair.client.place_call(pair.now)
    for client_id, server_id in reversed(calls):
        pair.client.clear_call(client_id, pair.now)
        pair.carry()
        ended = only(CallEnded, events(pair.server))
        assert (ended.call_id, ended.peer_call_id) == (server_id, client_id)
        ended = only(CallEnded, events(pair.client))
        assert (ended.call_id, ended.peer_call_id, ended.result) == (client_id, server_id, 4)
    assert pair.client.established
    assert len(pair.client_ids) == len(pair.server_ids) == 0


def test_a_thousand_calls_leave_nothing_behind() -> None:
    # cc/2.7/7
    pair = Joined().started()
    given = []
    for _ in range(1000):
        client_id, server_id = pair.call()
        pair.client.clear_call(client_id, pair.now)
        pair.carry()
        events(pair.client)
        events(pair.server)
        given.append(server_id)
    assert len(set(given)) == 1000
    assert sum(abs(after - before) == 1 for before, after in pairwise(given)) < 5
    assert not pair.server.calls
    assert len(pair.client_ids) == len(pair.server_ids) == 0


@pytest.mark.parametrize(
    ("result", "error", "name"),
    [
        (2, 4, "No Resource (4)"),
        (3, 4, "No Carrier (3)"),
        (4, 0, "Busy (4)"),
        (5, 0, "No Dial Tone (5)"),
        (6, 0, "Time Out (6)"),
        (7, 0, "Do Not Accept (7)"),
        (0, 0, "code 0"),
        (99, 0, "code 99"),
    ],
)
def test_a_client_reports_a_refused_call_by_name(result: int, error: int, name: str) -> None:
    # cc/2.8/1, cc/2.16/1
    client = started_client()
    own = client.connection.place_call(client.now)
    client.give(OutgoingCallReply(call_id=0, peer_call_id=own, result_code=result, error_code=error, cause_code=17))
    refused = only(CallRefused, client.events())
    assert (refused.call_id, refused.result, refused.cause) == (own, result, 17)
    assert refused.error == (error if result == 2 else 0)
    assert name in refused.reason
    assert len(client.ids) == 0
    assert client.connection.established


@pytest.mark.parametrize(
    ("result", "error", "why"),
    [
        (2, 4, Cause.BUSY),
        (2, 5, Cause.CALL_REFUSED),
        (3, 0, Cause.CALL_REFUSED),
        (4, 0, Cause.BUSY),
        (6, 0, Cause.BUSY),
        (7, 0, Cause.CALL_REFUSED),
        (99, 4, Cause.CALL_REFUSED),
    ],
)
def test_which_refusals_may_go_better_later(result: int, error: int, why: Cause) -> None:
    client = started_client()
    own = client.connection.place_call(client.now)
    client.give(OutgoingCallReply(call_id=0, peer_call_id=own, result_code=result, error_code=error))
    assert only(CallRefused, client.events()).why is why


def test_a_success_with_an_error_code_is_a_success() -> None:
    # cc/2.16/1
    client = started_client()
    own = client.connection.place_call(client.now)
    client.give(OutgoingCallReply(call_id=1, peer_call_id=own, result_code=1, error_code=5))
    only(CallEstablished, client.events())


def test_a_reply_to_a_call_nobody_placed_binds_nothing() -> None:
    # cc/2.8/2
    client = started_client()
    own = client.connection.place_call(client.now)
    client.give(OutgoingCallReply(call_id=9, peer_call_id=own ^ 1, result_code=1))
    assert client.events() == []
    client.give(OutgoingCallReply(call_id=1, peer_call_id=own, result_code=1))
    client.give(OutgoingCallReply(call_id=2, peer_call_id=own, result_code=1))
    assert only(CallEstablished, client.events()).peer_call_id == 1
    assert client.connection.calls[own].peer_call_id == 1


def test_a_server_that_gives_two_calls_one_id_is_left() -> None:
    client = started_client()
    placed(client, peer_call_id=5)
    own = client.connection.place_call(client.now)
    client.give(OutgoingCallReply(call_id=5, peer_call_id=own, result_code=1))
    assert "two calls" in only(ConnectionClosed, client.events()).reason


def test_a_client_refuses_to_be_called() -> None:
    client = started_client()
    assert client.give(OCRQ) == [OutgoingCallReply(call_id=0, peer_call_id=OCRQ.call_id, result_code=7)]
    assert client.events() == []


def test_an_owner_refuses_a_call() -> None:
    server = started_server()
    server.give(OCRQ)
    with pytest.raises(LocalProtocolError):
        server.connection.refuse_call(OCRQ.call_id, 1, 0, 0, server.now)
    server.connection.refuse_call(OCRQ.call_id, 2, 4, 34, server.now)
    assert server.taken() == [
        OutgoingCallReply(call_id=0, peer_call_id=OCRQ.call_id, result_code=2, error_code=4, cause_code=34)
    ]
    assert len(server.ids) == 0
    with pytest.raises(LocalProtocolError):
        server.connection.accept_call(OCRQ.call_id, server.now)


def test_a_call_the_owner_forgets_is_refused_in_time() -> None:
    server = started_server(ControlConfig(call_reply_timeout=10.0))
    server.give(OCRQ)
    server.events()
    assert server.connection.get_timer() == 1010.0
    server.wait(1010.0)
    assert server.taken() == [OutgoingCallReply(call_id=0, peer_call_id=OCRQ.call_id, result_code=6)]
    only(CallEnded, server.events())
    assert len(server.ids) == 0


def test_a_call_the_server_never_answers_ends_the_connection() -> None:
    # 3.2.1: "the ENTIRE CONTROL CONNECTION should be closed"
    client = started_client(ControlConfig(call_reply_timeout=30.0))
    client.connection.place_call(client.now)
    client.wait(1030.0)
    ended, closed = client.events()
    assert isinstance(ended, CallEnded)
    assert isinstance(closed, ConnectionClosed)
    assert closed.reason == "no Outgoing-Call-Reply within 30 s"


# -- Clearing (2.12, 2.13) ---------------------------------------------------------------------------------------------


def test_a_clear_request_is_answered_with_our_id_in_network_order() -> None:
    # cc/2.12/1, accel-ppp d76b2f6c
    server = started_server()
    own = with_call(server)
    server.connection.receive_data(CallClearRequest(call_id=OCRQ.call_id).build(), server.now)
    data = server.connection.data_to_send()
    assert data == bytes.fromhex("009400011a2b3c4d000d0000") + own.to_bytes(2, "big") + b"\4" + bytes(133)
    ended = only(CallEnded, server.events())
    assert (ended.call_id, ended.peer_call_id) == (own, OCRQ.call_id)
    assert len(server.ids) == 0


def test_a_clear_request_for_a_call_nobody_has_clears_none() -> None:
    # cc/2.12/2: our own id in it means nothing
    server = started_server()
    own = with_call(server)
    for wrong in (own, OCRQ.call_id ^ 1, 0, 0x58B3):
        assert server.give(CallClearRequest(call_id=wrong)) == []
    assert server.events() == []
    assert list(server.connection.calls) == [own]


def test_a_clear_request_before_the_answer_and_twice() -> None:
    # cc/2.12/3, CVE-2021-42870
    server = started_server()
    server.connection.receive_data(OCRQ.build() + CallClearRequest(call_id=OCRQ.call_id).build() * 2, server.now)
    (notify,) = server.taken()
    requested, ended = server.events()
    assert isinstance(requested, CallRequested)
    assert isinstance(ended, CallEnded)
    assert notify == CallDisconnectNotify(call_id=requested.call_id, result_code=4)
    with pytest.raises(LocalProtocolError):
        server.connection.accept_call(OCRQ.call_id, server.now)
    assert len(server.ids) == 0


@pytest.mark.parametrize(
    ("result", "words"), [(0, "code 0"), (1, "Lost Carrier"), (3, "Admin Shutdown"), (4, "Request")]
)
def test_a_client_reports_a_disconnect(result: int, words: str) -> None:
    # cc/2.13/1; 0 is what Windows RRAS sends
    client = started_client()
    own = placed(client, peer_call_id=0x3B37)
    client.give(
        CallDisconnectNotify(
            call_id=0x3B37, result_code=result, error_code=6, cause_code=16, call_statistics=b"rx 1 tx 2"
        )
    )
    ended = only(CallEnded, client.events())
    assert (ended.call_id, ended.result, ended.error, ended.cause) == (own, result, 0, 16)
    assert ended.statistics == b"rx 1 tx 2"
    assert words in ended.reason
    assert client.connection.established


def test_a_disconnect_for_another_call_ends_none() -> None:
    client = started_client()
    own = placed(client, peer_call_id=0x3B37)
    client.give(CallDisconnectNotify(call_id=0x373B, result_code=4), CallDisconnectNotify(call_id=own, result_code=4))
    assert client.events() == []
    assert list(client.connection.calls) == [own]


def test_pptpd_closes_tcp_instead_of_answering_a_clear_request() -> None:
    client = started_client()
    own = placed(client)
    client.connection.clear_call(own, client.now)
    client.connection.clear_call(own, client.now)
    assert client.taken() == [CallClearRequest(call_id=own)]
    client.connection.receive_eof(client.now)
    ended, closed = client.events()
    assert isinstance(ended, CallEnded)
    assert isinstance(closed, ConnectionClosed)
    assert closed.clean
    assert len(client.ids) == 0


def test_a_clear_request_nobody_answers_is_waited_for_three_seconds() -> None:
    client = started_client()
    own = placed(client)
    client.connection.clear_call(own, client.now)
    assert client.connection.get_timer() == client.now + 3.0
    client.wait(client.now + 3.0)
    assert "no Call-Disconnect-Notify" in only(CallEnded, client.events()).reason
    assert client.connection.established
    assert not client.connection.calls


def test_a_disconnect_with_the_wrong_id_ends_the_one_call_being_cleared() -> None:
    client = started_client()
    cleared, other = placed(client, peer_call_id=0x1234), placed(client, peer_call_id=0x5678)
    client.connection.clear_call(cleared, client.now)
    client.give(CallDisconnectNotify(call_id=0x3412, result_code=4))
    assert only(CallEnded, client.events()).call_id == cleared
    assert list(client.connection.calls) == [other]


def test_a_call_cleared_before_its_answer_ends_with_the_notify() -> None:
    client = started_client()
    own = client.connection.place_call(client.now)
    client.connection.clear_call(own, client.now)
    client.give(CallDisconnectNotify(call_id=0x7777, result_code=4))
    ended = only(CallEnded, client.events())
    assert (ended.call_id, ended.peer_call_id) == (own, None)


@pytest.mark.parametrize("result", [1, 7])
def test_an_answer_that_crosses_the_clear_request_establishes_nothing(result: int) -> None:
    client = started_client()
    own = client.connection.place_call(client.now)
    client.connection.clear_call(own, client.now)
    client.give(OutgoingCallReply(call_id=0x7777, peer_call_id=own, result_code=result))
    if result == 1:
        assert client.events() == []
        client.give(CallDisconnectNotify(call_id=0x7777, result_code=4))
    assert only(CallEnded, client.events()).call_id == own
    assert len(client.ids) == 0


def test_a_server_disconnects_a_call() -> None:
    pair = Joined().started()
    client_id, server_id = pair.call()
    pair.server.disconnect_call(server_id, 2, pair.now, error=6, cause=16, statistics=b"bye")
    pair.carry()
    for connection in (pair.client, pair.server):
        ended = only(CallEnded, events(connection))
        assert (ended.result, ended.error, ended.cause) == (2, 6, 16)
        assert "Pac Error (6)" in ended.reason
        assert connection.established
    assert not pair.client.calls
    assert client_id not in pair.client.calls


# -- Set-Link-Info and WAN-Error-Notify (2.14, 2.15) -------------------------------------------------------------------


@pytest.mark.parametrize("accm", [0, 0xFFFFFFFF])
def test_link_info_is_taken_in_silence(accm: int) -> None:
    # cc/2.15/1
    server = started_server()
    own = with_call(server)
    data = bytearray(SetLinkInfo(peer_call_id=own, send_accm=accm, receive_accm=accm).build())
    data[14:16] = b"\xa1\x96"  # cc/2.15/2: seen in captures
    assert server.give(bytes(data)) == []
    assert server.events() == [LinkInfo(call_id=own, send_accm=accm, receive_accm=accm)]


def test_a_client_sends_link_info_and_takes_that_of_windows() -> None:
    pair = Joined().started()
    client_id, server_id = pair.call()
    pair.client.set_link_info(client_id, 1, 2)
    pair.carry()
    assert events(pair.server) == [LinkInfo(call_id=server_id, send_accm=1, receive_accm=2)]
    pair.client.receive_data(SetLinkInfo(peer_call_id=client_id).build(), pair.now)
    assert events(pair.client) == [LinkInfo(call_id=client_id, send_accm=0xFFFFFFFF, receive_accm=0xFFFFFFFF)]


def test_link_info_needs_an_established_call() -> None:
    client = started_client()
    own = client.connection.place_call(client.now)
    with pytest.raises(LocalProtocolError):
        client.connection.set_link_info(own, 0, 0)


def test_wan_errors_of_a_live_call_are_passed_on() -> None:
    # cc/2.14/1
    client = started_client()
    own = placed(client)
    client.give(WanErrorNotify(peer_call_id=own, crc_errors=1, alignment_errors=6))
    errors = only(WanErrors, client.events())
    assert (errors.call_id, errors.crc_errors, errors.alignment_errors) == (own, 1, 6)


def test_a_client_clears_its_calls_before_it_stops_as_pptp_linux_does() -> None:
    client = started_client()
    own = placed(client)
    client.connection.stop(StopReason.NONE, client.now)
    assert [type(message).__name__ for message in client.taken()] == [
        "CallClearRequest",
        "StopControlConnectionRequest",
    ]
    assert only(CallEnded, client.events()).call_id == own
    client.connection.receive_eof(client.now)
    assert only(ConnectionClosed, client.events()).clean


def test_tcp_that_breaks_under_a_call_is_not_clean_for_either() -> None:
    pair = Joined().started()
    pair.call()
    pair.server.receive_eof(pair.now)
    pair.client.receive_eof(pair.now)
    for connection in (pair.client, pair.server):
        ended, closed = events(connection)
        assert isinstance(ended, CallEnded)
        assert isinstance(closed, ConnectionClosed)
        assert not closed.clean
