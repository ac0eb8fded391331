"""The sender and the receiver of the tunnel benchmark, each a small program of its own in a namespace.

    traffic.py receive tcp|udp ADDRESS PORT
    traffic.py send tcp ADDRESS PORT SECONDS
    traffic.py send udp ADDRESS PORT SECONDS OCTETS RATE

A receiver prints "listening", and at the end what came, as JSON. OCTETS are those of the IP packet; the sender of UDP
prints how many went. RATE is in packets a second, 0 for as many as can be.
"""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import time

CHUNK = 1 << 17
BURST = 32
UDP_AND_IP_HEADERS = 28
END = b"."
"""What a UDP sender sends at last, again and again, until it is refused: the receiver has seen it and is gone."""
END_INTERVAL, END_TRIES = 0.02, 250
SILENCE = 10.0
"""Seconds without a datagram after which a UDP receiver gives up."""


def receive_tcp(address: str, port: int) -> None:
    with socket.create_server((address, port)) as listener:
        print("listening", flush=True)
        connection, _ = listener.accept()
        buffer = bytearray(CHUNK)
        octets, begun = 0, 0.0
        with connection:
            while count := connection.recv_into(buffer):
                begun = begun or time.monotonic()
                octets += count
    print(json.dumps({"octets": octets, "seconds": time.monotonic() - begun}), flush=True)


def send_tcp(address: str, port: int, seconds: float) -> None:
    chunk = bytes(CHUNK)
    with socket.create_connection((address, port), timeout=10) as connection:
        connection.settimeout(30)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            connection.sendall(chunk)


def receive_udp(address: str, port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)  # SO_RCVBUFFORCE
        sock.bind((address, port))
        print("listening", flush=True)
        buffer = bytearray(65_536)
        datagrams = octets = 0
        begun = ended = 0.0
        sock.settimeout(SILENCE)
        while True:
            try:
                count = sock.recv_into(buffer)
            except TimeoutError:
                break
            if count == len(END):
                break
            ended = time.monotonic()
            begun = begun or ended
            datagrams += 1
            octets += count
    print(json.dumps({"packets": datagrams, "octets": octets, "seconds": ended - begun}), flush=True)


def send_udp(address: str, port: int, seconds: float, octets: int, rate: float) -> None:
    datagram = bytes(octets - UDP_AND_IP_HEADERS)
    datagrams = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect((address, port))
        begun = time.monotonic()
        while (passed := time.monotonic() - begun) < seconds:
            if rate and datagrams > passed * rate:
                time.sleep(datagrams / rate - passed)
            # A receiver that is not there says so now and then, by ICMP; a flood needs none.
            with contextlib.suppress(ConnectionRefusedError):
                for _ in range(BURST):
                    sock.send(datagram)
            datagrams += BURST
        with contextlib.suppress(ConnectionRefusedError):
            for _ in range(END_TRIES):
                sock.send(END)
                time.sleep(END_INTERVAL)
    print(json.dumps({"packets": datagrams}), flush=True)


def main(arguments: list[str]) -> None:
    direction, kind, address, port, *rest = arguments
    match direction, kind:
        case "receive", "tcp":
            receive_tcp(address, int(port))
        case "receive", "udp":
            receive_udp(address, int(port))
        case "send", "tcp":
            send_tcp(address, int(port), float(rest[0]))
        case "send", "udp":
            send_udp(address, int(port), float(rest[0]), int(rest[1]), float(rest[2]))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
