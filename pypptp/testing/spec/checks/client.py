"""What only a client can be asked (RFC 2637 section 2.8, 2.13; RFC 2759 sections 3, 5, 8)."""

from __future__ import annotations

import asyncio
from typing import Final

from pypptp.control.messages import CallDisconnectNotify
from pypptp.ppp.auth.chap import ChapCode
from pypptp.ppp.packet import Code
from pypptp.ppp.protocols import Protocol
from pypptp.testing.dialogue.case import Case
from pypptp.testing.dialogue.network import ProgramEnd
from pypptp.testing.dialogue.verdicts import NotStrict, require
from pypptp.testing.spec.registry import CLIENT, check

RESULTS: Final = {3: "carrier", 4: "busy", 5: "dial", 6: "time", 7: "accept"}
END: Final = 10.0
"""Seconds in which a client ends whose call is over."""


async def over(case: Case, why: str) -> ProgramEnd:
    """Fail unless the client ends by itself, and says that it failed."""
    end = await case.network.program_end(END)
    require(end.status is not None, f"{why} the client goes on")
    require(end.status, f"{why} the client ends with status 0")
    return end


@check("cc/2.8/1", CLIENT)
async def call_refused(case: Case) -> str:
    """The call is refused as busy."""
    control = await case.started()
    request = await case.call_request(control)
    call = case.prepare_call(control, case.new_call_id(), request.call_id)
    result = 4
    await control.send(case.call_reply(call, result_code=result, call_id=0))
    end = await over(case, "refused with result 4")
    words = end.output.lower()
    if RESULTS[result] not in words:
        raise NotStrict(f"ends with status {end.status}, but its words do not say busy: {end.output[-200:]!r}")
    return f"ends with status {end.status} and names the result"


@check("cc/2.8/2", CLIENT)
async def foreign_call_id(case: Case) -> str:
    """The reply is about a call nobody asked for."""
    control = await case.started()
    request = await case.call_request(control)
    wrong = request.call_id ^ 0x0F0F
    call = case.prepare_call(control, case.new_call_id(), wrong)
    await control.send(case.call_reply(call))
    frame = await call.take(lambda frame: True, case.quiet)
    require(frame is None, "the client took it for its own and begins with PPP")
    if control.closed:
        return "closed"
    call.peer_call_id = request.call_id
    await control.send(case.call_reply(call))
    await case.stages.open_lcp(call)
    return "ignored; the right reply is taken"


@check("cc/2.13/1", CLIENT)
async def disconnected(case: Case) -> str:
    """The call is disconnected."""
    call = await case.network_up()
    await call.control.send(CallDisconnectNotify(call_id=call.call_id, result_code=3, cause_code=17))
    # GRE may overtake TCP.
    await asyncio.sleep(case.quiet)
    require(await call.ping(within=case.quiet) is None, "packets still pass")
    await call.ended()
    end = await over(case, "disconnected")
    return f"ends with status {end.status}: {end.output.strip().splitlines()[-1] if end.output.strip() else ''}"


@check("auth/msv2/6", CLIENT)
async def server_proof(case: Case) -> str:
    """Success with a wrong proof; the client is started once more for each further kind."""
    call = await case.lcp_open()
    login = case.stages.ask_proof(call)
    require(await case.stages.proof(call, login), "its Response is wrong: is the password right?")
    wrong = b"S=" + login.response.hex().upper().encode()[:40] + b" M=Welcome"
    case.stages.succeed(call, login, wrong)
    opened = await call.try_expect(Protocol.CCP, Code.CONFIGURE_REQUEST, case.quiet)
    require(opened is None, "a wrong S= is believed")
    end = await over(case, "after a wrong S=")
    seen = [f"wrong S=: status {end.status}"]
    for name, message in (("no S=", b"M=Welcome"), ("lower case", None)):
        await case.restart()
        call = await case.lcp_open()
        login = case.stages.ask_proof(call)
        require(await case.stages.proof(call, login), "its Response is wrong")
        lower = case.stages.authenticator_response(login).lower().replace(b"s=", b"S=")
        case.stages.succeed(call, login, lower if message is None else message)
        opened = await call.try_expect(Protocol.CCP, Code.CONFIGURE_REQUEST, case.quiet)
        if message is not None:
            require(opened is None, f"{name} is believed")
        seen.append(f"{name}: {'refused' if opened is None else 'accepted'}")
    return "; ".join(seen)


@check("auth/msv2/7", CLIENT)
async def reflection(case: Case) -> str:
    """The client's own challenge is sent back to it to be answered."""
    call = await case.lcp_open()
    login = case.stages.ask_proof(call)
    require(await case.stages.proof(call, login), "its Response is wrong: is the password right?")
    first = login.peer_challenge
    reflected = case.stages.ask_proof(call, challenge=first, identifier=8)
    answer = await call.try_expect(Protocol.CHAP, ChapCode.RESPONSE, case.quiet, identifier=8)
    require(answer is None, "it answers its own challenge")
    again = case.stages.ask_proof(call, identifier=9)
    require(await case.stages.proof(call, again), "a Challenge after that is not answered rightly")
    require(again.peer_challenge != first, "its peer challenge is the same twice")
    require(again.peer_challenge not in (reflected.challenge, again.challenge), "its peer challenge is not its own")
    return "its own challenge is not answered; its peer challenge is always a new one"
