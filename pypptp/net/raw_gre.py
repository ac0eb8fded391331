"""The raw socket for GRE (IP protocol 47)."""

from __future__ import annotations

import ctypes
import errno
import socket
import struct
import sys
from collections.abc import Sequence
from typing import Protocol

from pypptp.errors import NetworkError

IPPROTO_GRE = 47
BUFFER_OCTETS = 8 << 20
_SO_SNDBUFFORCE = 32
_SO_RCVBUFFORCE = 33
_SO_ATTACH_FILTER = 26

# Classic BPF, <linux/bpf_common.h>.
_LOAD_HALF_AT_X = 0x48  # BPF_LD | BPF_H | BPF_IND
_LOAD_HEADER_LENGTH = 0xB1  # BPF_LDX | BPF_B | BPF_MSH: X = 4 * (octet & 15)
_JUMP_IF_EQUAL = 0x15
_JUMP_IF_GREATER = 0x25
_JUMP_IF_NOT_LESS = 0x35
_RETURN = 0x06
_ENHANCED_GRE = 0x880B
_WHOLE_PACKET = 0x40000
_MOST_STRAY_PACKETS = 10_000
"""More than an ordinary receive buffer holds, and an end where the peer of an old call goes on sending."""


class OpenGre(Protocol):
    """What :func:`open_gre_socket` is, or does the same in another process."""

    def __call__(self, local: str | None = None, *, call_ids: range | None = None) -> socket.socket:
        """Open a raw GRE socket. Raises NetworkError."""


def open_gre_socket(local: str | None = None, *, call_ids: range | None = None) -> socket.socket:
    """Open a raw GRE socket: non-blocking, close-on-exec, with large buffers.

    What it receives begins with the outer IP header; what is sent does not. Open it before the first control message,
    and leave it unconnected: while no such socket is open the kernel answers GRE with ICMP protocol-unreachable,
    which a connected one would report as an error.

    Args:
        local: the IPv4 address to send from and receive for; None for any.
        call_ids: receive only packets for these, without gaps: the kernel reads and drops the others. Every raw socket
            is offered every packet; with a range each, the processes of a server divide them.

    Raises:
        NetworkError: no right to open raw sockets, or no such address here.
    """
    try:
        gre = socket.socket(socket.AF_INET, socket.SOCK_RAW | getattr(socket, "SOCK_NONBLOCK", 0), IPPROTO_GRE)
    except PermissionError as error:
        raise NetworkError(
            "not allowed to open a raw GRE socket: run as root or give the process CAP_NET_RAW"
        ) from error
    except OSError as error:
        raise NetworkError(f"cannot open a raw GRE socket: {error.strerror or error}") from error
    try:
        gre.setblocking(False)
        if call_ids is not None:
            _attach(gre, call_id_filter(call_ids))
        _enlarge(gre, _SO_RCVBUFFORCE, socket.SO_RCVBUF)
        _enlarge(gre, _SO_SNDBUFFORCE, socket.SO_SNDBUF)
        if local is not None:
            gre.bind((local, 0))
    except OSError as error:
        gre.close()
        if error.errno == errno.EADDRNOTAVAIL:
            raise NetworkError(f"{local} is not an address of this machine: choose one that is, or none") from error
        raise NetworkError(f"cannot bind a raw GRE socket to {local}: {error.strerror or error}") from error
    except BaseException:
        gre.close()
        raise
    return gre


Instruction = tuple[int, int, int, int]
"""Code, jump if true, jump if false, operand."""


def call_id_filter(call_ids: range) -> list[Instruction]:
    """Write the filter that lets through enhanced GRE (RFC 2637 section 4.1) whose call id is one of ``call_ids``.

    It is run on a packet that begins with its IP header, options included. The call id is the lower half of the GRE
    key. A packet too short for a load is refused, as the kernel does by itself.

    Raises:
        ValueError: the range is empty, has gaps, or leaves the 16 bits of a call id.
    """
    if not call_ids or call_ids.step != 1 or call_ids[0] < 0 or call_ids[-1] > 0xFFFF:
        raise ValueError(f"{call_ids} is no range of call ids without gaps")
    return [
        (_LOAD_HEADER_LENGTH, 0, 0, 0),
        (_LOAD_HALF_AT_X, 0, 0, 2),
        (_JUMP_IF_EQUAL, 0, 4, _ENHANCED_GRE),
        (_LOAD_HALF_AT_X, 0, 0, 6),
        (_JUMP_IF_NOT_LESS, 0, 2, call_ids[0]),
        (_JUMP_IF_GREATER, 1, 0, call_ids[-1]),
        (_RETURN, 0, 0, _WHOLE_PACKET),
        (_RETURN, 0, 0, 0),
    ]


def _attach(gre: socket.socket, instructions: Sequence[Instruction]) -> None:
    """Attach a filter, and throw away what came while there was none: a raw socket receives from its first moment."""
    program = b"".join(struct.pack("=HBBI", *instruction) for instruction in instructions)
    code = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog: a number, and behind the padding a pointer.
    gre.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(instructions), ctypes.addressof(code)))
    try:
        for _ in range(_MOST_STRAY_PACKETS):
            gre.recv(1)
    except BlockingIOError:
        pass


def _enlarge(gre: socket.socket, force: int, ordinary: int) -> None:
    """Ask for 8 MiB; without CAP_NET_ADMIN the kernel cuts that to net.core.rmem_max or wmem_max."""
    try:
        if sys.platform.startswith("linux"):
            gre.setsockopt(socket.SOL_SOCKET, force, BUFFER_OCTETS)
            return
    except OSError:
        pass
    try:
        gre.setsockopt(socket.SOL_SOCKET, ordinary, BUFFER_OCTETS)
    except OSError:
        pass  # some systems refuse what others cut; the socket works with what it has
