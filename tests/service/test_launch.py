"""What a worker's process is born with; a stand-in for the interpreter tells."""

import json
import os
import signal
import socket
import stat
import sys
from pathlib import Path

import pytest

import pypptp
from pypptp.service.launch import launch_worker

TELL = f"""#!{sys.executable}
import json, os, signal, stat, sys
end = int(sys.argv[-2])
told = {{
    "arguments": sys.argv[1:],
    "descriptors": sorted(int(name) for name in os.listdir("/proc/self/fd")),
    "blocked": sorted(int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    "null": [os.path.samefile(f"/proc/self/fd/{{fd}}", "/dev/null") for fd in (0, 1)],
    "path": os.environ["PYTHONPATH"],
}}
os.write(end, json.dumps(told).encode())
sys.exit(7)
"""


@pytest.fixture
def interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / "python"
    program.write_text(TELL)
    program.chmod(stat.S_IRWXU)
    monkeypatch.setattr(sys, "executable", str(program))
    return program


def test_a_worker_inherits_two_sockets_and_no_signals(interpreter: Path) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    gre = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    # One that somebody has carelessly made inheritable.
    stray = os.dup(0)
    os.set_inheritable(stray, True)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    with ours, theirs, gre:
        process = launch_worker(theirs, gre)
        descriptors = [theirs.fileno(), gre.fileno()]
        theirs.close()
        told = json.loads(ours.recv(65_536))
        assert process.wait(20) == 7
    os.close(stray)
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before
    assert told["arguments"] == ["-P", "-m", "pypptp.service.worker", *map(str, descriptors)]
    # One more is the folder it read.
    assert [fd for fd in told["descriptors"] if fd not in (0, 1, 2, *descriptors)] == [max(told["descriptors"])] or (
        len(told["descriptors"]) == 6
    )
    assert set(told["blocked"]) >= {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    assert told["null"] == [True, True]
    assert str(Path(pypptp.__file__).parent.parent) in told["path"].split(os.pathsep) or "site-packages" in told["path"]


def test_without_rights_it_inherits_a_channel_too(interpreter: Path) -> None:
    interpreter.write_text(TELL.replace("sys.argv[-2]", "sys.argv[-3]"))
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs, socket.socket() as gre, socket.socket() as edge:
        process = launch_worker(theirs, gre, edge)
        descriptors = [theirs.fileno(), gre.fileno(), edge.fileno()]
        theirs.close()
        told = json.loads(ours.recv(65_536))
        assert process.wait(20) == 7
    assert told["arguments"][3:] == [str(descriptor) for descriptor in descriptors]


def test_no_process_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(FileNotFoundError):
        launch_worker(ours, theirs)
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before
