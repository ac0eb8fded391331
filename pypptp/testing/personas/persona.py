"""What a persona is: a real peer, its habits, and what is known of them."""

from __future__ import annotations

from dataclasses import dataclass, field

from pypptp.endpoint import EndpointConfig
from pypptp.roles import Role
from pypptp.testing.dialogue import memory
from pypptp.testing.personas.habits import (
    AuthHabits,
    CcpHabits,
    ControlHabits,
    GreHabits,
    LcpHabits,
    NetworkHabits,
    Quirk,
)
from pypptp.testing.personas.play import PersonaPlay


@dataclass(frozen=True, slots=True, kw_only=True)
class Persona:
    """A ready-made peer. What is not on record for it is the common default, and ``note`` says what that concerns.

    Attributes:
        name: the peer.
        role: which end it is.
        quirks: what it does that others do not, each with its source.
        note: what is not on record.
        control: the control connection.
        gre: the tunnel.
        lcp: LCP.
        auth: authentication.
        ccp: CCP.
        network: IPCP and IPV6CP.
    """

    name: str
    role: Role
    quirks: tuple[Quirk, ...]
    note: str = ""
    control: ControlHabits = field(default_factory=ControlHabits)
    gre: GreHabits = field(default_factory=GreHabits)
    lcp: LcpHabits = field(default_factory=LcpHabits)
    auth: AuthHabits = field(default_factory=AuthHabits)
    ccp: CcpHabits = field(default_factory=CcpHabits)
    network: NetworkHabits = field(default_factory=NetworkHabits)

    def in_memory(
        self,
        user: str = memory.USER,
        password: str = memory.PASSWORD,
        *,
        config: EndpointConfig | None = None,
        target_password: str | None = None,
    ) -> PersonaPlay:
        """Play it with an endpoint of this project's, in the same process and under a simulated clock.

        Args:
            user: who logs in, the persona or the endpoint, whichever is the client.
            password: the persona's.
            config: the endpoint's settings.
            target_password: the endpoint's, where it is another one.
        """
        theirs = {user: password if target_password is None else target_password}
        if self.role is Role.CLIENT:
            play = PersonaPlay.against_server(theirs, config=config)
        else:
            play = PersonaPlay.against_client(user, theirs[user], config=config)
        return play.play_as(self, password)

    def call(self, address: str, port: int = 1723, *, user: str, password: str) -> PersonaPlay:
        """Play a client persona with a real server (Linux, root): one of your own."""
        return PersonaPlay.with_server(address, port, user=user, password=password).play_as(self, password)

    def serve(
        self, command: str, *, listen: str = "127.0.0.1", port: int = 1723, user: str, password: str
    ) -> PersonaPlay:
        """Play a server persona with a real client (Linux, root), started by ``command`` with ``{server}`` in it."""
        play = PersonaPlay.with_client(command, listen=listen, port=port, user=user, password=password)
        return play.play_as(self, password)
