"""The recipe people follow, with its files where and as they have them, on its three hosts.

private 10.100.100.2 ----- 10.100.100.1 gateway 203.0.113.1 ----- 203.0.113.2 public
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pypptp.net.namespaces import Namespace
from pypptp.testing.scenario import PUBLIC, Program, ping
from tests.conftest import ROOT, VECTORS

from .conftest import PATIENCE, PYPPTP, Lab

pytestmark = pytest.mark.netns

FILES = {
    "pptpd.conf": """option /etc/ppp/options.pptpd
logwtmp
localip 192.168.0.1
remoteip 192.168.0.234-238,192.168.0.245
""",
    "ppp/options.pptpd": """name pptpd
refuse-pap
refuse-chap
refuse-mschap
require-mschap-v2
require-mppe-128
proxyarp
lock
nobsdcomp
novj
novjccomp
nologfd
ms-dns 8.8.8.8
ms-dns 8.8.4.4
""",
    "ppp/chap-secrets": """# Secrets for authentication using CHAP
# client\tserver\tsecret\t\t\tIP addresses
root\tpptpd\t123456\t*
""",
}

SETUP = (
    *("setup", "--create", "test", "--server", "10.100.100.1"),
    *("--username", "root", "--password", "123456", "--encrypt"),
)
"""pptpsetup's line of the recipe, word for word behind the command's name."""

EVERYTHING = ("--default-route", "--bypass", "private")

IN_ITS_OWN_ETC = """set -e
mount --make-rprivate /
mount -t tmpfs -o size=64m none /mnt
cp -a /etc /mnt/etc
cp -a "$1"/. /mnt/etc/
mount --bind /mnt/etc /etc
shift
exec "$@"
"""
"""Runs a command in a mount namespace whose /etc has the files of a folder in it."""


MACHINE = """set -e
mount --make-rprivate /
mount -t tmpfs -o size=64m none /mnt
cp -a /etc /mnt/etc
mkdir -p /mnt/etc/ppp/peers
cp -a "$1"/. /mnt/etc/
mount --bind /mnt/etc /etc
mount -t tmpfs -o mode=755 none /run
echo ready
exec sleep 300
"""
"""A machine: /etc with the files of a folder in it, an empty /run, and processes that all end with it."""


class Machine:
    """A host whose /etc, /run and processes outlast a command: what is set up with one is found by the next."""

    def __init__(self, lab: Lab, host: Namespace, folder: Path) -> None:
        words = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", MACHINE, "sh"]
        self.host = host
        self._keeper = lab.start_command("machine", host, [*words, str(folder)])
        self._keeper.await_line(lambda line: "ready" in line or None, patience=PATIENCE)

    def _within(self, words: tuple[str, ...]) -> list[str]:
        spaces = Path(f"/proc/{self._keeper.pid}/ns")
        return ["nsenter", f"--mount={spaces / 'mnt'}", f"--pid={spaces / 'pid_for_children'}", "--", *words]

    def run(self, *words: str, patience: float = PATIENCE) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; output and errors together, as on a terminal."""
        process = self.host.popen(
            self._within(words),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        output, _ = process.communicate(timeout=patience)
        return subprocess.CompletedProcess(words, process.returncode, output)

    def write(self, path: str, text: str) -> None:
        """Write a file that is root's alone."""
        script = 'umask 077; mkdir -p "${1%/*}"; printf %s "$2" > "$1"'
        assert self.run("sh", "-c", script, "sh", path, text).returncode == 0

    def pypptp(self, *words: str) -> str:
        """Run one of pypptp's commands, which must do what it is asked to."""
        result = self.run(*PYPPTP, *words)
        assert result.returncode == 0, result.stdout
        return result.stdout

    def end(self) -> None:
        """End it and every process in it; its init, like any, takes no notice of SIGTERM."""
        self._keeper.stop(signal.SIGKILL)

    def listed(self) -> dict[str, str]:
        """What ``pypptp list`` says of each connection."""
        result = self.run("sh", "-c", f"{' '.join(PYPPTP)} list --json 2>/dev/null")
        return {row["name"]: row["state"] for row in json.loads(result.stdout)["connections"]}


@pytest.fixture
def private(lab: Lab, tmp_path: Path) -> Iterator[Machine]:
    """The host without a public address; its pppd was installed, so that it has a chap-secrets."""
    folder = tmp_path / "private"
    (folder / "ppp").mkdir(parents=True)
    header = FILES["ppp/chap-secrets"].splitlines(keepends=True)[:2]
    (folder / "ppp/chap-secrets").write_text("".join(header))
    (folder / "ppp/chap-secrets").chmod(0o600)
    machine = Machine(lab, lab.hosts.private, folder)
    yield machine
    machine.end()


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    folder = tmp_path / "etc"
    (folder / "ppp").mkdir(parents=True)
    for name, text in FILES.items():
        (folder / name).write_text(text)
    (folder / "ppp/chap-secrets").chmod(0o600)
    return folder


def in_etc(etc: Path, *words: str) -> list[str]:
    return ["unshare", "--mount", "sh", "-c", IN_ITS_OWN_ETC, "sh", str(etc), *PYPPTP, *words]


def serve(lab: Lab, etc: Path) -> Program:
    server = lab.start_command("server", lab.hosts.gateway, in_etc(etc, "server", "--config", "/etc/pptpd.conf"))
    server.await_line(lambda line: "listening on " in line or None, patience=PATIENCE)
    return server


def test_the_old_files_serve_as_they_are(lab: Lab, etc: Path) -> None:
    server = serve(lab, etc)
    said = "\n".join(server.lines)
    assert "/etc/pptpd.conf:2: 'logwtmp' has no effect, which does not matter" in said
    assert said.count("lock") == 1
    assert "192.168.0.1 for 6 clients" in said
    client, network = lab.connected("--default-route", "--bypass", "private", user="root", password="123456")
    assert (str(network.local), str(network.peer), network.strength) == ("192.168.0.234", "192.168.0.1", 128)
    # It warns and goes on, as pppd does.
    assert any("no proxy ARP for 192.168.0.234: no local network holds this address" in line for line in server.lines)
    assert ping(lab.hosts.private, PUBLIC).received == 4
    assert client.stop() == 0
    assert server.stop() == 0, server.lines
    assert lab.left_behind() == []


def test_a_user_who_is_added_gets_in_without_a_restart(lab: Lab, etc: Path) -> None:
    # The file is the test's own: the namespace's copy of /etc is out of reach.
    secrets = etc.parent / "users"
    secrets.write_text("root pptpd 123456 *\n")
    secrets.chmod(0o600)
    words = in_etc(etc, "server", "--config", "/etc/pptpd.conf", "--secrets", str(secrets))
    server = lab.start_command("server", lab.hosts.gateway, words)
    server.await_line(lambda line: "listening on " in line or None, patience=PATIENCE)
    first, network = lab.connected(user="root", password="123456")
    user = [*PYPPTP, "user", "add", "bob", "--secrets", str(secrets), "--nt-hash", "--address", "192.168.0.250"]
    subprocess.run(user, input=b"builder-of-things\n", check=True, capture_output=True)
    os.kill(server.pid, signal.SIGHUP)
    server.await_line(lambda line: "read again: users now 2, before 1" in line or None, patience=PATIENCE)
    _, second = lab.connected(user="bob", password="builder-of-things")
    assert str(second.local) == "192.168.0.250"
    assert ping(lab.hosts.gateway, network.local, count=2).received == 2
    assert first.status is None


def test_check_and_convert_on_the_same_files(lab: Lab, etc: Path, tmp_path: Path) -> None:
    def run(*words: str) -> Callable[[], subprocess.CompletedProcess[str]]:
        return lambda: subprocess.run(in_etc(etc, *words), capture_output=True, text=True, timeout=60, check=False)

    checked = lab.hosts.gateway.run(run("check", "--json", "/etc/pptpd.conf"))
    assert checked.returncode == 0, checked.stderr
    found = [(entry["file"], entry["line"], entry["level"]) for entry in json.loads(checked.stdout)["findings"]]
    assert found == [
        ("/etc/pptpd.conf", 2, "info"),
        ("/etc/ppp/options.pptpd", 8, "info"),
        ("/etc/ppp/chap-secrets", 3, "warning"),
    ]
    converted = lab.hosts.gateway.run(run("convert"))
    assert converted.returncode == 0, converted.stderr
    (tmp_path / "pypptp.toml").write_text(converted.stdout)
    words = in_etc(etc, "server", "--config", str(tmp_path / "pypptp.toml"))
    server = lab.start_command("server", lab.hosts.gateway, words)
    server.await_line(lambda line: "192.168.0.1 for 6 clients" in line or None, patience=PATIENCE)
    _, network = lab.connected(user="root", password="123456")
    assert network.strength == 128


def test_the_whole_recipe(lab: Lab, etc: Path, private: Machine) -> None:
    server = serve(lab, etc)
    assert ping(lab.hosts.private, PUBLIC, count=1).received == 0

    private.pypptp(*SETUP)
    for name, path in (("test", "/etc/ppp/peers/test"), ("chap-secrets", "/etc/ppp/chap-secrets")):
        written = private.run("cat", path).stdout
        assert written == (VECTORS / "pptpsetup/recipe" / name).read_text()

    began = time.monotonic()
    said = private.pypptp("call", "test", "--detach", *EVERYTHING)
    assert "MS-CHAPv2" in said
    assert time.monotonic() - began < PATIENCE
    assert private.listed() == {"test": "connected"}
    assert ping(lab.hosts.private, PUBLIC, count=4).received == 4
    server.await_line(lambda line: "user 'root'" in line or None, patience=PATIENCE)

    again = private.run(*PYPPTP, "call", "test", "--detach")
    assert (again.returncode, "'test' is connected or connecting already" in again.stdout) == (2, True)

    assert "'test' hung up" in private.pypptp("hangup", "test")
    assert private.listed() == {"test": "down"}
    assert ping(lab.hosts.private, PUBLIC, count=1).received == 0
    assert server.stop() == 0, server.lines
    assert lab.left_behind() == []


def test_setup_that_starts_at_once_and_delete(lab: Lab, etc: Path, private: Machine) -> None:
    serve(lab, etc)
    private.pypptp(*SETUP, "--start")
    assert private.listed() == {"test": "connected"}
    private.pypptp("hangup", "test")
    private.pypptp("setup", "--delete", "test")
    assert private.listed() == {}
    assert private.run("cat", "/etc/ppp/chap-secrets").stdout.count("\n") == 2


def test_a_call_that_fails_says_why_and_ends_with_pppds_number(lab: Lab, etc: Path, private: Machine) -> None:
    serve(lab, etc)
    wrong = [word if word != "123456" else "654321" for word in SETUP]
    private.pypptp(*wrong)
    for detach in ((), ("--detach",)):
        result = private.run(*PYPPTP, "call", "test", *detach)
        assert result.returncode == 19, result.stdout
        assert result.stdout.splitlines()[-1].startswith("pypptp: ")
    assert private.listed() == {"test": "down"}


def test_a_detached_call_outlives_its_caller_and_goes_with_the_server(lab: Lab, etc: Path, private: Machine) -> None:
    server = serve(lab, etc)
    private.pypptp(*SETUP, "--start")
    assert server.stop() == 0, server.lines
    deadline = time.monotonic() + PATIENCE
    while private.listed() != {"test": "down"} and time.monotonic() < deadline:
        time.sleep(0.2)
    assert private.listed() == {"test": "down"}
    # No syslog here, so what it had to say last is in a file.
    assert "ERROR" in private.run("cat", "/run/pypptp/log/test.log").stdout


NETWORK_MANAGERS = """[connection]
id=Head office
type=vpn

[vpn]
gateway=10.100.100.1
password-flags=0
refuse-eap=yes
require-mppe-128=yes
user=root
service-type=org.freedesktop.NetworkManager.pptp

[vpn-secrets]
password=123456

[ipv4]
method=auto
"""


def test_a_connection_of_network_managers(lab: Lab, etc: Path, private: Machine) -> None:
    serve(lab, etc)
    folder = "/etc/NetworkManager/system-connections"
    private.write(f"{folder}/office.nmconnection", NETWORK_MANAGERS)
    private.pypptp("call", "Head office", "--detach")
    assert private.listed() == {"Head office": "connected"}
    # It is the default route and the name servers, as NetworkManager has it where nothing else is said.
    assert ping(lab.hosts.private, PUBLIC, count=2).received == 2
    assert "nameserver 8.8.8.8" in private.run("cat", "/etc/resolv.conf").stdout
    private.pypptp("hangup", "Head office")
    assert private.listed() == {"Head office": "down"}
    assert "8.8.8.8" not in private.run("cat", "/etc/resolv.conf").stdout


ROWS = {
    "`localip`, `remoteip` in `/etc/pptpd.conf`, the options file it names": test_the_old_files_serve_as_they_are,
    "a line in `/etc/ppp/chap-secrets`": test_a_user_who_is_added_gets_in_without_a_restart,
    "`net.ipv4.ip_forward`, `iptables ... MASQUERADE`": test_the_old_files_serve_as_they_are,
    "`systemctl start pptpd`": test_the_old_files_serve_as_they_are,
    "`pptpsetup --create test --server HOST ...`": test_the_whole_recipe,
    "`pptpsetup ... --start`, `pptpsetup --delete test`": test_setup_that_starts_at_once_and_delete,
    "`pppd call test`": test_the_whole_recipe,
    "seven `route add` lines": test_the_whole_recipe,
}
"""Each row of the README's table, and the test that goes through that step."""


def test_every_row_of_the_readme_has_its_test() -> None:
    table = (ROOT / "README.md").read_text().partition("| the recipe | here |\n|---|---|\n")[2].partition("\n\n")[0]
    assert re.findall(r"^\| (.*?) \| ", table, re.MULTILINE) == list(ROWS)
