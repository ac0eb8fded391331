import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pypptp.errors import NetworkError
from pypptp.net.namespaces import Namespace
from pypptp.net.raw_gre import BUFFER_OCTETS, IPPROTO_GRE, call_id_filter, open_gre_socket

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


def enhanced(call_id: int, *, protocol: int = 0x880B) -> bytes:
    return bytes.fromhex("3001") + protocol.to_bytes(2, "big") + b"\0\4" + call_id.to_bytes(2, "big") + b"\0" * 8


def received(gre: socket.socket) -> list[bytes]:
    """The GRE packets that wait in a socket; over loopback they are there as soon as they are sent."""
    packets: list[bytes] = []
    while True:
        try:
            packet = gre.recv(2048)
        except BlockingIOError:
            return packets
        packets.append(packet[(packet[0] & 15) * 4 :])


def test_each_socket_receives_its_own_call_ids(bare: Namespace) -> None:
    with (
        bare.run(lambda: open_gre_socket(call_ids=range(1, 32768))) as lower,
        bare.run(lambda: open_gre_socket(call_ids=range(32768, 65536))) as upper,
        bare.run(lambda: open_gre_socket("127.0.0.1")) as sender,
    ):
        numbers = [1, 2, 300, 32767, 32768, 50_000, 65535]
        for call_id in [0, *numbers]:
            sender.sendto(enhanced(call_id), ("127.0.0.1", 0))
        assert received(lower) == [enhanced(call_id) for call_id in numbers if call_id < 32768]
        assert received(upper) == [enhanced(call_id) for call_id in numbers if call_id >= 32768]
        # What has no room in its buffer is counted for a socket; what its filter refuses is not.
        raw = bare.run(lambda: Path("/proc/thread-self/net/raw").read_text())
        assert [line.split()[-1] for line in raw.splitlines()[1:]] == ["0", "0", "0"]


def test_the_filter_finds_the_call_id_behind_ip_options(bare: Namespace) -> None:
    with (
        bare.run(lambda: open_gre_socket(call_ids=range(7, 8))) as gre,
        bare.run(lambda: open_gre_socket("127.0.0.1")) as sender,
    ):
        for options in (b"", b"\1\1\1\0", b"\1" * 39 + b"\0"):
            sender.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, options)
            for call_id in (6, 7, 8):
                sender.sendto(enhanced(call_id), ("127.0.0.1", 0))
        assert received(gre) == [enhanced(7)] * 3


def test_the_filter_refuses_what_is_no_enhanced_gre(bare: Namespace) -> None:
    with (
        bare.run(lambda: open_gre_socket(call_ids=range(1, 65536))) as gre,
        bare.run(lambda: open_gre_socket("127.0.0.1")) as sender,
    ):
        sender.sendto(enhanced(7, protocol=0x0800), ("127.0.0.1", 0))
        for length in range(8):
            sender.sendto(enhanced(7)[:length], ("127.0.0.1", 0))
        assert received(gre) == []
        sender.sendto(enhanced(7)[:8], ("127.0.0.1", 0))
        assert received(gre) == [enhanced(7)[:8]]


@pytest.mark.parametrize("call_ids", [range(0), range(1, 9, 2), range(-1, 5), range(1, 65537), range(9, 1, -1)])
def test_what_is_no_range_of_call_ids(call_ids: range) -> None:
    with pytest.raises(ValueError, match="no range of call ids"):
        call_id_filter(call_ids)


def test_what_came_before_the_filter_is_thrown_away(bare: Namespace, monkeypatch: pytest.MonkeyPatch) -> None:
    with bare.run(lambda: open_gre_socket("127.0.0.1")) as sender:

        class Early(socket.socket):
            """A packet comes between opening the socket and the filter."""

            def setsockopt(self, *args: Any) -> None:
                if args[1] == 26:
                    sender.sendto(enhanced(9), ("127.0.0.1", 0))
                super().setsockopt(*args)

        monkeypatch.setattr(socket, "socket", Early)
        with bare.run(lambda: open_gre_socket(call_ids=range(1, 5))) as gre:
            assert received(gre) == []
