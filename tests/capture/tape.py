"""Builds captures: packets of a session as a machine between client and server would have recorded them.

The login is that of RFC 2759 section 9.2, so nothing of the code under test is needed to make it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from pypptp.capture.credentials import Credentials
from pypptp.control.messages import OutgoingCallReply, OutgoingCallRequest
from pypptp.gre.header import build_header
from pypptp.mppe.cipher import Encryptor
from pypptp.mppe.keys import Strength, keys_for_mschap_v2
from pypptp.mppe.md4 import md4
from pypptp.ppp.packet import ControlPacket

CREDENTIALS = Credentials("User", "clientPass")
NT_HASH = md4("clientPass".encode("utf-16-le"))
CHALLENGE = bytes.fromhex("5b5d7c7d7b3f2f3e3c2c602132262628")
PEER_CHALLENGE = bytes.fromhex("21402324255e262a28295f2b3a337c7e")
NT_RESPONSE = bytes.fromhex("82309ecd8d708b5ea08faa3981cd83544233114a3d85d6df")
RESPONSE = PEER_CHALLENGE + bytes(8) + NT_RESPONSE + b"\0"

CLIENT = IPv4Address("192.0.2.1")
SERVER = IPv4Address("198.51.100.1")
SECOND = 1_000_000_000


def checksum(octets: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def ipv4(
    source: IPv4Address, destination: IPv4Address, protocol: int, payload: bytes, *, fragment: int = 0, ident: int = 1
) -> bytes:
    fields = (0x45, 0, 20 + len(payload), ident, fragment, 64, protocol)
    header = struct.pack("!BBHHHBBH4s4s", *fields, 0, source.packed, destination.packed)
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + payload


def inner_packet(number: int, size: int = 40) -> bytes:
    payload = number.to_bytes(4, "big") + bytes(size - 24)
    return ipv4(IPv4Address("192.168.0.234"), IPv4Address("192.168.0.1"), 17, payload)


def ipv6_packet(payload: bytes = b"\x85" + bytes(15)) -> bytes:
    return b"\x60\0\0\0" + struct.pack("!HBB", len(payload), 58, 255) + bytes(16) + b"\xff\x02" + bytes(14) + payload


def tcp(source_port: int, destination_port: int, sequence: int, data: bytes, flags: int = 0x18) -> bytes:
    return struct.pack("!HHIIBBHHH", source_port, destination_port, sequence, 0, 0x50, flags, 8192, 0, 0) + data


def pcap(
    packets: list[bytes], link_type: int = 101, *, order: str = "<", magic: int = 0xA1B2C3D4, snap: int = 65535
) -> bytes:
    out = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, snap, link_type)]
    for number, packet in enumerate(packets):
        kept = packet[:snap]
        out += [struct.pack(order + "IIII", 1000 + number // 1000, number % 1000, len(kept), len(packet)), kept]
    return b"".join(out)


def option(kind: int, value: bytes) -> bytes:
    return bytes((kind, len(value) + 2)) + value


@dataclass
class Tape:
    """One call being recorded; ``packets`` are raw IP, in capture order."""

    client_call_id: int = 11
    server_call_id: int = 22
    strength: Strength = Strength.BITS_128
    stateless: bool = True
    next_to_server: int = 0
    next_to_client: int = 0
    packets: list[bytes] = field(default_factory=list)
    plain: dict[bool, list[bytes]] = field(default_factory=lambda: {True: [], False: []})

    def __post_init__(self) -> None:
        self.start_keys()

    def start_keys(self) -> None:
        keys = keys_for_mschap_v2(NT_HASH, NT_RESPONSE, is_server=False)
        send, receive = keys.start_keys(self.strength)
        self.encryptors = {
            True: Encryptor(send, self.strength, stateless=self.stateless),
            False: Encryptor(receive, self.strength, stateless=self.stateless),
        }

    def gre(self, from_client: bool, payload: bytes, sequence: int | None = None) -> bytes:
        """Return a GRE packet with the sender's next number, or the given one; it is not recorded yet."""
        if sequence is None:
            sequence = self.next_to_server if from_client else self.next_to_client
        if from_client:
            self.next_to_server = sequence + 1
        else:
            self.next_to_client = sequence + 1
        call_id = self.server_call_id if from_client else self.client_call_id
        packet = build_header(len(payload), call_id, sequence & 0xFFFFFFFF) + payload
        ends = (CLIENT, SERVER) if from_client else (SERVER, CLIENT)
        return ipv4(*ends, 47, packet)

    def ppp(self, from_client: bool, protocol: int, packet: ControlPacket) -> None:
        frame = b"\xff\x03" + protocol.to_bytes(2, "big") + packet.build()
        self.packets.append(self.gre(from_client, frame))

    def control(self, client_port: int = 40000) -> None:
        """Record the messages that set the call up, each in a segment of its own."""
        request = OutgoingCallRequest(
            call_id=self.client_call_id,
            call_serial_number=1,
            minimum_bps=300,
            maximum_bps=100_000_000,
            bearer_type=3,
            framing_type=3,
            packet_receive_window_size=64,
        )
        reply = OutgoingCallReply(call_id=self.server_call_id, peer_call_id=self.client_call_id, result_code=1)
        self.packets.append(ipv4(CLIENT, SERVER, 6, tcp(client_port, 1723, 1000, request.build())))
        self.packets.append(ipv4(SERVER, CLIENT, 6, tcp(1723, client_port, 5000, reply.build())))

    def lcp(self, magic: int = 1) -> None:
        request = option(5, magic.to_bytes(4, "big"))
        for from_client in (True, False):
            self.ppp(
                from_client, 0xC021, ControlPacket(1, 1, request + (b"" if from_client else b"\x03\x05\xc2\x23\x81"))
            )
            self.ppp(not from_client, 0xC021, ControlPacket(2, 1, request))

    def login(self, *, success: bool = True) -> None:
        self.ppp(False, 0xC223, ControlPacket(1, 7, b"\x10" + CHALLENGE + b"pptpd"))
        self.ppp(True, 0xC223, ControlPacket(2, 7, b"\x31" + RESPONSE + b"LAB\\User"))
        if success:
            self.ppp(False, 0xC223, ControlPacket(3, 7, b"S=" + b"0" * 40))

    def ccp(self) -> None:
        bits = {Strength.BITS_40: 0x20, Strength.BITS_56: 0x80, Strength.BITS_128: 0x40}[self.strength]
        value = option(18, (bits | (0x01000000 if self.stateless else 0)).to_bytes(4, "big"))
        for from_client in (True, False):
            self.ppp(from_client, 0x80FD, ControlPacket(1, 3, value))
            self.ppp(not from_client, 0x80FD, ControlPacket(2, 3, value))

    def set_up(self, *, magic: int = 1) -> None:
        self.lcp(magic)
        self.login()
        self.ccp()

    def encrypt(self, from_client: bool, plaintext: bytes) -> bytes:
        """Return the GRE packet of an encrypted frame; ``plain`` keeps the plaintext in the sender's order."""
        self.plain[from_client].append(plaintext)
        return self.gre(from_client, b"\x00\xfd" + self.encryptors[from_client].encrypt_frame(plaintext))

    def data(self, from_client: bool, plaintext: bytes) -> None:
        self.packets.append(self.encrypt(from_client, plaintext))


def ip_frame(number: int, size: int = 40) -> bytes:
    return b"\x00\x21" + inner_packet(number, size)
