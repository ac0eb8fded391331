"""A transcript in words: who said what and when, as the standards name it."""

from __future__ import annotations

from math import inf

from pypptp.capture.descriptions import describe_control, describe_ppp, is_message
from pypptp.gre import parse_header
from pypptp.ppp.protocols import name, split_frame
from pypptp.testing.dialogue.transcript import Layer, Transcript

SHOWN_ENTRIES = 24
LONGEST_TEXT = 150


def annotate(transcript: Transcript, most: int = SHOWN_ENTRIES) -> list[str]:
    """Describe what led to the verdict: the last entries before it, one line for each message and remark.

    Args:
        transcript: what happened.
        most: entries shown.
    """
    lines = []
    judged = inf if transcript.judged is None else transcript.judged
    for entry in [entry for entry in transcript.entries if entry.time <= judged][-most:]:
        head = f"{entry.time:9.3f} {entry.direction} "
        if entry.layer is Layer.CONTROL:
            lines += [f"{head}control {text}" for text in _control_texts(entry.octets)]
        elif entry.layer is Layer.GRE:
            lines.append(f"{head}gre     {_gre_text(entry.octets)}")
        else:
            lines.append(f"{head}{entry.text}")
    return [line[:LONGEST_TEXT] for line in lines]


def _control_texts(octets: bytes) -> list[str]:
    texts: list[str] = []
    while octets and len(texts) < 4:
        length = int.from_bytes(octets[:2], "big") if len(octets) >= 12 else len(octets)
        length = length if 12 <= length <= len(octets) else len(octets)
        texts.append(describe_control(octets[:length]))
        octets = octets[length:]
    return texts if not octets else [*texts, f"and {len(octets)} octets more"]


def _gre_text(datagram: bytes) -> str:
    header = parse_header(datagram)
    if header is None:
        return f"no enhanced GRE: {datagram[:24].hex()}"
    words = [f"call {header.call_id}"]
    if header.acknowledgement is not None:
        words.append(f"ack {header.acknowledgement}")
    if header.sequence is None:
        return " ".join(words)
    words.append(f"seq {header.sequence}")
    parts = split_frame(datagram[header.header_length : header.header_length + header.payload_length])
    if parts is None:
        return f"{' '.join(words)}: empty"
    protocol, information = parts
    text = describe_ppp(protocol, information) if is_message(protocol) else f"{len(information)} octets"
    return f"{' '.join(words)}: {name(protocol)} {text}"
