import errno
from pathlib import Path

import pytest

from pypptp.errors import NetworkError
from pypptp.net import forwarding
from pypptp.net.namespaces import Namespace
from pypptp.net.snapshot import take_snapshot

IPV4 = Path("/proc/sys/net/ipv4")


@pytest.mark.netns
def test_on_and_back_with_everything_the_kernel_changes_along(host: Namespace) -> None:
    def act() -> None:
        # A hardened host that forwards by one interface alone.
        (IPV4 / "conf/all/accept_redirects").write_text("0")
        (IPV4 / "conf/eth0/forwarding").write_text("1")
        before = take_snapshot()
        assert "ip_forward 0" in before
        assert "eth0/forwarding 1" in before
        state = forwarding.read_state()
        assert state.forwarding == "0"
        forwarding.enable()
        assert (IPV4 / "ip_forward").read_text().strip() == "1"
        forwarding.restore(state)
        assert take_snapshot() == before

    host.run(act)


@pytest.mark.netns
def test_the_namespace_of_the_calling_thread(host: Namespace) -> None:
    ours = (IPV4 / "ip_forward").read_text()
    host.run(forwarding.enable)
    assert host.run(forwarding.read_state).forwarding == "1"
    assert (IPV4 / "ip_forward").read_text() == ours


@pytest.mark.parametrize(
    ("code", "cure"), [(errno.EROFS, "--sysctl net.ipv4.ip_forward=1"), (errno.EACCES, "run as root")]
)
def test_refusals(monkeypatch: pytest.MonkeyPatch, code: int, cure: str) -> None:
    def refuse(*args: object, **options: object) -> int:
        raise OSError(code, "refused")

    monkeypatch.setattr(Path, "write_text", refuse)
    with pytest.raises(NetworkError, match=cure):
        forwarding.enable()


def test_without_proc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(forwarding, "IPV4", tmp_path)
    with pytest.raises(NetworkError, match="is /proc mounted"):
        forwarding.read_state()


def test_an_interface_that_went_away_is_no_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "conf/all").mkdir(parents=True)
    (tmp_path / "conf/all/accept_redirects").write_text("0\n")
    (tmp_path / "conf/eth0").mkdir()
    (tmp_path / "conf/eth0/forwarding").write_text("1\n")
    (tmp_path / "conf/empty").mkdir()
    (tmp_path / "ip_forward").write_text("0\n")
    monkeypatch.setattr(forwarding, "IPV4", tmp_path)
    state = forwarding.read_state()
    assert state.settings == {"all/accept_redirects": "0", "eth0/forwarding": "1"}
    (tmp_path / "conf/all/accept_redirects").write_text("1\n")
    (tmp_path / "conf/eth0/forwarding").unlink()
    forwarding.restore(state)
    assert (tmp_path / "conf/all/accept_redirects").read_text() == "0"
    assert not (tmp_path / "conf/eth0/forwarding").exists()
