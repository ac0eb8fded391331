"""Two PPP links joined in memory, with a shell that answers their questions and a path that can be tampered with."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address
from typing import Any, TypeVar

from pypptp.mppe.keys import Strength
from pypptp.ppp.auth import Secret
from pypptp.ppp.config import LinkConfig, MppePolicy
from pypptp.ppp.events import AddressWanted, Encryption, LinkClosed, LinkEvent, NetworkUp, SecretWanted
from pypptp.ppp.link import Link, Phase
from pypptp.ppp.packet import ControlPacket, parse_packet
from pypptp.ppp.protocols import ADDRESS_CONTROL, Protocol, split_frame
from pypptp.roles import Role
from tests.mppe.frames import plaintext
from tests.ppp.driving import configure, seeded

LCP, CCP, IPCP, CHAP, PAP = Protocol.LCP, Protocol.CCP, Protocol.IPCP, Protocol.CHAP, Protocol.PAP
SERVER, CLIENT = Role.SERVER, Role.CLIENT
BOTH = (SERVER, CLIENT)
REQUIRE, PREFER, DENY = MppePolicy.REQUIRE, MppePolicy.PREFER, MppePolicy.DENY
CLEAR = {"mppe": DENY}
STRONGEST = Encryption(Strength.BITS_128, True)
LOCAL = IPv4Address("192.168.0.1")
REMOTE = IPv4Address("192.168.0.234")
DNS = (IPv4Address("192.168.0.53"),)
USER = "alice"
PASSWORD = "correct horse"
START = 1000.0

E = TypeVar("E")
Tamper = Callable[[Role, int, ControlPacket], Iterable[ControlPacket] | None]
"""``(sender, protocol, packet)``: what arrives in its place, None for the packet itself."""


def frame_of(protocol: int, packet: ControlPacket) -> bytes:
    return ADDRESS_CONTROL + protocol.to_bytes(2, "big") + packet.build()


def configure_frame(protocol: int, code: int, identifier: int, *options: tuple[int, bytes]) -> bytes:
    return frame_of(protocol, configure(code, identifier, options))


def packet_in(frame: bytes) -> tuple[int, ControlPacket]:
    parts = split_frame(frame)
    assert parts is not None
    packet = parse_packet(parts[1])
    assert packet is not None
    return parts[0], packet


class Joined:
    """A server's link and a client's.

    Args:
        server, client: settings that differ from those of LinkConfig.
        password: what the client believes its password is.
        tamper: what the path does to packets.
        answers: whether the shell answers the server's questions by itself.
    """

    def __init__(
        self,
        server: dict[str, Any] | None = None,
        client: dict[str, Any] | None = None,
        *,
        password: str = PASSWORD,
        tamper: Tamper | None = None,
        answers: bool = True,
    ) -> None:
        self.now = START
        self.tamper = tamper
        self.answers = answers
        server_config = LinkConfig(**{"name": "server", **(server or {})})
        client_config = LinkConfig(**{"name": USER, "ask_dns": True, **(client or {})})
        self.server = Link(Role.SERVER, server_config, random=seeded(1))
        self.client = Link(Role.CLIENT, client_config, random=seeded(2), secret=Secret(password=password))
        self.links = {Role.SERVER: self.server, Role.CLIENT: self.client}
        self.events: dict[Role, list[LinkEvent]] = {Role.SERVER: [], Role.CLIENT: []}
        self.frames: list[tuple[float, Role, bytes]] = []
        self._path: deque[tuple[Role, bytes]] = deque()

    def up(self, seconds: float = 0.0) -> Joined:
        for link in self.links.values():
            link.up(self.now)
        self.run(seconds)
        return self

    def run(self, seconds: float = 0.0) -> None:
        """Carry frames and let timers fire until the time is over; the two must come to rest in between."""
        until = self.now + seconds
        for _ in range(5000):
            self.collect()
            if self._path:
                sender, frame = self._path.popleft()
                self._other(sender).receive(frame, self.now)
                continue
            due = [timer for link in self.links.values() if (timer := link.get_timer()) is not None]
            if not due or min(due) > until:
                self.now = until
                return
            self.now = max(self.now, min(due))
            for link in self.links.values():
                link.handle_timer(self.now)
        raise AssertionError("the two never come to rest")

    def inject(self, to: Role, frame: bytes) -> list[tuple[int, ControlPacket]]:
        """Give one side a frame, look at what it sends at once, and let it go on its way."""
        self.run()
        before = len(self.frames)
        self.links[to].receive(frame, self.now)
        self.collect()
        answers = [packet_in(sent) for _, sender, sent in self.frames[before:] if sender is to]
        self.run()
        return answers

    def of(self, role: Role, kind: type[E]) -> list[E]:
        return [event for event in self.events[role] if isinstance(event, kind)]

    def only(self, role: Role, kind: type[E]) -> E:
        (event,) = self.of(role, kind)
        return event

    def closed(self, role: Role) -> str | None:
        """The reason one side gives for its end, None while it lives; it is given once."""
        ends = self.of(role, LinkClosed)
        assert len(ends) <= 1
        return ends[0].reason if ends else None

    def sent(self, role: Role, protocol: int, code: int | None = None) -> list[ControlPacket]:
        packets = [packet_in(frame) for _, sender, frame in self.frames if sender is role]
        return [packet for number, packet in packets if number == protocol and code in (None, packet.code)]

    def _other(self, role: Role) -> Link:
        return self.client if role is Role.SERVER else self.server

    def collect(self) -> None:
        moved = True
        while moved:
            moved = False
            for role, link in self.links.items():
                for frame in link.frames_to_send():
                    moved = True
                    self.frames.append((self.now, role, frame))
                    protocol, packet = packet_in(frame)
                    instead = None if self.tamper is None else self.tamper(role, protocol, packet)
                    arriving = [frame] if instead is None else [frame_of(protocol, other) for other in instead]
                    self._path.extend((role, octets) for octets in arriving)
                while (event := link.next_event()) is not None:
                    moved = True
                    self.events[role].append(event)
                    if self.answers:
                        self.answer(link, event)

    def answer(self, link: Link, event: LinkEvent) -> None:
        if isinstance(event, SecretWanted):
            link.provide_secret(Secret(password=PASSWORD) if event.name == USER else None, self.now)
        elif isinstance(event, AddressWanted):
            link.assign_address(LOCAL, REMOTE, self.now, dns=DNS)


def both(**config: Any) -> Joined:
    return Joined(config, config).up()


def assert_decrypts(joined: Joined) -> None:
    """What either side encrypts the other decrypts."""
    for sender, receiver in ((joined.server, joined.client), (joined.client, joined.server)):
        assert sender.encryptor is not None
        assert receiver.decryptor is not None
        for number in range(3):
            frame = sender.encryptor.encrypt_frame(plaintext(number))
            assert receiver.decryptor.decrypt_frame(frame, number + 1) == plaintext(number)


def assert_up(joined: Joined, encryption: Encryption | None) -> None:
    for role, local, peer in ((SERVER, LOCAL, REMOTE), (CLIENT, REMOTE, LOCAL)):
        up = joined.of(role, NetworkUp)[-1]
        assert (up.local, up.peer, up.encryption, up.user) == (local, peer, encryption, USER)
        assert joined.links[role].network_up
        assert joined.links[role].phase is Phase.NETWORK
