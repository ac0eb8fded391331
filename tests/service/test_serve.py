"""What a running server does to the system, and what the signals do to it."""

from __future__ import annotations

import logging
import signal
import socket
import time
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from pypptp.auth.account import Account
from pypptp.errors import ConfigurationError, NetworkError
from pypptp.net.edge import Route
from pypptp.service.serve import run_server
from tests.aio.dialling import SERVER
from tests.net.test_books import Paper
from tests.service.running import START, Watched, await_log, meanwhile, send, serve, server_settings, warnings

pytestmark = pytest.mark.usefixtures("udp")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_until_a_signal(caplog: pytest.LogCaptureFixture, secrets: Path, number: int) -> None:
    edge = Watched()
    assert serve(caplog, server_settings(secrets=secrets), edge, number) == []
    assert edge.forwarded
    ((interface, networks, tunnels),) = edge.nats
    assert (interface, tunnels) == (None, "ppp%d")
    covered = {address for network in networks for address in network}
    # The pool, and the address that is bob's alone and outside it.
    pool = {IPv4Address(f"192.168.0.{host}") for host in range(234, 246)}
    assert covered == pool | {IPv4Address("172.16.5.5")}
    assert warnings(caplog) == []


def test_a_user_is_made_up_and_shown_once_and_never_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    (account,) = serve(caplog, server_settings(), Watched())
    assert account.user
    assert account.password is not None
    assert len(account.password) >= 12
    assert account.password not in caplog.text
    assert account.password not in repr(account)


def test_a_file_without_users_is_warned_of(caplog: pytest.LogCaptureFixture, secrets: Path) -> None:
    secrets.write_text("# nobody\n")
    serve(caplog, server_settings(secrets=secrets), Watched())
    (line,) = warnings(caplog)
    assert line.startswith(f"{secrets} names no user, so nobody can log in")


def test_nat_none_touches_nothing(caplog: pytest.LogCaptureFixture, secrets: Path) -> None:
    edge = Watched()
    serve(caplog, server_settings(secrets=secrets, nat="none"), edge)
    assert (edge.forwarded, edge.nats) == (False, [])
    assert warnings(caplog) == []


def test_nat_without_a_default_route_warns_and_goes_on(caplog: pytest.LogCaptureFixture, secrets: Path) -> None:
    edge = Watched(routes=[])
    serve(caplog, server_settings(secrets=secrets), edge)
    assert (edge.forwarded, edge.nats) == (False, [])
    (line,) = warnings(caplog)
    assert "no default route, so no NAT" in line
    assert "--nat" in line


@pytest.mark.parametrize("routes", [None, []])
def test_without_nat_the_mss_is_clamped_and_proxy_arp_has_forwarding(
    caplog: pytest.LogCaptureFixture, secrets: Path, routes: list[Route] | None
) -> None:
    paper = Paper()
    edge = Watched(routes=routes, ledger=paper)
    settings = server_settings(
        secrets=secrets, nat="none" if routes is None else "auto", ifname="vpn%d", proxy_arp=True, isolate=True
    )
    serve(caplog, settings, edge)
    assert (edge.forwarded, edge.nats) == (True, [])
    written = [note for note in paper.notes if note.startswith("write ")]
    assert written == ["write FilterMade", "write ForwardingOn", "write FilterMade"]
    assert (edge.isolation, edge.forwarding, edge.clamped) == (False, False, [])


def test_what_goes_along_with_no_nat_may_be_refused(caplog: pytest.LogCaptureFixture, secrets: Path) -> None:
    edge = Watched(refusals={"clamp_mss": "no nftables", "enable_forwarding": "/proc/sys is read-only"})
    serve(caplog, server_settings(secrets=secrets, nat="none", proxy_arp=True), edge)
    assert warnings(caplog) == ["proxy ARP does nothing where this host does not forward: /proc/sys is read-only"]


def test_who_asks_for_isolation_gets_it_or_no_server(secrets: Path) -> None:
    edge = Watched(refusals={"isolate": "no nftables; --isolate needs it"})
    with pytest.raises(NetworkError, match="--isolate needs it"):
        run_server(server_settings(secrets=secrets, isolate=True), edge=edge, announce_account=lambda account: None)
    assert edge.changes() == []


def test_nat_behind_an_interface_by_name(caplog: pytest.LogCaptureFixture, secrets: Path) -> None:
    edge = Watched(routes=[])
    serve(caplog, server_settings(secrets=secrets, nat="lo", ifname="vpn%d"), edge)
    assert [(interface, tunnels) for interface, _, tunnels in edge.nats] == [("lo", "vpn%d")]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"nat": "nosuchif"}, "nat: there is no interface nosuchif here"),
        ({"listen": IPv4Address("192.0.2.77")}, "listen: 192.0.2.77 is not an address of this machine"),
        ({"secrets": Path("/nowhere/chap-secrets")}, "/nowhere/chap-secrets"),
    ],
)
def test_what_is_wrong_is_said_before_anything_begins(
    settings: dict[str, Any], words: str, caplog: pytest.LogCaptureFixture
) -> None:
    announced: list[Account] = []
    with pytest.raises(ConfigurationError) as caught:
        run_server(server_settings(**settings), edge=Watched(), announce_account=announced.append)
    assert words in str(caught.value)
    assert announced == []
    assert caplog.text == ""


def test_an_edge_that_refuses_half_way_leaves_nothing(caplog: pytest.LogCaptureFixture, secrets: Path) -> None:
    edge = Watched(refusals={"add_nat": "the kernel has no nftables: load nf_tables"})
    settings = server_settings(secrets=secrets)
    with pytest.raises(NetworkError, match="load nf_tables"):
        run_server(settings, edge=edge, announce_account=lambda account: None)
    assert edge.forwarded
    assert not edge.forwarding
    assert edge.changes() == []
    # And the port is free again.
    socket.create_server((SERVER, settings.port)).close()


def test_a_second_server_on_the_same_port(caplog: pytest.LogCaptureFixture, secrets: Path) -> None:
    settings = server_settings(secrets=secrets)
    with socket.create_server((SERVER, settings.port)), pytest.raises(NetworkError, match="is in use: stop the other"):
        run_server(settings, edge=Watched(), announce_account=lambda account: None)


@pytest.mark.parametrize("busy_with", ["a client that does not answer", "the edge"])
def test_the_impatient_get_everything_taken_back_as_well(
    caplog: pytest.LogCaptureFixture, secrets: Path, busy_with: str
) -> None:
    class SlowEdge(Watched):
        def undo(self) -> list[str]:
            time.sleep(0.5)
            return super().undo()

    edge = SlowEdge() if busy_with == "the edge" else Watched()
    settings = server_settings(secrets=secrets)

    def act() -> None:
        await_log(caplog, "listening on")
        with socket.create_connection((SERVER, settings.port)) as connection:
            if busy_with != "the edge":
                connection.sendall(START)
                connection.recv(1000)
            send(signal.SIGINT)
            await_log(caplog, "stopping")
            time.sleep(0.2)
            send(signal.SIGINT)
            time.sleep(0.5)

    with meanwhile(act), pytest.raises(KeyboardInterrupt):
        run_server(settings, edge=edge, announce_account=lambda account: None)
    assert edge.changes() == []
    assert edge.nat == []
    socket.create_server((SERVER, settings.port)).close()


# The client.
