"""How a check reaches its target: real sockets, or, in this project's own tests, a machine in the same process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Protocol

from pypptp.errors import PptpError
from pypptp.roles import Role


class TargetSilent(PptpError):
    """The target cannot be reached, or never says a word."""


class ControlChannel(Protocol):
    """One TCP connection with the target.

    Attributes:
        near: our address.
        far: the target's.
        ports: our and its port.
    """

    near: IPv4Address
    far: IPv4Address
    ports: tuple[int, int]

    async def send(self, data: bytes) -> None:
        """Write all octets; waits for a target that does not read.

        Raises:
            ConnectionError: the connection is gone.
        """

    async def receive(self) -> bytes:
        """Return what came; nothing at the end of the stream, however it ended."""

    def close(self) -> None:
        """End the connection with FIN. Twice is no error."""

    def abort(self) -> None:
        """End the connection with RST."""


class GreChannel(Protocol):
    """A way to exchange GRE packets with the target from one of our addresses."""

    def send(self, datagram: bytes) -> None:
        """Send a packet, without its IP header."""

    def close(self) -> None:
        """Send and receive no more. Twice is no error."""


@dataclass(frozen=True, slots=True)
class ProgramEnd:
    """How a client under test ended.

    Attributes:
        status: its exit status, negative for a signal, None where it still runs.
        output: what it wrote.
    """

    status: int | None
    output: str


class Network(Protocol):
    """One check's way to the target.

    Attributes:
        target: which role the target has.
        sources: whether we have further addresses of our own to send from (on loopback: as many as we like).
    """

    target: Role
    sources: bool

    def source(self) -> IPv4Address | None:
        """Return an address of our own that nobody has used yet, None for the system's choice."""

    async def open(self, source: IPv4Address | None) -> ControlChannel:
        """Connect to a server, or start a client and take its connection.

        Raises:
            TargetSilent: nobody there.
        """

    def open_gre(
        self, near: IPv4Address, far: IPv4Address, receive: Callable[[bytes], None], *, foreign: bool = False
    ) -> GreChannel:
        """Exchange GRE packets.

        Args:
            near: our address.
            far: the target's.
            receive: takes every packet from the target, without its IP header.
            foreign: near is not the address of the control connection.

        Raises:
            NetworkError: the system lets us have no raw socket.
        """

    async def program_end(self, patience: float) -> ProgramEnd:
        """Wait for a client under test to end by itself."""

    async def end_program(self) -> None:
        """End a client under test, if there is one; the next ``open`` starts another."""

    async def close(self) -> None:
        """Let go of everything; a client under test is ended."""
