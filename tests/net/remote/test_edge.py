"""Both ends in one process: what the one asks for, the other does to a MemoryEdge."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest

from pypptp.errors import ConfigurationError, NetworkError, PptpError
from pypptp.net.edge import NetworkEdge, Recovery
from pypptp.net.memory import MemoryEdge
from pypptp.net.remote import Allowed, Host, NotAllowed, SecretText, channel_pair, remote_edge
from pypptp.net.remote.edge import GONE, RemoteTun

LOCAL = IPv4Address("192.168.0.1")
PEER = IPv4Address("192.168.0.234")
POOL = IPv4Network("192.168.0.232/29")
PATIENCE = 5.0


class Both:
    """A host with a MemoryEdge, and what is at the other end of its channel."""

    def __init__(self, read_secrets: Callable[[], tuple[SecretText, ...]] = tuple) -> None:
        self.real = MemoryEdge()
        self.workers: list[MemoryEdge] = []
        allowed = Allowed(tunnels="ppp%d", local=LOCAL, peers=set(POOL), nat="auto")
        ours, theirs = channel_pair()
        host = Host(ours, self.real, allowed, make_edge=self._worker, read_secrets=read_secrets)
        self.serving = threading.Thread(target=host.serve, daemon=True)
        self.serving.start()
        self.edge, self.helper, self.requests = remote_edge(theirs)

    def _worker(self) -> NetworkEdge:
        self.workers.append(MemoryEdge())
        return self.workers[-1]

    def close(self) -> None:
        self.requests.close()
        self.serving.join(PATIENCE)
        assert not self.serving.is_alive()


@pytest.fixture
def both() -> Iterator[Both]:
    both = Both()
    yield both
    both.close()


def test_a_session_of_a_tun(both: Both) -> None:
    tun = both.edge.open_tun(mtu=1350)
    assert isinstance(tun, RemoteTun)
    assert tun.name == "ppp0"
    assert not os.get_inheritable(tun.fd)
    assert not os.get_blocking(tun.fd)
    both.edge.configure(tun, local=LOCAL, peer=PEER, mtu=1300)
    (real,) = both.real.tuns
    assert (real.mtu, real.local, real.peer) == (1300, LOCAL, PEER)
    # One packet each way, by the descriptor that was handed over.
    os.write(tun.fd, b"from the session")
    assert real.kernel.recv(100) == b"from the session"
    real.kernel.send(b"from the kernel")
    assert os.read(tun.fd, 100) == b"from the kernel"
    fd = tun.fd
    assert both.edge.undo_for(tun) == []
    assert (tun.fd, both.real.tuns) == (-1, [])
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)
    # Twice is no error.
    tun.close()
    assert both.edge.undo_for(tun) == []


def test_close_takes_the_interface_away(both: Both) -> None:
    tun = both.edge.open_tun("ppp")
    tun.close()
    assert (tun.fd, both.real.tuns) == (-1, [])


def test_what_all_sessions_share(both: Both) -> None:
    assert both.edge.recover() == Recovery()
    way = both.edge.default_route()
    assert way is not None
    assert (way.interface, way.gateway) == ("eth0", IPv4Address("203.0.113.1"))
    assert both.edge.enable_forwarding()
    assert both.edge.add_nat(None, [POOL]) == "eth0"
    assert both.real.forwarding
    assert [nat.sources for nat in both.real.nat] == [(POOL,)]
    assert both.edge.changes() == both.real.changes() != []
    assert both.edge.undo() == []
    assert both.real.changes() == []


def test_what_the_edge_refuses_arrives_as_it_was(both: Both) -> None:
    both.real.refusals["add_nat"] = "the kernel has no nftables: load nf_tables"
    with pytest.raises(NetworkError, match=r"^the kernel has no nftables: load nf_tables$"):
        both.edge.add_nat(None, [POOL])


@pytest.mark.parametrize(
    "ask",
    [
        lambda edge, tun: edge.open_tun("eth0"),
        lambda edge, tun: edge.configure(tun, local=LOCAL, peer=IPv4Address("198.51.100.1")),
        lambda edge, tun: edge.add_route(IPv4Network("0.0.0.0/1"), via=tun),
        lambda edge, tun: edge.add_kill_switch(PEER, 1723),
        lambda edge, tun: edge.pin_route(PEER),
    ],
)
def test_what_goes_too_far_changes_nothing(both: Both, ask: Callable[[NetworkEdge, Any], object]) -> None:
    tun = both.edge.open_tun()
    before = (both.real.changes(), list(both.real.routes))
    with pytest.raises(NotAllowed):
        ask(both.edge, tun)
    assert (both.real.changes(), both.real.routes) == before


@pytest.mark.parametrize(
    ("call", "given"),
    [
        ("open_tun", {}),
        ("open_tun", {"name": None, "mtu": "1400"}),
        ("open_tun", {"name": None, "mtu": 1400, "more": 1}),
        ("undo_for", {"tun": {"tun": "1"}}),
        ("configure", {"tun": {"tun": 99}, "local": str(LOCAL), "peer": str(PEER), "mtu": None}),
        ("__class__", {}),
        ("_books", {}),
        ("tuns", {}),
        (7, {}),
        (None, None),
        ("open_gre", {"local": "10.0.0.1", "first": 1, "last": 65_535}),
        ("open_gre", {"local": None, "first": 0, "last": 65_535}),
        ("open_gre", {"local": None, "first": 9, "last": 8}),
    ],
)
def test_a_request_that_makes_no_sense(both: Both, call: Any, given: Any) -> None:
    with pytest.raises(PptpError):
        both.requests.ask(call, given)
    assert both.real.changes() == []
    # And the next one is served.
    assert both.edge.default_route() is not None


def test_several_threads_ask_at_once(both: Both) -> None:
    closing = both.real._close

    def slowly(tun: Any) -> None:
        time.sleep(0.05)
        closing(tun)

    both.real._close = slowly  # type: ignore[method-assign]
    tuns = [both.edge.open_tun() for _ in range(12)]
    began = time.monotonic()
    threads = [threading.Thread(target=both.edge.undo_for, args=(tun,)) for tun in tuns]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert both.real.tuns == []
    assert time.monotonic() - began < 12 * 0.05


def test_the_server_dies_and_everything_is_taken_back() -> None:
    both = Both()
    tun = both.edge.open_tun()
    both.edge.configure(tun, local=LOCAL, peer=PEER)
    both.edge.enable_forwarding()
    both.close()
    assert (both.real.changes(), both.real.tuns, both.real.forwarding) == ([], [], False)


def test_a_worker_has_a_channel_of_its_own(both: Both) -> None:
    edge, helper, requests = remote_edge(both.helper.open_channel())
    tun = edge.open_tun()
    edge.configure(tun, local=LOCAL, peer=PEER)
    (theirs,) = both.workers
    assert len(theirs.tuns) == 1
    assert both.real.tuns == []
    for shared in (edge.enable_forwarding, helper.open_channel, helper.open_gre, helper.read_secrets):
        with pytest.raises(NotAllowed):
            shared()
    # It dies, and what is the others' stays.
    kept = both.edge.open_tun()
    requests.close()
    deadline = time.monotonic() + PATIENCE
    while theirs.tuns and time.monotonic() < deadline:
        time.sleep(0.01)
    assert theirs.tuns == []
    assert [tun.name for tun in both.real.tuns] == [kept.name]


def test_the_workers_go_with_the_server() -> None:
    both = Both()
    edge, _, requests = remote_edge(both.helper.open_channel())
    edge.open_tun()
    requests.close()
    both.close()
    assert both.workers[0].tuns == []


def test_the_secrets() -> None:
    texts = (SecretText("/etc/ppp/chap-secrets", "zoë * x *\n", ("mode 644",)), SecretText("/etc/zoe", "\xff", ()))
    both = Both(lambda: texts)
    assert both.helper.read_secrets() == texts
    both.close()


def test_secrets_that_cannot_be_read() -> None:
    def read() -> tuple[SecretText, ...]:
        raise ConfigurationError("/etc/ppp/chap-secrets cannot be read: No such file or directory")

    both = Both(read)
    with pytest.raises(ConfigurationError, match="No such file"):
        both.helper.read_secrets()
    both.close()


def test_no_secret_in_a_repr() -> None:
    assert "wonderland" not in repr(SecretText("/etc/ppp/chap-secrets", "alice * wonderland *\n", ()))


def test_the_helper_is_gone() -> None:
    ours, theirs = channel_pair()
    edge, helper, requests = remote_edge(theirs)
    told = threading.Event()
    requests.on_lost(told.set)
    asking = threading.Timer(0.05, ours.shutdown, args=(socket.SHUT_RDWR,))
    asking.start()
    # Who is waiting is told as well as who comes later.
    with pytest.raises(NetworkError, match=GONE):
        edge.open_tun()
    asking.join()
    assert told.wait(PATIENCE)
    assert requests.lost
    with pytest.raises(NetworkError, match=GONE):
        edge.enable_forwarding()
    with pytest.raises(NetworkError, match=GONE):
        helper.read_secrets()
    # Those that never raise do not.
    assert (edge.undo(), edge.changes(), edge.recover().errors) == ([GONE], [], [GONE])
    again = threading.Event()
    requests.on_lost(again.set)
    assert again.is_set()
    requests.close()
    ours.close()


def test_what_is_no_method_of_an_edge(both: Both) -> None:
    for name in ("no_such_method", "_books", "__len__"):
        with pytest.raises(AttributeError):
            getattr(both.edge, name)
