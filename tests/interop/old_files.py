"""Servers and clients that go by the files of the old recipe, where they have always been.

The server's are /etc/pptpd.conf, Debian's own /etc/ppp/pptpd-options and a line of /etc/ppp/chap-secrets; the client's
are what pptpsetup writes, or ``pypptp setup`` in its place. Whoever reads them, they are the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from .lab.topology import SERVER_ADDRESS, Machine
from .pairs import Pair
from .peers.pptp_linux import PptpLinux
from .peers.pptpd import Pptpd
from .peers.pypptp import COMMAND, PypptpClient, PypptpServer
from .peers.roles import Client, Server
from .peers.settings import INNER_SERVER, PASSWORD, POOL_FIRST, TUNNEL_NAME, USER, Settings, pool_last

Writer = Literal["pptpsetup", "pypptp setup"]


def write_server_files(machine: Machine, users: dict[str, str], pool: int) -> None:
    """Write the server's files; /etc/pptpd.conf is the machine's own until `remove_server_files`."""
    last = pool_last(pool).rpartition(".")[2]
    path = machine.write(
        "pptpd.conf",
        f"option /etc/ppp/pptpd-options\nlogwtmp\nlocalip {INNER_SERVER}\nremoteip {POOL_FIRST}-{last}\n",
    )
    secrets = "".join(f"{user} pptpd {password} *\n" for user, password in users.items())
    machine.write("ppp/chap-secrets", f"# client\tserver\tsecret\t\t\tIP addresses\n{secrets}", 0o600)
    machine.shell(f"mount --bind {path} /etc/pptpd.conf").check()


def remove_server_files(machine: Machine) -> None:
    """Give the machine the guest's /etc/pptpd.conf back."""
    machine.run(["umount", "/etc/pptpd.conf"])


def write_client_files(machine: Machine, writer: Writer, server: str, user: str, password: str) -> None:
    """Have the connection set up, by the words of the recipe."""
    command = ["pptpsetup"] if writer == "pptpsetup" else [COMMAND, "setup"]
    words = ["--create", TUNNEL_NAME, "--server", server, "--username", user, "--password", password, "--encrypt"]
    machine.run([*command, *words], limit=60).check()


class OldFilesPptpd(Pptpd):
    """`pptpd`, as `systemctl start pptpd` starts it."""

    def start(self) -> None:
        """Write the files, start it, wait until it listens."""
        write_server_files(self.machine, self.users, self.settings.pool)
        self._daemon = self.machine.start(["pptpd", "--fg"], "pptpd.out")
        self._await_listening()

    def tidy(self) -> None:
        """Remove the files besides."""
        super().tidy()
        remove_server_files(self.machine)


class OldFilesPypptpServer(PypptpServer):
    """`pypptp server --config /etc/pptpd.conf`."""

    def start(self) -> None:
        """Write the files, start it, wait until it listens."""
        write_server_files(self.machine, self.users, self.settings.pool)
        # The guest's kernel has no IPv4 nf_tables.
        argv = [COMMAND, "server", "--config", "/etc/pptpd.conf", "--nat", "none"]
        self._program = self.machine.start(argv, "pypptp-server.log")
        self._await_listening()

    def tidy(self) -> None:
        """Remove the files."""
        super().tidy()
        remove_server_files(self.machine)


class OldFilesPptpLinux(PptpLinux):
    """`pppd call lab`, in the foreground."""

    writer: Writer = "pptpsetup"

    def start(self) -> None:
        """Have the connection set up, start pppd."""
        write_client_files(self.machine, self.writer, self.server, self.user, self.password)
        self._pppd = self.machine.start(
            ["pppd", "call", TUNNEL_NAME, "nodetach", "debug", "logfile", self.machine.path("pppd.log")], "pppd.out"
        )


class OldFilesPypptpClient(PypptpClient):
    """`pypptp call lab`, in the foreground."""

    writer: Writer = "pptpsetup"

    def start(self) -> None:
        """Have the connection set up, start to connect."""
        write_client_files(self.machine, self.writer, self.server, self.user, self.password)
        self._program = self.machine.start([COMMAND, "call", TUNNEL_NAME], "pypptp-client.log")

    def disconnect(self) -> int | None:
        """`pypptp hangup lab`; the exit code of the call, which must be 0."""
        self.machine.run([COMMAND, "hangup", TUNNEL_NAME], limit=60).check()
        return self.program.wait(10)


@dataclass(frozen=True, slots=True)
class OldFilesPair(Pair):
    """A pair that goes by the old files; the writer is who sets the client up."""

    writer: Writer = "pptpsetup"

    def make_server(self, machine: Machine, settings: Settings, users: Mapping[str, str] | None = None) -> Server:
        """The pair's server, not started yet."""
        return (OldFilesPptpd if self.server == "real" else OldFilesPypptpServer)(machine, settings, users)

    def make_client(self, machine: Machine, settings: Settings, user: str = USER, password: str = PASSWORD) -> Client:
        """The pair's client, not started yet."""
        kind = OldFilesPptpLinux if self.client == "real" else OldFilesPypptpClient
        client = kind(machine, SERVER_ADDRESS, settings, user, password)
        client.writer = self.writer
        return client
