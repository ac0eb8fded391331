"""Between pppd and pptp: turns the first acknowledgement of stateless MPPE into a Nak of the H bit, both ways.

pppd asks for stateless mode even with `mppe-stateful`, and takes stateful mode only when the peer Naks H. Two pppds
never do that to each other. Runs in the guest as pppd's `pty` program: `ccp_filter.py LOG COMMAND...`; COMMAND is pptp.
"""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
from pathlib import Path

FLAG, ESCAPE, FLIP = 0x7E, 0x7D, 0x20
FCS_INITIAL, FCS_GOOD = 0xFFFF, 0xF0B8
CCP_HEAD = b"\x80\xfd"
CONFIGURE_ACK, CONFIGURE_NAK = 2, 3
OPTION_MPPE = 18
H_BIT = 0x01


def fcs(data: bytes) -> int:
    """RFC 1662's 16-bit frame check sequence, without the final complement."""
    value = FCS_INITIAL
    for octet in data:
        value ^= octet
        for _ in range(8):
            value = (value >> 1) ^ 0x8408 if value & 1 else value >> 1
    return value


def unescape(line: bytes) -> bytes:
    """A frame without its byte stuffing."""
    frame, flip = bytearray(), 0
    for octet in line:
        if octet == ESCAPE:
            flip = FLIP
        else:
            frame.append(octet ^ flip)
            flip = 0
    return bytes(frame)


def escape(frame: bytes) -> bytes:
    """A frame with every control octet stuffed, which is right for any asyncmap."""
    line = bytearray()
    for octet in frame:
        if octet < 0x20 or octet in (FLAG, ESCAPE):
            line += bytes((ESCAPE, octet ^ FLIP))
        else:
            line.append(octet)
    return bytes(line)


def naked(frame: bytes) -> bytes | None:
    """The Configure-Nak to put in place of a CCP Configure-Ack of stateless MPPE; None for any other frame (FCS
    included).
    """
    start = 2 if frame[:2] == b"\xff\x03" else 0
    packet = frame[start + 2 : -2]
    if (
        frame[start : start + 2] != CCP_HEAD
        or len(packet) < 10
        or packet[0] != CONFIGURE_ACK
        or packet[4] != OPTION_MPPE
    ):
        return None
    if not packet[6] & H_BIT or fcs(frame) != FCS_GOOD:
        return None
    changed = frame[: start + 2] + bytes((CONFIGURE_NAK,)) + packet[1:6] + bytes((packet[6] & ~H_BIT,)) + packet[7:]
    check = fcs(changed) ^ 0xFFFF
    return changed + check.to_bytes(2, "little")


class Direction:
    """One way through the filter; frames are changed until one Nak has gone out."""

    def __init__(self, source: int, sink: int, name: str, log: Path) -> None:
        self.source = source
        self.sink = sink
        self._name = name
        self._log = log
        self._partial = b""
        self._done = False

    def forward(self) -> bool:
        """Pass on what can be read; False at the end of the source."""
        try:
            data = os.read(self.source, 65536)
        except OSError:
            return False
        if not data:
            return False
        os.write(self.sink, data if self._done else self._change(data))
        return True

    def _change(self, data: bytes) -> bytes:
        lines = (self._partial + data).split(bytes((FLAG,)))
        self._partial = lines.pop()
        out = bytearray()
        for line in lines:
            changed = None if self._done or not line else naked(unescape(line))
            if changed is not None:
                self._done = True
                with self._log.open("a") as log:
                    log.write(f"{self._name}: Configure-Ack of stateless MPPE turned into a Nak of H\n")
                line = escape(changed)
            out += line + bytes((FLAG,))
        if self._done:
            out += self._partial
        return bytes(out)


def main() -> None:
    """Start the command and stand in the middle until either side ends."""
    log = Path(sys.argv[1])
    # pptp reads and writes its standard input: a socket pair, since a pipe has one way only.
    ours, theirs = socket.socketpair()
    with ours, subprocess.Popen(sys.argv[2:], stdin=theirs.fileno(), stdout=theirs.fileno()) as pptp:
        theirs.close()
        directions = {
            0: Direction(0, ours.fileno(), "to server", log),
            ours.fileno(): Direction(ours.fileno(), 1, "to client", log),
        }
        going = True
        while going:
            ready, _, _ = select.select(list(directions), [], [])
            going = all(directions[source].forward() for source in ready)
        pptp.terminate()


if __name__ == "__main__":
    main()
