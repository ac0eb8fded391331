"""What a hostile peer can cost: processor time for a frame, a packet of options, a try at a password; and memory.

python -m tests.endurance.costs [--json FILE]
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pypptp.auth.chap_secrets import Secrets, parse_chap_secrets
from pypptp.auth.secret_cache import SecretCache
from pypptp.mppe.cipher import MAXIMUM_CHANGES, Decryptor
from pypptp.mppe.keys import Strength
from pypptp.ppp.auth import AuthMethod, authenticator
from pypptp.ppp.auth.chap import build_value
from pypptp.ppp.control_protocol import NegotiationLimits
from pypptp.ppp.lcp import Lcp
from pypptp.ppp.packet import Code, ControlPacket
from tests import held

FORGED_PAYLOAD = 4
"""Octets behind GRE's 12 and MPPE's protocol and header: 20 in all, with what is encrypted."""
TRIES = 1000


def seconds(work: Callable[[], object]) -> float:
    """Return the processor time of one call."""
    began = time.process_time()
    work()
    return time.process_time() - began


def forged_frames() -> dict[str, float]:
    """Frames of 20 octets that ask for as many key changes as may be: the first, the next ones, one like any other."""
    decryptor = Decryptor(bytes(range(16)), Strength.BITS_128, stateless=True, sequence=0)

    def forge(count: int, sequence: int) -> float:
        frame = (0x9000 | count).to_bytes(2, "big") + bytes(FORGED_PAYLOAD)
        return seconds(lambda: decryptor.decrypt_frame(frame, sequence))

    first = forge(0xFFF, MAXIMUM_CHANGES)
    others = [forge(count, MAXIMUM_CHANGES) for count in range(0, 4096, 3)]
    near = [forge(0, 1) for _ in range(TRIES)]
    impossible = [forge(2000, 1) for _ in range(TRIES)]
    return {
        "first_ms": round(first * 1e3, 1),
        "further_median_us": round(statistics.median(others) * 1e6, 1),
        "further_worst_us": round(statistics.quantiles(others, n=100)[-1] * 1e6, 1),
        "next_count_median_us": round(statistics.median(near) * 1e6, 1),
        "impossible_count_median_us": round(statistics.median(impossible) * 1e6, 1),
    }


def options() -> dict[str, float]:
    """The largest Configure-Requests that fit into a datagram, of the smallest options and of one without a length."""

    def worst(data: bytes) -> float:
        found = []
        for _ in range(50):
            lcp = Lcp(
                mru=1400, demanded=(), willing=(), pfc=True, acfc=True, limits=NegotiationLimits(), random=os.urandom
            )
            lcp.open(0.0)
            lcp.up(0.0)
            packet = ControlPacket(Code.CONFIGURE_REQUEST, 1, data).build()
            found.append(seconds(lambda lcp=lcp, packet=packet: lcp.receive(packet, 0.0)))  # type: ignore[misc]
        return round(statistics.median(found) * 1e6, 1)

    room = held.LARGEST_FRAME - 8
    return {
        "octets": room,
        "flood_us": worst(b"\x77\x02" * (room // 2)),
        "no_length_us": worst(b"\x77\x00" * (room // 2)),
    }


def wrong_passwords() -> dict[str, float]:
    """From the look-up to the answer: a user who has been here, one who has not, and one who does not exist."""
    secrets = parse_chap_secrets("".join(f"user{number} * word{number} *\n" for number in range(TRIES)).encode())
    cache = SecretCache()
    for _ in range(50):
        answer_time(secrets, cache, "user0")
    been_here, new, unknown = [], [], []
    for number in range(1, TRIES):
        been_here.append(answer_time(secrets, cache, "user0"))
        new.append(answer_time(secrets, cache, f"user{number}"))
        unknown.append(answer_time(secrets, cache, f"nobody{number}"))
    return {
        "been_here_us": round(statistics.median(been_here) * 1e6, 1),
        "new_us": round(statistics.median(new) * 1e6, 1),
        "unknown_us": round(statistics.median(unknown) * 1e6, 1),
    }


def answer_time(secrets: Secrets, cache: SecretCache, user: str) -> float:
    """Return the seconds that an answer to a wrong Response took."""
    machine = authenticator(AuthMethod.MSCHAPV2, name="pptpd", random=os.urandom)
    machine.start(0.0)
    (challenge,) = machine.packets_to_send()
    machine.receive(ControlPacket(2, challenge[1], build_value(bytes(49), user.encode())).build(), 0.0)
    name = machine.take_wanted()
    assert name is not None

    began = time.perf_counter()
    account = secrets.lookup(name, "pptpd")
    machine.provide(None if account is None else cache.secret(account), 0.0)
    machine.packets_to_send()
    return time.perf_counter() - began


def measure() -> dict[str, Any]:
    """Measure all of it."""
    gc.disable()
    try:
        return {
            "forged_frames": forged_frames(),
            "options": options(),
            "wrong_passwords": wrong_passwords(),
            "memory": {"call": held.CALL, "calls": held.CALLS, "connection": held.CONNECTION},
        }
    finally:
        gc.enable()


def main() -> int:
    """Measure, and write it down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    text = json.dumps(measure(), indent=1)
    print(text)
    if arguments.json is not None:
        arguments.json.write_text(text + "\n", encoding="ascii")
    return 0


if __name__ == "__main__":
    sys.exit(main())
