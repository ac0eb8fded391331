"""What cannot be passed: the cipher alone in a loop, ``openssl speed``; and the protocol in memory beside it."""

from __future__ import annotations

import gc
import re
import shutil
import subprocess
from collections.abc import Callable
from time import perf_counter

from bench.cores import Pair
from bench.packets import cipher_alone, encapsulation
from pypptp.mppe.rc4 import DEFAULT, LibcryptoBackend

PACKET = 1400
ENCRYPTED = PACKET + 2
"""Octets RC4 runs over: the packet, and PPP's protocol field."""

ROUND = 200
"""Packets between two looks at the clock, about a millisecond: short enough to find the machine undisturbed."""
_SPEED = re.compile(r"^(\S+)\s+([\d.]+)k\s*$", re.MULTILINE)
_CIPHERS = (
    ("RC4", ("-provider", "legacy", "-provider", "default", "-evp", "rc4")),
    ("AES-128-CBC", ("-evp", "aes-128-cbc")),
)


def least_seconds(runs: dict[str, Callable[[int], None]], rounds: int) -> dict[str, float]:
    """Seconds for each packet: the best of many short rounds, in turn.

    Whatever else the machine does slows all of them, and some rounds not.
    """
    best = dict.fromkeys(runs, 1e9)
    for _ in range(rounds):
        for name, run in runs.items():
            begun = perf_counter()
            run(ROUND)
            best[name] = min(best[name], (perf_counter() - begun) / ROUND)
    return best


def packet_costs(rounds: int = 300) -> dict[str, float]:
    """Microseconds of a full packet: its cipher alone, and encapsulated; empty where there is no libcrypto."""
    if not isinstance(DEFAULT, LibcryptoBackend):
        return {}
    best = least_seconds({"cipher": cipher_alone(DEFAULT, ENCRYPTED), "encapsulate": encapsulation(PACKET)}, rounds)
    return {
        "cipher alone, us a packet": best["cipher"] * 1e6,
        "cipher alone, Mbit/s a core": PACKET * 8e-6 / best["cipher"],
        "encapsulate, us a packet": best["encapsulate"] * 1e6,
        "encapsulate beside the cipher": best["encapsulate"] / best["cipher"],
    }


def openssl_speed(seconds: int = 1) -> dict[str, float]:
    """What ``openssl speed`` takes for as many octets as one packet has: RC4, or AES where there is no RC4."""
    program = shutil.which("openssl")
    for name, options in _CIPHERS if program else ():
        command = [str(program), "speed", "-seconds", str(seconds), "-bytes", str(ENCRYPTED), *options]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=30 + seconds, check=False)
        except (OSError, subprocess.TimeoutExpired):
            continue
        speed = read_speed(done.stdout)
        if done.returncode == 0 and speed:
            return {f"openssl speed, {name} of as many octets, us a packet": ENCRYPTED / speed * 1e6}
    return {}


def read_speed(output: str) -> float:
    r"""Octets a second from the table ``openssl speed`` prints; 0 where it has none.

    >>> read_speed("type           1402 bytes\nRC4             926945.56k\n")
    926945560.0
    """
    found = _SPEED.search(output)
    return float(found[2]) * 1000 if found else 0.0


def handshake_rates(batches: int = 5) -> dict[str, float]:
    """Sessions a second each side can set up in memory, from the first control message to the last of IPCP."""
    best = {"client": 1e9, "server": 1e9}
    for _ in range(batches):
        pairs = [Pair() for _ in range(40)]
        gc.collect()
        for pair in pairs:
            pair.connect()
        for side in best:
            best[side] = min(best[side], sum(getattr(pair, side).seconds for pair in pairs) / len(pairs))
    return {f"sessions a second in memory, {side}'s side": 1 / seconds for side, seconds in best.items()}


def measure(*, quick: bool) -> dict[str, float]:
    """All of them."""
    return packet_costs(60 if quick else 300) | openssl_speed() | handshake_rates(2 if quick else 5)
