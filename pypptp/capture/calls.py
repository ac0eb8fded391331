"""Which GRE streams of a recording belong together: the two directions of one call.

The control connection says it (Outgoing-Call-Request and -Reply name both call ids). Where it was not captured, the PPP
frames do: a Configure-Ack repeats the request it answers, magic number and all.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from pypptp.capture.pcap_file import NANOSECONDS
from pypptp.capture.recording import ControlMessage, GreStream, PppFrame, Recording
from pypptp.control.codes import OutgoingCallResult
from pypptp.control.messages import MalformedMessage, OutgoingCallReply, OutgoingCallRequest, parse_message
from pypptp.gre.header import SEQUENCE_MASK
from pypptp.ppp.packet import Code, parse_packet
from pypptp.ppp.protocols import Protocol

CHAP_CHALLENGE = 1
CHAP_RESPONSE = 2
RESTART_WINDOW = 16
"""A GRE sequence that begins again does so below this number."""
SHORTEST_CALL = 4
"""Frames of the old call before the very first number of a new one."""
RESTART_DISTANCE = 64
"""How far behind the highest number a first CHAP or LCP packet must lie to be of a new call and not merely late."""
APART = 60 * NANOSECONDS
"""Two directions without a common frame of time, give or take this, are not one call."""
_ALIKE = 8
_CHAP_OPENING = frozenset((bytes((CHAP_CHALLENGE,)), bytes((CHAP_RESPONSE,))))
_CONFIGURE = frozenset(
    bytes((code,)) for code in (Code.CONFIGURE_REQUEST, Code.CONFIGURE_ACK, Code.CONFIGURE_NAK, Code.CONFIGURE_REJECT)
)
_NEGOTIATING = frozenset({Protocol.LCP, Protocol.CCP, Protocol.IPCP})


@dataclass(frozen=True, slots=True)
class CallRecord:
    """A call as its control connection set it up.

    Attributes:
        client: the address the call was placed from.
        server: the address that answered.
        client_call_id: the key of GRE packets to the client.
        server_call_id: the key of GRE packets to the server.
        start: number of the packet with the Outgoing-Call-Request.
    """

    client: IPv4Address
    server: IPv4Address
    client_call_id: int
    server_call_id: int
    start: int


@dataclass(slots=True, eq=False)
class Leg:
    """One direction of a call: a GRE stream, or the part of it between two uses of its call id."""

    source: IPv4Address
    destination: IPv4Address
    call_id: int
    call: CallRecord | None = None
    frames: list[PppFrame] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Call:
    """Both directions of one call, as far as they were captured; ``record`` where the control connection was."""

    legs: list[Leg]
    record: CallRecord | None

    @property
    def start(self) -> int:
        """Number of the first frame's packet."""
        return min(leg.frames[0].number for leg in self.legs)


def read_calls(messages: Iterable[ControlMessage]) -> list[CallRecord]:
    """Return the calls that were answered, in the order they were asked for."""
    asked: dict[tuple[IPv4Address, int, IPv4Address, int, int], int] = {}
    calls = []
    for control in messages:
        try:
            message = parse_message(control.data)
        except MalformedMessage:
            continue
        if isinstance(message, OutgoingCallRequest):
            asked[*control.client, *control.server, message.call_id] = control.number
        elif isinstance(message, OutgoingCallReply) and message.result_code == OutgoingCallResult.CONNECTED:
            start = asked.pop((*control.client, *control.server, message.peer_call_id), control.number)
            client, server = control.client[0], control.server[0]
            calls.append(CallRecord(client, server, message.peer_call_id, message.call_id, start))
    return sorted(calls, key=lambda call: call.start)


def find_calls(recording: Recording) -> list[Call]:
    """Return every call of the recording that carried a PPP frame, in the order they begin."""
    by_key: dict[tuple[IPv4Address, IPv4Address, int], list[CallRecord]] = defaultdict(list)
    for record in read_calls(recording.control):
        by_key[record.client, record.server, record.server_call_id].append(record)
        by_key[record.server, record.client, record.client_call_id].append(record)
    known: dict[CallRecord, list[Leg]] = defaultdict(list)
    orphans: dict[frozenset[IPv4Address], list[Leg]] = defaultdict(list)
    for key, stream in recording.streams.items():
        for leg in _split(stream, by_key.get(key, [])):
            if leg.call is not None:
                known[leg.call].append(leg)
            else:
                orphans[frozenset(key[:2])].append(leg)
    calls = [Call(_one_per_direction(legs), record) for record, legs in known.items()]
    for legs in orphans.values():
        calls.extend(Call(pair, None) for pair in _pair(legs))
    return sorted(calls, key=lambda call: call.start)


def _one_per_direction(legs: list[Leg]) -> list[Leg]:
    # A call with itself, both ids equal on one address, would put one stream in twice.
    return list({(leg.source, leg.destination, leg.call_id): leg for leg in legs}.values())


def _split(stream: GreStream, records: list[CallRecord]) -> Iterator[Leg]:
    """Cut a stream where its call id was given to another call."""
    starts = [record.start for record in records]
    current: Leg | None = None
    highest: int | None = None
    seen: set[tuple[int, bytes]] = set()
    for frame in stream.frames:
        position = bisect_right(starts, frame.number)
        record = records[position - 1] if position else None
        restarted = record is None and _restarts(frame, highest, seen)
        if current is None or current.call is not record or restarted:
            if current is not None:
                yield current
            current = Leg(stream.source, stream.destination, stream.call_id, record)
            highest = None
            seen.clear()
        current.frames.append(frame)
        if frame.sequence is not None:
            highest = frame.sequence if highest is None else max(highest, frame.sequence)
            if frame.protocol in (Protocol.LCP, Protocol.CHAP):
                seen.add((frame.sequence, frame.information))
    if current is not None:
        yield current


def _restarts(frame: PppFrame, highest: int | None, seen: set[tuple[int, bytes]]) -> bool:
    if highest is None or frame.sequence is None or (frame.sequence, frame.information) in seen:
        return False
    behind = highest - frame.sequence
    code = frame.information[:1]
    if frame.protocol == Protocol.LCP and code in _CONFIGURE:
        number = frame.sequence & SEQUENCE_MASK
        return (number <= 1 and behind > SHORTEST_CALL) or (number < RESTART_WINDOW and behind > RESTART_WINDOW)
    return frame.protocol == Protocol.CHAP and code in _CHAP_OPENING and behind > RESTART_DISTANCE


def _pair(legs: list[Leg]) -> Iterator[list[Leg]]:
    """Put the legs between two addresses together, first by what they say, then by when they spoke."""
    legs.sort(key=lambda leg: leg.frames[0].number)
    partner: dict[Leg, Leg] = {}
    for first, second in _matches(legs):
        if first not in partner and second not in partner:
            partner[first] = second
            partner[second] = first
    one_way = legs[0].source
    forward = [leg for leg in legs if leg.source == one_way and leg not in partner]
    backward = [leg for leg in legs if leg.source != one_way and leg not in partner]
    while forward and backward:
        first, second = forward[0], backward[0]
        if first.frames[-1].time + APART < second.frames[0].time:
            forward.pop(0)
        elif second.frames[-1].time + APART < first.frames[0].time:
            backward.pop(0)
        else:
            partner[forward.pop(0)] = second
            partner[backward.pop(0)] = first
    done: set[Leg] = set()
    for leg in legs:
        if leg not in done:
            pair = [leg, partner[leg]] if leg in partner else [leg]
            done.update(pair)
            yield pair


def _matches(legs: list[Leg]) -> Iterator[tuple[Leg, Leg]]:
    """Yield pairs of opposite legs, those with the most in common first."""
    asked: dict[tuple[int, int, bytes], list[Leg]] = defaultdict(list)
    answered: list[tuple[tuple[int, int, bytes], Leg]] = []
    for leg in legs:
        for frame in leg.frames:
            packet = None
            if frame.protocol in _NEGOTIATING or frame.protocol == Protocol.CHAP:
                packet = parse_packet(frame.information)
            if packet is None:
                continue
            # A CHAP Response names its Challenge by the identifier alone; a Configure-Ack has all of its request.
            chap = frame.protocol == Protocol.CHAP
            mark = (frame.protocol, packet.identifier, b"" if chap else packet.data)
            if packet.code == (CHAP_CHALLENGE if chap else Code.CONFIGURE_REQUEST):
                if len(asked[mark]) < _ALIKE and leg not in asked[mark]:
                    asked[mark].append(leg)
            elif packet.code == (CHAP_RESPONSE if chap else Code.CONFIGURE_ACK):
                answered.append((mark, leg))
    score: dict[tuple[Leg, Leg], int] = defaultdict(int)
    for mark, leg in answered:
        for other in asked.get(mark, ()):
            if other.source == leg.destination and other is not leg:
                score[leg, other] += 1 if mark[0] == Protocol.CHAP else 4 if mark[0] == Protocol.LCP else 2
    yield from sorted(score, key=lambda pair: -score[pair])
