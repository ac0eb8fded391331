"""From two samples of a server's sessions to the rows of a table: whoever asks works the rates out, not the server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any, Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One session. Rates are bit/s of IP packets, in is from the client.

    Attributes:
        call_id: its call id.
        user: who.
        source: from where.
        address: the inner address.
        interface: the TUN.
        encryption: how packets are protected.
        rate_in: None where there is only one sample of it.
        rate_out: None where there is only one sample of it.
        loss: share of the client's packets that never came, 0 to 1; None where none came between the samples.
        round_trip: seconds; None where nothing is known.
        exact: whether that is an LCP echo's time; a GRE acknowledgement may have been put off by the peer.
        seconds: how long it has been connected.
    """

    call_id: int
    user: str
    source: str
    address: str
    interface: str
    encryption: str
    rate_in: float | None
    rate_out: float | None
    loss: float | None
    round_trip: float | None
    exact: bool
    seconds: float


Sample = Mapping[str, Any]
"""An answer to the request "sessions"."""


def rows_of(sample: Sample, before: Sample | None) -> list[Row]:
    """Return a row for each session of a sample, with rates since the one before."""
    # A call id is given again, though not soon; with the start of the session it is not.
    known = {} if before is None else {_key(session): session for session in before["sessions"]}
    elapsed = 0.0 if before is None else sample["at"] - before["at"]
    return [_row(session, known.get(_key(session)), elapsed) for session in sample["sessions"]]


def _key(session: Mapping[str, Any]) -> tuple[int, int]:
    return session["call_id"], round(session["since"])


def _row(session: Mapping[str, Any], before: Mapping[str, Any] | None, elapsed: float) -> Row:
    def grown(name: str) -> int:
        assert before is not None
        # A worker that was late with its figures is zero once, and the growth after it everything at once.
        return max(0, session[name] - before[name]) if before[name] or before["gre_received"] else 0

    rate_in = rate_out = loss = None
    if before is not None and elapsed > 0:
        rate_in, rate_out = 8 * grown("octets_in") / elapsed, 8 * grown("octets_out") / elapsed
        lost, came = grown("gre_lost"), grown("gre_received")
        loss = lost / (lost + came) if lost + came else None
    echo = session["echo_round_trip"]
    return Row(
        call_id=session["call_id"],
        user=session["user"],
        source=session["from"],
        address=session["address"],
        interface=session["interface"],
        encryption=session["encryption"],
        rate_in=rate_in,
        rate_out=rate_out,
        loss=loss,
        round_trip=session["ack_round_trip"] if echo is None else echo,
        exact=echo is not None,
        seconds=session["seconds"],
    )


@dataclass(frozen=True, slots=True)
class Order:
    """One way to sort.

    Attributes:
        key: the key on the keyboard.
        by: what is compared.
        falling: the greatest first.
    """

    key: str
    by: Callable[[Row], Any]
    falling: bool = False


ORDERS: Final[Mapping[str, Order]] = {
    "user": Order("u", lambda row: row.user),
    "from": Order("f", lambda row: IPv4Address(row.source)),
    "address": Order("a", lambda row: IPv4Address(row.address)),
    "in": Order("i", lambda row: row.rate_in or 0.0, falling=True),
    "out": Order("o", lambda row: row.rate_out or 0.0, falling=True),
    "loss": Order("l", lambda row: row.loss or 0.0, falling=True),
    "rtt": Order("t", lambda row: row.round_trip or 0.0, falling=True),
    "since": Order("s", lambda row: row.seconds, falling=True),
}
"""What the rows can be sorted by, by name."""


def in_order(rows: list[Row], order: str) -> list[Row]:
    """Sort rows; equal ones stay in the order of their addresses, so that the table does not jump about."""
    chosen = ORDERS[order]
    return sorted(sorted(rows, key=ORDERS["address"].by), key=chosen.by, reverse=chosen.falling)
