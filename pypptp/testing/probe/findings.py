"""What a probe found out about a server. Strings from the wire are escaped and cut."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

SCHEMA = 1


@dataclass(slots=True)
class ControlFindings:
    """The control connection.

    Attributes:
        version: Protocol Version of the Start-Control-Connection-Reply.
        result: its Result Code, by name.
        host_name: what the server calls itself.
        vendor_name: what it was made by.
        firmware_revision: its Firmware Revision.
        maximum_channels: its Maximum Channels.
        framing: its Framing Capabilities.
        bearer: its Bearer Capabilities.
        answers_echo: whether an Echo-Request is answered.
        seconds: from the request to the reply.
        looks_like: the servers that say just this of themselves, by the names of the personas.
    """

    version: int
    result: str
    host_name: str
    vendor_name: str
    firmware_revision: int
    maximum_channels: int
    framing: int
    bearer: int
    answers_echo: bool
    seconds: float
    looks_like: list[str] = field(default_factory=list)


@dataclass(slots=True)
class CallFindings:
    """A call.

    Attributes:
        result: Result Code of the Outgoing-Call-Reply, by name.
        call_ids: the server's call ids of calls placed one after the other.
        connect_speed: in bits per second.
        window: Packet Receive Window Size.
        processing_delay: Packet Processing Delay, in tenths of a second.
    """

    result: str
    call_ids: list[int]
    connect_speed: int
    window: int
    processing_delay: int


@dataclass(slots=True)
class LinkFindings:
    """LCP and the first word of the authentication.

    Attributes:
        options: its Configure-Request, in its order, in words.
        identification: what it says of itself in Identification packets.
        first_sequence: GRE number of its first frame.
        authentication: the method it asks for first, empty where it asks for none.
        agrees_to: the methods it asks for when they are proposed by Nak, in the order of asking.
        refuses: those it does not, and what it does instead.
        challenge_name: Name in its first Challenge.
        challenge_length: octets of that Challenge.
    """

    options: list[str] = field(default_factory=list)
    identification: list[str] = field(default_factory=list)
    first_sequence: int | None = None
    authentication: str = ""
    agrees_to: list[str] = field(default_factory=list)
    refuses: dict[str, str] = field(default_factory=dict)
    challenge_name: str = ""
    challenge_length: int = 0


@dataclass(slots=True)
class EncryptionFindings:
    """CCP, which only who has logged in gets to see.

    Attributes:
        asks_for: the options of its Configure-Request, in words.
        answers: what it says to each kind of MPPE that is asked for: ``acknowledged``, or what it wants instead.
    """

    asks_for: list[str] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class NetworkFindings:
    """IPCP.

    Attributes:
        address: the inner address it gives.
        gateway: its own inner address.
        dns: name servers it tells.
        wins: WINS servers it tells.
    """

    address: str
    gateway: str
    dns: list[str] = field(default_factory=list)
    wins: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Findings:
    """Everything; a part that was not reached is None, and ``remarks`` say why.

    Attributes:
        server: the server's address.
        port: its TCP port.
        control: the control connection.
        call: the call.
        link: the link.
        encryption: MPPE.
        network: inner addresses.
        quirks: what is unusual, in sentences.
        remarks: what could not be found out, and why.
    """

    server: str
    port: int
    control: ControlFindings | None = None
    call: CallFindings | None = None
    link: LinkFindings | None = None
    encryption: EncryptionFindings | None = None
    network: NetworkFindings | None = None
    quirks: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return everything as one object with ``schema`` 1."""
        return {"schema": SCHEMA, **asdict(self)}
