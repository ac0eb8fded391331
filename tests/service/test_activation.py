from __future__ import annotations

import os
import socket
from collections.abc import Callable
from ipaddress import IPv4Address

import pytest

from pypptp.errors import ConfigurationError
from pypptp.service.activation import listening_on, take_listener


def handed_over(pid: int | str, number: str = "1") -> dict[str, str]:
    return {"LISTEN_PID": str(pid), "LISTEN_FDS": number, "LISTEN_FDNAMES": "pypptp.socket", "HOME": "/"}


def test_a_listening_socket() -> None:
    with socket.create_server(("127.0.0.1", 0)) as theirs:
        descriptor = os.dup(theirs.fileno())
        os.set_inheritable(descriptor, True)
        environment = handed_over(os.getpid())
        listener = take_listener(environment, first_descriptor=descriptor)
        assert listener is not None
        with listener:
            assert environment == {"HOME": "/"}
            assert not listener.get_inheritable()
            assert listener.gettimeout() == 0.0
            assert listening_on(listener) == (IPv4Address("127.0.0.1"), theirs.getsockname()[1])


@pytest.mark.parametrize(
    "environment",
    [{}, handed_over(1), handed_over(os.getpid(), "0"), handed_over(os.getpid(), "one"), {"LISTEN_FDS": "1"}],
)
def test_none_for_this_process(environment: dict[str, str]) -> None:
    assert take_listener(environment, first_descriptor=-1) is None
    assert not any(name.startswith("LISTEN_") for name in environment)


def ipv6() -> socket.socket:
    return socket.create_server(("::1", 0), family=socket.AF_INET6)


def datagrams() -> socket.socket:
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


def silent() -> socket.socket:
    return socket.socket(socket.AF_INET, socket.SOCK_STREAM)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (ipv6, "write ListenStream=0.0.0.0:1723"),
        (datagrams, "is not TCP over IPv4"),
        (silent, "does not listen: write Accept=no"),
    ],
)
def test_what_is_no_use_is_closed(make: Callable[[], socket.socket], words: str) -> None:
    with make() as theirs:
        descriptor = os.dup(theirs.fileno())
    with pytest.raises(ConfigurationError, match=words):
        take_listener(handed_over(os.getpid()), first_descriptor=descriptor)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_several_are_too_many() -> None:
    with pytest.raises(ConfigurationError, match="2 sockets were handed over"):
        take_listener(handed_over(os.getpid(), "2"))


def test_no_socket_at_all() -> None:
    reader, writer = os.pipe()
    try:
        with pytest.raises(ConfigurationError, match=f"descriptor {reader}, which is none: Socket operation on non"):
            take_listener(handed_over(os.getpid()), first_descriptor=reader)
    finally:
        os.close(reader)
        os.close(writer)
