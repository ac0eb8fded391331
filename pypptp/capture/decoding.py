"""A capture decoded as ``pypptp decode`` shows it: counts, messages in order, MPPE decrypted, inner packets."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from hashlib import sha256
from ipaddress import IPv4Address
from typing import Any

from pypptp.capture.calls import find_calls
from pypptp.capture.credentials import Credentials
from pypptp.capture.decryption import DirectionOutcome, Work, decrypt_direction
from pypptp.capture.descriptions import describe_control, describe_ppp, is_message
from pypptp.capture.pcap_file import Capture
from pypptp.capture.recording import PppFrame, Recording, record
from pypptp.capture.sessions import Direction, Handshake, RecordedSession, follow_call
from pypptp.mppe.keys import Strength
from pypptp.ppp.protocols import Protocol, name, split_frame

TO_SERVER = "client_to_server"
TO_CLIENT = "server_to_client"
_INNER_PROTOCOLS = frozenset({Protocol.IPV4, Protocol.IPV6})


@dataclass(frozen=True, slots=True)
class MessageLine:
    """One message of the recording, for a person.

    Attributes:
        number: of the captured packet that held it.
        time: nanoseconds since 1970-01-01 UTC.
        source: address of the sender, or None on a PPP link, whose ends have none.
        destination: address of the receiver, likewise.
        from_client: who sent it; None where nothing tells.
        layer: ``PPTP``, ``LCP``, ``CHAP``, ``CCP``, ``IPCP`` and so on.
        text: what it says, on one line, fit for a terminal.
        session: number of the session it belongs to, from 1; 0 where it belongs to none, or to all of a connection.
        octets: the message itself: of PPTP from its length field on, of PPP from behind the protocol field on.
        sequence: of GRE, None where it came another way.
    """

    number: int
    time: int
    source: IPv4Address | None
    destination: IPv4Address | None
    from_client: bool | None
    layer: str
    text: str
    session: int = 0
    octets: bytes = b""
    sequence: int | None = None


@dataclass(frozen=True, slots=True)
class InnerPacket:
    """One IP packet from inside the tunnel; ``missing`` octets at its end were not captured."""

    number: int
    time: int
    packet: bytes
    missing: int
    session: int = 0


@dataclass(slots=True)
class MppeTotals:
    """One direction's MPPE frames over all sessions of the capture, as the JSON object has them."""

    frames: int = 0
    decrypted: int = 0
    duplicates: int = 0
    undecryptable: int = 0
    sha256: str = field(default_factory=lambda: sha256().hexdigest())


@dataclass(slots=True)
class SessionSummary:
    """One session, for a person: who, which cipher, whether the password fits (None where there was none to try).

    ``handshakes`` are its MS-CHAP log-ins.
    """

    client: str
    server: str
    users: list[str]
    mppe: str
    password_fits: bool | None
    handshakes: list[Handshake] = field(default_factory=list)


@dataclass(slots=True)
class Decoded:
    """Everything ``decode`` finds.

    Attributes:
        recording: counts and frames as they were captured.
        sessions: one entry for each call that carried PPP.
        mppe: totals by ``client_to_server`` and ``server_to_client``, both always there.
        inner: IP packets from inside, decrypted or sent in clear, in capture order; duplicates once.
    """

    recording: Recording
    sessions: list[SessionSummary] = field(default_factory=list)
    mppe: dict[str, MppeTotals] = field(default_factory=lambda: {TO_SERVER: MppeTotals(), TO_CLIENT: MppeTotals()})
    inner: list[InnerPacket] = field(default_factory=list)
    _from_client: dict[tuple[IPv4Address, IPv4Address, int], bool] = field(default_factory=dict)
    _session_of: dict[PppFrame, int] = field(default_factory=dict)
    _starts: list[int | None] = field(default_factory=list)
    """Of each session's call: number of the packet that placed it."""

    def as_json(self) -> dict[str, Any]:
        """Return the object ``pypptp decode --json`` prints: plain numbers, strings and dicts."""
        gre = self.recording.gre
        return {
            "control": len(self.recording.control),
            "gre": {
                "total": gre.total,
                "ack_only": gre.ack_only,
                "seq_and_ack": gre.seq_and_ack,
                "seq_only": gre.seq_only,
            },
            "ppp": {hex(protocol): count for protocol, count in sorted(self.recording.ppp.items())},
            "mppe": {
                direction: {
                    "frames": totals.frames,
                    "decrypted": totals.decrypted,
                    "duplicates": totals.duplicates,
                    "undecryptable": totals.undecryptable,
                    "sha256": totals.sha256,
                }
                for direction, totals in self.mppe.items()
            },
        }

    def messages(self) -> list[MessageLine]:
        """Return control messages and PPP negotiation, one line each, in capture order."""
        lines = []
        connections = self._connections()
        for control in self.recording.control:
            source, destination = (control.client, control.server)[:: 1 if control.from_client else -1]
            text = describe_control(control.data)
            lines.append(
                MessageLine(
                    control.number,
                    control.time,
                    source[0],
                    destination[0],
                    control.from_client,
                    "PPTP",
                    text,
                    connections.get(control.client, 0),
                    control.data,
                )
            )
        for key, stream in self.recording.streams.items():
            ends = stream.source, stream.destination
            lines.extend(
                self._line(frame, *ends, self._from_client.get(key))
                for frame in stream.frames
                if is_message(frame.protocol)
            )
        lines.extend(
            self._line(frame, None, None, None) for frame in self.recording.link_frames if is_message(frame.protocol)
        )
        lines.sort(key=lambda line: line.number)
        return lines

    def _line(
        self, frame: PppFrame, source: IPv4Address | None, destination: IPv4Address | None, from_client: bool | None
    ) -> MessageLine:
        return MessageLine(
            frame.number,
            frame.time,
            source,
            destination,
            from_client,
            name(frame.protocol),
            describe_ppp(frame.protocol, frame.information),
            self._session_of.get(frame, 0),
            frame.information,
            frame.sequence,
        )

    def _connections(self) -> dict[tuple[IPv4Address, int], int]:
        """Return the session of each control connection that had just one, by the client's address and port."""
        clients = {control.number: control.client for control in self.recording.control}
        found: dict[tuple[IPv4Address, int], list[int]] = {}
        for number, start in enumerate(self._starts, 1):
            client = None if start is None else clients.get(start)
            if client is not None:
                found.setdefault(client, []).append(number)
        return {client: numbers[0] for client, numbers in found.items() if len(numbers) == 1}

    def choose(self, lines: list[MessageLine], layers: Collection[str], session: int | None) -> list[MessageLine]:
        """Return the lines of some layers, of all where none is named, and of one session where one is.

        The control messages of a session's connection belong to it: it is they that placed and cleared its call.
        """
        wanted = {layer.upper() for layer in layers}
        chosen = [line for line in lines if not wanted or line.layer in wanted]
        if session is None:
            return chosen
        summary = self.sessions[session - 1]
        ends = {summary.client, summary.server}
        return [
            line
            for line in chosen
            if line.session == session
            or (line.layer == "PPTP" and not line.session and {str(line.source), str(line.destination)} == ends)
        ]


class _Decoder:
    def __init__(self, recording: Recording, credentials: Credentials | None) -> None:
        self.decoded = Decoded(recording)
        self._credentials = credentials
        self._work = Work()
        self._hashes = {TO_SERVER: sha256(), TO_CLIENT: sha256()}

    def run(self) -> Decoded:
        sessions = [follow_call(call) for call in find_calls(self.decoded.recording)]
        _infer_clients(sessions)
        for number, session in enumerate(sessions, 1):
            self._session(session, number)
            self.decoded._starts.append(None if session.call.record is None else session.call.record.start)
        for direction, digest in self._hashes.items():
            self.decoded.mppe[direction].sha256 = digest.hexdigest()
        self.decoded.inner.sort(key=lambda inner: inner.number)
        return self.decoded

    def _session(self, session: RecordedSession, number: int) -> None:
        for source, direction in session.directions.items():
            from_client = session.is_client(source)
            leg = direction.leg
            self.decoded._from_client[leg.source, leg.destination, leg.call_id] = from_client
            start_key = None
            credentials = self._credentials
            if credentials is not None:

                def start_key(
                    handshake: Handshake,
                    strength: Strength,
                    known: Credentials = credentials,
                    sent_by_client: bool = from_client,
                ) -> bytes | None:
                    return known.start_key(handshake, strength, sent_by_client)

            outcome = decrypt_direction(direction, start_key, self._work)
            self._add(TO_SERVER if from_client else TO_CLIENT, outcome)
            self._inner(direction, outcome, number)
            for frame in leg.frames:
                self.decoded._session_of[frame] = number
        self.decoded.sessions.append(self._summary(session))

    def _add(self, direction: str, outcome: DirectionOutcome) -> None:
        totals = self.decoded.mppe[direction]
        totals.frames += outcome.frames
        totals.decrypted += len(outcome.decrypted)
        totals.duplicates += outcome.duplicates
        totals.undecryptable += outcome.undecryptable
        for _, plaintext in outcome.decrypted:
            self._hashes[direction].update(plaintext)

    def _inner(self, direction: Direction, outcome: DirectionOutcome, number: int) -> None:
        inner = self.decoded.inner
        for frame, plaintext in outcome.decrypted:
            split = split_frame(plaintext)
            if split is not None and split[0] in _INNER_PROTOCOLS:
                inner.append(InnerPacket(frame.number, frame.time, split[1], frame.missing, number))
        seen: set[tuple[int | None, bytes]] = set()
        for frame in direction.leg.frames:
            mark = (frame.sequence, frame.information)
            if frame.protocol in _INNER_PROTOCOLS and mark not in seen:
                seen.add(mark)
                inner.append(InnerPacket(frame.number, frame.time, frame.information, frame.missing, number))

    def _summary(self, session: RecordedSession) -> SessionSummary:
        ends = sorted(
            {address for leg in session.call.legs for address in (leg.source, leg.destination)},
            key=lambda address: not session.is_client(address),
        )
        agreed: dict[str, None] = {}
        for direction in session.directions.values():
            for epoch in direction.epochs:
                agreement = epoch.agreement
                if agreement is not None and agreement.strength is not None:
                    mode = "stateless" if agreement.stateless else "stateful"
                    agreed[f"MPPE {int(agreement.strength)} {mode}"] = None
        fits = None
        if self._credentials is not None and session.handshakes:
            fits = any(self._credentials.fits(handshake) for handshake in session.handshakes)
        return SessionSummary(str(ends[0]), str(ends[-1]), session.users, ", ".join(agreed), fits, session.handshakes)


def _infer_clients(sessions: list[RecordedSession]) -> None:
    """Where a session itself does not tell its client, another one between the same addresses may."""
    known = {frozenset(session.directions): session.client for session in sessions if session.client is not None}
    by_ends = {
        frozenset((leg.source, leg.destination)): session.client
        for session in sessions
        for leg in session.call.legs
        if session.client is not None
    }
    for session in sessions:
        if session.client is None:
            leg = session.call.legs[0]
            session.client = known.get(frozenset(session.directions)) or by_ends.get(
                frozenset((leg.source, leg.destination))
            )


def decode(capture: Capture, credentials: Credentials | None = None) -> Decoded:
    """Decode a capture; without credentials nothing is decrypted, only counted. What it holds is never an error."""
    return _Decoder(record(capture), credentials).run()
