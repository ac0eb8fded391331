"""What is counted of a session, in its three books (its own, its tunnel's, its flow's), and of a whole server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from pypptp.aio.dataplane import Flow
from pypptp.session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFigures:
    """What is counted of one session at one moment.

    Attributes:
        call_id: our call id.
        counters: name and value of every counter that is not zero.
        echo_round_trip: seconds that the last LCP Echo-Request took to be answered; None before the first answer.
        ack_round_trip: seconds from a GRE packet to its acknowledgement, which the peer may put off; None before one.
    """

    call_id: int
    counters: tuple[tuple[str, int], ...]
    echo_round_trip: float | None
    ack_round_trip: float | None


@dataclass(frozen=True, slots=True)
class ServerFigures:
    """What is counted of a server at one moment.

    Attributes:
        sessions: those that are up, and could be asked about in time.
        planes: the data planes' counters that are not zero, those of all processes added up.
    """

    sessions: tuple[SessionFigures, ...]
    planes: tuple[tuple[str, int], ...]


def counters_of(session: Session, flow: Flow | None) -> dict[str, int]:
    """Return everything counted of a session, by name; no two of its books use the same one."""
    return asdict(session.counters) | session.tunnel.counters() | ({} if flow is None else flow.counters())


def figures_of(session: Session, flow: Flow | None) -> SessionFigures:
    """Return the figures of a session as they are now."""
    return SessionFigures(
        call_id=session.call_id,
        counters=_not_zero(counters_of(session, flow)),
        echo_round_trip=session.link.lcp.echo_round_trip,
        ack_round_trip=session.tunnel.round_trip.latest,
    )


def server_figures(sessions: Iterable[SessionFigures], planes: Iterable[dict[str, int]]) -> ServerFigures:
    """Put together the figures of sessions and data planes."""
    total: Counter[str] = Counter()
    for plane in planes:
        total.update(plane)
    return ServerFigures(tuple(sessions), _not_zero(total))


def _not_zero(counters: dict[str, int]) -> tuple[tuple[str, int], ...]:
    return tuple((name, count) for name, count in counters.items() if count)
