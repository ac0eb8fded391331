"""``pypptp server --run-as USER``: a server without rights, and the process of root's that holds its network.

private 10.100.100.2 ----- 10.100.100.1 gateway 203.0.113.1 ----- 203.0.113.2 public
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest

from pypptp.aio.words import NetworkFacts
from pypptp.testing.scenario import GATEWAY_PRIVATE, PUBLIC, Program, ping

from .conftest import PATIENCE, Lab

pytestmark = pytest.mark.netns

USER = "nobody"
ROOT = Path(__file__).parents[2]


def _python() -> str:
    """Return a Python that this user may run, empty for none: the one in use may be in root's home."""
    setpriv, library = shutil.which("setpriv"), sysconfig.get_path("purelib")
    for candidate in (sys.executable, shutil.which("python3", path="/usr/bin:/bin") or ""):
        code = "import os, pypptp.net.linux, rich, sys; sys.exit(not os.access(sys.executable, os.R_OK))"
        trial = [candidate, "-P", "-c", code]
        if setpriv is None or not candidate:
            continue
        done = subprocess.run(
            [setpriv, f"--reuid={USER}", "--clear-groups", *trial],
            env={"PYTHONPATH": os.pathsep.join([library, str(ROOT), str(ROOT / "cli")])},
            check=False,
            capture_output=True,
            cwd="/",
        )
        if done.returncode == 0:
            return candidate
    return ""


PYTHON = _python() if os.geteuid() == 0 else ""


def doomed(run: Path, *words: str) -> list[str]:
    path = os.pathsep.join([sysconfig.get_path("purelib"), str(ROOT), str(ROOT / "cli")])
    program = str(Path(__file__).with_name("doomed.py"))
    return ["env", f"PYTHONPATH={path}", PYTHON, "-P", program, str(run), "never", *words]


@pytest.fixture(autouse=True)
def possible() -> None:
    if not PYTHON:
        pytest.skip(f"no Python here that {USER} may run")


class Separated:
    """A server of two processes, with a /run of its own."""

    def __init__(self, lab: Lab, folder: Path, *options: str) -> None:
        self.lab = lab
        self.run = folder / "run"
        self.run.mkdir(exist_ok=True)
        self.program = self._start(*options)
        self.program.await_line(lambda line: "listening on" in line or None, patience=PATIENCE)
        self.helper = self.program.await_line(_helper, patience=1.0)

    def _start(self, *options: str) -> Program:
        words = ["server", "--local", "192.168.0.1", "--secrets", "chap-secrets", "--run-as", USER, *options]
        return self.lab.start_command("server", self.lab.hosts.gateway, doomed(self.run, *words))

    def again(self, *options: str) -> None:
        self.program = self._start(*options)
        self.program.await_line(lambda line: "listening on" in line or None, patience=PATIENCE)

    def pypptp(self, *words: str) -> str:
        command = doomed(self.run, *words)
        done = self.lab.hosts.gateway.run(
            lambda: subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
        )
        return done.stdout


def _helper(line: str) -> int | None:
    words = line.split()
    return int(words[words.index("process") + 1]) if f"running as {USER}; process" in line else None


def status_of(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def descriptors_of(pid: int) -> list[str]:
    found = []
    for path in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(path.readlink())
        except FileNotFoundError:
            continue
        found.append(target.partition(":")[0] if target.startswith(("socket:", "pipe:", "anon_inode:")) else target)
    return sorted(found)


def gone(pid: int) -> bool:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            if status_of(pid)["State"].startswith("Z"):
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.02)
    return False


def connected(lab: Lab) -> NetworkFacts:
    _, network = lab.connected("--default-route", "--bypass", "private")
    return network


def has_no_rights(pid: int) -> None:
    status = status_of(pid)
    uid = str(pwd.getpwnam(USER).pw_uid)
    assert status["Uid"].split() == [uid] * 4
    assert "0" not in status["Gid"].split()
    assert status["Groups"] == ""
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[name], 16) == 0, name
    assert status["NoNewPrivs"] == "1"


@pytest.mark.parametrize("workers", ["1", "2"])
def test_traffic_without_rights(lab: Lab, tmp_path: Path, workers: str) -> None:
    server = Separated(lab, tmp_path, "--workers", workers)
    network = connected(lab)
    assert (network.strength, str(network.peer)) == (128, "192.168.0.1")
    assert ping(lab.hosts.private, PUBLIC).received == 4
    assert ping(lab.hosts.gateway, network.local, count=2).received == 2
    children = children_of(server.program.pid)
    assert server.helper in children
    assert len(children) == (1 if workers == "1" else 3)
    for pid in [server.program.pid, *children]:
        if pid != server.helper:
            has_no_rights(pid)
    assert status_of(server.helper)["Uid"].split() == ["0"] * 4
    # The TUN is with whoever carries the session, and with the helper that takes it away; nobody else has it.
    holders = [pid for pid in [server.program.pid, *children] if "/dev/net/tun" in descriptors_of(pid)]
    assert len(holders) == 2
    assert server.helper in holders
    # The secrets file is open nowhere.
    for pid in [server.program.pid, *children]:
        assert not [name for name in descriptors_of(pid) if "secrets" in name]
    assert server.program.stop() == 0, server.program.lines
    assert gone(server.helper)
    assert lab.left_behind() == []
    assert [path for path in server.run.rglob("*") if not path.is_dir()] == []


def test_what_the_helper_has_open(lab: Lab, tmp_path: Path) -> None:
    server = Separated(lab, tmp_path)
    # stdin and stdout; stderr and the channel; the journal and its folder; the NAT table's netlink socket.
    found = descriptors_of(server.helper)
    assert found.count("/dev/null") == 2
    assert not [name for name in found if "chap-secrets" in name]
    assert [name for name in found if name.endswith(".journal")] != []
    assert server.program.stop() == 0


def test_a_reload_reads_what_only_root_may_read(lab: Lab, tmp_path: Path) -> None:
    server = Separated(lab, tmp_path)
    assert (tmp_path / "chap-secrets").stat().st_uid == 0
    password = tmp_path / "carols-own"
    password.write_text("looking-glass\n")
    password.chmod(0o600)
    with (tmp_path / "chap-secrets").open("a") as secrets:
        secrets.write(f"carol * @{password} 192.168.0.250\n")
    os.kill(server.program.pid, signal.SIGHUP)
    server.program.await_line(lambda line: "read again: users now 3, before 2" in line or None, patience=PATIENCE)
    _, network = lab.connected(user="carol", password="looking-glass")
    # An address of her own outside the pool: the helper knows of it since it read the file itself.
    assert str(network.local) == "192.168.0.250"
    # The client is up first: only then has the server its own end to make.
    server.program.await_line(lambda line: "user 'carol' up: " in line or None, patience=PATIENCE)
    assert ping(lab.hosts.gateway, network.local, count=2).received == 2


def test_the_control_socket_answers_root(lab: Lab, tmp_path: Path) -> None:
    server = Separated(lab, tmp_path)
    lab.connected()
    assert "alice" in server.pypptp("sessions")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_server_is_killed_and_the_helper_takes_everything_back(lab: Lab, tmp_path: Path, workers: str) -> None:
    server = Separated(lab, tmp_path, "--workers", workers)
    connected(lab)
    assert server.program.stop(signal.SIGKILL) == -signal.SIGKILL
    assert gone(server.helper)
    left = [line for line in lab.left_behind() if line.startswith("gateway: ")]
    assert left == []
    assert list((server.run / "pypptp" / "journal").iterdir()) == []


def test_the_helper_is_killed_and_the_next_start_takes_everything_back(lab: Lab, tmp_path: Path) -> None:
    server = Separated(lab, tmp_path)
    connected(lab)
    os.kill(server.helper, signal.SIGKILL)
    assert server.program.wait(PATIENCE) == 1
    assert "the process that holds the network has ended" in server.program.last_line
    left = lab.hosts.changes_since(lab.before, patience=0.5)
    assert any("forward" in line for line in left)
    server.again("--nat", "none")
    server.program.await_line(
        lambda line: "took back what was left behind: IPv4 forwarding on" in line or None, patience=1.0
    )
    assert server.program.stop() == 0
    assert lab.left_behind() == []


def test_no_such_user(lab: Lab, tmp_path: Path) -> None:
    words = ["server", "--local", "192.168.0.1", "--secrets", "chap-secrets", "--run-as", "nobody-of-this-name"]
    server = lab.start("server", lab.hosts.gateway, *words)
    assert server.wait(PATIENCE) == 2
    assert "run-as: there is no user 'nobody-of-this-name'; 'systemd-sysusers' or" in server.last_line
    assert lab.left_behind() == []


def test_secrets_that_are_wrong_are_said_as_ever(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "chap-secrets").chmod(0o644)
    words = ["server", "--local", "192.168.0.1", "--secrets", "chap-secrets", "--run-as", USER]
    server = lab.start_command("server", lab.hosts.gateway, doomed(tmp_path, *words))
    assert server.wait(PATIENCE) == 2
    assert "others have access to it (mode 644)" in server.last_line
    assert str(GATEWAY_PRIVATE) not in server.last_line


UNIT = ROOT / "packaging" / "systemd" / "pypptp.service"
# MemoryDenyWriteExecute= for this process and all it starts (Linux 6.3); systemd does it with seccomp.
NO_NEW_CODE = "import ctypes, os, sys; ctypes.CDLL(None).prctl(65, 1, 0, 0, 0); os.execvp(sys.argv[1], sys.argv[1:])"


def test_with_what_the_unit_leaves_it(lab: Lab, tmp_path: Path) -> None:
    lines = UNIT.read_text(encoding="utf-8").splitlines()
    (bounding,) = [line.partition("=")[2] for line in lines if line.startswith("CapabilityBoundingSet=")]
    kept = ",".join(f"+{name.removeprefix('CAP_').lower()}" for name in bounding.split())
    assert "--run-as ${RUN_AS}" in "".join(lines)
    words = ["server", "--local", "192.168.0.1", "--secrets", "chap-secrets", "--run-as", USER, "--workers", "2"]
    # /run is mounted with all rights, as systemd does.
    whole = doomed(tmp_path / "run", *words)
    (tmp_path / "run").mkdir()
    mounted = whole[: whole.index("server")]
    limited = ["setpriv", f"--bounding-set=-all,{kept}", "--inh-caps=-all", "--no-new-privs"]
    script = 'mount --make-rprivate / && mount --bind "$0" /run && exec "$@"'
    python = [*mounted[: mounted.index("-P")], "-P"]
    command = [
        *("unshare", "--mount", "sh", "-c", script, str(tmp_path / "run")),
        *limited,
        *(sys.executable, "-c", NO_NEW_CODE),
        *python,
        *("-m", "pypptp_cli"),
        *words,
    ]
    server = lab.start_command("server", lab.hosts.gateway, command)
    server.await_line(lambda line: "listening on" in line or None, patience=PATIENCE)
    helper = server.await_line(_helper, patience=1.0)
    connected(lab)
    assert ping(lab.hosts.private, PUBLIC, count=2).received == 2
    for pid in [server.pid, *children_of(server.pid)]:
        status = status_of(pid)
        assert (int(status["CapEff"], 16) == 0) == (pid != helper)
        assert status["NoNewPrivs"] == "1"
    assert server.stop() == 0, server.lines
    assert lab.left_behind() == []
