"""What the real programs were seen to do, which pypptp has to live with.

If one of these fails, the real ones have changed.
"""

from __future__ import annotations

import pytest

from .conftest import MakeScenario
from .lab.recording import CCP, CONFIGURE_REQUEST, LCP, MPPE_H, OPTION_MPPE, TERMINATE_REQUEST
from .lab.topology import Shape
from .pairs import CONTROL
from .peers.settings import Settings

STRICT = Settings()
OUTGOING_CALL_REPLY_CALL_ID = slice(12, 14)

pytestmark = pytest.mark.parametrize("pair", [CONTROL], ids=lambda pair: pair.name)


def test_call_ids_of_pptpd(scenario: MakeScenario) -> None:
    """pptpd's first call id is 0, the next one 0x80."""
    run = scenario("seen-call-ids", Shape(clients=2))
    run.start_server(STRICT)
    clients = [run.connect(STRICT, machine)[0] for machine in run.lan.clients]
    for client in clients:
        client.disconnect()
    run.await_hung_up()
    replies = [message for message in run.record().control if message.name == "OCRP"]
    assert [reply.data[OUTGOING_CALL_REPLY_CALL_ID].hex() for reply in replies] == ["0000", "0080"]
    run.assert_nothing_left()


def test_client_leaves(scenario: MakeScenario) -> None:
    """pptp-linux: a second between SCCRP and OCRQ; pptpd: no answer to Call-Clear-Request; pppd: "MPPE disabled",
    twice.
    """
    run = scenario("seen-client-leaves")
    run.start_server(STRICT)
    client, _ = run.connect(STRICT)
    client.disconnect()
    run.await_hung_up()
    wire = run.record()
    assert wire.control_names() == ["SCCRQ", "SCCRP", "OCRQ", "OCRP", "CallClear"]
    at = {message.name: message.time for message in wire.control}
    assert 0.9 < at["OCRQ"] - at["SCCRP"] < 1.5
    assert False in [to_server for _, to_server in wire.fins]
    farewells = wire.of(LCP, TERMINATE_REQUEST, to_server=True)
    assert [frame.data for frame in farewells] == [b"MPPE disabled"] * 2
    run.assert_nothing_left()


def test_pppd_of_the_server_ends(scenario: MakeScenario) -> None:
    """pptpd says nothing when its pppd is gone: it closes TCP."""
    run = scenario("seen-server-pppd-ends")
    server = run.start_server(STRICT)
    client, _ = run.connect(STRICT)
    server.kill_call()
    assert client.await_end(20) is not None
    run.await_hung_up()
    wire = run.record()
    assert not {"CDN", "StopCCRQ"} & {message.name for message in wire.control if not message.to_server}
    assert min(wire.fins)[1] is False
    run.assert_nothing_left()


def test_pptpctrl_is_told_to_end(scenario: MakeScenario) -> None:
    """On SIGTERM pptpd's pptpctrl sends Call-Disconnect-Notify and Stop-Control-Connection-Request."""
    run = scenario("seen-server-sigterm")
    server = run.start_server(STRICT)
    client, _ = run.connect(STRICT)
    server.end_call()
    assert client.await_end(20) is not None
    run.await_hung_up()
    assert [message.name for message in run.record().control if not message.to_server][2:] == ["CDN", "StopCCRQ"]
    run.assert_nothing_left()


def test_stateless_is_asked_for_first(scenario: MakeScenario) -> None:
    """pppd asks for stateless MPPE even with mppe-stateful."""
    settings = Settings(stateful=True)
    run = scenario("seen-stateless-first")
    run.start_server(settings)
    client, _ = run.connect(settings)
    client.disconnect()
    run.await_hung_up()
    for to_server in (True, False):
        first = run.record().of(CCP, CONFIGURE_REQUEST, to_server=to_server)[0]
        assert int.from_bytes(first.options[OPTION_MPPE]) & MPPE_H
    run.assert_nothing_left()
