"""Log-ins of a capture as password auditors read them: for the audit of one's own users' passwords.

An MS-CHAP Response is an NT hash cut into three DES keys, and falls to anyone who tries them; the strength of the
password only decides about dictionaries.
"""

from __future__ import annotations

from collections.abc import Iterable

from pypptp.capture.sessions import Handshake
from pypptp.control.messages import printable
from pypptp.ppp.auth.mschap import challenge_hash

_LONGEST_NAME = 256


def hashcat_lines(handshakes: Iterable[Handshake]) -> list[str]:
    """Return a line for each log-in, for hashcat's mode 5500: ``user::::NT-Response:challenge``.

    Of MS-CHAPv2 the challenge is the hash of both sides' and of the name (RFC 2759 section 8.2), which makes it a
    Response of version 1. A log-in whose challenge was not captured has no line.
    """
    lines = []
    for handshake in handshakes:
        challenge = _eight_octets(handshake)
        if challenge is not None:
            lines.append(f"{_name(handshake)}::::{handshake.response[24:48].hex()}:{challenge.hex()}")
    return lines


def john_lines(handshakes: Iterable[Handshake]) -> list[str]:
    """Return a line for each log-in, for John the Ripper's formats MSCHAPv2 and netntlm."""
    lines = []
    for handshake in handshakes:
        challenge = handshake.challenge
        if challenge is None:
            continue
        name, nt_response = _name(handshake), handshake.response[24:48].hex()
        if handshake.version == 2:
            peer_challenge = handshake.response[:16].hex()
            lines.append(f"{name}:$MSCHAPv2${challenge.hex()}${nt_response}${peer_challenge}${_account(name)}")
        else:
            lines.append(f"{name}:$NETNTLM${challenge.hex()}${nt_response}")
    return lines


def _eight_octets(handshake: Handshake) -> bytes | None:
    if handshake.challenge is None:
        return None
    if handshake.version == 1:
        return handshake.challenge
    return challenge_hash(handshake.response[:16], handshake.challenge, handshake.name)


def _name(handshake: Handshake) -> str:
    """Return the name without what would end a field or a line."""
    return printable(handshake.name, _LONGEST_NAME).replace(":", "\\x3a").replace("$", "\\x24")


def _account(name: str) -> str:
    """Return the name as the hash of the challenges takes it: without its domain (RFC 2759 section 8.2)."""
    return name.rpartition("\\x5c")[2]
