from __future__ import annotations

import socket
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp.errors import NetworkError
from pypptp.service.doctor import dialler
from pypptp.service.doctor.dialler import Complaint, Dialler, parse_complaint, read_reverse_path_counter
from pypptp.service.doctor.examination import configure

SERVER, ROUTER = IPv4Address("198.51.100.1"), IPv4Address("192.0.2.1")
OURS = bytes.fromhex("4500003000004000402f0000") + IPv4Address("192.0.2.9").packed + SERVER.packed + b"\x30\x01\x88\x0b"


def error(kind: int, code: int, about: bytes = OURS, rest: bytes = bytes(4)) -> bytes:
    return bytes([0x45]) + bytes(19) + bytes([kind, code]) + bytes(2) + rest + about


def test_icmp_errors_about_our_gre() -> None:
    assert parse_complaint(error(3, 2), ROUTER, SERVER) == Complaint(ROUTER, 3, 2)
    assert parse_complaint(error(3, 4, rest=b"\0\0\x05\x14"), ROUTER, SERVER) == Complaint(ROUTER, 3, 4, 1300)
    assert parse_complaint(error(11, 0), ROUTER, SERVER) == Complaint(ROUTER, 11, 0)


def test_what_is_none_of_ours() -> None:
    assert parse_complaint(error(0, 0), ROUTER, SERVER) is None  # an echo reply
    assert parse_complaint(error(3, 2), ROUTER, ROUTER) is None  # about another server's
    about_tcp = bytearray(OURS)
    about_tcp[9] = 6
    assert parse_complaint(error(3, 3, bytes(about_tcp)), ROUTER, SERVER) is None
    assert parse_complaint(error(3, 2, OURS[:19]), ROUTER, SERVER) is None


@given(st.binary(max_size=80))
def test_whatever_comes_raises_nothing(packet: bytes) -> None:
    parse_complaint(packet, ROUTER, SERVER)


@pytest.mark.netns
def test_the_kernels_counter() -> None:
    assert Path("/proc/self/net/netstat").read_text().count("IPReversePathFilter") == 1
    assert read_reverse_path_counter() >= 0


def test_without_the_right(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[socket.socket] = []

    def open_gre_socket() -> socket.socket:
        opened.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        return opened[0]

    real = socket.socket

    def refuse(*arguments: int) -> socket.socket:
        if socket.SOCK_RAW in arguments:
            raise PermissionError(1, "Operation not permitted")
        return real(*arguments)

    monkeypatch.setattr(dialler, "open_gre_socket", open_gre_socket)
    monkeypatch.setattr(socket, "socket", refuse)
    with pytest.raises(NetworkError, match="Operation not permitted"):
        Dialler(SERVER, 1723, configure("alice"), None)
    assert opened[0].fileno() == -1
