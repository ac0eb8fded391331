"""PAP (RFC 1334 section 2): name and password in clear, no keys."""

from __future__ import annotations

from enum import IntEnum
from hmac import compare_digest

from pypptp.causes import Cause
from pypptp.ppp.auth.chap import WRONG
from pypptp.ppp.auth.message import printable_text, text_of
from pypptp.ppp.auth.method import RETRANSMIT_INTERVAL, SILENCE, TRANSMISSIONS, Failure, Machine, Success
from pypptp.ppp.auth.mschap import nt_password_hash
from pypptp.ppp.auth.secret import Secret
from pypptp.ppp.packet import ControlPacket, parse_packet
from pypptp.ppp.protocols import Protocol
from pypptp.roles import RandomBytes

LONGEST_FIELD = 255


class PapCode(IntEnum):
    """Codes of PAP packets (RFC 1334 section 2.2)."""

    AUTHENTICATE_REQUEST = 1
    AUTHENTICATE_ACK = 2
    AUTHENTICATE_NAK = 3


def build_request(name: bytes, password: bytes) -> bytes:
    """Return the data of an Authenticate-Request; each field holds 255 octets at most."""
    return bytes((len(name),)) + name + bytes((len(password),)) + password


def parse_request(data: bytes) -> tuple[bytes, bytes] | None:
    """Read the data of an Authenticate-Request into (name, password).

    The two lengths must account for every octet. Comparing only as much as the shorter side has is how servers came to
    let an empty password in (CVE-2026-55706).
    """
    if not data:
        return None
    name_end = 1 + data[0]
    if name_end >= len(data) or name_end + 1 + data[name_end] != len(data):
        return None
    return data[1:name_end], data[name_end + 1 :]


def build_reply(message: bytes) -> bytes:
    """Return the data of an Authenticate-Ack or -Nak."""
    return bytes((len(message),)) + message


def parse_reply(data: bytes) -> bytes:
    """Return the message of an Ack or Nak. Its Msg-Length may be absent or too large; the code alone decides anyway."""
    return data[1 : 1 + data[0]] if data else b""


class PapAuthenticator(Machine):
    """The side that asks, or rather waits. One wrong password ends it.

    A Request repeated after the verdict gets the same code again, under its own identifier (RFC 1334 section 2.2.1).
    """

    protocol: int = Protocol.PAP

    def __init__(self, *, name: str, random: RandomBytes) -> None:
        super().__init__()
        self._random = random
        self._identifier = 0
        self._request: tuple[bytes, bytes] | None = None
        self._verdict: tuple[PapCode, bytes] | None = None

    def start(self, now: float) -> None:
        """LCP is open: wait for the Request."""
        self._deadline = now + SILENCE

    def receive(self, packet: bytes, now: float) -> None:
        """Take one PAP packet."""
        parsed = parse_packet(packet)
        if parsed is None or parsed.code != PapCode.AUTHENTICATE_REQUEST:
            self.discarded += 1
            return
        request = parse_request(parsed.data)
        if request is None:
            self.discarded += 1
        elif self._verdict is not None:
            self._reply(parsed.identifier)
        elif self._request is not None:
            # Its secret is being looked up. The answer goes to the latest of the same Requests.
            if request == self._request:
                self._identifier = parsed.identifier
            else:
                self.discarded += 1
        else:
            self._deadline = None
            self._identifier = parsed.identifier
            self._request = request
            name, password = request
            if name and password:
                self._wanted = text_of(name)
            else:
                self._decide(None)

    def provide(self, secret: Secret | None, now: float, objection: str = "") -> None:
        """Answer ``take_wanted``; see ``AuthMachine.provide``."""
        if self._request is None or self._verdict is not None:
            return
        self._wanted = None
        password = self._request[1]
        measure = secret if secret is not None else Secret(self._random(6).hex())
        right = _is_password(password, measure)
        self._decide(secret if right else None, objection)

    def _decide(self, secret: Secret | None, objection: str = "") -> None:
        assert self._request is not None, "a verdict is about a Request"
        name = self._request[0]
        if secret is not None and objection:
            self._verdict = (PapCode.AUTHENTICATE_NAK, objection.encode()[:LONGEST_FIELD])
            self._fail(Failure(objection, name=printable_text(name), cause=Cause.NO_PERMISSION))
        elif secret is not None:
            self._verdict = (PapCode.AUTHENTICATE_ACK, b"Access granted")
            self.outcome = Success(text_of(name))
        else:
            self._verdict = (PapCode.AUTHENTICATE_NAK, b"Access denied")
            self.refused.append(printable_text(name))
            self._fail(Failure(WRONG, name=printable_text(name)))
        # The password is not kept a moment longer than it is needed.
        self._request = (name, b"")
        self._reply(self._identifier)

    def _reply(self, identifier: int) -> None:
        assert self._verdict is not None, "the verdict is repeated, never made up"
        code, message = self._verdict
        self._packets.append(ControlPacket(code, identifier, build_reply(message)).build())

    def _timed_out(self, now: float) -> None:
        self._fail(Failure(f"no PAP Authenticate-Request within {SILENCE:.0f} s"))


def _is_password(octets: bytes, secret: Secret) -> bool:
    # Worked out even where the password itself is known: the time must not tell what is known, or of whom.
    nt_hash = nt_password_hash(text_of(octets))
    expected = secret.octets
    if expected is None:
        return compare_digest(nt_hash, secret.nt_hash)
    # Equal only in whole: compare_digest knows the lengths.
    return bool(expected) and compare_digest(octets, expected)


class PapPeer(Machine):
    """The side that is asked: it sends its Request until it is answered, each time under a new identifier."""

    protocol: int = Protocol.PAP

    def __init__(self, *, name: str, secret: Secret, random: RandomBytes) -> None:
        super().__init__()
        self._user = name
        self._name = name.encode("utf-8", "surrogateescape")
        self._password = secret.octets
        self._identifier = random(1)[0]
        self._sent: set[int] = set()

    def start(self, now: float) -> None:
        """LCP is open: send the Request."""
        if self._password is None:
            self._fail(Failure("PAP needs the password itself, not its NT hash", cause=Cause.METHOD))
        elif max(len(self._name), len(self._password)) > LONGEST_FIELD:
            reason = f"PAP carries names and passwords of {LONGEST_FIELD} octets at most"
            self._fail(Failure(reason, cause=Cause.METHOD))
        else:
            self._transmit(now)

    def receive(self, packet: bytes, now: float) -> None:
        """Take one PAP packet."""
        parsed = parse_packet(packet)
        if parsed is None or self.outcome is not None or parsed.identifier not in self._sent:
            self.discarded += 1
        elif parsed.code == PapCode.AUTHENTICATE_ACK:
            self._deadline = None
            self.outcome = Success(self._user, None, printable_text(parse_reply(parsed.data)))
        elif parsed.code == PapCode.AUTHENTICATE_NAK:
            words = printable_text(parse_reply(parsed.data))
            self._fail(Failure(f"authentication failed: {words or 'the server gave no reason'}", message=words))
        else:
            self.discarded += 1

    def _transmit(self, now: float) -> None:
        assert self._password is not None, "start() looked"
        self._identifier = self._identifier + 1 & 0xFF
        self._sent.add(self._identifier)
        data = build_request(self._name, self._password)
        self._packets.append(ControlPacket(PapCode.AUTHENTICATE_REQUEST, self._identifier, data).build())
        self._deadline = now + RETRANSMIT_INTERVAL

    def _timed_out(self, now: float) -> None:
        if len(self._sent) < TRANSMISSIONS:
            self._transmit(now)
        else:
            reason = f"no answer to {TRANSMISSIONS} PAP Authenticate-Requests"
            self._fail(Failure(reason, cause=Cause.TIMED_OUT))
