"""The guest: a user-mode Linux (or an emulated machine, qemu.py), spoken to through the agent inside it.

The guest's only wire to the host is a tap device in a network namespace without a name that lives and dies with the
guest's own process, so a test run that is killed leaves neither interface nor namespace behind. The kernel also dies
with its starter (PR_SET_PDEATHSIG).
"""

from __future__ import annotations

import ctypes
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import qemu
from .build import Ingredients

AGENT_ADDRESS = "10.91.0.2"
HOST_ADDRESS = "10.91.0.1"
AGENT_PORT = 7000
MEMORY = "1G"
INTERFACE = "vec0"
BOOT_LIMIT_SECONDS = 60
STOP_LIMIT_SECONDS = 10
CLONE_NEWNET = 0x40000000
FOLDERS = Path("/tmp")
"""Where a guest's folder is made: a short path without blanks, for the kernel's command line."""
FOLDER_PREFIX = "pypptp-lab-"

MODULES = "tun veth bridge sch_netem ppp_generic ppp_async ppp_synctty ppp_mppe ppp_deflate bsd_comp"
"""Loaded at start; pptp.ko is left out, so that the guest answers GRE without a listener as a plain machine does."""

START = """\
ip link set lo up
ip link set {interface} up
ip address add {agent}/24 dev {interface}
for module in {modules}; do modprobe $module || echo "no module $module"; done
sysctl -q -w net.ipv4.ping_group_range='0 2147483647' kernel.printk='3 4 1 3'
{mounts}
mkdir -p /run/mounts
mount --bind /run/mounts /run/mounts
mount --make-private /run/mounts
python3 /lab/agent.py {agent} {port} &
# Orphans of the programs under test come to process 1: wait takes them in.
while :; do wait || :; done
"""


class GuestError(Exception):
    """The guest or its agent did not do what was asked."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a command line left: exit code (None when it ran past its limit), output and error output."""

    argv: tuple[str, ...]
    code: int | None
    out: str
    err: str

    def check(self) -> Result:
        """Itself, when the exit code is 0; GuestError otherwise."""
        if self.code != 0:
            raise GuestError(f"{shlex.join(self.argv)}: exit code {self.code}: {(self.err or self.out).strip()}")
        return self


@dataclass(frozen=True, slots=True)
class Transfer:
    """What came of a TCP transfer there and back: seconds each way (None: did not end), and whether the hashes
    agree.
    """

    octets: int
    up: float | None
    down: float | None
    same: bool
    problems: tuple[str, ...]

    def __str__(self) -> str:
        if not self.same or self.up is None or self.down is None:
            return f"{self.octets} octets: failed: {'; '.join(self.problems) or 'hashes differ'}"
        return f"{self.octets} octets up in {self.up:.2f} s, down in {self.down:.2f} s"


class Guest:
    """One running guest. Made by `boot`, ended by `stop`."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        self._process = process
        self._folder = folder
        self._own_namespace = os.open("/proc/self/ns/net", os.O_RDONLY)
        self.boot_seconds = 0.0

    @classmethod
    def boot(cls, ingredients: Ingredients, visible: Sequence[Path] = ()) -> Guest:
        """Start a guest that sees each folder of `visible` read-only at the same path; return once its agent answers.

        Raises GuestError when it does not within `BOOT_LIMIT_SECONDS` (an emulated one: `qemu.BOOT_LIMIT_SECONDS`).
        """
        remove_stale_folders()
        folder = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX, dir=FOLDERS))
        shutil.copy(Path(__file__).with_name("agent.py"), folder / "agent.py")
        emulated = ingredients.kind == "qemu"
        start = START.format(
            agent=AGENT_ADDRESS,
            port=AGENT_PORT,
            modules=MODULES,
            interface=qemu.INTERFACE if emulated else INTERFACE,
            mounts=qemu.mounts(visible) if emulated else mounts(visible),
        )
        (folder / "start").write_text(start)
        if emulated:
            kernel = qemu.command(ingredients.kernel, ingredients.rootfs, folder, visible, MEMORY)
        else:
            kernel = command(ingredients, folder)
        script = (
            "ip link set lo up && ip tuntap add tap0 mode tap vnet_hdr && ip link set tap0 up && "
            f"ip address add {HOST_ADDRESS}/24 dev tap0 && exec {shlex.join(kernel)}"
        )
        with (folder / "console").open("wb") as console:
            process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", "unshare", "--net", "sh", "-c", script],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd=folder,
            )
        guest = cls(process, folder)
        began = time.monotonic()
        try:
            guest._await_agent(qemu.BOOT_LIMIT_SECONDS if emulated else BOOT_LIMIT_SECONDS)
        except BaseException:
            guest.stop()
            raise
        guest.boot_seconds = time.monotonic() - began
        return guest

    def _await_agent(self, limit: float) -> None:
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise GuestError(f"the guest ended while it booted: {self._console_tail()}")
            try:
                self.run(["true"], limit=5).check()
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise GuestError(f"the guest's agent did not answer within {limit:.0f} s: {self._console_tail()}")

    def _console_tail(self) -> str:
        return " / ".join((self._folder / "console").read_text(errors="replace").splitlines()[-5:])

    def _connect(self, limit: float) -> socket.socket:
        """A connection to the agent, made from a thread inside the guest's host-side namespace."""
        made: list[socket.socket] = []
        failed: list[OSError] = []

        def connect() -> None:
            libc = ctypes.CDLL(None, use_errno=True)
            try:
                with Path(f"/proc/{self._process.pid}/ns/net").open("rb") as namespace:
                    # Until unshare has run, that is the host's own namespace, where this address is nobody of ours.
                    if os.path.sameopenfile(namespace.fileno(), self._own_namespace):
                        raise BlockingIOError("the guest has no namespace of its own yet")
                    if libc.setns(namespace.fileno(), CLONE_NEWNET) != 0:
                        code = ctypes.get_errno()
                        raise OSError(code, os.strerror(code))
                made.append(socket.create_connection((AGENT_ADDRESS, AGENT_PORT), timeout=limit))
            except OSError as error:
                failed.append(error)

        thread = threading.Thread(target=connect)
        thread.start()
        thread.join()
        if failed:
            raise failed[0]
        return made[0]

    def _ask(self, request: Mapping[str, Any], body: bytes = b"", limit: float = 30.0) -> tuple[dict[str, Any], bytes]:
        with self._connect(5.0) as connection:
            connection.settimeout(limit + 10.0)
            connection.sendall(json.dumps({**request, "size": len(body)}).encode() + b"\n" + body)
            with connection.makefile("rb") as stream:
                line = stream.readline()
                if not line:
                    raise GuestError(f"the agent closed the connection on {request['op']}")
                answer: dict[str, Any] = json.loads(line)
                data = stream.read(answer["size"])
        if "error" in answer:
            raise GuestError(f"{request['op']}: {answer['error']}")
        return answer, data

    def run(
        self,
        argv: Sequence[str],
        *,
        limit: float = 30.0,
        given: bytes = b"",
        environment: Mapping[str, str] | None = None,
    ) -> Result:
        """Run a command line in the guest to its end; `limit` in seconds, `given` is its standard input."""
        request = {"op": "run", "argv": list(argv), "limit": limit, "environment": dict(environment or {})}
        answer, data = self._ask(request, given, limit)
        out = data[: answer["out"]].decode(errors="replace")
        err = data[answer["out"] :].decode(errors="replace")
        return Result(tuple(argv), answer["code"], out, err)

    def shell(self, script: str, *, limit: float = 30.0) -> Result:
        """Run a shell script (`set -e`) in the guest."""
        return self.run(["sh", "-e", "-c", script], limit=limit)

    def start(self, argv: Sequence[str], log: str, environment: Mapping[str, str] | None = None) -> Program:
        """Start a program in the background, its output appended to the file `log` in the guest."""
        request = {"op": "start", "argv": list(argv), "log": log, "environment": dict(environment or {})}
        answer, _ = self._ask(request)
        return Program(self, answer["pid"], tuple(argv), log)

    def wait(self, pid: int, limit: float) -> int | None:
        """The exit code of a program started with `start` (negative: the signal), or None after `limit` seconds."""
        code: int | None = self._ask({"op": "wait", "pid": pid, "limit": limit}, limit=limit)[0]["code"]
        return code

    def kill(self, pids: Iterable[int], number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to processes of the guest, those that are already gone excepted."""
        self._ask({"op": "signal", "pids": list(pids), "signal": int(number)})

    def look(self, space: str) -> tuple[list[dict[str, Any]], list[int]]:
        """A network namespace's tunnels, and the states (as in /proc/net/tcp) of its TCP sockets of port 1723."""
        answer = self._ask({"op": "look", "space": space})[0]
        return answer["tunnels"], answer["sockets"]

    def processes(self, names: Sequence[str]) -> dict[str, dict[int, str]]:
        """The processes in each named network namespace: pid and command line."""
        found = self._ask({"op": "processes", "names": list(names)})[0]["found"]
        return {name: {int(pid): command for pid, command in each.items()} for name, each in found.items()}

    def transfer(self, source: str, target: str, address: str, octets: int, limit: float) -> Transfer:
        """Send random octets by TCP from machine `source` to `address` on machine `target`, and as many back."""
        request = {"op": "transfer", "source": source, "target": target, "address": address, "octets": octets}
        answer = self._ask({**request, "limit": limit}, limit=limit + 20)[0]
        return Transfer(octets, answer["up"], answer["down"], answer["same"] == [True, True], tuple(answer["problems"]))

    def syslog(self, path: str, log: str) -> None:
        """Take in what is logged to the socket `path`, in the file `log`."""
        self._ask({"op": "syslog", "path": path, "log": log})

    def get(self, path: str) -> bytes:
        """The contents of a file of the guest."""
        return self._ask({"op": "get", "path": path})[1]

    def put(self, path: str, content: bytes | str, mode: int = 0o644) -> None:
        """Write a file of the guest, its folders too."""
        body = content.encode() if isinstance(content, str) else content
        self._ask({"op": "put", "path": path, "mode": mode}, body)

    def stop(self) -> None:
        """Power off, kill what does not go, remove the session's folder."""
        if self._process.poll() is None:
            try:
                self._ask({"op": "off"}, limit=0.0)
            except (OSError, GuestError, ValueError):
                pass
        try:
            self._process.wait(STOP_LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        os.close(self._own_namespace)
        shutil.rmtree(self._folder, ignore_errors=True)


def mounts(visible: Sequence[Path]) -> str:
    """The script, for a user-mode Linux, that mounts the host's folders at the same paths."""
    return "\n".join(
        f"mkdir -p {path} && mount -r -t hostfs -o {path} hostfs {path}" for path in map(shlex.quote, map(str, visible))
    )


def command(ingredients: Ingredients, folder: Path) -> list[str]:
    """The command line that runs a user-mode Linux, in a network namespace that has tap0."""
    # A guest system call costs 16 us on one CPU and 70 where the host moves the guest's processes about. Which CPU is
    # left to chance, so that two runs at once do not share one for certain.
    allowed = sorted(os.sched_getaffinity(0))
    argv = ["taskset", "-c", str(allowed[os.getpid() % len(allowed)]), str(ingredients.kernel)]
    argv += ["umid=lab", f"uml_dir={folder}", f"mem={MEMORY}", "quiet", "panic=1"]
    argv += ["root=/dev/root", "rootfstype=hostfs", f"rootflags={ingredients.rootfs}", "ro", "init=/sbin/lab-init"]
    argv += ["con=null", "con0=null,fd:1", "ssl=null", "vec0:transport=tap,ifname=tap0,depth=64,gro=1", f"lab={folder}"]
    return argv


def remove_stale_folders() -> None:
    """Remove the folders of guests whose starter was killed before it could; the kernel leaves its pid in them."""
    for folder in FOLDERS.glob(f"{FOLDER_PREFIX}*"):
        try:
            pid = (folder / "lab" / "pid").read_text().strip()
            running = str(folder).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            running = time.time() - folder.stat().st_mtime < BOOT_LIMIT_SECONDS
        if not running:
            shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Program:
    """A program in the background of the guest."""

    guest: Guest
    pid: int
    argv: tuple[str, ...]
    log: str

    def wait(self, limit: float = 10.0) -> int | None:
        """Its exit code, or None when it still runs after `limit` seconds."""
        return self.guest.wait(self.pid, limit)

    def kill(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.guest.kill([self.pid], number)

    def output(self) -> str:
        """All it has written so far."""
        return self.guest.get(self.log).decode(errors="replace")

    def end(self, number: signal.Signals = signal.SIGTERM, limit: float = 10.0) -> int | None:
        """Signal it and wait; SIGKILL after `limit` seconds. The exit code, or None when it had to be killed."""
        self.kill(number)
        code = self.wait(limit)
        if code is None:
            self.kill(signal.SIGKILL)
            self.wait(limit)
        return code
