"""The control connection's timers (RFC 2637 section 3.1.4). Most of these only wait."""

from __future__ import annotations

import asyncio

from pypptp.control.messages import EchoReply, EchoRequest
from pypptp.roles import Role
from pypptp.testing.dialogue.case import Case
from pypptp.testing.dialogue.control import start_request
from pypptp.testing.dialogue.verdicts import require
from pypptp.testing.spec.registry import BOTH, check

LONGEST_START = 60.0
"""Seconds RFC 2637 section 3.1.4 gives the Start exchange."""
SLACK = 2.0


@check("cc/2.5/3", BOTH, waits=True, deadline=90.0)
async def echo_comes(case: Case) -> str:
    """Silence once the connection is established."""
    # A client whose session does not come up would not stay so long.
    control = await case.started() if case.target.role is Role.SERVER else (await case.network_up()).control
    control.answers_echoes = False
    began = asyncio.get_running_loop().time()
    request = await control.try_receive(EchoRequest, case.target.timers.echo + SLACK)
    require(request is not None, f"no Echo-Request within {case.target.timers.echo:g} s")
    return f"Echo-Request after {asyncio.get_running_loop().time() - began:.1f} s"


@check("cc/2.5/4", BOTH, waits=True, deadline=150.0)
async def echo_unanswered(case: Case) -> str:
    """The target's Echo-Request stays without a right answer."""
    call = await case.network_up()
    control = call.control
    control.answers_echoes = False
    timers = case.target.timers
    request = await control.receive(EchoRequest, timers.echo + SLACK)
    began = asyncio.get_running_loop().time()
    # cc/2.5/2: a reply to something else is no sign of life.
    await control.send(EchoReply(identifier=request.identifier ^ 0xFFFF))
    closed = await control.wait_closed(timers.echo_timeout + SLACK)
    require(closed, f"still open {timers.echo_timeout + SLACK:g} s after an Echo-Request without an answer")
    took = asyncio.get_running_loop().time() - began
    require(not await call.lcp_echo(case.quiet), "the connection is closed, but its call lives")
    return f"closed {took:.1f} s after the Echo-Request, its call too; a wrong Echo-Reply did not count"


@check("cc/3.1/1", waits=True, deadline=90.0)
async def says_nothing(case: Case) -> str:
    """A connection on which nothing is ever said."""
    control = await case.control()
    began = asyncio.get_running_loop().time()
    limit = min(case.target.timers.start, LONGEST_START)
    require(await control.wait_closed(limit + SLACK), f"not closed within {limit:g} s")
    return f"closed after {asyncio.get_running_loop().time() - began:.1f} s"


@check("cc/3.1/2", waits=True, deadline=90.0)
async def says_it_slowly(case: Case) -> str:
    """A Start-Control-Connection-Request, a few octets now and then."""
    control = await case.control()
    loop = asyncio.get_running_loop()
    began = loop.time()
    limit = min(case.target.timers.start, LONGEST_START)
    request = start_request().build()
    for position in range(len(request) - 1):
        await control.send(request[position : position + 1])
        if await control.wait_closed(limit / 10):
            break
        require(loop.time() - began < limit + SLACK, f"not closed within {limit:g} s, because octets trickled in")
    require(control.closed, "not closed")
    return f"closed after {loop.time() - began:.1f} s, trickle or not"
