import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pypptp.errors import NetworkError
from pypptp.net import namespaces
from pypptp.net.namespaces import Namespace, connect, why_no_namespaces
from pypptp.net.tun import LinuxTun

pytestmark = pytest.mark.netns


def _own() -> int:
    return Path("/proc/thread-self/ns/net").stat().st_ino


def test_the_process_stays_where_it_is() -> None:
    before = _own()
    mounts = Path("/proc/self/mounts").read_text()
    with Namespace("a") as namespace:
        inside = namespace.run(_own, own_sysfs=True)
        assert inside == os.fstat(namespace.fileno()).st_ino
        assert inside != before
        assert not os.get_inheritable(namespace.fileno())
    assert _own() == before
    assert Path("/proc/self/mounts").read_text() == mounts
    assert namespace.fileno() == -1
    namespace.close()


def test_errors_come_back() -> None:
    def fail() -> None:
        raise KeyError("here")

    with Namespace("a") as namespace, pytest.raises(KeyError, match="here"):
        namespace.run(fail)


def test_loopback_is_up() -> None:
    def act() -> bytes:
        with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as near:
            far, _ = server.accept()
            with far:
                near.sendall(b"x")
                return far.recv(1)

    with Namespace("a") as namespace:
        assert namespace.run(act) == b"x"


def test_a_program_inside_sees_its_own_interfaces() -> None:
    with Namespace("a") as namespace:
        tun = namespace.run(lambda: LinuxTun("only-here"))
        try:
            program = "import os; print(sorted(os.listdir('/sys/class/net')), os.readlink('/proc/self/ns/net'))"
            child = namespace.popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
            output, _ = child.communicate(timeout=30)
            assert "only-here" in output
            assert str(os.fstat(namespace.fileno()).st_ino) in output
            assert not Path("/sys/class/net/only-here").exists()
        finally:
            tun.close()


def test_two_joined() -> None:
    with Namespace("a") as first, Namespace("b") as second:
        connect(first, "left", second, "right")
        first.add_address("left", "192.0.2.1/24")
        second.add_address("right", "192.0.2.2/24")
        with (
            second.run(lambda: socket.create_server(("192.0.2.2", 0))) as server,
            first.run(lambda: socket.create_connection(server.getsockname(), 5)) as near,
        ):
            assert near.getsockname()[0] == "192.0.2.1"
        with pytest.raises(NetworkError, match="veth"):
            connect(first, "left", second, "other")


def test_what_is_in_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    assert why_no_namespaces() is None

    class Refusing:
        @staticmethod
        def unshare(flags: int) -> int:
            return -1

    monkeypatch.setattr(namespaces, "_libc", Refusing)
    sentence = why_no_namespaces()
    assert sentence is not None
    assert "cannot make a network namespace" in sentence
