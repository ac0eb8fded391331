"""A persona at play: it connects the way the real one does, and then single lines can be said and heard as usual."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from pypptp.control.messages import (
    CallClearRequest,
    CallDisconnectNotify,
    Message,
    OutgoingCallReply,
    OutgoingCallRequest,
    SetLinkInfo,
    StartControlConnectionReply,
    StartControlConnectionRequest,
    StopControlConnectionReply,
    StopControlConnectionRequest,
)
from pypptp.ppp.auth.mschap import nt_password_hash
from pypptp.roles import Role
from pypptp.testing.dialogue.verdicts import Failed
from pypptp.testing.personas.acting import Acting
from pypptp.testing.personas.calling import PersonaCall
from pypptp.testing.personas.habits import Departure, Moment
from pypptp.testing.playbook.playbook import Playbook, Stage

if TYPE_CHECKING:
    from pypptp.testing.personas.persona import Persona

PATIENCE = 60.0
"""Seconds a persona has to connect."""
ATTENDING = 3600.0
_ENDINGS = (CallClearRequest, CallDisconnectNotify, StopControlConnectionRequest)


class PersonaPlay(Playbook):
    """A playbook whose other end talks with a persona; get one from the persona's ``in_memory``.

    ``connect`` goes all the way up, ``ping`` and ``hang_up`` do what they say, and in between everything of a Playbook
    is there: ``send``, ``expect``, ``transcript``. What the target asks on its own is answered by the persona while one
    of these methods runs; ``wait`` lets it.
    """

    persona: Persona
    acting: Acting

    def play_as(self, persona: Persona, password: str) -> Self:
        """Say who it is; the persona's own methods do."""
        self.persona = persona
        self.case.stages.nt_hash = nt_password_hash(password)
        self.case.make_call = partial(PersonaCall, habits=persona.gre)
        self._attending: asyncio.Task[None] | None = None
        self._saying: set[asyncio.Task[None]] = set()
        return self

    def connect(self, within: float = PATIENCE) -> None:
        """Go all the way up: until packets can pass.

        Raises:
            PlayFailed: the target does not come along.
        """
        with self._failures():
            self._run(self._connect(within))
        self.begin_at(Stage.IPCP)

    def hang_up(self) -> None:
        """End the session as this persona does."""
        self._run(self._hang_up())

    def close(self) -> None:
        """End what is still open, politely. Twice is no error."""
        if not self._closed:
            self._run(self._stop())
        super().close()

    async def _connect(self, within: float) -> None:
        habits, case = self.persona.control, self.case
        control = self._control = await case.control()
        call_id = case.new_call_id() if habits.call_id is None else habits.call_id
        if self.persona.role is Role.CLIENT:
            await self._say(StartControlConnectionRequest(**self._start()))
            await control.receive(StartControlConnectionReply)
            await asyncio.sleep(habits.call_delay)
            call = self._prepare(call_id)
            await self._say(self._request(call_id))
            reply = await control.receive(OutgoingCallReply)
            if reply.result_code != 1:
                raise Failed(f"Outgoing-Call-Reply with result {reply.result_code} error {reply.error_code}")
            call.peer_call_id = reply.call_id
        else:
            await control.receive(StartControlConnectionRequest)
            await self._say(StartControlConnectionReply(result_code=1, **self._start()))
            request = await control.receive(OutgoingCallRequest)
            call = self._prepare(call_id)
            call.peer_call_id = request.call_id
            await self._say(self._reply(call_id, request))
        if Moment.CALL in habits.set_link_info:
            await self._say(SetLinkInfo(peer_call_id=call.peer_call_id))
        self._attending = asyncio.get_running_loop().create_task(self._attend())
        self.acting.begin()
        await self.acting.connected(within)

    def _prepare(self, call_id: int) -> PersonaCall:
        assert self._control is not None
        call = self._call = self.case.prepare_call(self._control, call_id)
        assert isinstance(call, PersonaCall)
        self.acting = Acting(self.persona, self.case, call, self._say_link_info)
        return call

    def _start(self) -> dict[str, Any]:
        habits = self.persona.control
        return {
            "framing_capabilities": habits.framing,
            "bearer_capabilities": habits.bearer,
            "maximum_channels": habits.maximum_channels,
            "firmware_revision": habits.firmware,
            "host_name": habits.host_name,
            "vendor_name": habits.vendor_name,
        }

    def _request(self, call_id: int) -> OutgoingCallRequest:
        habits = self.persona.control
        return OutgoingCallRequest(
            call_id=call_id,
            call_serial_number=habits.serial,
            minimum_bps=habits.minimum_bps,
            maximum_bps=habits.maximum_bps,
            bearer_type=3,
            framing_type=3,
            packet_receive_window_size=habits.window or 0,
            packet_processing_delay=habits.processing_delay,
            subaddress=habits.subaddress,
        )

    def _reply(self, call_id: int, request: OutgoingCallRequest) -> OutgoingCallReply:
        habits = self.persona.control
        window = request.packet_receive_window_size
        return OutgoingCallReply(
            call_id=call_id,
            peer_call_id=request.call_id,
            result_code=1,
            connect_speed=request.maximum_bps if habits.connect_speed is None else habits.connect_speed,
            packet_receive_window_size=window if habits.window is None else habits.window,
            packet_processing_delay=habits.processing_delay,
            physical_channel_id=call_id if habits.channel_is_call else 0,
        )

    async def _say(self, message: Message) -> None:
        assert self._control is not None
        octets = message.build()
        await self._control.send(octets[:10] + self.persona.control.reserved0.to_bytes(2, "big") + octets[12:])

    def _say_link_info(self) -> asyncio.Task[None]:
        """Send a Set-Link-Info, from where nobody need wait for it."""
        task = asyncio.get_running_loop().create_task(self._say(SetLinkInfo(peer_call_id=self.call.peer_call_id)))
        self._saying.add(task)
        task.add_done_callback(self._saying.discard)
        return task

    async def _attend(self) -> None:
        """Answer what ends the call or the connection."""
        assert self._control is not None
        control, habits = self._control, self.persona.control
        while not control.closed:
            message = await control.receive_any(_ENDINGS, ATTENDING)
            if isinstance(message, CallClearRequest):
                named = self.call.peer_call_id if habits.disconnect_names_peer else self.call.call_id
                await self._say(CallDisconnectNotify(call_id=named, result_code=habits.disconnect_result))
            elif isinstance(message, CallDisconnectNotify):
                await self._say(StopControlConnectionRequest(reason=1))
            elif isinstance(message, StopControlConnectionRequest):
                await self._say(StopControlConnectionReply())
                control.close()
                return
            elif control.messages.closed:
                return

    async def _hang_up(self) -> None:
        await self._stop()
        control, departure = self.control, self.persona.control.departure
        if departure is not Departure.CONNECTION:
            await self.acting.terminate(self.case.timeout)
        await asyncio.gather(*self._saying)
        if self.persona.role is Role.CLIENT:
            await self._clear(departure)
        elif departure is Departure.LINK_THEN_TCP:
            control.close()
        else:
            await self._say(CallDisconnectNotify(call_id=self.call.call_id, result_code=3))
            await self._stop_connection()

    async def _clear(self, departure: Departure) -> None:
        control = self.control
        await self._say(CallClearRequest(call_id=self.call.call_id))
        if departure is Departure.CLEAR_THEN_TCP:
            control.close()
            return
        await control.try_receive(CallDisconnectNotify)
        await self._stop_connection()

    async def _stop_connection(self) -> None:
        await self._say(StopControlConnectionRequest(reason=1))
        await self.control.try_receive(StopControlConnectionReply)
        self.control.close()

    async def _stop(self) -> None:
        if hasattr(self, "acting"):
            self.acting.stop()
        if self._attending is not None:
            self._attending.cancel()
            self._attending = None
