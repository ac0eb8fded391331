"""Decrypting a stream of scapy packets as it goes by."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address
from typing import Any

from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import GRE_PPTP
from scapy.layers.ppp import PPP
from scapy.packet import Packet
from scapy.sessions import DefaultSession, IPSession

from pypptp.capture.following import CallFollower
from pypptp.control.messages import MalformedMessage, parse_message
from pypptp.testing.scapy_layers.layers import MPPE

PORT = 1723


class PptpSession(DefaultSession):
    """A scapy session: hands packets on with what MPPE hides of them decrypted, where it can.

    ``sniff(session=PptpSession("password"))`` or ``sniff(offline=..., session=PptpSession({"alice": "wonderland"}))``.
    The recording has to hold the log-in. A decrypted packet has PPP and what is in it as the payload of its MPPE layer;
    what cannot be decrypted is handed on as it is.

    Args:
        passwords: the one password of everybody, or passwords by user name.
        supersession: scapy's: a session to go through first; by default the one that puts IP fragments together, as
            full packets through a tunnel often come in two.
    """

    def __init__(self, passwords: str | Mapping[str, str], supersession: Any = IPSession) -> None:
        super().__init__(supersession)
        self._follower = CallFollower(lambda user: _find(passwords, user))

    @property
    def decrypted(self) -> int:
        """Packets that were decrypted."""
        return self._follower.decrypted

    @property
    def undecrypted(self) -> int:
        """Encrypted packets that were not."""
        return self._follower.undecrypted

    def process(self, pkt: Packet) -> Packet | None:
        """Take one packet, and return it, decrypted or not."""
        found: Packet | None = super().process(pkt)
        if found is None or IP not in found:
            return found
        source, destination = IPv4Address(found[IP].src), IPv4Address(found[IP].dst)
        if TCP in found and PORT in (found[TCP].sport, found[TCP].dport):
            try:
                self._follower.learn(source, destination, parse_message(bytes(found[TCP].payload)))
            except MalformedMessage:
                pass  # a bare acknowledgement, or a message in pieces
        elif GRE_PPTP in found:
            # A packet put together of fragments has no octets it came as.
            datagram = found[GRE_PPTP].original or bytes(found[GRE_PPTP])
            followed = self._follower.receive(source, destination, datagram)
            if followed is not None and followed.plaintext is not None and MPPE in found:
                layer = found[MPPE]
                layer.remove_payload()
                layer.add_payload(PPP(followed.plaintext))
        return found


def _find(passwords: str | Mapping[str, str], user: str) -> str | None:
    if isinstance(passwords, str):
        return passwords
    return passwords.get(user, passwords.get(user.rpartition("\\")[2]))
