"""The least that finds control messages in a capture file: classic pcap, Ethernet, IPv4, TCP segments put in order."""

from __future__ import annotations

import struct
from pathlib import Path

from pypptp.control.framing import MessageBuffer


def captured_messages(path: Path) -> list[bytes]:
    """Whole control messages of every TCP stream to or from port 1723, stream by stream."""
    data = path.read_bytes()
    order = "<" if data[:4] == b"\xd4\xc3\xb2\xa1" else ">"
    position = 24
    segments: dict[bytes, dict[int, bytes]] = {}
    while position < len(data):
        captured = struct.unpack_from(order + "I", data, position + 8)[0]
        frame = data[position + 16 : position + 16 + captured]
        position += 16 + captured
        if frame[12:14] != b"\x08\x00" or frame[23] != 6:
            continue
        ip = frame[14:]
        header = (ip[0] & 15) * 4
        tcp = ip[header : int.from_bytes(ip[2:4], "big")]
        payload = tcp[(tcp[12] >> 4) * 4 :]
        if b"\x06\xbb" in (tcp[0:2], tcp[2:4]) and payload:
            segments.setdefault(ip[12:20] + tcp[:4], {}).setdefault(int.from_bytes(tcp[4:8], "big"), payload)
    found = []
    for stream in segments.values():
        buffer = MessageBuffer()
        for sequence in sorted(stream):
            buffer.feed(stream[sequence])
        while (message := buffer.next_message()) is not None:
            found.append(message)
    return found
