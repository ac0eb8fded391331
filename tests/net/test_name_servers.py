"""Programs of the test's own stand in for resolvectl and resolvconf, and write down what they are told."""

from ipaddress import IPv4Address
from pathlib import Path

import pytest

from pypptp.errors import NetworkError
from pypptp.net import name_servers, resolv_conf
from pypptp.net.name_servers import means_for, unfile
from pypptp.net.records import NameServersFiled

SERVERS = (IPv4Address("192.168.0.1"), IPv4Address("192.168.0.2"))
STUB = "# This file is managed by man:systemd-resolved(8).\nnameserver 127.0.0.53\noptions edns0 trust-ad\n"


class Machine:
    """Where the programs are found, and what they were told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.programs = folder / "bin"
        self.programs.mkdir()
        self.told = folder / "told"
        self.resolv_conf = folder / "resolv.conf"
        self.resolv_conf.write_text("nameserver 192.0.2.53\n")

    def install(self, name: str, *, status: int = 0) -> Path:
        program = self.programs / name
        said = f'echo "{name} $*"' + (" $(cat)" if name == "resolvconf" else "")
        program.write_text(f"#!/bin/sh\n{{ {said}; }} >> '{self.told}'\necho 'it is not to be' >&2\nexit {status}\n")
        program.chmod(0o755)
        return program

    def lines(self) -> list[str]:
        return self.told.read_text().splitlines() if self.told.exists() else []


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path)
    monkeypatch.setenv("PATH", str(made.programs), prepend=":")
    monkeypatch.setattr(name_servers, "_PATH", str(made.programs))
    monkeypatch.setattr(name_servers, "RESOLVED_FOLDER", tmp_path / "resolve")
    monkeypatch.setattr(name_servers, "_FIRST_PROCESS", Path("/proc/thread-self/ns/net"))
    monkeypatch.setattr(resolv_conf, "RESOLV_CONF", made.resolv_conf)
    monkeypatch.setattr(resolv_conf, "STATE_FOLDER", tmp_path / "pypptp")
    return made


def words() -> list[str]:
    return [means.words for means in means_for("ppp0", instance="client")]


def test_the_file_where_there_is_nothing_else(machine: Machine) -> None:
    (means,) = means_for("ppp0", instance="client")
    assert (means.words, means.record) == (str(machine.resolv_conf), None)
    means.set(SERVERS)
    means.set(SERVERS[:1])
    assert machine.resolv_conf.read_text().splitlines()[2:] == ["nameserver 192.168.0.1"]
    means.take_back()
    means.take_back()
    assert machine.resolv_conf.read_text() == "nameserver 192.0.2.53\n"


@pytest.mark.parametrize("stub", ["link", "address"])
def test_resolved_where_programs_ask_it(machine: Machine, stub: str) -> None:
    machine.install("resolvectl")
    (machine.folder / "resolve").mkdir()
    assert words() == [str(machine.resolv_conf)]
    if stub == "link":
        (machine.folder / "resolve" / "stub-resolv.conf").write_text("")
        machine.resolv_conf.unlink()
        machine.resolv_conf.symlink_to(machine.folder / "resolve" / "stub-resolv.conf")
    else:
        machine.resolv_conf.write_text(STUB)
    assert words() == ["systemd-resolved", str(machine.resolv_conf)]
    means = means_for("ppp0", instance="client")[0]
    assert means.record is None
    means.set(SERVERS)
    means.take_back()
    assert machine.lines() == [
        "resolvectl dns ppp0 192.168.0.1 192.168.0.2",
        "resolvectl domain ppp0 ~.",
        "resolvectl revert ppp0",
    ]


def test_resolved_of_another_network_namespace_is_not_asked(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.install("resolvectl")
    (machine.folder / "resolve").mkdir()
    machine.resolv_conf.write_text(STUB)
    monkeypatch.setattr(name_servers, "_FIRST_PROCESS", tmp_path)
    assert words() == [str(machine.resolv_conf)]


def test_resolvconf_is_told_and_told_again(machine: Machine) -> None:
    machine.install("resolvconf")
    assert words() == ["resolvconf", str(machine.resolv_conf)]
    means = means_for("ppp0", instance="client")[0]
    assert means.record == NameServersFiled("ppp0.pypptp")
    means.set(SERVERS)
    means.take_back()
    unfile(NameServersFiled("ppp7.pypptp"))
    assert machine.lines() == [
        "resolvconf -a ppp0.pypptp nameserver 192.168.0.1 nameserver 192.168.0.2",
        "resolvconf -d ppp0.pypptp",
        "resolvconf -d ppp7.pypptp",
    ]


def test_a_resolvconf_that_is_resolvectl_is_none(machine: Machine) -> None:
    (machine.programs / "resolvconf").symlink_to(machine.install("resolvectl"))
    assert words() == [str(machine.resolv_conf)]


def test_a_program_that_fails_is_a_sentence(machine: Machine) -> None:
    machine.install("resolvconf", status=3)
    with pytest.raises(NetworkError, match="resolvconf failed: it is not to be"):
        means_for("ppp0", instance="client")[0].set(SERVERS)


def test_a_program_that_cannot_be_run_is_a_sentence(machine: Machine) -> None:
    machine.install("resolvconf").write_text("#!/nonexistent/interpreter\n")
    with pytest.raises(NetworkError, match="resolvconf cannot be run"):
        means_for("ppp0", instance="client")[0].set(SERVERS)


def test_a_resolvconf_that_is_gone_has_nothing_filed(machine: Machine) -> None:
    unfile(NameServersFiled("ppp0.pypptp"))
