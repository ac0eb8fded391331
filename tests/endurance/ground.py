"""Where it happens: one network namespace with a real server and real TUNs, loads and floods on its loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pypptp.net.namespaces import Namespace
from pypptp.testing.scenario import Program, Warden

ROOT = Path(__file__).parents[2]
SERVER = "127.0.0.1"
PORT = 1723
USER, PASSWORD = "soaked", "a word for long runs"
PATIENCE = 30.0
PYPPTP = [sys.executable, "-P", "-m", "pypptp_cli"]
PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a server holds of the system at one moment.

    Attributes:
        descriptors: open files of its process.
        threads: of its process.
        children: processes it has started and not yet seen the end of.
        resident_kib: memory.
        tuns: interfaces named ppp in the namespace.
        routes: of its main table.
    """

    descriptors: int
    threads: int
    children: int
    resident_kib: int
    tuns: int
    routes: int

    def as_json(self) -> dict[str, int]:
        """Return it as one object."""
        return {name: getattr(self, name) for name in self.__slots__}


class Ground:
    """One server in one namespace.

    Attributes:
        namespace: where it is.
        server: the running server.
    """

    def __init__(self, stack: ExitStack, folder: Path, *options: str, pool: str = "192.168.0.0/16") -> None:
        self._folder = folder
        self.namespace = stack.enter_context(Namespace("ground"))
        self._warden = stack.enter_context(Warden())
        secrets = folder / "chap-secrets"
        secrets.write_text(f'{USER} * "{PASSWORD}" *\n', encoding="ascii")
        secrets.chmod(0o600)
        command = [*PYPPTP, "server", "--local", "192.168.0.1", "--remote", pool, "--listen", SERVER, "--nat", "none"]
        self.server = stack.enter_context(
            self.program("server", *command, "--secrets", "chap-secrets", "--log-level", "warning", *options)
        )
        self.await_server()

    def program(self, name: str, *arguments: str) -> Program:
        """Start a program in the namespace."""
        environment = {key: value for key, value in os.environ.items() if key != "JOURNAL_STREAM"}
        environment |= {"PYPPTP_PASSWORD": PASSWORD, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'cli'}"}
        return Program(
            name, self.namespace, arguments, environment=environment, folder=self._folder, warden=self._warden
        )

    def await_server(self) -> None:
        """Wait until the server takes a session."""
        report = self.load(sessions=1, hold=0.0, timeout=PATIENCE, patience=3 * PATIENCE, tries=20)
        assert report["released"] == 1, report

    def load(
        self, *, target: str = f"{SERVER}:{PORT}", patience: float = PATIENCE, tries: int = 1, **options: float
    ) -> dict[str, Any]:
        """Run ``pypptp load`` to its end, and return its report.

        Args:
            target: whom to load.
            patience: seconds it may take.
            tries: how often, until every session is established.
            options: its own options.
        """
        report: dict[str, Any] = {}
        for _ in range(tries):
            with self.start_load(target=target, **options) as process:
                said, complaints = process.communicate(timeout=patience)
            assert process.returncode in (0, 3), complaints
            report = json.loads(said)
            if report["established"] == report["requested"]:
                break
        return report

    def start_load(self, *, target: str = f"{SERVER}:{PORT}", **options: float) -> subprocess.Popen[str]:
        """Start ``pypptp load`` beside what comes next; its report is its stdout."""
        words = [f"--{name}={value:g}" for name, value in options.items()]
        command = [*PYPPTP, "load", target, "--user", USER, "--json", *words]
        environment = {**os.environ, "PYPPTP_PASSWORD": PASSWORD, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'cli'}"}
        return self.namespace.popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)

    def footprint(self) -> Footprint:
        """Look at the server's process and at its namespace."""
        process = Path(f"/proc/{self.server.pid}")
        status = dict(
            line.split(":", 1) for line in (process / "status").read_text(encoding="ascii").splitlines() if ":" in line
        )
        children = (process / f"task/{self.server.pid}/children").read_text(encoding="ascii").split()
        interfaces = self.namespace.run(lambda: Path("/proc/thread-self/net/dev").read_text(encoding="ascii"))
        routes = self.namespace.run(lambda: Path("/proc/thread-self/net/route").read_text(encoding="ascii"))
        return Footprint(
            descriptors=len(list((process / "fd").iterdir())),
            threads=int(status["Threads"]),
            children=len(children),
            resident_kib=int((process / "statm").read_text(encoding="ascii").split()[1]) * PAGE_KIB,
            tuns=sum(line.strip().startswith("ppp") for line in interfaces.splitlines()),
            routes=len(routes.splitlines()) - 1,
        )


@contextmanager
def ground(folder: Path, *options: str, pool: str = "192.168.0.0/16") -> Iterator[Ground]:
    """Make the ground, and end everything on it afterwards."""
    with ExitStack() as stack:
        yield Ground(stack, folder, *options, pool=pool)
