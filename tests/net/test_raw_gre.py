import socket
from collections.abc import Iterator
from typing import Any

import pytest

from pypptp.errors import NetworkError
from pypptp.net.namespaces import Namespace
from pypptp.net.raw_gre import BUFFER_OCTETS, IPPROTO_GRE, open_gre_socket

pytestmark = pytest.mark.netns


@pytest.fixture
def bare() -> Iterator[Namespace]:
    with Namespace("bare") as bare:
        yield bare


@pytest.mark.parametrize("local", [None, "127.0.0.1"])
def test_the_socket(bare: Namespace, local: str | None) -> None:
    with bare.run(lambda: open_gre_socket(local)) as gre:
        assert gre.type == socket.SOCK_RAW
        assert gre.proto == IPPROTO_GRE
        assert not gre.getblocking()
        assert not gre.get_inheritable()
        # The kernel doubles what it is asked for; as root it gives all.
        assert gre.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == 2 * BUFFER_OCTETS
        assert gre.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == 2 * BUFFER_OCTETS
        with pytest.raises(BlockingIOError):
            gre.recv(2048)


def test_a_packet_has_its_ip_header_when_received(bare: Namespace) -> None:
    with bare.run(lambda: open_gre_socket("127.0.0.1")) as gre:
        packet = bytes.fromhex("3001880b0000001200000000")
        gre.sendto(packet, ("127.0.0.1", 0))
        gre.settimeout(2)
        received = gre.recv(2048)
        assert received[9] == IPPROTO_GRE
        assert received[(received[0] & 15) * 4 :] == packet


def test_an_address_that_is_not_ours(bare: Namespace) -> None:
    with pytest.raises(NetworkError, match=r"192\.0\.2\.1 is not an address of this machine"):
        bare.run(lambda: open_gre_socket("192.0.2.1"))


def test_no_right(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> socket.socket:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(socket, "socket", refuse)
    with pytest.raises(NetworkError, match="CAP_NET_RAW"):
        open_gre_socket()


def test_without_the_right_to_force_buffers(bare: Namespace, monkeypatch: pytest.MonkeyPatch) -> None:
    class Unprivileged(socket.socket):
        def setsockopt(self, *args: Any) -> None:
            if args[1] in (32, 33):
                raise PermissionError(1, "Operation not permitted")
            super().setsockopt(*args)

    monkeypatch.setattr(socket, "socket", Unprivileged)
    with bare.run(open_gre_socket) as gre:
        assert 0 < gre.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) <= 2 * BUFFER_OCTETS
