"""The four pairs: which program is the client, which the server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from .lab.topology import SERVER_ADDRESS, Machine
from .peers.pptp_linux import PptpLinux
from .peers.pptpd import Pptpd
from .peers.pypptp import PypptpClient, PypptpServer
from .peers.roles import Client, Server
from .peers.settings import PASSWORD, USER, Settings

Maker = Literal["real", "pypptp"]


@dataclass(frozen=True, slots=True)
class Pair:
    """A client and a server program."""

    name: str
    title: str
    client: Maker
    server: Maker

    def make_server(self, machine: Machine, settings: Settings, users: Mapping[str, str] | None = None) -> Server:
        """The pair's server, not started yet."""
        return (Pptpd if self.server == "real" else PypptpServer)(machine, settings, users)

    def make_client(self, machine: Machine, settings: Settings, user: str = USER, password: str = PASSWORD) -> Client:
        """The pair's client, not started yet."""
        if self.client == "pypptp":
            return PypptpClient(machine, SERVER_ADDRESS, settings, user, password)
        # Two pppds never come to stateful mode by themselves.
        filtered = settings.stateful and self.server == "real"
        return PptpLinux(machine, SERVER_ADDRESS, settings, user, password, filtered=filtered)


PAIRS = (
    Pair("pypptp-pptpd", "pypptp client, pptpd", "pypptp", "real"),
    Pair("pptplinux-pypptp", "pptp-linux, pypptp server", "real", "pypptp"),
    Pair("pypptp-pypptp", "pypptp client, pypptp server", "pypptp", "pypptp"),
    Pair("pptplinux-pptpd", "pptp-linux, pptpd (control)", "real", "real"),
)

CONTROL = PAIRS[3]
