"""What a test asks of a server or a client, whichever program it is."""

from __future__ import annotations

from typing import Protocol

from ..lab.topology import Machine, Tunnel
from .settings import Settings


class Server(Protocol):
    """A PPTP server on a machine."""

    name: str
    machine: Machine
    settings: Settings

    def start(self) -> None:
        """Start and wait until it listens."""

    def end_call(self) -> None:
        """End every call in good order, as an administrator would."""

    def kill_call(self) -> None:
        """Take the program that runs the PPP link away without a word."""

    def kill(self) -> None:
        """Everything of the server dies at once (SIGKILL)."""

    def stop(self) -> None:
        """End calls and program in good order."""

    def tidy(self) -> None:
        """Remove what this program is known to leave behind."""

    def logs(self) -> dict[str, str]:
        """Name and text of its logs."""


class Client(Protocol):
    """A PPTP client on a machine."""

    name: str
    machine: Machine
    settings: Settings

    def start(self) -> None:
        """Start to connect."""

    def await_up(self, limit: float = 20.0) -> Tunnel | None:
        """The tunnel once it has addresses; None when the program ended or `limit` seconds went by."""

    def await_end(self, limit: float) -> int | None:
        """The exit code once the program has ended by itself, None after `limit` seconds."""

    def disconnect(self) -> int | None:
        """End the connection as its user would; the exit code."""

    def kill_link(self) -> None:
        """Take the program that runs the PPP link away without a word."""

    def kill(self) -> None:
        """Everything of the client dies at once (SIGKILL)."""

    def tidy(self) -> None:
        """Remove what this program is known to leave behind."""

    def name_servers(self) -> list[str] | None:
        """The name servers it wrote down for its machine; None where the program does no such thing."""

    def logs(self) -> dict[str, str]:
        """Name and text of its logs."""
