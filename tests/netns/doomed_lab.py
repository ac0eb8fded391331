"""Programs that are killed at a moment of the test's choice, and have /run, /etc and /var/lib of their own."""

import os
import shutil
import signal
import sys
from pathlib import Path

from pypptp.net.forwarding import IPV4
from pypptp.testing.scenario import GATEWAY_PRIVATE, Hosts, Program, Warden

from .conftest import PATIENCE, Lab

DOOMED = [sys.executable, "-P", str(Path(__file__).with_name("doomed.py"))]
KILLED = -signal.SIGKILL
WHILE_STARTING = ("write:", "keep:1:", "put:1:")
"""Points that a program comes to before it is up; to the others on its way out."""
RESOLV_CONF = b"# by hand\nnameserver 192.0.2.53\nsearch example.test\noptions edns0"
"""Without a newline at its end: what comes back is to be the same to the octet."""


class DoomedLab(Lab):
    """A lab whose /run, /etc and /var/lib are folders of its own."""

    def __init__(self, hosts: Hosts, folder: Path, warden: Warden) -> None:
        # A hardened gateway that forwards by one interface alone: more for "exactly" to hold.
        hosts.gateway.run(lambda: (IPV4 / "conf/all/accept_redirects").write_text("0"))
        hosts.gateway.run(lambda: (IPV4 / "conf/eth1/forwarding").write_text("1"))
        self.etc = folder / "etc"
        self.etc.mkdir()
        for name in ("passwd", "group", "nsswitch.conf", "hosts"):
            if Path("/etc", name).exists():
                shutil.copy(Path("/etc", name), self.etc)
        self.resolv_conf = hosts.resolv = self.etc / "resolv.conf"
        self.resolv_conf.write_bytes(RESOLV_CONF)
        self.resolv_conf.chmod(0o640)
        os.utime(self.resolv_conf, (1_000_000_000, 1_000_000_000))
        self.var_lib = folder / "var_lib"
        self.var_lib.mkdir()
        super().__init__(hosts, folder, warden)
        self.run = folder / "run"
        self.run.mkdir()
        self.warden = warden
        self.folder = folder
        self.journals = self.run / "pypptp" / "journal"

    def run_command(self, host: str, *options: str, point: str = "never", run: str | None = None) -> Program:
        where = {namespace.label: namespace for namespace in self.hosts.all}[host]
        program = Program(
            options[0],
            where,
            [*DOOMED, run or str(self.run), point, *options],
            environment={key: value for key, value in os.environ.items() if key != "JOURNAL_STREAM"}
            | {"PYPPTP_PASSWORD": "builder" if "bob" in options else "wonder land"},
            folder=self.folder,
            warden=self.warden,
        )
        self._programs.append(program)
        return program

    def serve(self, *options: str, local: str = "192.168.0.1", point: str = "never") -> Program:
        arguments = ("server", "--local", local, "--secrets", "chap-secrets", *options)
        server = self.run_command("gateway", *arguments, point=point)
        if not point.startswith(WHILE_STARTING):
            server.await_line(lambda line: "listening on " in line or None, patience=PATIENCE)
        return server

    def dial(self, *options: str, point: str = "never", user: str = "alice") -> Program:
        arguments = ("client", "--server", str(GATEWAY_PRIVATE), "--user", user, *options)
        client = self.run_command("private", *arguments, point=point)
        if not point.startswith(WHILE_STARTING):
            client.await_line(lambda line: "up: " in line or None, patience=PATIENCE)
        return client

    def undo(
        self, host: str, *options: str, point: str = "never", elsewhere: bool = False
    ) -> tuple[int | None, list[str]]:
        """Run ``pypptp undo``; what it says of other namespaces comes with ``elsewhere`` alone."""
        command = self.run_command(host, "undo", *options, point=point)
        status = command.wait(PATIENCE)
        return status, [line for line in command.lines if elsewhere or "in another network namespace" not in line]

    def left_on(self, host: str, patience: float = 5.0) -> list[str]:
        return [line for line in self.hosts.changes_since(self.before, patience) if line.startswith(f"{host}: ")]

    def files(self) -> list[str]:
        """The journals of those that are no more."""
        alive = {program.pid for program in self._programs if program.status is None}
        names = [path.name for path in self.journals.iterdir()] if self.journals.exists() else []
        return sorted(name for name in names if int(name.partition("-")[0]) not in alive)


def die(program: Program, point: str) -> None:
    """Wait for a program to die at its point, which is on its way out for some."""
    if point == "never":
        assert program.stop(signal.SIGKILL) == KILLED
    elif point.startswith(WHILE_STARTING):
        assert program.wait(PATIENCE) == KILLED, program.lines
    else:
        assert program.stop(signal.SIGTERM, patience=PATIENCE) == KILLED, program.lines
