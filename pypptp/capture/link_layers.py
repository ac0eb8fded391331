"""From a captured frame to the IP packet, or the PPP frame, inside it.

Link types are those of the tcpdump.org LINKTYPE_ registry. Whatever else a frame carries is None, and so is a frame too
short for its own headers: a capture holds all that passed, and most of it concerns nobody here.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from enum import Enum

from pypptp.ppp.protocols import ADDRESS_CONTROL, Protocol, split_frame


class Layer(Enum):
    """What was found inside a frame."""

    IPV4 = "IPv4 packet"
    PPP = "PPP frame, without address and control octets, protocol field first"


Found = tuple[Layer, bytes] | None
"""What the frame holds; the octets may run on into padding or a frame check sequence."""

_ETHERTYPE_IPV4 = 0x0800
_ETHERTYPES_VLAN = frozenset({0x8100, 0x88A8, 0x9100})
_ETHERTYPE_PPPOE_SESSION = 0x8864
_MAXIMUM_TAGS = 8
_HDLC_PPP_ADDRESSES = frozenset({0xFF})
_CISCO_HDLC_ADDRESSES = frozenset({0x0F, 0x8F})
_LLC_SNAP = b"\xaa\xaa\x03\x00\x00"
_AF_INET = 2

_80211_DATA = 2
_80211_PROTECTED = 0x4000
_80211_ORDER = 0x8000
_80211_TO_AND_FROM_DS = 0x0300
_80211_QOS = 0x0080
_80211_NULL = 0x0040


def _raw(data: bytes) -> Found:
    return (Layer.IPV4, data) if data and data[0] >> 4 == 4 else None


def _ethertype(ethertype: int, data: bytes, start: int) -> Found:
    """Follow an Ethernet type through VLAN tags (IEEE 802.1Q) and PPPoE (RFC 2516)."""
    for _ in range(_MAXIMUM_TAGS):
        if ethertype not in _ETHERTYPES_VLAN or len(data) < start + 4:
            break
        ethertype = int.from_bytes(data[start + 2 : start + 4], "big")
        start += 4
    if ethertype == _ETHERTYPE_IPV4:
        return _raw(data[start:])
    if ethertype == _ETHERTYPE_PPPOE_SESSION and data[start : start + 2] == b"\x11\x00":
        return _ppp(data[start + 6 :])
    return None


def _ethernet(data: bytes) -> Found:
    if len(data) < 14:
        return None
    ethertype = int.from_bytes(data[12:14], "big")
    if ethertype <= 1500:
        return _logical_link(data, 14)
    return _ethertype(ethertype, data, 14)


def _logical_link(data: bytes, start: int) -> Found:
    if data[start : start + 5] != _LLC_SNAP or len(data) < start + 8:
        return None
    return _ethertype(int.from_bytes(data[start + 6 : start + 8], "big"), data, start + 8)


def _cooked(data: bytes) -> Found:
    if len(data) < 16:
        return None
    return _ethertype(int.from_bytes(data[14:16], "big"), data, 16)


def _cooked2(data: bytes) -> Found:
    if len(data) < 20:
        return None
    return _ethertype(int.from_bytes(data[:2], "big"), data, 20)


def _loopback(data: bytes) -> Found:
    # The address family is in the byte order of the machine that captured; AF_INET is 2 everywhere.
    if data[:4] not in (_AF_INET.to_bytes(4, "big"), _AF_INET.to_bytes(4, "little")):
        return None
    return _raw(data[4:])


def _wireless(data: bytes) -> Found:
    """IEEE 802.11 data frames in clear; management, control and protected frames hold nothing to read."""
    if len(data) < 24:
        return None
    control = struct.unpack_from("<H", data)[0]
    if control & 3 or control >> 2 & 3 != _80211_DATA or control & (_80211_PROTECTED | _80211_NULL):
        return None
    start = 24
    if control & _80211_TO_AND_FROM_DS == _80211_TO_AND_FROM_DS:
        start += 6
    if control & _80211_QOS:
        start += 2
        if control & _80211_ORDER:
            start += 4
    return _logical_link(data, start)


def _radiotap(data: bytes) -> Found:
    if len(data) < 8 or data[0] != 0:
        return None
    length = struct.unpack_from("<H", data, 2)[0]
    if length < 8:
        return None
    # Some drivers pad the 802.11 header to four octets and say so in the Flags field, the first after TSFT.
    frame = data[length:]
    present = struct.unpack_from("<I", data, 4)[0]
    if present & 2 and not present & 0x80000000:
        flags_at = 16 if present & 1 else 8
        if flags_at < min(length, len(data)) and data[flags_at] & 0x20:
            frame = _without_padding(frame)
    return _wireless(frame)


def _without_padding(frame: bytes) -> bytes:
    if len(frame) < 24:
        return frame
    control = struct.unpack_from("<H", frame)[0]
    length = 24
    if control & _80211_TO_AND_FROM_DS == _80211_TO_AND_FROM_DS:
        length += 6
    if control & _80211_QOS:
        length += 2
    return frame[:length] + frame[length + (-length & 3) :]


def _ppp(data: bytes) -> Found:
    """Carry on into the IP packet of a PPP link; any other PPP frame is shown as it is."""
    if data[:2] == ADDRESS_CONTROL:
        data = data[2:]
    split = split_frame(data)
    if split is None:
        return None
    protocol, information = split
    if protocol == Protocol.IPV4:
        return _raw(information)
    return Layer.PPP, data


def _ppp_hdlc(data: bytes) -> Found:
    if len(data) < 4:
        return None
    if data[0] in _CISCO_HDLC_ADDRESSES:
        return _ethertype(int.from_bytes(data[2:4], "big"), data, 4)
    # An address other than All-Stations is a peer's own (RFC 1662 3.1); without one the protocol field comes first.
    return _ppp(data[2:] if data[0] in _HDLC_PPP_ADDRESSES else data)


def _ppp_with_direction(data: bytes) -> Found:
    return _ppp(data[1:])


def _ppp_ethernet(data: bytes) -> Found:
    return _ppp(data[6:]) if data[:2] == b"\x11\x00" else None


_READERS: dict[int, Callable[[bytes], Found]] = {
    0: _loopback,
    1: _ethernet,
    9: _ppp,
    12: _raw,
    14: _raw,
    50: _ppp_hdlc,
    51: _ppp_ethernet,
    101: _raw,
    105: _wireless,
    108: _loopback,
    113: _cooked,
    127: _radiotap,
    166: _ppp_with_direction,
    204: _ppp_with_direction,
    228: _raw,
    276: _cooked2,
}

KNOWN_LINK_TYPES = frozenset(_READERS)
"""LINKTYPE_ values that are read; packets of any other are passed over."""


def find_network_layer(link_type: int, data: bytes) -> Found:
    """Return what a frame of this link type carries, or None. Never raises."""
    reader = _READERS.get(link_type & 0xFFFF)
    return None if reader is None else reader(data)
