"""A PPP link: its phases, and the policy of what may pass in which (RFC 1661 section 3).

    Dead -> Establish (LCP) -> Authenticate -> Network (CCP, then IPCP, then packets) -> Terminate -> Dead

The link sees every frame but data packets; those take the fast path in pypptp.session, which asks the link only for
the ciphers, the headers and whether the network is up.
"""

from __future__ import annotations

from collections import deque
from enum import Enum
from ipaddress import IPv4Address

from pypptp.causes import Cause
from pypptp.errors import LocalProtocolError
from pypptp.mppe.cipher import Decryptor, Encryptor
from pypptp.mppe.keys import MppeKeys
from pypptp.ppp.auth import AuthMachine, AuthMethod, Failure, Secret, Success, authenticator, method_of, option_of, peer
from pypptp.ppp.automaton import Action, State
from pypptp.ppp.config import MPPE_OVERHEAD, LinkConfig
from pypptp.ppp.control_protocol import ControlProtocol
from pypptp.ppp.encryption import LinkEncryption
from pypptp.ppp.events import (
    AddressWanted,
    Authenticated,
    LinkClosed,
    LinkEvent,
    NetworkDown,
    NetworkUp,
    Refused,
    SecretWanted,
)
from pypptp.ppp.ipcp import UNSPECIFIED, Ipcp
from pypptp.ppp.lcp import Lcp
from pypptp.ppp.protocols import ADDRESS_CONTROL, Protocol, split_frame
from pypptp.roles import RandomBytes, Role

LAST_DATA_FRAME_PROTOCOL = 0x00FF
"""Protocols up to here carry packets, not negotiation (RFC 1661 section 2): never answered, at most dropped."""
NAMELESS_PEER = IPv4Address("10.64.64.64")
"""The far end's address where a peer names none of its own, as pppd fills it in."""
TEXT_LIMIT = 128
"""Octets of a peer's own words that are kept."""


class Phase(Enum):
    """The phases of RFC 1661 section 3.2."""

    DEAD = "dead"
    ESTABLISH = "establish"
    AUTHENTICATE = "authenticate"
    NETWORK = "network"
    TERMINATE = "terminate"


_TELLING = (
    (Phase.ESTABLISH, b"authenticat", Cause.METHOD),
    (Phase.AUTHENTICATE, b"authentication failed", Cause.AUTHENTICATION),
    (Phase.AUTHENTICATE, b"wrong user name or password", Cause.AUTHENTICATION),
    (Phase.NETWORK, b"mppe", Cause.ENCRYPTION),
    (Phase.NETWORK, b"no address", Cause.BUSY),
)
"""What words in a Terminate-Request mean in which phase."""


class Link:
    """One PPP link.

    Call ``up`` once the call is connected; then ``receive`` for every frame that is no data, ``handle_timer`` when
    ``get_timer`` says so, and after each of them take ``frames_to_send()`` and ``next_event()`` until they are empty.

    Attributes:
        phase: where the link stands.
        encryption: CCP, and what is encrypted with.
        network_up: whether IP packets may pass, by phase and by policy.
        data_header: the octets in front of an encrypted (or, without MPPE, a clear IPv4) payload.
        mtu: the largest IP packet to send.
        closing: why the link ends, as soon as that is known; LinkClosed says it again once it has ended.
        discarded: frames refused because of the phase, or because they were none.
    """

    def __init__(self, role: Role, config: LinkConfig, *, random: RandomBytes, secret: Secret | None = None) -> None:
        """Make a link that waits for ``up``.

        Args:
            role: SERVER demands proof of the peer, CLIENT gives it.
            config: what may be agreed to.
            random: source of random octets.
            secret: the user's own, on a client that has one.
        """
        self.role = role
        self.config = config
        self.phase = Phase.DEAD
        self.network_up = False
        self.mtu = config.mtu
        self.data_header = b""
        self.discarded = 0
        self._random = random
        self._secret = secret
        options = tuple(option_of(method) for method in config.auth)
        self.lcp = Lcp(
            mru=config.mru,
            demanded=options if role is Role.SERVER else (),
            willing=options if role is Role.CLIENT and secret is not None else (),
            pfc=config.pfc,
            acfc=config.acfc,
            limits=config.limits,
            random=random,
        )
        self.encryption = LinkEncryption(config)
        self.ipcp: Ipcp | None = None
        self._auth: AuthMachine | None = None
        self._method: AuthMethod | None = None
        self._user = ""
        self._secret_wanted = False
        self._authenticated = False
        self._addresses: tuple[IPv4Address, IPv4Address | None] | None = None
        self._name_servers: tuple[tuple[IPv4Address, ...], tuple[IPv4Address, ...]] = ((), ())
        self._early_ipcp: bytes | None = None
        self.closing: LinkClosed | None = None
        self._sequence: int | None = None
        self._frames: list[bytes] = []
        self._events: deque[LinkEvent] = deque()
        self._establish_deadline: float | None = None
        self._echo_deadline: float | None = None

    @property
    def encryptor(self) -> Encryptor | None:
        """MPPE towards the peer, None while there is none."""
        return self.encryption.encryptor

    @property
    def decryptor(self) -> Decryptor | None:
        """MPPE from the peer, None while there is none."""
        return self.encryption.decryptor

    # What the caller does.

    def up(self, now: float) -> None:
        """The call is connected: begin to negotiate."""
        if self.phase is not Phase.DEAD or self.closing is not None:
            raise LocalProtocolError("a link comes up once")
        self.phase = Phase.ESTABLISH
        self._establish_deadline = now + self.config.establish_timeout
        self.lcp.open(now)
        self.lcp.up(now)
        self._settle(now)

    def receive(self, frame: bytes, now: float, sequence: int | None = None) -> None:
        """Take one PPP frame as it came out of the tunnel. It never raises: what makes no sense is counted.

        Args:
            frame: address and control (or not), protocol, information.
            now: the time.
            sequence: the GRE number it came with, where there is one: encrypted frames come after that of the frame
                which opens CCP.
        """
        self._sequence = sequence
        parts = split_frame(frame)
        if parts is None or self.phase is Phase.DEAD:
            self.discarded += 1
            return
        protocol, information = parts
        self._dispatch(protocol, information, now)
        self._settle(now)

    def provide_secret(self, secret: Secret | None, now: float, objection: str = "") -> None:
        """Answer SecretWanted: the secret of that user, or None where there is no such user.

        Whoever has the right proof is told the objection instead of being let in, where there is one.
        An answer that comes after the link has begun to end is ignored.
        """
        self._secret_wanted = False
        if self._auth is not None:
            self._auth.provide(secret, now, objection)
            self._settle(now)

    def assign_address(
        self,
        local: IPv4Address,
        peer_address: IPv4Address | None,
        now: float,
        *,
        dns: tuple[IPv4Address, ...] = (),
        nbns: tuple[IPv4Address, ...] = (),
    ) -> None:
        """Answer AddressWanted: our own address, the peer's, and the name servers to tell it."""
        self._addresses = (local, peer_address)
        self._name_servers = (dns, nbns)
        self._open_network(now)
        self._settle(now)

    def close(self, reason: str, now: float, cause: Cause = Cause.ASKED) -> None:
        """End the link: Terminate-Request with the reason, LinkClosed when the peer has acknowledged or is silent."""
        self._end(reason, by_peer=False, now=now, cause=cause)
        self._settle(now)

    def rechallenge(self, now: float) -> None:
        """Ask the peer to prove itself once more (RFC 1994 section 2: at any time, unannounced)."""
        if self.role is Role.SERVER and self._auth is not None and self.phase is Phase.NETWORK:
            self._auth.rechallenge(now)
            self._settle(now)

    def request_reset(self, now: float) -> None:
        """The decryptor lost its way in stateful MPPE: ask the peer to start afresh, and again until it does."""
        self.encryption.request_reset(now)
        self._settle(now)

    def renegotiate_encryption(self, now: float) -> None:
        """Negotiate CCP anew; packets wait until it is open again."""
        if self.encryption.ccp.opened:
            self.encryption.ccp.renegotiate(now)
            self._settle(now)

    def frames_to_send(self) -> list[bytes]:
        """Return the PPP frames to send, in order, and forget them."""
        frames, self._frames = self._frames, []
        return frames

    def next_event(self) -> LinkEvent | None:
        """Return the next event, None when there is none."""
        return self._events.popleft() if self._events else None

    def get_timer(self) -> float | None:
        """Return when ``handle_timer`` is due."""
        deadlines = [self._establish_deadline, self._echo_deadline, self.lcp.get_timer(), self.encryption.get_timer()]
        if self.ipcp is not None:
            deadlines.append(self.ipcp.get_timer())
        if self._auth is not None:
            deadlines.append(self._auth.get_timer())
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def handle_timer(self, now: float) -> None:
        """Do what is due: retransmissions, echoes, deadlines."""
        self.lcp.handle_timer(now)
        self.encryption.handle_timer(now)
        if self.ipcp is not None:
            self.ipcp.handle_timer(now)
        if self._auth is not None:
            self._auth.handle_timer(now)
        self._open_network(now)
        if _due(self._echo_deadline, now):
            self._send_echo(now)
        if _due(self._establish_deadline, now):
            self._establish_deadline = None
            seconds = self.config.establish_timeout
            self._end(
                f"no network after {seconds:.0f} s, phase {self.phase.value}",
                by_peer=False,
                now=now,
                cause=Cause.TIMED_OUT,
            )
        self._settle(now)

    # Frames.

    def _dispatch(self, protocol: int, information: bytes, now: float) -> None:
        if protocol == Protocol.LCP:
            self.lcp.receive(information, now)
        elif self._auth is not None and protocol == self._auth.protocol:
            self._auth.receive(information, now)
        elif self.phase is not Phase.NETWORK or protocol <= LAST_DATA_FRAME_PROTOCOL:
            self.discarded += 1
        elif protocol == Protocol.CCP and self.encryption.negotiable:
            self.encryption.receive(information, now)
        elif protocol == Protocol.IPCP:
            if self.ipcp is None:
                # CCP is not done yet. Windows and RouterOS begin with IPCP all the same; a Terminate-Ack would end it
                # for good, so the latest request waits here.
                self._early_ipcp = information
            else:
                self.ipcp.receive(information, now)
        elif protocol in (Protocol.PAP, Protocol.CHAP):
            self.discarded += 1
        else:
            self.lcp.send_protocol_reject(protocol, information)

    def _send(self, protocol: int, information: bytes) -> None:
        compressed = protocol != Protocol.LCP and self.lcp.acfc.peer_receives and self.lcp.opened
        self._frames.append((b"" if compressed else ADDRESS_CONTROL) + protocol.to_bytes(2, "big") + information)

    # What follows from what happened. One round may set off the next: LCP up starts authentication, and so on.

    def _settle(self, now: float) -> None:
        while self._flush_packets() or self._follow_signals(now) or self._follow_authentication(now) or self._unsent():
            pass

    def _unsent(self) -> bool:
        return any(machine.packets for machine in self._protocols())

    def _protocols(self) -> tuple[ControlProtocol, ...]:
        lower = (self.lcp, self.encryption.ccp)
        return lower if self.ipcp is None else (*lower, self.ipcp)

    def _flush_packets(self) -> bool:
        count = len(self._frames)
        for machine in self._protocols():
            for packet in machine.packets:
                self._send(machine.protocol, packet.build())
            machine.packets.clear()
        if self._auth is not None:
            for information in self._auth.packets_to_send():
                self._send(self._auth.protocol, information)
        return len(self._frames) > count

    def _follow_signals(self, now: float) -> bool:
        followed = False
        if self.lcp.terminate_text is not None and self.lcp.state is State.STOPPING:
            self._note_end(self._last_words(), by_peer=True, cause=self.cause_of_last_words)
        for machine in self._protocols():
            while machine.signals:
                followed = True
                self._follow(machine, machine.signals.popleft(), now)
        magic, refused = self.lcp.magic, self.lcp.authentication.refused_by_peer
        if magic.looped_back or (refused and magic.collisions):
            reason = "the link is looped back: the peer's Magic-Number is ours"
            self._end(reason, by_peer=False, now=now, cause=Cause.LOOPED_BACK)
        elif refused:
            reason = "the peer refused every authentication protocol offered"
            self._end(reason, by_peer=True, now=now, cause=Cause.METHOD)
        while self.lcp.rejected_protocols:
            followed = True
            self._follow_protocol_reject(self.lcp.rejected_protocols.pop(0), now)
        if self.phase is Phase.NETWORK and (objection := self.encryption.objection()):
            self._end(objection, by_peer=True, now=now, cause=Cause.ENCRYPTION)
        return followed

    def _follow(self, machine: ControlProtocol, signal: Action, now: float) -> None:
        if machine is self.lcp:
            if signal is Action.THIS_LAYER_UP:
                self._lcp_up(now)
            elif signal is Action.THIS_LAYER_DOWN:
                self._lcp_down(now)
            else:
                self._lcp_finished()
        elif machine is self.encryption.ccp:
            if signal is Action.THIS_LAYER_UP:
                self._ccp_up(now)
            elif signal is Action.THIS_LAYER_DOWN:
                self._ciphers_gone(now)
            else:
                self._ccp_finished(now)
        elif signal is Action.THIS_LAYER_UP:
            self._ipcp_up(now)
        elif signal is Action.THIS_LAYER_DOWN:
            self._network_gone("IPCP went down", now)
        elif self.phase is Phase.NETWORK:
            reason, cause = machine.failure or "the peer ended IPCP", _cause_of_failure(machine)
            self._end(reason, by_peer=not machine.failure, now=now, cause=cause)

    def _follow_protocol_reject(self, protocol: int, now: float) -> None:
        if protocol == Protocol.CCP:
            self.encryption.ccp.protocol_rejected(now)
        elif protocol == Protocol.IPCP and self.ipcp is not None:
            self.ipcp.protocol_rejected(now)
        elif protocol == Protocol.LCP:
            self.lcp.protocol_rejected(now)
        elif self._auth is not None and protocol == self._auth.protocol:
            self._end("the peer rejected the authentication protocol", by_peer=True, now=now, cause=Cause.METHOD)

    # LCP.

    def _lcp_up(self, now: float) -> None:
        if self.config.echo_interval:
            self._echo_deadline = now + self.config.echo_interval
        self.lcp.echoes_unanswered = 0
        self.lcp.terminate_text = None
        self.encryption.ccp.peer_mru = self.lcp.mru.peer
        authentication = self.lcp.authentication
        value = authentication.chosen_for_peer if self.role is Role.SERVER else authentication.chosen_for_us
        if value is None:
            self._without_authentication(now)
            return
        self.phase = Phase.AUTHENTICATE
        self._method = method_of(value)
        if self.role is Role.SERVER:
            self._auth = authenticator(self._method, name=self.config.name, random=self._random)
        else:
            assert self._secret is not None, "no authentication is agreed to without a secret"
            self._auth = peer(self._method, name=self.config.name, secret=self._secret, random=self._random)
        self._auth.start(now)

    def _without_authentication(self, now: float) -> None:
        if self.role is Role.SERVER and self.config.auth:
            self._end("the peer refused to authenticate", by_peer=True, now=now, cause=Cause.METHOD)
            return
        self._method = None
        self._authenticated = True
        self._events.append(Authenticated("", None))
        self._enter_network(None, now)

    def _lcp_down(self, now: float) -> None:
        self._network_gone("LCP went down", now)
        self._ciphers_gone(now)
        self.encryption.down(now)
        if self.ipcp is not None:
            self.ipcp.down(now)
        self.ipcp = None
        self._auth = None
        self._authenticated = False
        self._early_ipcp = None
        self._echo_deadline = None
        if self.closing is None:
            # Its time goes on: who never comes to the network phase cannot get more of it by beginning anew.
            self.phase = Phase.ESTABLISH
        else:
            self.phase = Phase.TERMINATE
        if self._secret_wanted:
            # The secret on its way is that of the name given before; it must not be held against another one.
            self._end("LCP was negotiated anew during the authentication", by_peer=True, now=now)

    def _lcp_finished(self) -> None:
        if self.closing is None:
            cause = self.cause_of_last_words if self.last_words else _cause_of_failure(self.lcp)
            self.closing = LinkClosed(self.last_words or self.lcp.failure or "LCP ended", by_peer=True, cause=cause)
        self.phase = Phase.DEAD
        self._establish_deadline = self._echo_deadline = None
        self.encryption.stop_waiting()
        self._auth = None
        self._events.append(self.closing)

    def _send_echo(self, now: float) -> None:
        self._echo_deadline = now + self.config.echo_interval
        if 0 < self.config.echo_failure <= self.lcp.echoes_unanswered:
            count = self.lcp.echoes_unanswered
            reason = f"no answer to {count} LCP Echo-Requests"
            self._end(reason, by_peer=False, now=now, cause=Cause.PEER_DEAD)
        elif self.lcp.opened and not self.lcp.echo_rejected:
            self.lcp.send_echo_request(now)

    # Authentication.

    def _follow_authentication(self, now: float) -> bool:
        machine = self._auth
        if machine is None:
            return False
        assert self._method is not None, "there is no machine without a method"
        name = machine.take_wanted()
        if name is not None:
            self._secret_wanted = True
            self._events.append(SecretWanted(name, self._method))
        self._events += [Refused(refused, self._method) for refused in machine.refused]
        machine.refused.clear()
        if isinstance(machine.outcome, Failure):
            failure = machine.outcome
            self._end(failure.reason, by_peer=self.role is Role.CLIENT, now=now, cause=failure.cause)
        elif isinstance(machine.outcome, Success) and not self._authenticated:
            if self._user not in ("", machine.outcome.name):
                # After a new negotiation of LCP. Its address and its account are those of the first user.
                self._end("the peer came back as another user", by_peer=True, now=now)
                return False
            self._authenticated = True
            self._user = machine.outcome.name
            self._events.append(Authenticated(self._user, self._method))
            self._enter_network(machine.outcome.keys, now)
            return True
        return False

    # Network phase: encryption first, then addresses.

    def _enter_network(self, keys: MppeKeys | None, now: float) -> None:
        self.phase = Phase.NETWORK
        refusal = self.encryption.begin(keys, now)
        if refusal:
            self._end(refusal, by_peer=False, now=now, cause=Cause.ENCRYPTION)
            return
        if self.role is Role.CLIENT:
            self._addresses = (UNSPECIFIED, None)
        elif self._addresses is None:
            self._events.append(AddressWanted(self._user))
        self._open_network(now)

    def _ccp_up(self, now: float) -> None:
        refusal = self.encryption.take_up(self._sequence)
        if refusal:
            self._end(refusal, by_peer=True, now=now, cause=Cause.ENCRYPTION)
            return
        self._set_data_header()
        self._open_network(now)
        if self.encryptor is not None:
            self._network_gone("packets are encrypted from now on", now)
        if self.ipcp is not None and self.ipcp.opened and not self.network_up:
            self._ipcp_up(now)

    def _ccp_finished(self, now: float) -> None:
        if self.phase is not Phase.NETWORK:
            return
        refusal = self.encryption.finish()
        if refusal:
            self._end(refusal, by_peer=True, now=now, cause=Cause.ENCRYPTION)
            return
        self._open_network(now)

    def _ciphers_gone(self, now: float) -> None:
        self.encryption.drop()
        if self.encryption.required:
            self._network_gone("CCP went down", now)
        self._set_data_header()

    def _open_network(self, now: float) -> None:
        ready = self._authenticated and self.encryption.settled and self._addresses is not None
        if self.phase is not Phase.NETWORK or not ready or self.ipcp is not None:
            return
        assert self._addresses is not None
        ours, peer_address = self._addresses
        dns, nbns = self._name_servers
        self.ipcp = Ipcp(
            ours=ours,
            peer=peer_address,
            dns=dns,
            nbns=nbns,
            ask_dns=self.config.ask_dns,
            limits=self.config.limits,
        )
        self.ipcp.peer_mru = self.lcp.mru.peer
        self.ipcp.open(now)
        self.ipcp.up(now)
        if self._early_ipcp is not None:
            self.ipcp.receive(self._early_ipcp, now)
            self._early_ipcp = None

    def _ipcp_up(self, now: float) -> None:
        assert self.ipcp is not None
        address = self.ipcp.address
        if address.ours == UNSPECIFIED:
            self._end("the peer gave us no address", by_peer=True, now=now)
            return
        if self.encryption.required and not self.encryption.complete:
            return
        self._set_data_header()
        overhead = MPPE_OVERHEAD if self.encryptor else 0
        self.mtu = min(self.config.mtu, self.lcp.mru.peer - overhead)
        self.network_up = True
        self._establish_deadline = None
        peer_address = address.peer_accepted or address.peer or NAMELESS_PEER
        self._events.append(
            NetworkUp(
                address.ours,
                peer_address,
                self.mtu,
                self.encryption.agreed,
                self.ipcp.dns_received,
                self._user,
                self._method,
            )
        )

    def _network_gone(self, reason: str, now: float) -> None:
        if self.network_up:
            self.network_up = False
            self._establish_deadline = now + self.config.establish_timeout
            self._events.append(NetworkDown(self.closing.reason if self.closing else reason))

    def _set_data_header(self) -> None:
        protocol = Protocol.COMPRESSED if self.encryptor else Protocol.IPV4
        field = bytes((protocol,)) if self.lcp.pfc.peer_receives else protocol.to_bytes(2, "big")
        self.data_header = (b"" if self.lcp.acfc.peer_receives else ADDRESS_CONTROL) + field

    # The end.

    @property
    def last_words(self) -> str:
        """What the peer said in its Terminate-Request, in words for a person; empty where it sent none."""
        return "" if self.lcp.terminate_text is None else self._last_words()

    @property
    def cause_of_last_words(self) -> Cause:
        """What they say to a program."""
        # A peer has no other way to say so. pppd follows its CHAP Failure, which may get lost in GRE, with
        # "Authentication failed"; its other texts are "peer refused to authenticate" and "MPPE required but ...".
        text = (self.lcp.terminate_text or b"").lower()
        for phase, word, cause in _TELLING:
            if self.phase is phase and word in text:
                return cause
        return Cause.HUNG_UP

    def _note_end(self, reason: str, *, by_peer: bool, cause: Cause) -> None:
        if self.closing is None:
            self.closing = LinkClosed(reason, by_peer, cause)

    def _last_words(self) -> str:
        return f"the peer terminated the link{_quoted(self.lcp.terminate_text or b'')}"

    def _end(self, reason: str, *, by_peer: bool, now: float, cause: Cause = Cause.NEGOTIATION) -> None:
        if self.phase is Phase.DEAD or self.closing is not None:
            return
        self._note_end(reason, by_peer=by_peer, cause=cause)
        self.phase = Phase.TERMINATE
        self._network_gone(reason, now)
        self._ciphers_gone(now)
        self._establish_deadline = self._echo_deadline = None
        self.encryption.stop_waiting()
        self._flush_packets()
        self._auth = None
        self.lcp.close(now, reason.encode()[:TEXT_LIMIT])


def _cause_of_failure(machine: ControlProtocol) -> Cause:
    if not machine.failure:
        return Cause.HUNG_UP
    return Cause.TIMED_OUT if machine.unanswered else Cause.NEGOTIATION


def _due(deadline: float | None, now: float) -> bool:
    return deadline is not None and now >= deadline


def _quoted(text: bytes) -> str:
    words = text[:TEXT_LIMIT].decode("ascii", "backslashreplace")
    return f": {''.join(c if c.isprintable() else repr(c)[1:-1] for c in words)}" if words else ""
