"""Every option, every pair: up, ping, 1 MB there and back, the right thing on the wire, down, nothing left."""

from __future__ import annotations

import time

import pytest

from . import wire
from .cases import OPTIONS, Case
from .conftest import MakeScenario, not_applicable
from .pairs import Pair
from .peers.settings import NAME_SERVERS


@pytest.mark.parametrize("case", OPTIONS, ids=lambda case: case.name)
def test_option(case: Case, pair: Pair, scenario: MakeScenario) -> None:
    if pair.name in case.not_for:
        not_applicable(pair, case.name, case.not_for[pair.name])
    run = scenario(case.name)
    run.start_server(case.settings)
    # Where pppd's CCP Configure-Ack is lost, the peer's next Configure-Request takes pppd's opened CCP down, and pppd
    # ends a link that requires MPPE ("MPPE disabled"), whoever the peer is. Only two pypptps must come up on a bad
    # wire.
    bad_from_the_start = "real" not in (pair.client, pair.server)
    if bad_from_the_start:
        run.lan.netem(*case.netem)
    client, tunnel = run.connect(case.settings, limit=60)
    run.lan.netem(*case.netem)
    run.check_traffic(tunnel, case)
    if case.settings.dns:
        assert client.name_servers() in (list(NAME_SERVERS), None)
    if case.settings.mtu is not None:
        # pppd takes MPPE's four octets off the interface's MTU each time CCP comes up, so twice where H was Naked late.
        taken = 8 if case.settings.stateful else 4
        assert case.settings.mtu - taken <= tunnel.mtu <= case.settings.mtu
    if case.settings.echo is not None:
        time.sleep(2 * case.settings.echo + 1)
    run.lan.netem()
    client.disconnect()
    run.await_hung_up()
    recording = run.record()
    wire.check(recording, case.settings, pair)
    assert {"CallClear", "StopCCRQ"} & set(recording.control_names()), "the client left without a word"
    run.assert_nothing_left()
