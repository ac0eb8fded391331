"""What goes wrong on a real day, for every pair: each end must notice, say so, and leave nothing."""

from __future__ import annotations

import time

import pytest

from .cases import FAILURES, Case
from .conftest import MakeScenario, not_applicable
from .lab.recording import CHAP, COMPRESSED, IPCP, IPV4
from .lab.topology import Shape
from .pairs import Pair
from .peers.settings import INNER_SERVER, PASSWORD, POOL_FIRST, USER, Settings
from .scenario import Scenario, other

CHAP_FAILURE = 4
STRICT = Settings()
CAREFUL = Settings(mtu=1400)
ONE_PROGRAM = "one process runs control connection and link"


def assert_refused(
    run: Scenario, server: Settings, client: Settings, user: str = USER, password: str = PASSWORD
) -> None:
    """The client does not come up, ends with an error by itself, and no inner packet has passed."""
    run.start_server(server)
    refused = run.start_client(client, user=user, password=password)
    assert refused.await_up(40) is None
    code = refused.await_end(30)
    assert code not in (None, 0)
    run.notes.append(f"the client ended with exit code {code}")
    run.await_hung_up(30)
    wire = run.record()
    assert not wire.of(IPV4)
    assert not wire.of(COMPRESSED)


def test_server_ends(pair: Pair, scenario: MakeScenario) -> None:
    run = scenario("server-ends")
    server = run.start_server(STRICT)
    client, tunnel = run.connect(STRICT)
    run.check_traffic(tunnel)
    server.end_call()
    assert client.await_end(20) is not None, "the client did not notice"
    run.await_hung_up()
    assert {"CDN", "StopCCRQ"} <= set(run.record().control_names())
    run.assert_nothing_left()


def test_wrong_password(pair: Pair, scenario: MakeScenario) -> None:
    run = scenario("wrong-password")
    assert_refused(run, STRICT, STRICT, password="not it")
    failures = run.record().of(CHAP, CHAP_FAILURE, to_server=False)
    assert failures
    assert failures[-1].data.startswith(b"E=691 ")
    assert not run.record().of(IPCP)
    run.assert_nothing_left()


def test_unknown_user(pair: Pair, scenario: MakeScenario) -> None:
    run = scenario("unknown-user")
    assert_refused(run, STRICT, STRICT, user="nobody")
    assert run.record().of(CHAP, CHAP_FAILURE, to_server=False)
    assert not run.record().of(IPCP)
    run.assert_nothing_left()


def test_server_refuses_mppe(pair: Pair, scenario: MakeScenario) -> None:
    run = scenario("server-refuses-mppe")
    assert_refused(run, other(STRICT, mppe=None), STRICT)
    run.assert_nothing_left()


def test_client_refuses_mppe(pair: Pair, scenario: MakeScenario) -> None:
    run = scenario("client-refuses-mppe")
    assert_refused(run, STRICT, other(STRICT, mppe=None))
    run.assert_nothing_left()


def test_client_refuses_mschapv2(pair: Pair, scenario: MakeScenario) -> None:
    run = scenario("client-refuses-mschapv2")
    assert_refused(run, STRICT, other(STRICT, auth="chap", mppe=None))
    assert not run.record().of(CHAP)
    run.assert_nothing_left()


def test_pool_exhausted(pair: Pair, scenario: MakeScenario) -> None:
    run = scenario("pool-exhausted", Shape(clients=2))
    first_machine, second_machine = run.lan.clients
    settings = other(STRICT, pool=1)
    run.start_server(settings)
    first, tunnel = run.connect(settings, first_machine)
    second = run.start_client(settings, second_machine)
    assert second.await_up(40) is None
    assert second.await_end(30) not in (None, 0)
    run.check_traffic(tunnel, machine=first_machine)
    first.disconnect()
    run.await_hung_up()
    run.assert_nothing_left()


def test_server_killed(pair: Pair, scenario: MakeScenario) -> None:
    run = scenario("server-killed")
    server = run.start_server(STRICT)
    client, _ = run.connect(STRICT)
    server.kill()
    assert client.await_end(20) not in (None, 0)
    run.assert_nothing_left()


def test_client_killed(pair: Pair, scenario: MakeScenario) -> None:
    run = scenario("client-killed")
    run.start_server(STRICT)
    client, _ = run.connect(STRICT)
    client.kill()
    run.await_hung_up(20)
    run.assert_nothing_left()


def test_server_pppd_killed(pair: Pair, scenario: MakeScenario) -> None:
    if pair.server == "pypptp":
        not_applicable(pair, "server-pppd-killed", ONE_PROGRAM)
    run = scenario("server-pppd-killed")
    server = run.start_server(STRICT)
    client, _ = run.connect(STRICT)
    server.kill_call()
    assert client.await_end(20) is not None
    run.await_hung_up()
    run.assert_nothing_left()


def test_client_pppd_killed(pair: Pair, scenario: MakeScenario) -> None:
    if pair.client == "pypptp":
        not_applicable(pair, "client-pppd-killed", ONE_PROGRAM)
    run = scenario("client-pppd-killed")
    run.start_server(STRICT)
    client, _ = run.connect(STRICT)
    client.kill_link()
    run.await_hung_up(20)
    run.assert_nothing_left()


@pytest.mark.parametrize(
    ("row", "seconds"),
    [("link-down", 6), pytest.param("link-down-30", 30, marks=pytest.mark.nightly)],
    ids=["6s", "30s"],
)
def test_link_down(row: str, seconds: int, pair: Pair, scenario: MakeScenario) -> None:
    """More packets are lost than half of what MPPE's 12-bit count holds, and several times all of it between pypptps.

    Linux's ppp_mppe has nothing but those bits to go by: between 4,095 lost packets and the next key lies a wrong one.
    """
    run = scenario(row)
    run.start_server(CAREFUL)
    client, tunnel = run.connect(CAREFUL)
    interval = 0.002 if pair.client == pair.server == "pypptp" else seconds / 3000
    flood = ["ping", "-q", "-i", f"{interval:.4f}", "-s", "56", "-w", str(seconds + 1)]
    loads = [
        run.lan.client.start([*flood, INNER_SERVER], "flood.log"),
        run.lan.server.start([*flood, tunnel.local], "flood.log"),
    ]
    time.sleep(0.5)
    run.lan.link(run.lan.client, up=False)
    time.sleep(seconds)
    run.lan.link(run.lan.client, up=True)
    for load in loads:
        assert load.wait(15) is not None
        run.notes.append(load.output().splitlines()[-2] if "transmitted" in load.output() else load.output())
    time.sleep(1)
    run.check_traffic(tunnel, Case("after", "after", limit=90))
    client.disconnect()
    run.await_hung_up()
    run.assert_nothing_left()


def test_two_clients_one_address(pair: Pair, scenario: MakeScenario) -> None:
    run = scenario("two-clients-one-address", Shape(clients=2, one_address=True))
    run.start_server(STRICT)
    machine, twin = run.lan.clients
    first, _ = run.connect(STRICT, machine)
    second = run.start_client(STRICT, twin)
    run.await_tunnels(machine, 2, 20)
    tunnels = machine.tunnels()
    assert len({tunnel.local for tunnel in tunnels}) == 2
    # Both tunnels lead to one address: what answers for the second must not go out through the first.
    for number, tunnel in enumerate(tunnels, 1):
        machine.run(["ip", "route", "add", INNER_SERVER, "dev", tunnel.name, "table", str(number)]).check()
        machine.run(["ip", "rule", "add", "from", tunnel.local, "lookup", str(number)]).check()
    for tunnel in tunnels:
        run.await_server_tunnel(tunnel.local)
        run.ping(machine, INNER_SERVER, source=tunnel.name)
        run.ping(run.lan.server, tunnel.local)
    first.disconnect()
    run.await_tunnels(machine, 1)
    run.ping(run.lan.server, machine.tunnels()[0].local)
    second.disconnect()
    run.await_hung_up()
    for tunnel in tunnels:
        machine.run(["ip", "rule", "del", "from", tunnel.local]).check()
    run.assert_nothing_left()


def test_two_clients_nat(pair: Pair, scenario: MakeScenario) -> None:
    run = scenario("two-clients-nat", Shape(clients=2, nat=True))
    run.start_server(CAREFUL)
    connected = [(run.connect(CAREFUL, machine), machine) for machine in run.lan.clients]
    for (_, tunnel), machine in connected:
        run.check_traffic(tunnel, machine=machine)
    for (client, _), _machine in connected:
        client.disconnect()
    run.await_hung_up()
    run.assert_nothing_left()


def test_ten_clients(pair: Pair, scenario: MakeScenario) -> None:
    run = scenario("ten-clients", Shape(clients=10))
    run.start_server(STRICT)
    clients = [run.start_client(STRICT, machine) for machine in run.lan.clients]
    began = time.monotonic()
    tunnels = [client.await_up(90) for client in clients]
    run.notes.append(f"all up in {time.monotonic() - began:.1f} s")
    addresses = {tunnel.local for tunnel in tunnels if tunnel is not None}
    first = int(POOL_FIRST.rpartition(".")[2])
    assert addresses == {f"192.168.88.{number}" for number in range(first, first + 10)}
    for machine, tunnel in zip(run.lan.clients, tunnels, strict=True):
        assert tunnel is not None
        run.await_server_tunnel(tunnel.local)
        run.ping(machine, INNER_SERVER)
    for client in clients:
        client.disconnect()
    run.await_hung_up(20)
    run.assert_nothing_left()


def test_reconnect(pair: Pair, scenario: MakeScenario) -> None:
    run = scenario("reconnect")
    server = run.start_server(other(STRICT, pool=2))
    first, _ = run.connect(STRICT)
    dropped = time.monotonic()
    first.kill()
    second = run.start_client(STRICT)
    run.notes.append(f"started again {time.monotonic() - dropped:.2f} s after the drop")
    tunnel = second.await_up(20)
    assert tunnel is not None
    run.await_server_tunnel(tunnel.local)
    run.check_traffic(tunnel)
    run.await_tunnels(server.machine, 1)
    second.disconnect()
    run.await_hung_up()
    run.assert_nothing_left()


def test_every_row_has_its_test() -> None:
    rows = {name.replace("_", "-") for name in globals() if name.startswith("test_")}
    named = {row.removeprefix("test-") for row in rows} | {"link-down-30"}
    assert set(FAILURES) <= named
