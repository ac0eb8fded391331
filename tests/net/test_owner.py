import os
import subprocess
import sys
from pathlib import Path

import pytest

from pypptp.net import owner
from pypptp.net.namespaces import Namespace
from pypptp.net.owner import NamespaceId, process_start, this_namespace, this_owner


def test_this_process() -> None:
    found = this_owner("client")
    assert (found.pid, found.start, found.instance) == (os.getpid(), process_start(os.getpid()), "client")
    assert found.boot == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert found.is_running()
    assert str(found) == f"pid {os.getpid()} (client)"


def test_a_name_with_brackets_and_spaces_does_not_shift_the_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    fields = " ".join(str(number) for number in range(4, 53))
    monkeypatch.setattr(Path, "read_text", lambda *args, **options: f"7 (a) b (c) S {fields}\n")
    assert process_start(7) == "22"


def test_a_process_that_is_no_more_and_its_number_given_again() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    start = process_start(process.pid)
    assert start is not None
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert process_start(process.pid) is None  # a zombie
    process.communicate()
    assert process_start(process.pid) is None


@pytest.mark.netns
def test_namespaces_differ_and_a_number_given_again_is_noticed() -> None:
    with Namespace("first") as first, Namespace("second") as second:
        found = [first.run(this_namespace), second.run(this_namespace), this_namespace()]
        assert len(set(found)) == 3
        assert found[0].inode == os.fstat(first.fileno()).st_ino
        assert found[0] == first.run(this_namespace)
        assert found[0].cookie != 0


def test_replaced() -> None:
    old = NamespaceId(4, 4026532000, 7)
    assert NamespaceId(4, 4026532000, 8).has_replaced(old)
    assert not old.has_replaced(old)
    assert not NamespaceId(4, 4026532001, 8).has_replaced(old)


def test_before_linux_5_14(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owner, "_SO_NETNS_COOKIE", 0x7FFF)
    assert this_namespace().cookie == 0


def test_without_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owner, "process_start", lambda pid: None)
    with pytest.raises(FileNotFoundError):
        this_owner("client")
