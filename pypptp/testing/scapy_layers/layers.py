"""The layers. Names and fields are in scapy's own manner; see the package for the licence."""

from __future__ import annotations

from typing import Any

from scapy.fields import (
    BitField,
    ByteEnumField,
    ByteField,
    FieldLenField,
    FlagsField,
    IntField,
    PacketListField,
    ShortField,
    StrLenField,
    XByteField,
    XStrFixedLenField,
)
from scapy.layers.ppp import PPP, PPP_CHAP, PPP_LCP, PPP_CHAP_ChallengeResponse
from scapy.packet import Packet, Raw, bind_layers, split_layers

_CODES = {
    1: "Configure-Request",
    2: "Configure-Ack",
    3: "Configure-Nak",
    4: "Configure-Reject",
    5: "Terminate-Request",
    6: "Terminate-Ack",
    7: "Code-Reject",
    14: "Reset-Request",
    15: "Reset-Ack",
}
_CONFIGURE = range(1, 5)
_MSCHAP_RESPONSE = 49
"""Octets of the Value of a Response of either MS-CHAP."""


class MPPE(Packet):
    """An encrypted datagram (RFC 3078 section 3.1); its payload is Raw until a PptpSession has decrypted it."""

    name = "MPPE"
    fields_desc = [
        BitField("flushed", 1, 1),
        BitField("B", 0, 1),
        BitField("C", 0, 1),
        BitField("encrypted", 1, 1),
        BitField("coherency_count", 0, 12),
    ]

    def guess_payload_class(self, payload: bytes) -> type[Packet]:
        """What is encrypted cannot be guessed."""
        return Raw

    def mysummary(self) -> Any:
        """Show the count and the flags that matter."""
        return self.sprintf("MPPE count %MPPE.coherency_count% flushed %MPPE.flushed%")


class _Option(Packet):
    """An option of a protocol that negotiates: its subclasses register themselves by their type."""

    registered_options: dict[int, type[Packet]] = {}

    def extract_padding(self, s: bytes) -> tuple[bytes, bytes]:
        """What follows belongs to the next option."""
        return b"", s

    @classmethod
    def register_variant(cls) -> None:
        """Called by scapy for each subclass."""
        kind = cls.fields_desc[0].default if cls.fields_desc else None
        if kind is not None:
            cls.registered_options[kind] = cls

    @classmethod
    def variant(cls, octets: bytes | None) -> type[Packet]:
        """Choose the class by the type octet, unless the length is not that of the option."""
        if octets and len(octets) > 1:
            chosen = cls.registered_options.get(octets[0], cls)
            return chosen if getattr(chosen, "LENGTH", octets[1]) == octets[1] else cls
        return cls


_CCP_OPTIONS = {
    0: "OUI",
    1: "Predictor-1",
    2: "Predictor-2",
    17: "Stac-LZS",
    18: "MPPE",
    21: "BSD-Compress",
    26: "Deflate",
}


class PPP_CCP_Option(_Option):
    """An option of CCP (RFC 1962 section 4)."""

    name = "PPP CCP Option"
    registered_options: dict[int, type[Packet]] = {}
    fields_desc = [
        ByteEnumField("type", None, _CCP_OPTIONS),
        FieldLenField("len", None, length_of="data", fmt="B", adjust=lambda _, value: value + 2),
        StrLenField("data", b"", length_from=lambda packet: max(0, packet.len - 2)),
    ]

    @classmethod
    def dispatch_hook(cls, _pkt: bytes | None = None, *args: Any, **kargs: Any) -> type[Packet]:
        """Choose the class; scapy asks only a class that says so itself."""
        return cls.variant(_pkt)


class PPP_CCP_MPPE_Option(PPP_CCP_Option):
    """MPPE's Supported Bits (RFC 3078 section 2.1)."""

    name = "PPP CCP Option: MPPE"
    LENGTH = 6
    BITS = {
        0x01000000: "stateless",
        0x00000080: "56",
        0x00000040: "128",
        0x00000020: "40",
        0x00000010: "obsolete",
        0x00000001: "MPPC",
    }
    fields_desc = [
        ByteEnumField("type", 18, _CCP_OPTIONS),
        ByteField("len", 6),
        FlagsField("bits", 0x01000040, 32, BITS),
    ]


class PPP_CCP_Stac_Option(PPP_CCP_Option):
    """Stac LZS (RFC 1974 section 3)."""

    name = "PPP CCP Option: Stac LZS"
    LENGTH = 5
    fields_desc = [
        ByteEnumField("type", 17, _CCP_OPTIONS),
        ByteField("len", 5),
        ShortField("histories", 1),
        ByteEnumField("check_mode", 3, {0: "none", 1: "LCB", 2: "CRC", 3: "sequence", 4: "extended"}),
    ]


class PPP_CCP_BSD_Option(PPP_CCP_Option):
    """BSD Compress (RFC 1977 section 3)."""

    name = "PPP CCP Option: BSD Compress"
    LENGTH = 3
    fields_desc = [
        ByteEnumField("type", 21, _CCP_OPTIONS),
        ByteField("len", 3),
        BitField("version", 1, 3),
        BitField("dictionary", 15, 5),
    ]


class PPP_CCP_Deflate_Option(PPP_CCP_Option):
    """Deflate (RFC 1979 section 3)."""

    name = "PPP CCP Option: Deflate"
    LENGTH = 4
    fields_desc = [
        ByteEnumField("type", 26, _CCP_OPTIONS),
        ByteField("len", 4),
        BitField("window", 7, 4),
        BitField("method", 8, 4),
        BitField("zero", 0, 6),
        BitField("check", 0, 2),
    ]


class PPP_CCP(Packet):
    """The Compression Control Protocol (RFC 1962): Reset-Request, Reset-Ack and what has no options."""

    name = "PPP Compression Control Protocol"
    fields_desc = [
        ByteEnumField("code", 14, _CODES),
        XByteField("id", 0),
        FieldLenField("len", None, fmt="H", length_of="data", adjust=lambda _, value: value + 4),
        StrLenField("data", b"", length_from=lambda packet: max(0, packet.len - 4)),
    ]

    def mysummary(self) -> Any:
        """Show the code."""
        return self.sprintf("CCP %code%")

    @classmethod
    def dispatch_hook(cls, _pkt: bytes | None = None, *args: Any, **kargs: Any) -> type[Packet]:
        """Choose the class by the code."""
        return PPP_CCP_Configure if _pkt and _pkt[0] in _CONFIGURE else cls


class PPP_CCP_Configure(PPP_CCP):
    """A Configure packet of CCP."""

    name = "PPP Compression Control Protocol Configure"
    fields_desc = [
        ByteEnumField("code", 1, _CODES),
        XByteField("id", 0),
        FieldLenField("len", None, fmt="H", length_of="options", adjust=lambda _, value: value + 4),
        PacketListField("options", [], PPP_CCP_Option, length_from=lambda packet: max(0, packet.len - 4)),
    ]


class PPP_IPV6CP_Option(_Option):
    """An option of IPV6CP (RFC 5072 section 4)."""

    name = "PPP IPV6CP Option"
    registered_options: dict[int, type[Packet]] = {}
    fields_desc = [
        ByteEnumField("type", None, {1: "Interface-Identifier", 2: "IPv6-Compression-Protocol"}),
        FieldLenField("len", None, length_of="data", fmt="B", adjust=lambda _, value: value + 2),
        StrLenField("data", b"", length_from=lambda packet: max(0, packet.len - 2)),
    ]

    @classmethod
    def dispatch_hook(cls, _pkt: bytes | None = None, *args: Any, **kargs: Any) -> type[Packet]:
        """Choose the class; scapy asks only a class that says so itself."""
        return cls.variant(_pkt)


class PPP_IPV6CP_Interface_Identifier_Option(PPP_IPV6CP_Option):
    """The Interface-Identifier (RFC 5072 section 4.1)."""

    name = "PPP IPV6CP Option: Interface-Identifier"
    LENGTH = 10
    fields_desc = [
        ByteEnumField("type", 1, {1: "Interface-Identifier"}),
        ByteField("len", 10),
        XStrFixedLenField("interface_identifier", bytes(8), 8),
    ]


class PPP_IPV6CP(Packet):
    """The IPv6 Control Protocol (RFC 5072), Configure packets above all."""

    name = "PPP IPv6 Control Protocol"
    fields_desc = [
        ByteEnumField("code", 1, _CODES),
        XByteField("id", 0),
        FieldLenField("len", None, fmt="H", length_of="options", adjust=lambda _, value: value + 4),
        PacketListField("options", [], PPP_IPV6CP_Option, length_from=lambda packet: max(0, packet.len - 4)),
    ]

    def mysummary(self) -> Any:
        """Show the code."""
        return self.sprintf("IPV6CP %code%")


class _Lcp(PPP_LCP):
    """Sends scapy's own LCP on, and Identification with it."""

    name = PPP_LCP.name
    fields_desc = PPP_LCP.fields_desc

    @classmethod
    def dispatch_hook(cls, _pkt: bytes | None = None, *args: Any, **kargs: Any) -> type[Packet]:
        """Choose the class by the code."""
        if _pkt and _pkt[0] == 12:
            return PPP_LCP_Identification
        chosen: type[Packet] = PPP_LCP.dispatch_hook(_pkt, *args, **kargs)  # type: ignore[no-untyped-call]
        return chosen


class PPP_LCP_Identification(PPP_LCP):
    """Identification (RFC 1570 section 2.1): Windows says its version so, RouterOS its name."""

    name = "PPP Link Control Protocol Identification"
    fields_desc = [
        ByteEnumField("code", 12, {12: "Identification"}),
        XByteField("id", 0),
        FieldLenField("len", None, fmt="H", length_of="message", adjust=lambda _, value: value + 8),
        IntField("magic_number", 0),
        StrLenField("message", b"", length_from=lambda packet: max(0, packet.len - 8)),
    ]

    def mysummary(self) -> Any:
        """Show the message."""
        return self.sprintf("LCP Identification %PPP_LCP_Identification.message%")


class _Chap(PPP_CHAP):
    """Sends scapy's own CHAP on, and the Responses of both MS-CHAPs with it."""

    name = PPP_CHAP.name
    fields_desc = PPP_CHAP.fields_desc

    @classmethod
    def dispatch_hook(cls, _pkt: bytes | None = None, *args: Any, **kargs: Any) -> type[Packet]:
        """Choose the class by code and Value-Size; eight zero octets in the middle tell version 2 from 1."""
        if _pkt and len(_pkt) >= 5 + _MSCHAP_RESPONSE and _pkt[0] == 2 and _pkt[4] == _MSCHAP_RESPONSE:
            return PPP_MSCHAPv2_Response if not any(_pkt[21:29]) else PPP_MSCHAP_Response
        chosen: type[Packet] = PPP_CHAP.dispatch_hook(_pkt, *args, **kargs)  # type: ignore[no-untyped-call]
        return chosen


def _response_length(packet: Packet, length: int) -> int:
    return length + 5 + _MSCHAP_RESPONSE


class PPP_MSCHAPv2_Response(PPP_CHAP_ChallengeResponse):
    """A Response of MS-CHAPv2 (RFC 2759 section 4)."""

    name = "PPP MS-CHAPv2 Response"
    fields_desc = [
        ByteEnumField("code", 2, {2: "Response"}),
        XByteField("id", 0),
        FieldLenField("len", None, fmt="!H", length_of="optional_name", adjust=_response_length),
        ByteField("value_size", _MSCHAP_RESPONSE),
        XStrFixedLenField("peer_challenge", bytes(16), 16),
        XStrFixedLenField("reserved", bytes(8), 8),
        XStrFixedLenField("nt_response", bytes(24), 24),
        XByteField("flags", 0),
        StrLenField("optional_name", b"", length_from=lambda packet: max(0, packet.len - 5 - _MSCHAP_RESPONSE)),
    ]

    def mysummary(self) -> Any:
        """Show who answers."""
        return self.sprintf("MS-CHAPv2 Response name=%PPP_MSCHAPv2_Response.optional_name%")


class PPP_MSCHAP_Response(PPP_CHAP_ChallengeResponse):
    """A Response of MS-CHAP version 1 (RFC 2433 section 4)."""

    name = "PPP MS-CHAP Response"
    fields_desc = [
        ByteEnumField("code", 2, {2: "Response"}),
        XByteField("id", 0),
        FieldLenField("len", None, fmt="!H", length_of="optional_name", adjust=_response_length),
        ByteField("value_size", _MSCHAP_RESPONSE),
        XStrFixedLenField("lm_response", bytes(24), 24),
        XStrFixedLenField("nt_response", bytes(24), 24),
        XByteField("use_nt_response", 1),
        StrLenField("optional_name", b"", length_from=lambda packet: max(0, packet.len - 5 - _MSCHAP_RESPONSE)),
    ]

    def mysummary(self) -> Any:
        """Show who answers."""
        return self.sprintf("MS-CHAP Response name=%PPP_MSCHAP_Response.optional_name%")


# scapy takes the first binding that fits, so its own ones for LCP and CHAP go, and come back by way of ours.
split_layers(PPP, PPP_LCP, proto=0xC021)
split_layers(PPP, PPP_CHAP, proto=0xC223)
bind_layers(PPP, _Lcp, proto=0xC021)
bind_layers(PPP, _Chap, proto=0xC223)
bind_layers(PPP, PPP_LCP_Identification, proto=0xC021)
bind_layers(PPP, PPP_MSCHAPv2_Response, proto=0xC223)
bind_layers(PPP, PPP_MSCHAP_Response, proto=0xC223)
bind_layers(PPP, PPP_CCP, proto=0x80FD)
bind_layers(PPP, PPP_CCP_Configure, proto=0x80FD)
bind_layers(PPP, PPP_IPV6CP, proto=0x8057)
bind_layers(PPP, MPPE, proto=0x00FD)
