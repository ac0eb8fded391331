"""Where on the wire each quirk shows: for its key, the session to look at and what has to be true of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from itertools import pairwise

from pypptp.control.messages import (
    CallClearRequest,
    CallDisconnectNotify,
    OutgoingCallReply,
    OutgoingCallRequest,
    SetLinkInfo,
    StartControlConnectionReply,
    StartControlConnectionRequest,
    StopControlConnectionRequest,
)
from pypptp.endpoint import EndpointConfig
from pypptp.ppp.config import LinkConfig
from pypptp.ppp.ipcp import OptionType as Ipcp
from pypptp.ppp.lcp import OptionType as Lcp
from pypptp.ppp.packet import Code
from pypptp.ppp.protocols import Protocol
from pypptp.roles import Role
from pypptp.testing.personas import Persona
from pypptp.testing.playbook import PlayFailed
from tests.testing.personas.wire import Said, Wire, peers_of, ping_from_target, target

MPPE = 18
H, S, M, L, C = 1 << 24, 0x40, 0x80, 0x20, 0x01
CHALLENGE, RESPONSE, SUCCESS, FAILURE = 1, 2, 3, 4

Look = Callable[[Persona, Wire], bool]
Scene = Callable[[Persona], Wire]


def settings(persona: Persona, **link: bool) -> EndpointConfig:
    """Return the settings of our endpoint: those of the memory target, but a client asks for name servers."""
    is_server = persona.role is Role.CLIENT
    config = LinkConfig(name="pptpd" if is_server else "alice", ask_dns=not is_server, **link)  # type: ignore[arg-type]
    return EndpointConfig(link=config, check_source=is_server)


@lru_cache
def whole(persona: Persona) -> Wire:
    """A session with pings both ways that the persona ends."""
    with persona.in_memory(config=settings(persona)) as peer:
        peer.connect()
        assert ping_from_target(peer)
        assert peer.ping()
        peer.wait(1.0)
        peer.hang_up()
        peer.wait(20.0)
        return Wire(peer)


@lru_cache
def ended(persona: Persona) -> Wire:
    """A session that our endpoint ends."""
    with persona.in_memory(config=settings(persona)) as peer:
        peer.connect()
        connection = target(peer)
        connection.endpoint.close("enough", connection.loop.time())
        connection.settle()
        peer.wait(20.0)
        return Wire(peer)


@lru_cache
def late(persona: Persona) -> Wire:
    """A session in which the first GRE packet of our endpoint is lost."""
    with persona.in_memory(config=settings(persona)) as peer:
        lost: list[bytes] = []

        def lose_first(datagram: bytes) -> list[bytes]:
            if lost:
                return [datagram]
            lost.append(datagram)
            return []

        peers_of(peer).wire.gre_out = lose_first
        peer.connect()
        return Wire(peer)


@lru_cache
def refused(persona: Persona) -> Wire:
    """A log-in with a wrong password."""
    return _failing(persona, settings(persona), target_password="looking-glass")


@lru_cache
def stateful(persona: Persona) -> Wire:
    """A session with an endpoint that wants stateful MPPE."""
    return _failing(persona, settings(persona, stateless=False))


def _failing(persona: Persona, config: EndpointConfig, target_password: str | None = None) -> Wire:
    with persona.in_memory(config=config, target_password=target_password) as peer:
        try:
            peer.connect()
        except PlayFailed:
            pass
        peer.wait(20.0)
        return Wire(peer)


def _start(persona: Persona, wire: Wire) -> tuple[bytes, bytes, int, int, int, int]:
    told: StartControlConnectionRequest | StartControlConnectionReply = (
        wire.message(StartControlConnectionRequest)
        if persona.role is Role.CLIENT
        else wire.message(StartControlConnectionReply)
    )
    numbers = (told.firmware_revision, told.maximum_channels, told.framing_capabilities, told.bearer_capabilities)
    return (told.host_name, told.vendor_name, *numbers)


def _started_as(**expected: tuple[bytes, bytes, int, int, int, int]) -> Look:
    return lambda persona, wire: _start(persona, wire) == expected[_key(persona)]


def _key(persona: Persona) -> str:
    return "".join(letter for letter in persona.name.lower() if letter.isalnum())


def _lcp_types(*types: int) -> Look:
    return lambda persona, wire: wire.first(Protocol.LCP).types == list(types)


def _bits(value: int, granted: int = H | S) -> Look:
    """CCP asks for these bits first, and takes the Nak that follows."""

    def look(persona: Persona, wire: Wire) -> bool:
        requests = wire.frames(Protocol.CCP, Code.CONFIGURE_REQUEST)
        return [int.from_bytes(said.options[0].value, "big") for said in requests] == [value, granted]

    return look


def _identifiers_in_one_row(persona: Persona, wire: Wire) -> bool:
    """Only what a persona says of its own: answers have the identifier of what they answer."""
    own = (Code.CONFIGURE_REQUEST, Code.IDENTIFICATION, Code.TERMINATE_REQUEST)
    numbered = [said for said in wire.said if said.mine and said.protocol != Protocol.CHAP]
    identifiers = [said.packet.identifier for said in numbered if said.packet and said.packet.code in own]
    first = 1 if persona.name == "Windows XP" else 0
    return identifiers == list(range(first, first + len(identifiers))) and len(identifiers) > 6


def _terminated_twice(persona: Persona, wire: Wire) -> bool:
    requests = wire.frames(Protocol.LCP, Code.TERMINATE_REQUEST)
    words = [(said.packet.identifier, said.packet.data) for said in requests if said.packet is not None]
    return words == [(2, b"MPPE disabled"), (3, b"MPPE disabled")] and requests[0].time == requests[1].time


def _called_after_a_second(persona: Persona, wire: Wire) -> bool:
    reply = wire.messages(StartControlConnectionReply, mine=False)[0]
    return 0.9 < wire.messages(OutgoingCallRequest)[0].time - reply.time < 1.1


def _speeds(minimum: int, maximum: int, window: int | None = None) -> Look:
    def look(persona: Persona, wire: Wire) -> bool:
        call = wire.message(OutgoingCallRequest)
        window_fits = window in (None, call.packet_receive_window_size)
        return (call.minimum_bps, call.maximum_bps) == (minimum, maximum) and window_fits

    return look


def _call_id_zero(persona: Persona, wire: Wire) -> bool:
    request, reply = wire.messages(OutgoingCallRequest), wire.messages(OutgoingCallReply)
    own = (request or reply)[0].message
    assert isinstance(own, OutgoingCallRequest | OutgoingCallReply)
    return own.call_id == 0 and all(header.call_id == 0 for header in wire.gre(mine=False))


def _link_info_at_call(persona: Persona, wire: Wire) -> bool:
    reply = wire.messages(OutgoingCallReply, mine=False)[0]
    info = wire.messages(SetLinkInfo)[0]
    before = wire.said[: wire.position(info)]
    return reply in before and not any(said.mine and said.protocol for said in before)


def _link_info_at_lcp(persona: Persona, wire: Wire) -> bool:
    """After the last Configure-Ack of LCP, and at the very time."""
    acks = wire.frames(Protocol.LCP, Code.CONFIGURE_ACK) + wire.frames(Protocol.LCP, Code.CONFIGURE_ACK, mine=False)
    opened = max(wire.position(ack) for ack in acks)
    return any(
        wire.position(info) > opened and info.time == wire.said[opened].time for info in wire.messages(SetLinkInfo)
    )


def _link_info_at_end(persona: Persona, wire: Wire) -> bool:
    before = wire.said[wire.position(wire.first(Protocol.LCP, Code.TERMINATE_REQUEST)) - 1]
    return before.mine and isinstance(before.message, SetLinkInfo)


def _identifies_as(**expected: tuple[bytes, ...]) -> Look:
    def look(persona: Persona, wire: Wire) -> bool:
        said = [found.packet for found in wire.frames(Protocol.LCP, Code.IDENTIFICATION)]
        magic = wire.value(Protocol.LCP, Lcp.MAGIC_NUMBER)
        texts = [packet.data[4:] for packet in said if packet is not None and packet.data[:4] == magic]
        wanted = expected[_key(persona)]
        return len(texts) >= len(wanted) and all(
            text.startswith(start) for text, start in zip(texts, wanted, strict=False)
        )

    return look


def _correlation(persona: Persona, wire: Wire) -> bool:
    third = wire.frames(Protocol.LCP, Code.IDENTIFICATION)[2].packet
    subaddress = wire.message(OutgoingCallRequest).subaddress
    return third is not None and len(subaddress) == 16 and third.data[4:] == subaddress


def _short_lcp(persona: Persona, wire: Wire) -> bool:
    """All LCP that negotiates has its whole header, the rest none, and MPPE's is one octet."""
    lcp = wire.frames(Protocol.LCP)
    whole_header = [said for said in lcp if said.packet is not None and said.packet.code <= Code.CODE_REJECT]
    rest = [said for said in lcp if said not in whole_header]
    data = wire.frames(Protocol.COMPRESSED)
    return (
        all(said.full_header for said in whole_header)
        and bool(rest and data)
        and not any(said.full_header for said in rest)
        and all(said.frame[0] == Protocol.COMPRESSED for said in data)
    )


def _ipcp_early(persona: Persona, wire: Wire) -> bool:
    return wire.position(wire.first(Protocol.IPCP)) < _ccp_open(wire)


def _ipcp_after_ccp(persona: Persona, wire: Wire) -> bool:
    return wire.position(wire.first(Protocol.IPCP)) > _ccp_open(wire)


def _ccp_open(wire: Wire) -> int:
    """Return where the second of the two Configure-Acks of CCP is."""
    return max(wire.position(wire.first(Protocol.CCP, Code.CONFIGURE_ACK, mine=mine)) for mine in (True, False))


def _four_name_servers(persona: Persona, wire: Wire) -> bool:
    options = wire.first(Protocol.IPCP).options
    wanted = [Ipcp.IP_ADDRESS, Ipcp.PRIMARY_DNS, Ipcp.PRIMARY_NBNS, Ipcp.SECONDARY_DNS, Ipcp.SECONDARY_NBNS]
    return [option.type for option in options] == wanted and all(option.value == bytes(4) for option in options)


def _ipv6cp_first(persona: Persona, wire: Wire) -> bool:
    six, ccp, ip = (wire.position(wire.first(protocol)) for protocol in (Protocol.IPV6CP, Protocol.CCP, Protocol.IPCP))
    return six < ccp < ip and bool(wire.frames(Protocol.LCP, Code.PROTOCOL_REJECT, mine=False))


def _ipv6cp_after_ipcp(persona: Persona, wire: Wire) -> bool:
    six = wire.first(Protocol.IPV6CP)
    return wire.said[wire.position(six) - 1] == wire.first(Protocol.IPCP)


def _terminate_code(persona: Persona, wire: Wire) -> bool:
    packet = wire.first(Protocol.LCP, Code.TERMINATE_REQUEST).packet
    magic = wire.value(Protocol.LCP, Lcp.MAGIC_NUMBER)
    return packet is not None and packet.data == magic + bytes.fromhex("003ccd7400000000")


def _methods(**expected: tuple[str, ...]) -> Look:
    def look(persona: Persona, wire: Wire) -> bool:
        values = [
            option.value.hex()
            for said in wire.frames(Protocol.LCP, Code.CONFIGURE_REQUEST)
            for option in said.options
            if option.type == Lcp.AUTHENTICATION
        ]
        asked = tuple(value for value, after in pairwise([*values, ""]) if value != after)
        return asked == expected[_key(persona)]

    return look


def _chap_message(code: int, wire: Wire) -> bytes:
    packet = wire.first(Protocol.CHAP, code).packet
    assert packet is not None
    return packet.data


def _success(start: bytes, length: int | None = None) -> Look:
    """``S=`` and 40 digits, then this."""

    def look(persona: Persona, wire: Wire) -> bool:
        message = _chap_message(SUCCESS, wire)
        return message[:2] == b"S=" and message[42:] == start and (length is None or len(message) == length)

    return look


def _failure_words(persona: Persona, wire: Wire) -> bool:
    challenge = _chap_message(CHALLENGE, wire)[1:17].hex().encode()
    failure = wire.first(Protocol.CHAP, FAILURE)
    after = wire.said[wire.position(failure) + 1].packet
    return (
        _chap_message(FAILURE, wire) == b"E=691 R=1 C=" + challenge + b" V=0 M=Access denied"
        and after is not None
        and (after.code, after.data) == (Code.TERMINATE_REQUEST, b"Authentication failed")
    )


def _failure_bare(persona: Persona, wire: Wire) -> bool:
    challenge = _chap_message(CHALLENGE, wire)[1:17].hex().encode()
    return _chap_message(FAILURE, wire) == b"E=691 R=0 C=" + challenge + b" V=3"


def _failure_message(persona: Persona, wire: Wire) -> bool:
    failure = wire.first(Protocol.CHAP, FAILURE, mine=False)
    assert failure.packet is not None
    after = wire.said[wire.position(failure) :]
    return b"M=" in failure.packet.data and not any(said.mine and (said.protocol or said.message) for said in after)


def _stateful_refused(persona: Persona, wire: Wire) -> bool:
    packet = wire.first(Protocol.LCP, Code.TERMINATE_REQUEST).packet
    return packet is not None and packet.data.startswith(b"MPPE required") and wire.over


def _call_repeated(persona: Persona, wire: Wire) -> bool:
    asked, told = wire.message(OutgoingCallRequest, mine=False), wire.message(OutgoingCallReply)
    window = asked.packet_receive_window_size
    return (told.connect_speed, told.packet_receive_window_size) == (asked.maximum_bps, window)


def _reply(speed: int, window: int) -> Look:
    def look(persona: Persona, wire: Wire) -> bool:
        told = wire.message(OutgoingCallReply)
        return (told.connect_speed, told.packet_receive_window_size) == (speed, window)

    return look


def _from_one(persona: Persona, wire: Wire) -> bool:
    numbers = [header.sequence for header in wire.gre() if header.sequence is not None]
    return numbers == list(range(1, 1 + len(numbers)))


def _acks_with_data(persona: Persona, wire: Wire) -> bool:
    headers = wire.gre()
    return all(header.sequence is not None for header in headers) and any(
        header.acknowledgement is not None for header in headers
    )


def _acks_always(persona: Persona, wire: Wire) -> bool:
    return all(header.acknowledgement is not None for header in wire.gre())


def _acks_late(persona: Persona, wire: Wire) -> bool:
    """The ping's reply is acknowledged alone, half a second later."""
    alone = [said for said in wire.said if said.mine and said.header is not None and said.header.sequence is None]
    reply = wire.frames(Protocol.COMPRESSED, mine=False)[-1]
    assert reply.header is not None
    waits = [
        said.time - reply.time
        for said in alone
        if said.header is not None and said.header.acknowledgement == reply.header.sequence
    ]
    return len(waits) == 1 and abs(waits[0] - 0.5) < 0.01


def _rejects_compression(persona: Persona, wire: Wire) -> bool:
    return wire.first(Protocol.LCP, Code.CONFIGURE_REJECT).types == [Lcp.PFC, Lcp.ACFC]


def _echo_at_once(persona: Persona, wire: Wire) -> bool:
    chap = wire.frames(Protocol.CHAP) + wire.frames(Protocol.CHAP, mine=False)
    echo = wire.first(Protocol.LCP, Code.ECHO_REQUEST)
    acks = [wire.first(Protocol.LCP, Code.CONFIGURE_ACK, mine=mine) for mine in (True, False)]
    return max(map(wire.position, acks)) < wire.position(echo) and (
        persona.role is Role.CLIENT or wire.position(echo) < min(map(wire.position, chap))
    )


def _silent(persona: Persona, wire: Wire) -> bool:
    heard = wire.first(Protocol.LCP, mine=False)
    return heard.time > 2.0 and wire.first(Protocol.LCP).time >= heard.time


def _van_jacobson(persona: Persona, wire: Wire) -> bool:
    rejects = wire.frames(Protocol.IPCP, Code.CONFIGURE_REJECT, mine=False)
    return wire.first(Protocol.IPCP).types[0] == Ipcp.IP_COMPRESSION and rejects[0].types == [Ipcp.IP_COMPRESSION]


def _dns_one_rejected(persona: Persona, wire: Wire) -> bool:
    naks = [said.types for said in wire.frames(Protocol.IPCP, Code.CONFIGURE_NAK)]
    rejects = [said.types for said in wire.frames(Protocol.IPCP, Code.CONFIGURE_REJECT)]
    return rejects == [[Ipcp.SECONDARY_DNS]] and naks == [[Ipcp.IP_ADDRESS, Ipcp.PRIMARY_DNS]]


def _terminate_repeated(persona: Persona, wire: Wire) -> bool:
    asked = wire.first(Protocol.LCP, Code.TERMINATE_REQUEST, mine=False).packet
    acked = wire.first(Protocol.LCP, Code.TERMINATE_ACK).packet
    return asked is not None and acked is not None and asked.data != b"" and acked.data == asked.data


def _disconnect_zero(persona: Persona, wire: Wire) -> bool:
    own = wire.message(OutgoingCallReply).call_id
    told = wire.message(CallDisconnectNotify)
    return (told.result_code, told.call_id) == (0, own)


def _disconnect_names_peer(persona: Persona, wire: Wire) -> bool:
    theirs = wire.message(OutgoingCallRequest, mine=False).call_id
    own = wire.message(OutgoingCallReply).call_id
    return wire.message(CallDisconnectNotify).call_id == theirs != own


def _clear_and_fin(persona: Persona, wire: Wire) -> bool:
    after = wire.said[wire.position(wire.messages(CallClearRequest)[0]) + 1 :]
    return wire.over and not any(said.mine and said.message for said in after)


def _fin_only(persona: Persona, wire: Wire) -> bool:
    return wire.over and not wire.messages(CallDisconnectNotify, StopControlConnectionRequest)


def _disconnect_and_stop(persona: Persona, wire: Wire) -> bool:
    mine = [type(said.message) for said in wire.said if said.mine and said.message is not None]
    return mine[-2:] == [CallDisconnectNotify, StopControlConnectionRequest] and not wire.frames(
        Protocol.LCP, Code.TERMINATE_REQUEST
    )


def _window_16(persona: Persona, wire: Wire) -> bool:
    told = wire.message(OutgoingCallReply)
    return (told.packet_receive_window_size, told.packet_processing_delay) == (16, 1)


def _reserved0(persona: Persona, wire: Wire) -> bool:
    mine: list[Said] = [said for said in wire.said if said.mine and said.message is not None]
    return all(said.octets[10:12] != b"\0\0" for said in mine)


def _channel_is_call(persona: Persona, wire: Wire) -> bool:
    told = wire.message(OutgoingCallReply)
    return told.physical_channel_id == told.call_id != 0


START = _started_as(
    windows2000=(b"", b"Microsoft Windows NT", 2160, 0, 1, 1),
    windowsxp=(b"", b"Microsoft Windows NT", 2600, 0, 1, 1),
    windows10=(b"", b"Microsoft", 0, 0, 1, 1),
    macosx104=(b"", b"", 0, 0, 1, 1),
    pptplinux=(b"local", b"cananian", 1, 65535, 3, 3),
    rras=(b"", b"Microsoft", 0, 0, 2, 3),
    pptpd=(b"local", b"linux", 1, 1, 0, 0),
    accelppp=(b"local", b"cananian", 1, 1, 3, 3),
    npppd=(b"", b"IIJ", 0x0502, 4, 2, 2),
    routeros=(b"MikroTik", b"MikroTik", 1, 0, 2, 0),
)

SEEN: Mapping[tuple[str, str] | str, tuple[Scene, Look]] = {
    "start-nt": (whole, START),
    "start-microsoft": (whole, START),
    "start-bare": (whole, START),
    "start-fields": (whole, START),
    "call-id-zero": (whole, _call_id_zero),
    "speeds-windows": (whole, _speeds(300, 100_000_000, 64)),
    "speeds-only": (whole, _speeds(300, 100_000_000)),
    "window-3": (whole, _speeds(2400, 10_000_000, 3)),
    "call-after-a-second": (whole, _called_after_a_second),
    "correlation": (whole, _correlation),
    "link-info-at-call": (whole, _link_info_at_call),
    "link-info-at-lcp": (whole, _link_info_at_lcp),
    "link-info-at-end": (whole, _link_info_at_end),
    "lcp-callback": (whole, _lcp_types(Lcp.MRU, Lcp.MAGIC_NUMBER, Lcp.PFC, Lcp.ACFC, Lcp.CALLBACK)),
    ("Windows 2000", "lcp-multilink"): (
        whole,
        _lcp_types(Lcp.MAGIC_NUMBER, Lcp.PFC, Lcp.ACFC, Lcp.CALLBACK, Lcp.MRRU, Lcp.ENDPOINT_DISCRIMINATOR),
    ),
    ("RRAS", "lcp-multilink"): (
        whole,
        _lcp_types(
            Lcp.MRU,
            Lcp.AUTHENTICATION,
            Lcp.MAGIC_NUMBER,
            Lcp.PFC,
            Lcp.ACFC,
            Lcp.CALLBACK,
            Lcp.MRRU,
            Lcp.ENDPOINT_DISCRIMINATOR,
        ),
    ),
    ("pptp-linux", "accm"): (whole, _lcp_types(Lcp.ACCM, Lcp.MAGIC_NUMBER, Lcp.PFC, Lcp.ACFC)),
    ("pptpd", "accm"): (whole, _lcp_types(Lcp.ACCM, Lcp.AUTHENTICATION, Lcp.MAGIC_NUMBER, Lcp.PFC, Lcp.ACFC)),
    ("accel-ppp", "lcp-order"): (whole, _lcp_types(Lcp.AUTHENTICATION, Lcp.MRU, Lcp.MAGIC_NUMBER)),
    ("npppd", "lcp-order"): (
        whole,
        _lcp_types(Lcp.MRU, Lcp.PFC, Lcp.ACFC, Lcp.MAGIC_NUMBER, Lcp.AUTHENTICATION),
    ),
    "identification": (
        whole,
        _identifies_as(
            windows2000=(b"MSRASV5.00", b"MSRAS-1-"),
            windowsxp=(b"MSRASV5.10",),
            windows10=(b"MSRASV5.20", b"MSRAS-0-"),
        ),
    ),
    "short-lcp": (whole, _short_lcp),
    "one-counter": (whole, _identifiers_in_one_row),
    ("Windows XP", "every-strength"): (whole, _bits(H | S | M | L | C)),
    ("npppd", "every-strength"): (whole, _bits(H | S | M | L)),
    "two-strengths": (whole, _bits(H | S | L)),
    "mppc": (whole, _bits(H | S | C)),
    "ipcp-early": (whole, _ipcp_early),
    "ipcp-after-ccp": (whole, _ipcp_after_ccp),
    "four-name-servers": (whole, _four_name_servers),
    "ipv6cp-first": (whole, _ipv6cp_first),
    "ipv6cp-after-ipcp": (whole, _ipv6cp_after_ipcp),
    "van-jacobson": (whole, _van_jacobson),
    "terminate-code": (whole, _terminate_code),
    "terminate-twice": (whole, _terminated_twice),
    "terminate-repeated": (ended, _terminate_repeated),
    "methods": (whole, _methods(rras=("c227", "c22381"), accelppp=("c023", "c22305", "c22380", "c22381"))),
    ("RRAS", "success-bare"): (whole, _success(b"", 42)),
    ("npppd", "success-bare"): (whole, _success(b"", 42)),
    ("pptpd", "success-words"): (whole, _success(b" M=Access granted")),
    ("accel-ppp", "success-words"): (whole, _success(b" M=Authentication succeeded")),
    "failure-words": (refused, _failure_words),
    "failure-bare": (refused, _failure_bare),
    "failure-message": (refused, _failure_message),
    "stateful-refused": (stateful, _stateful_refused),
    "call-repeated": (whole, _call_repeated),
    "call-in-host-order": (whole, _reply(13_277_755, 16_384)),
    "speed-cut": (whole, _reply(2_524_971_008, 64)),
    "channel-is-call": (whole, _channel_is_call),
    "gre-from-1": (whole, _from_one),
    "acks-with-data": (whole, _acks_with_data),
    "acks-always": (whole, _acks_always),
    "acks-late": (whole, _acks_late),
    "rejects-compression": (whole, _rejects_compression),
    "echo-at-once": (whole, _echo_at_once),
    "silent": (late, _silent),
    "dns-one-rejected": (whole, _dns_one_rejected),
    "disconnect-zero": (ended, _disconnect_zero),
    "disconnect-names-peer": (ended, _disconnect_names_peer),
    "disconnect-and-stop": (whole, _disconnect_and_stop),
    "clear-and-fin": (whole, _clear_and_fin),
    "fin-only": (whole, _fin_only),
    "window-16": (whole, _window_16),
    "reserved0": (whole, _reserved0),
}
"""By key, or by name and key where two personas do it differently."""
