"""The checks there are: functions under their ids."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from pypptp.roles import Role
from pypptp.testing.spec.catalogue import CATALOGUE, Entry

if TYPE_CHECKING:
    from pypptp.testing.dialogue.case import Case

CheckFunction: TypeAlias = "Callable[[Case], Awaitable[str]]"

SERVER: Final = frozenset({Role.SERVER})
CLIENT: Final = frozenset({Role.CLIENT})
BOTH: Final = SERVER | CLIENT


@dataclass(frozen=True, slots=True)
class Check:
    """One registered check.

    Attributes:
        entry: what the catalogue says of it.
        function: what to run; it returns what was seen, or raises a Finding.
        targets: which role the target may have.
        alone: nothing else runs at the same time: the check floods the target, measures it or takes all it has.
        waits: it mostly waits for timers of the target, so that it keeps nobody from running.
        order: those with a higher number run later; the ones that end the target last.
        deadline: seconds it may take at most.
    """

    entry: Entry
    function: CheckFunction
    targets: frozenset[Role]
    alone: bool
    waits: bool
    order: int
    deadline: float


REGISTRY: Final[dict[str, Check]] = {}
"""Every check by its id, in the order of the modules."""


def check(
    check_id: str,
    targets: frozenset[Role] = SERVER,
    *,
    alone: bool = False,
    waits: bool = False,
    order: int = 0,
    deadline: float = 60.0,
) -> Callable[[CheckFunction], CheckFunction]:
    """Register a function as the check of this id; see :class:`Check`."""

    def register(function: CheckFunction) -> CheckFunction:
        assert check_id not in REGISTRY, check_id
        REGISTRY[check_id] = Check(CATALOGUE[check_id], function, targets, alone, waits, order, deadline)
        return function

    return register
