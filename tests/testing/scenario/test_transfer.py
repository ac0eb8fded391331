import socket
from collections.abc import Iterator
from ipaddress import IPv4Address

import pytest

from pypptp.errors import NetworkError
from pypptp.net.namespaces import Namespace
from pypptp.testing.scenario.transfer import Sink, Transfer, send

pytestmark = pytest.mark.netns
HERE = IPv4Address("127.0.0.1")


@pytest.fixture
def host() -> Iterator[Namespace]:
    with Namespace("host") as host:
        yield host


def test_what_is_sent_arrives(host: Namespace) -> None:
    progress: list[tuple[float, int]] = []
    with Sink(host, HERE) as sink:
        send(host, HERE, sink.port, seconds=0.35, progress=lambda *come: progress.append(come))
        transfer = sink.take()
    assert transfer is not None
    assert transfer.source == HERE
    assert 0.3 < transfer.seconds < 5
    assert transfer.octets >= progress[-1][1] > 0
    assert len(progress) >= 2
    assert progress == sorted(progress)


def test_one_client_after_the_other(host: Namespace) -> None:
    with Sink(host, HERE) as sink:
        for octets in (0, 1, 70_000):
            with host.run(lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as sock:
                sock.connect((str(HERE), sink.port))
                sock.sendall(bytes(octets))
            transfer = sink.take()
            assert transfer is not None
            assert transfer.octets == octets
        assert sink.take(patience=0.01) is None


def test_closing_does_not_wait_for_a_client(host: Namespace) -> None:
    sink = Sink(host, HERE)
    with host.run(lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as sock:
        sock.connect((str(HERE), sink.port))
        sink.close()
        sink.close()


def test_nobody_listens(host: Namespace) -> None:
    with Sink(host, HERE) as sink:
        port = sink.port
    with pytest.raises(NetworkError, match=r"the transfer to 127\.0\.0\.1 failed: Connection refused"):
        send(host, HERE, port, seconds=0.1)


def test_the_rate_counts_payload_bits() -> None:
    assert Transfer(HERE, 1_000_000, 2.0).mbit_per_s == 4.0
    assert Transfer(HERE, 0, 0.0).mbit_per_s == 0.0
