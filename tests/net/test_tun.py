import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import pytun

from pypptp.errors import NetworkError
from pypptp.net import tun as module
from pypptp.net.namespaces import Namespace
from pypptp.net.tun import LinuxTun, check_name


@pytest.fixture
def bare() -> Iterator[Namespace]:
    with Namespace("bare") as bare:
        yield bare


@pytest.mark.parametrize("name", ["", "a" * 16, "a/b", "a b", "a:b", "%d%d", "a%s", ".", "..", "ppp%"])
def test_names_the_kernel_would_not_take(name: str) -> None:
    with pytest.raises(NetworkError, match="no interface name"):
        check_name(name)


@pytest.mark.parametrize("name", ["ppp0", "a" * 15, "vpn%d", "t.1"])
def test_names(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    ("code", "cure"),
    [
        (errno.ENOENT, "modprobe tun"),
        (errno.ENODEV, "--device /dev/net/tun"),
        (errno.EPERM, "root"),
        (errno.EBUSY, "--ifname"),
        (errno.EINVAL, "--ifname"),
        (errno.EMFILE, "ulimit"),
        (errno.EIO, "cannot make a TUN device ppp0"),
        (None, "unknown error"),
    ],
)
def test_each_refusal_has_its_cure(code: int | None, cure: str) -> None:
    assert cure in module._sentence("ppp0", code)


def test_without_the_device_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "DEVICE", str(tmp_path / "tun"))
    with pytest.raises(NetworkError, match="modprobe tun"):
        LinuxTun(None)


@pytest.mark.netns
def test_units_and_descriptor(bare: Namespace) -> None:
    first, second = bare.run(lambda: LinuxTun(None)), bare.run(lambda: LinuxTun("ppp"))
    try:
        assert [first.name, second.name] == ["ppp0", "ppp1"]
        assert not os.get_inheritable(first.fd)
        assert not os.get_blocking(first.fd)
        first.close()
        first.close()
        assert first.fd == -1
        third = bare.run(lambda: LinuxTun(None))
        assert third.name == "ppp0"
        third.close()
    finally:
        first.close()
        second.close()


@pytest.mark.netns
def test_a_name_that_is_taken(bare: Namespace) -> None:
    tun = bare.run(lambda: LinuxTun("vpn7"))
    try:
        with pytest.raises(NetworkError, match=r"vpn7 already.*--ifname"):
            bare.run(lambda: LinuxTun("vpn7"))
        with pytest.raises(NetworkError, match="lo"):
            bare.run(lambda: LinuxTun("lo"))
    finally:
        tun.close()


def test_an_old_kernel_without_napi(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def old_kernel(name: str, flags: int, dev: str) -> object:
        calls.append(flags)
        if flags & 0x0010:
            raise pytun.Error(errno.EINVAL, "Invalid argument")
        return "device"

    class Old:
        IFF_TUN, IFF_NO_PI, IFF_TUN_EXCL, Error = 1, 0x1000, 0x8000, pytun.Error
        TunTapDevice = staticmethod(old_kernel)

    monkeypatch.setattr(module, "pytun", Old)
    assert module._open("ppp%d") == "device"
    assert calls == [0x1011, 0x1001]


def test_napi_settings_are_for_our_own_interface_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "sys/class/net/ppp0"
    folder.mkdir(parents=True)
    (folder / "ifalias").write_text("somebody else's\n")
    monkeypatch.setattr(module, "Path", lambda path: tmp_path / str(path).lstrip("/"))
    assert not module.tune_napi("ppp0", "pypptp 1 abcd")
    assert not (folder / "gro_flush_timeout").exists()
    (folder / "ifalias").write_text("pypptp 1 abcd\n")
    assert module.tune_napi("ppp0", "pypptp 1 abcd")
    assert (folder / "gro_flush_timeout").read_text() == "50000"
    assert (folder / "napi_defer_hard_irqs").read_text() == "2"
    assert not module.tune_napi("ppp1", "pypptp 1 abcd")
