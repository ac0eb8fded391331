import os
import subprocess
import sys
from pathlib import Path

import pytest

from pypptp.net import probe as module
from pypptp.net import tun
from pypptp.net.namespaces import Namespace
from pypptp.net.probe import probe
from pypptp.net.snapshot import take_snapshot

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.netns
def test_nothing_missing_and_nothing_changed() -> None:
    with Namespace("a") as namespace:
        before = namespace.run(take_snapshot)
        assert namespace.run(lambda: probe(namespaces=True)) == []
        assert namespace.run(probe) == []
        assert namespace.run(take_snapshot) == before


@pytest.mark.netns
def test_without_the_device(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tun, "DEVICE", str(tmp_path / "tun"))
    missing = probe(namespaces=True)
    assert len(missing) == 1
    assert "modprobe tun" in missing[0]


def test_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert probe() == ["this is not Linux: the server and the client run there only, the library everywhere"]


@pytest.mark.netns
def test_an_ordinary_user_gets_one_sentence() -> None:
    # Asked once as root, so that all is imported: the interpreter's and the project's folders may be closed to others.
    program = (
        "import os, pypptp.net.linux, pypptp.net.namespaces; from pypptp.net.probe import probe; probe(); "
        "os.setgid(65534); os.setuid(65534); print(probe())"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    # /dev/net/tun may be open to everybody; then two sentences become one all the same.
    assert done.stdout.count("run it as root") == 1
    assert done.stdout.count("',") == 0


def test_folding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert len(module._fold(["a: run as root", "b: run as root"])) == 1
    assert module._fold(["a: run as root"]) == ["a: run as root"]
    assert module._fold(["a", "a", "b: run as root"]) == ["a", "b: run as root"]
