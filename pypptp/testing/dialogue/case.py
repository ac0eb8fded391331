"""What a check is given: the target, ways to come to each stage with it, and a record of everything."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Any, Final

from pypptp.control.messages import OutgoingCallReply, OutgoingCallRequest, StartControlConnectionRequest
from pypptp.ppp.packet import Option
from pypptp.roles import Role
from pypptp.testing.dialogue.call import Call
from pypptp.testing.dialogue.control import Control, start_reply
from pypptp.testing.dialogue.network import GreChannel, Network
from pypptp.testing.dialogue.stages import MPPE_128, Login, Stages
from pypptp.testing.dialogue.transcript import Transcript
from pypptp.testing.dialogue.verdicts import Failed, Skipped, Unreached

INNER_ADDRESSES: Final = IPv4Address("10.222.0.0")
"""Where the addresses for clients under test come from, four for each case."""


@dataclass(frozen=True, slots=True)
class Timers:
    """The target's timers, in seconds, as far as they are known; the defaults are the standards'.

    Attributes:
        start: for the whole Start exchange (RFC 2637 section 3.1.4).
        echo: silence until an Echo-Request (RFC 2637 section 3.1.4).
        echo_timeout: from it to the end of the connection.
        lcp: between LCP Echo-Requests; 0 sends none.
        lcp_failures: LCP Echo-Requests without an answer before the link ends.
        restart: between two Configure-Requests (RFC 1661 section 4.6).
    """

    start: float = 60.0
    echo: float = 60.0
    echo_timeout: float = 60.0
    lcp: float = 30.0
    lcp_failures: int = 4
    restart: float = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Whom the checks are held against.

    Attributes:
        role: whether it is a server or a client.
        user: an account of the server, or the name the client logs in with.
        password: its password.
        timeout: seconds to wait for what comes at once.
        timers: the target's.
        pid: the server's process, where it runs on this machine.
        random: source of random octets.
    """

    role: Role
    user: str
    password: str = field(repr=False)
    timeout: float = 2.0
    timers: Timers = field(default_factory=Timers)
    pid: int | None = None
    random: Callable[[int], bytes] = os.urandom


class Case:
    """One run of one check.

    Attributes:
        target: whom it is held against.
        network: the way to it.
        transcript: what happened.
        stages: the steps up, one by one.
        make_call: makes a call of the arguments of Call; for those who hold calls in another way.
    """

    def __init__(self, target: Target, network: Network, number: int = 0) -> None:
        """Begin.

        Args:
            target: whom the check is held against.
            network: the way to it.
            number: of the case in its run: clients side by side get different inner addresses.
        """
        self.target = target
        self.network = network
        inner = INNER_ADDRESSES + 4 * number
        self.stages = Stages(
            target.role, target.user, target.password, inner_network=(inner + 1, inner + 2), random=target.random
        )
        self.transcript = Transcript(asyncio.get_running_loop().time())
        self.make_call: Callable[..., Call] = Call
        self._controls: list[Control] = []
        self._calls: list[Call] = []
        self._channels: list[GreChannel] = []

    @property
    def timeout(self) -> float:
        """Seconds to wait for what comes at once."""
        return self.target.timeout

    @property
    def controls(self) -> tuple[Control, ...]:
        """The control connections of this run so far, in order."""
        return tuple(self._controls)

    @property
    def quiet(self) -> float:
        """Seconds of silence after which nothing more will come of what was sent."""
        return min(0.3, self.timeout)

    # Stages.

    async def control(self, *, source: IPv4Address | None = None, reading: bool = True) -> Control:
        """Return a control connection on which nothing was said."""
        channel = await self.network.open(source or self.network.source())
        control = Control(channel, self.transcript, timeout=self.timeout, reading=reading)
        self._controls.append(control)
        return control

    async def started(self, *, source: IPv4Address | None = None) -> Control:
        """Return a control connection that is established."""
        control = await self.control(source=source)
        if self.target.role is Role.CLIENT:
            await self.answer_start(control)
            return control
        try:
            await control.start()
        except Unreached:
            if not control.closed:
                raise
            # pptpd drops a connection that it accepts while the process of another one ends; a user would dial again.
            control = await self.control(source=source)
            await control.start()
        return control

    async def answer_start(self, control: Control, **changes: Any) -> None:
        """Take a client's Start-Control-Connection-Request and answer it."""
        try:
            await control.receive(StartControlConnectionRequest)
        except Failed as missing:
            raise Unreached(str(missing)) from None
        await control.send(start_reply(**changes))

    async def call(self, control: Control | None = None, *, source: IPv4Address | None = None, **changes: Any) -> Call:
        """Return a call that is connected; on a server it is ours, with changes to the request, on a client its own."""
        control = control or await self.started(source=source)
        if self.target.role is Role.SERVER:
            call_id = self.new_call_id()
            call = self.prepare_call(control, call_id)
            reply = await control.place_call(call_id, **changes)
            call.peer_call_id = reply.call_id
            return call
        request = await self.call_request(control)
        call = self.prepare_call(control, self.new_call_id(), request.call_id)
        await control.send(self.call_reply(call))
        return call

    async def call_request(self, control: Control) -> OutgoingCallRequest:
        """Take a client's Outgoing-Call-Request."""
        try:
            return await control.receive(OutgoingCallRequest)
        except Failed as missing:
            raise Unreached(str(missing)) from None

    def call_reply(self, call: Call, **changes: int) -> OutgoingCallReply:
        """Return the answer to a client's Outgoing-Call-Request, with changes."""
        fields = {
            "call_id": call.call_id,
            "peer_call_id": call.peer_call_id,
            "result_code": 1,
            "connect_speed": 10_000_000,
            "packet_receive_window_size": 64,
        }
        return OutgoingCallReply(**{**fields, **changes})

    def prepare_call(self, control: Control, call_id: int, peer_call_id: int = 0) -> Call:
        """Return a call that listens for its GRE packets; place it, or answer it, yourself."""
        channel = control.channel

        def open_gre(receive: Callable[[bytes], None]) -> GreChannel:
            gre = self.network.open_gre(channel.near, channel.far, receive)
            self._channels.append(gre)
            return gre

        call = self.make_call(
            control,
            call_id,
            peer_call_id,
            open_gre=open_gre,
            transcript=self.transcript,
            timeout=self.timeout,
            magic=int.from_bytes(self.target.random(4), "big") or 1,
        )
        self._calls.append(call)
        return call

    async def lcp_open(self, options: list[Option] | None = None, **changes: Any) -> Call:
        """Return a call with LCP open; a server's Challenge is on its way."""
        call = await self.call(**changes)
        await self.stages.open_lcp(call, options)
        return call

    async def lcp_open_on(self, control: Control) -> Call:
        """Return one more call of a connection, with LCP open."""
        call = await self.call(control)
        await self.stages.open_lcp(call)
        return call

    async def logged_in(self, *, source: IPv4Address | None = None, **changes: Any) -> tuple[Call, Login]:
        """Return a call that is authenticated, and what passed."""
        call = await self.call(source=source, **changes)
        await self.stages.open_lcp(call)
        return call, await self.stages.log_in(call)

    async def encrypted(self, bits: int = MPPE_128, *, source: IPv4Address | None = None) -> Call:
        """Return a call with CCP open."""
        call, _ = await self.logged_in(source=source)
        await self.stages.open_ccp(call, bits)
        return call

    async def network_up(
        self, bits: int = MPPE_128, *, source: IPv4Address | None = None, options: Mapping[str, int] | None = None
    ) -> Call:
        """Return a call through which pings are answered; ``options`` are further LCP options."""
        call = await self.call(source=source)
        await self.stages.open_lcp(call, self.stages.lcp_options(call, **(options or {})))
        await self.bring_up(call, bits)
        return call

    async def bring_up(self, call: Call, bits: int = MPPE_128) -> None:
        """Take a call with LCP open all the way."""
        await self.stages.log_in(call)
        await self.stages.open_ccp(call, bits)
        await self.stages.open_ipcp(call)
        await self.stages.settle(call)

    # Small things.

    def new_call_id(self) -> int:
        """Return a call id of our own."""
        used = {call.call_id for call in self._calls}
        while True:
            call_id = int.from_bytes(self.target.random(2), "big")
            if call_id and call_id not in used:
                return call_id

    def foreign_gre(self, call: Call) -> GreChannel:
        """Return a way to send GRE to the target from an address that has nothing to do with the call.

        Raises:
            Skipped: there is only one address.
        """
        source = self.network.source() if self.network.sources else None
        if source is None:
            raise Skipped("needs a second address to send from, which there is on loopback only")
        gre = self.network.open_gre(source, call.control.channel.far, lambda datagram: None, foreign=True)
        self._channels.append(gre)
        return gre

    def forget(self, call: Call) -> None:
        """Have nothing more to do with a call that is over, in checks that make thousands."""
        if call in self._calls:
            self._calls.remove(call)
        if call.control in self._controls:
            self._controls.remove(call.control)

    async def restart(self) -> None:
        """End a client under test, so that the next connection is a new one's."""
        for call in self._calls:
            call.close()
        for control in self._controls:
            control.close()
        self._calls.clear()
        self._controls.clear()
        await self.network.end_program()

    async def close(self) -> None:
        """End everything that is still open, politely."""
        for call in self._calls:
            call.close()
        for control in self._controls:
            try:
                async with asyncio.timeout(1.0):
                    await control.stop()
            except TimeoutError:
                control.close()
        for channel in self._channels:
            channel.close()
        await self.network.close()
