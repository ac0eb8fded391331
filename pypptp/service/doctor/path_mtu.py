"""The largest packet that passes the way to the server, and what that means for the tunnel's MTU."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from pypptp.net.edge import DEFAULT_MTU
from pypptp.service.doctor.finding import Finding, good, note, wrong

TUNNEL_OVERHEAD: Final = 44
"""Octets around an inner packet at most: IP 20, GRE with acknowledgement 16, PPP 4, MPPE 2, inner protocol field 2."""
LEAST_OUTER: Final = 68 + TUNNEL_OVERHEAD
"""Octets; below, --mtu could not be set (RFC 791 lets no IP network have less than 68)."""
_FIRST_PATIENCE: Final = 2.0
LEAST_PATIENCE = 0.25
_ROUND_TRIPS: Final = 4
_TRIES: Final = 2


def largest_passing(passes: Callable[[int], bool], least: int, most: int) -> int:
    """Return the largest size between ``least``, which passes, and ``most`` that does, by halving."""
    if passes(most):
        return most
    while most - least > 1:
        middle = (least + most) // 2
        if passes(middle):
            least = middle
        else:
            most = middle
    return least


def find_largest(echo: Callable[[int, float], bool], most: int, clock: Callable[[], float] = time.monotonic) -> int:
    """Find the largest outer packet that is answered.

    Args:
        echo: sends one of so many octets and waits so many seconds for its answer.
        most: octets of the largest that is of interest.
        clock: the time.

    Returns:
        Its octets, 0 where not even small ones are answered.
    """
    begun = clock()
    if not any(echo(LEAST_OUTER, _FIRST_PATIENCE) for _ in range(_TRIES)):
        return 0
    # A lost answer costs the whole patience, and half of the sizes tried are lost.
    patience = max(LEAST_PATIENCE, _ROUND_TRIPS * min(_FIRST_PATIENCE, clock() - begun))
    return largest_passing(lambda size: any(echo(size, patience) for _ in range(_TRIES)), LEAST_OUTER, most)


def judge_largest(largest: int, most: int) -> Finding:
    """Say what the largest outer packet means; ``most`` is what was asked for."""
    check = "mtu"
    if not largest:
        return note(
            check,
            "cannot tell the largest packet that passes, because the server answers no LCP Echo-Request",
            f"where large transfers hang, try --mtu {DEFAULT_MTU - 200}",
        )
    if largest >= most:
        return good(check, f"packets of {largest} octets pass, so the tunnel's MTU of {DEFAULT_MTU} fits")
    fits = largest - TUNNEL_OVERHEAD
    return wrong(
        check,
        f"packets of more than {largest} octets do not pass, so the tunnel's MTU of {DEFAULT_MTU} is too large",
        f"give client and server --mtu {fits}",
    )
