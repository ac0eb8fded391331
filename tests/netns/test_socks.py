"""A SOCKS5 proxy whose connections go through the tunnel: ``pypptp client --socks``.

private 10.100.100.2 ----- 10.100.100.1 gateway 203.0.113.1 ----- 203.0.113.2 public
  enclosure ppp0 192.168.0.234 ======= 192.168.0.1 ppp0
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

import pytest

from pypptp.net.namespaces import Namespace
from pypptp.testing.scenario import GATEWAY_PUBLIC, PUBLIC

from .conftest import PATIENCE, Lab

pytestmark = pytest.mark.netns

PROXY = ("127.0.0.1", 1080)
NAME = b"host.test"
T = TypeVar("T")


def ask(request: bytes) -> tuple[socket.socket, bytes]:
    """Greet the proxy and make a request; returns the connection and the reply."""
    connection = socket.create_connection(PROXY, 10)
    connection.sendall(b"\x05\x01\x00")
    assert exactly(connection, 2) == b"\x05\x00"
    connection.sendall(request)
    return connection, exactly(connection, 10)


def exactly(connection: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length and (piece := connection.recv(length - len(data))):
        data += piece
    return data


def to_address(command: int, port: int) -> bytes:
    return bytes((5, command, 0, 1)) + PUBLIC.packed + port.to_bytes(2, "big")


def to_name(command: int, port: int) -> bytes:
    return bytes((5, command, 0, 3, len(NAME))) + NAME + port.to_bytes(2, "big")


@contextmanager
def serving(host: Namespace, kind: int, port: int, serve: Callable[[socket.socket], None]) -> Iterator[None]:
    def open_it() -> socket.socket:
        opened = socket.socket(socket.AF_INET, kind)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((str(PUBLIC), port))
        if kind == socket.SOCK_STREAM:
            opened.listen()
        opened.settimeout(0.2)
        return opened

    listening = host.run(open_it)
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            with suppress(TimeoutError):
                serve(listening)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        listening.close()


def echo_reversed(listening: socket.socket) -> None:
    """Say who calls, then give back in one piece what came until the caller's end."""
    guest, address = listening.accept()
    with guest:
        guest.settimeout(10)
        guest.sendall(address[0].encode() + b"\n")
        data = b""
        while piece := guest.recv(65_536):
            data += piece
        guest.sendall(data[::-1])


def echo_datagram(listening: socket.socket) -> None:
    data, sender = listening.recvfrom(2048)
    listening.sendto(sender[0].encode() + b" " + data, sender)


def name_server(listening: socket.socket) -> None:
    """Knows one name."""
    question, sender = listening.recvfrom(512)
    known = NAME.split(b".")[0] in question
    header = (
        question[:2] + (b"\x81\x80" if known else b"\x81\x83") + b"\0\1" + (b"\0\1" if known else b"\0\0") + bytes(4)
    )
    record = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + PUBLIC.packed if known else b""
    listening.sendto(header + question[12:] + record, sender)


def test_connections_and_datagrams_go_through_the_tunnel(lab: Lab) -> None:
    server = lab.server("--dns", str(PUBLIC))
    before = lab.hosts.snapshot()["private"]
    client = lab.client("--socks", "1080")
    client.await_line(lambda line: " up: ppp0" in line or None, patience=PATIENCE)
    public, private = lab.hosts.public, lab.hosts.private
    assert lab.hosts.snapshot()["private"] == before
    data = bytes(range(256)) * 4000

    def call(request: bytes) -> tuple[bytes, bytes]:
        connection, reply = ask(request)
        with connection:
            assert reply[:4] == b"\x05\x00\x00\x01", reply
            seen_as = b""
            while not seen_as.endswith(b"\n"):
                seen_as += exactly(connection, 1)
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            return seen_as.strip(), exactly(connection, len(data) + 1)

    def send_datagrams() -> list[bytes]:
        connection, reply = ask(bytes((5, 3, 0, 1)) + bytes(6))
        with connection, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
            assert reply[1] == 0
            sending.settimeout(10)
            place = (socket.inet_ntoa(reply[4:8]), int.from_bytes(reply[8:10], "big"))
            answers = []
            for request in (to_address(0, 9), to_name(0, 9)):
                sending.sendto(b"\0\0\0" + request[3:] + b"hello", place)
                answers.append(sending.recv(2048))
            return answers

    def failures() -> list[int]:
        found = []
        for request in (
            to_address(1, 4),  # nobody listens
            bytes((5, 1, 0, 3, 9)) + b"none.test" + b"\0\7",
            to_address(2, 7),  # BIND
            bytes((5, 1, 0, 4)) + bytes(18),  # IPv6
        ):
            connection, reply = ask(request)
            connection.close()
            found.append(reply[1])
        return found

    with (
        serving(public, socket.SOCK_STREAM, 7, echo_reversed),
        serving(public, socket.SOCK_DGRAM, 9, echo_datagram),
        serving(public, socket.SOCK_DGRAM, 53, name_server),
    ):
        for request in (to_address(1, 7), to_name(1, 7)):
            seen_as, received = private.run(lambda request=request: call(request))  # type: ignore[misc]
            assert seen_as.decode() == str(GATEWAY_PUBLIC)
            assert received == data[::-1]
        for answer in private.run(send_datagrams):
            assert answer[:4] == b"\0\0\0\1"
            assert answer[4:10] == PUBLIC.packed + (9).to_bytes(2, "big")
            assert answer[10:] == str(GATEWAY_PUBLIC).encode() + b" hello"
        assert private.run(failures) == [5, 4, 7, 8]
    assert client.stop() == 0, client.lines
    assert server.stop() == 0
    assert lab.left_behind() == []


def test_beside_a_command(lab: Lab) -> None:
    lab.server("--nat", "none")
    client = lab.client("--socks", "127.0.0.1:1080", "--exec", "sleep 0.5")
    client.await_line(lambda line: "running 'sleep'" in line or None, patience=PATIENCE)

    def proxy_answers() -> bytes:
        with socket.create_connection(PROXY, 5) as connection:
            connection.sendall(b"\x05\x01\x02")
            return exactly(connection, 2)

    assert lab.hosts.private.run(proxy_answers) == b"\x05\xff"
    assert client.wait(PATIENCE) == 0, client.lines


def test_before_there_is_a_tunnel_the_network_is_unreachable(lab: Lab) -> None:
    client = lab.client("--socks", "1080", "--persist")
    client.await_line(lambda line: "dialling again" in line or None, patience=PATIENCE)

    def reply() -> int:
        connection, answer = ask(to_address(1, 7))
        connection.close()
        return answer[1]

    assert lab.hosts.private.run(reply) == 3
    assert client.stop() == 0, client.lines


def test_the_port_is_taken(lab: Lab) -> None:
    with lab.hosts.private.run(lambda: socket.create_server(PROXY)):
        client = lab.client("--socks", "1080")
        assert client.wait(PATIENCE) not in (None, 0)
        assert client.last_line == "pypptp: cannot listen on 127.0.0.1 port 1080 for SOCKS: it is in use"
