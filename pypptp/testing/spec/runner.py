"""Runs the checks: side by side where they can, alone where they must, and tells how each went."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final

from pypptp.errors import NetworkError, PptpError
from pypptp.roles import Role
from pypptp.testing.dialogue.case import Case, Target
from pypptp.testing.dialogue.network import Network, TargetSilent
from pypptp.testing.dialogue.transcript import Transcript
from pypptp.testing.dialogue.verdicts import Finding, Unreached, Verdict
from pypptp.testing.spec.catalogue import CATALOGUE, Level
from pypptp.testing.spec.registry import REGISTRY, Check

SIDE_BY_SIDE: Final = 6
"""Checks at a time. Each holds one inner address at most, and a small pool has twelve."""
FIRST, LAST = "sanity/first", "sanity/last"
"""The whole way up and a ping, before and after everything else."""

ENDS_THE_TARGET: Final = 100
"""Checks of this order and above come after the last sanity conversation: the target is gone afterwards."""
USUAL_TIMEOUT: Final = 2.0
"""Seconds of ``--timeout`` that the checks' deadlines are meant for."""
OTHER_SIDE: Final = "this one is about a {} under test"


@dataclass(frozen=True, slots=True)
class Result:
    """How one check went.

    Attributes:
        id: which.
        reference: the section it rests on.
        level: how much it weighs.
        verdict: how it went.
        expected: what the target should do.
        actual: what it did.
        seconds: how long it took.
        transcript: what passed; None where nothing did.
    """

    id: str
    reference: str
    level: Level
    verdict: Verdict
    expected: str
    actual: str
    seconds: float
    transcript: Transcript | None


@dataclass(slots=True)
class Outcome:
    """How a whole run went.

    Attributes:
        results: of each check asked for, in the catalogue's order.
        sanity: of the conversations before and after; empty with no target role to try them on.
    """

    results: list[Result]
    sanity: list[Result]

    def failed(self) -> list[Result]:
        """Return what failed."""
        return [result for result in (*self.sanity, *self.results) if result.verdict is Verdict.FAIL]


def select(role: Role, prefixes: Sequence[str] = ()) -> list[str]:
    """Return the ids that begin with one of the prefixes, all without any; in the catalogue's order.

    For a client under test only those that make sense on that side.
    """
    chosen = [check_id for check_id in CATALOGUE if not prefixes or check_id.startswith(tuple(prefixes))]
    if role is Role.CLIENT:
        return [check_id for check_id in chosen if check_id in REGISTRY and role in REGISTRY[check_id].targets]
    return chosen


class Run:
    """One run against one target.

    Args:
        target: whom the checks are held against.
        make_network: makes each check its own way there.
        strict: what is NONSTRICT fails.
        report: told each result as it comes.
        side_by_side: checks at a time; one where the target can do one thing only.
    """

    def __init__(
        self,
        target: Target,
        make_network: Callable[[], Network],
        *,
        strict: bool = False,
        report: Callable[[Result], None] = lambda result: None,
        side_by_side: int = SIDE_BY_SIDE,
    ) -> None:
        self.target = target
        self._make_network = make_network
        self._strict = strict
        self._report = report
        self._turns = asyncio.Semaphore(side_by_side)
        self._one_by_one = side_by_side == 1
        self._numbers = count()

    async def run(self, ids: Iterable[str], *, sanity: bool = True) -> Outcome:
        """Run the checks.

        Raises:
            TargetSilent: the target does not say a word.
            NetworkError: the system lets us have no raw socket.
        """
        wanted = list(ids)
        before = [await self._sanity(FIRST)] if sanity else []
        results: dict[str, Result] = {}
        runnable = []
        for check_id in wanted:
            check = REGISTRY.get(check_id)
            if check is None or self.target.role not in check.targets:
                other = Role.CLIENT if self.target.role is Role.SERVER else Role.SERVER
                results[check_id] = self._skip(check_id, OTHER_SIDE.format(other.value))
                self._report(results[check_id])
            else:
                runnable.append(check)
        together = [check for check in runnable if not check.alone and not self._one_by_one]
        waiting = [check for check in together if check.waits]
        # What waits for the target's timers begins first and keeps nobody from running.
        tasks = [asyncio.ensure_future(self._note(check, results)) for check in waiting]
        tasks += [asyncio.ensure_future(self._in_turn(check, results)) for check in together if not check.waits]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for check in sorted((check for check in runnable if check not in together), key=lambda check: check.order):
            if check.order >= ENDS_THE_TARGET and sanity:
                break
            await self._note(check, results)
        after = [await self._sanity(LAST)] if sanity else []
        for check in runnable:
            if check.entry.id not in results:
                await self._note(check, results)
        return Outcome([results[check_id] for check_id in wanted], before + after)

    async def _sanity(self, name: str) -> Result:
        async def whole_way(case: Case) -> str:
            call = await case.network_up()
            return f"logged in, encrypted, {call.address} given, pings answered"

        result = await self._run(name, "all", Level.MUST, "a conversation without any deviation works", whole_way, 30.0)
        transcript = result.transcript
        if name == FIRST and transcript is not None and not transcript.heard():
            raise TargetSilent(result.actual)
        self._report(result)
        return result

    async def _in_turn(self, check: Check, results: dict[str, Result]) -> None:
        async with self._turns:
            await self._note(check, results)

    async def _note(self, check: Check, results: dict[str, Result]) -> None:
        entry = check.entry
        result = await self._run(entry.id, entry.reference, entry.level, entry.expected, check.function, check.deadline)
        results[entry.id] = result
        self._report(result)

    async def _run(
        self,
        name: str,
        reference: str,
        level: Level,
        expected: str,
        function: Callable[[Case], Awaitable[str]],
        deadline: float,
    ) -> Result:
        loop = asyncio.get_running_loop()
        # Whoever waits longer for each answer needs longer for all of them.
        deadline *= max(1.0, self.target.timeout / USUAL_TIMEOUT)
        case = Case(self.target, self._make_network(), next(self._numbers))
        began = loop.time()
        verdict = Verdict.PASS
        try:
            async with asyncio.timeout(deadline):
                actual = await function(case)
        except Finding as finding:
            verdict, actual = self._judge(finding, level), str(finding)
            if isinstance(finding, Unreached):
                actual = f"did not come that far: {actual}"
        except TargetSilent as error:
            if name == FIRST:
                raise
            verdict, actual = Verdict.FAIL, f"the target does not answer any more: {error}"
        except TimeoutError:
            verdict, actual = Verdict.FAIL, f"not over after {deadline:g} s"
        except NetworkError:
            raise
        except (PptpError, OSError) as error:
            verdict, actual = Verdict.FAIL, f"{type(error).__name__}: {error}"
        finally:
            case.transcript.judged = loop.time() - case.transcript.began
            await case.close()
        if level is Level.INFO and verdict in (Verdict.PASS, Verdict.NONSTRICT):
            verdict = Verdict.INFO
        return Result(name, reference, level, verdict, expected, actual, loop.time() - began, case.transcript)

    def _judge(self, finding: Finding, level: Level) -> Verdict:
        verdict = finding.verdict
        if verdict is Verdict.FAIL and level is Level.SHOULD and not isinstance(finding, Unreached):
            verdict = Verdict.NONSTRICT
        if verdict is Verdict.NONSTRICT and self._strict:
            verdict = Verdict.FAIL
        return verdict

    def _skip(self, check_id: str, reason: str) -> Result:
        entry = CATALOGUE[check_id]
        return Result(check_id, entry.reference, entry.level, Verdict.SKIP, entry.expected, reason, 0.0, None)
