"""A playbook: say this, expect that, message by message, with a server or a client as the other side."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from enum import IntEnum
from ipaddress import IPv4Address
from types import TracebackType
from typing import Any, Self, TypeVar, overload

from pypptp.control import printable
from pypptp.control.messages import (
    Message,
    OutgoingCallReply,
    OutgoingCallRequest,
)
from pypptp.endpoint import EndpointConfig
from pypptp.errors import LocalProtocolError
from pypptp.gre import build_header
from pypptp.gre.header import GreHeader
from pypptp.ppp.protocols import Protocol
from pypptp.roles import Role
from pypptp.testing.dialogue import memory
from pypptp.testing.dialogue.annotation import annotate
from pypptp.testing.dialogue.call import Call
from pypptp.testing.dialogue.call import Frame as HeardFrame
from pypptp.testing.dialogue.case import Case, Target
from pypptp.testing.dialogue.control import Control
from pypptp.testing.dialogue.network import Network
from pypptp.testing.dialogue.sockets import Addresses, ServerNetwork
from pypptp.testing.dialogue.sockets import ClientNetwork as StartedClient
from pypptp.testing.dialogue.sockets import listen as open_listener
from pypptp.testing.dialogue.verdicts import Failed
from pypptp.testing.dialogue.virtual_time import VirtualLoop
from pypptp.testing.playbook.lines import Frame, Gre, Heard, Ip, Line, Packet, Segment

M = TypeVar("M", bound=Message)
T = TypeVar("T")

TIMEOUT = 2.0
"""Seconds in which what is expected has to come."""


class PlayFailed(AssertionError):
    """The target did not play its part; the text is what was awaited and the exchange, annotated."""


class Stage(IntEnum):
    """How far a well-behaved peer has come."""

    TCP = 0
    """A control connection on which nothing was said."""
    CONNECTION = 1
    CALL = 2
    LCP = 3
    AUTHENTICATION = 4
    CCP = 5
    IPCP = 6


class Playbook:
    """One conversation with a target. Use it in a ``with`` block; nothing is left open behind it.

    ``against_server`` and ``against_client`` put an endpoint of this project's on the other side, in the same process
    and under a simulated clock: nothing takes time, and the same play runs the same way every time. ``with_server`` and
    ``with_client`` talk to a real one.

    What was not awaited is kept until it is: the two directions of a PPP negotiation come in no order. The call answers
    Echo-Requests and Terminate-Requests of LCP, and the connection Echo-Requests, as any peer does;
    ``call.answers_echoes`` and the like turn that off.

    Attributes:
        case: the whole machinery below, for plays with several calls.
    """

    def __init__(
        self,
        make_target: Callable[[], tuple[Target, Network]],
        *,
        loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
    ) -> None:
        """Begin.

        Args:
            make_target: called in the playbook's event loop: whom to talk to, and the way there.
            loop_factory: of the event loop; that of the virtual clock where the way is one in memory.
        """
        self._runner = asyncio.Runner(loop_factory=loop_factory)
        self._stage = -1
        self._closed = False
        self._control: Control | None = None
        self._call: Call | None = None

        async def begin() -> Case:
            return Case(*make_target())

        self.case = self._runner.run(begin())

    @classmethod
    def against_server(cls, users: Mapping[str, str] | None = None, *, config: EndpointConfig | None = None) -> Self:
        """Play the client against a server of this project's, in memory.

        Args:
            users: passwords by name; the play logs in as the first. ``alice`` with ``wonderland`` where left out.
            config: the server's settings.
        """
        return cls._in_memory(Role.SERVER, users, config)

    @classmethod
    def against_client(
        cls, user: str = memory.USER, password: str = memory.PASSWORD, *, config: EndpointConfig | None = None
    ) -> Self:
        """Play the server against a client of this project's, in memory."""
        return cls._in_memory(Role.CLIENT, {user: password}, config)

    @classmethod
    def with_server(cls, address: str, port: int = 1723, *, user: str, password: str, timeout: float = TIMEOUT) -> Self:
        """Play the client with a real server (Linux, root): one of your own.

        Raises:
            TargetSilent: nobody answers there; raised by the first thing that is done.
        """
        target = Target(role=Role.SERVER, user=user, password=password, timeout=timeout)

        def make() -> tuple[Target, Network]:
            return target, ServerNetwork(IPv4Address(address), port, Addresses(IPv4Address(address)), timeout)

        return cls(make)

    @classmethod
    def with_client(
        cls,
        command: str,
        *,
        listen: str = "127.0.0.1",
        port: int = 1723,
        user: str,
        password: str,
        timeout: float = TIMEOUT,
    ) -> Self:
        """Play the server with a real client (Linux, root), started by ``command``; it logs in with these.

        ``{server}`` in the command stands for the address it is to connect to.
        """
        target = Target(role=Role.CLIENT, user=user, password=password, timeout=timeout)

        def make() -> tuple[Target, Network]:
            listener = open_listener(IPv4Address(listen), port)
            started = command.replace("{server}", listen)
            return target, StartedClient(listener, started, max(timeout, 20.0), own_listener=True)

        return cls(make)

    @classmethod
    def _in_memory(cls, role: Role, users: Mapping[str, str] | None, config: EndpointConfig | None) -> Self:
        def make() -> tuple[Target, Network]:
            peers = memory.Peers(role, users=users, config=config)
            return memory.target_of(peers), memory.MemoryNetwork(peers)

        return cls(make, loop_factory=VirtualLoop)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End what is still open, politely. Twice is no error."""
        if not self._closed:
            self._closed = True
            self._run(self.case.close())
            self._runner.close()

    # Where we are.

    @property
    def control(self) -> Control:
        """The control connection, made where there is none yet."""
        if self._control is None:
            self._control = self._run(self.case.control())
        return self._control

    @property
    def call(self) -> Call:
        """The call.

        Raises:
            LocalProtocolError: there is none yet.
        """
        if self._call is None:
            raise LocalProtocolError("there is no call yet: reach(Stage.CALL), or place one yourself")
        return self._call

    @property
    def now(self) -> float:
        """Seconds since the play began."""
        return self._runner.get_loop().time() - self.case.transcript.began

    def transcript(self) -> list[str]:
        """Return the exchange so far, a line for each message, annotated."""
        return annotate(self.case.transcript)

    def reach(self, stage: Stage) -> None:
        """Go on as a well-behaved peer does, up to a stage.

        Raises:
            PlayFailed: the target does not come along.
        """
        with self._failures():
            while self._stage < stage:
                self._run(self._next(Stage(self._stage + 1)))
                self._stage += 1

    async def _next(self, stage: Stage) -> None:
        case, call = self.case, self._call
        if stage is Stage.TCP:
            self._control = self._control or await case.control()
            return
        assert self._control is not None
        if stage is Stage.CONNECTION:
            if case.target.role is Role.SERVER:
                await self._control.start()
            else:
                await case.answer_start(self._control)
        elif stage is Stage.CALL:
            self._call = await case.call(self._control)
        elif call is None:
            raise Failed("there is no call")
        elif stage is Stage.LCP:
            await case.stages.open_lcp(call)
        elif stage is Stage.AUTHENTICATION:
            await case.stages.log_in(call)
        elif stage is Stage.CCP:
            await case.stages.open_ccp(call)
        else:
            await case.stages.open_ipcp(call)

    def begin_at(self, stage: Stage) -> None:
        """Say that a stage was reached by single lines, so that ``reach`` goes on from there."""
        self._stage = stage

    # Saying.

    def send(self, *lines: Line | Message) -> None:
        """Say something, one after the other.

        A control message goes over TCP, a packet of PPP through the call. An Outgoing-Call-Request, and the Reply to a
        client's, makes the call that the lines after it belong to.

        Raises:
            LocalProtocolError: a line that only can be awaited, or a call that is not there.
        """
        for line in lines:
            self._run(self._send(line))

    async def _send(self, line: Line | Message) -> None:
        match line:
            case Message():
                self._note_sent(line)
                await self._connection().send(line)
            case Segment(octets):
                await self._connection().send(octets)
            case Packet():
                self.call.send(line.protocol, line.build(self.call.next_identifier()))
            case Frame(protocol, information):
                self.call.send(protocol, information or b"")
            case Ip(packet, clear) if packet is not None:
                if clear:
                    self.call.send(Protocol.IPV4, packet)
                else:
                    self.call.send_ip(packet)
            case Gre(raw=bytes() as octets):
                self.call.send_datagram(octets)
            case Gre(payload, sequence, acknowledgement):
                header = build_header(len(payload or b""), self.call.peer_call_id, sequence, acknowledgement)
                self.call.send_datagram(header + (payload or b""))
            case _:
                raise LocalProtocolError(f"{line} can only be awaited")
        # What it brings about in a target of the same process has its turn.
        await asyncio.sleep(0)

    def ping(self) -> bool:
        """Send an ICMP Echo through the tunnel; whether its reply comes."""
        return self._run(self.call.ping()) is not None

    def wait(self, seconds: float) -> None:
        """Let time pass: the simulated clock jumps, a real one does not."""
        self._run(asyncio.sleep(seconds))

    # Hearing.

    @overload
    def expect(self, line: type[M], within: float | None = None, **fields: object) -> M: ...
    @overload
    def expect(self, line: Packet, within: float | None = None) -> Heard: ...
    @overload
    def expect(self, line: Gre, within: float | None = None) -> GreHeader: ...
    @overload
    def expect(self, line: Frame | Ip, within: float | None = None) -> bytes: ...

    def expect(self, line: Any, within: float | None = None, **fields: object) -> Any:
        """Wait for something and return it; what else has come stays for later.

        Args:
            line: a class of control messages, or a line; it matches what agrees with it.
            within: seconds it may take; the target's timeout where left out.
            fields: of a control message, what has to be in it: ``result_code=1``.

        Returns:
            The control message, a ``Heard``, the GRE header, or the octets of a frame or packet.

        Raises:
            PlayFailed: it does not come.
        """
        found = self._run(self._take(line, self.case.timeout if within is None else within, fields))
        if found is None:
            raise self._failed(f"{_words(line, fields)} did not come")
        return found

    def expect_nothing(self, line: Line | type[Message], during: float = TIMEOUT, **fields: object) -> None:
        """See that something does not come.

        Raises:
            PlayFailed: it does.
        """
        if self._run(self._take(line, during, fields)) is not None:
            raise self._failed(f"{_words(line, fields)} came, and must not")

    def expect_end(self, within: float | None = None) -> str:
        """Wait for the target to end the call or the connection; return how it did.

        Raises:
            PlayFailed: it does not.
        """
        patience = self.case.timeout if within is None else within
        if self._call is None:
            ended = "the control connection was closed" if self._run(self.control.wait_closed(patience)) else ""
        else:
            ended = self._run(self._call.ended(patience))
        if not ended:
            raise self._failed("the target did not end the call")
        return ended

    async def _take(self, line: Line | type[Message], within: float, fields: Mapping[str, object]) -> object:
        if isinstance(line, type):
            return await self._take_message(line, within, fields)
        if isinstance(line, Segment):
            raise LocalProtocolError("octets of the control connection are awaited as messages")
        call = self.call
        if isinstance(line, Gre):
            return await self._take_header(call, line, within)
        began = self.case.transcript.began
        frame = await call.take(lambda frame: _matches(line, frame, began), within)
        if frame is None:
            return None
        return _heard(frame, began) if isinstance(line, Packet) else frame.information

    async def _take_message(self, kind: type[Message], within: float, fields: Mapping[str, object]) -> Message | None:
        loop, control = asyncio.get_running_loop(), self._connection()
        deadline = loop.time() + within
        while True:
            message = await control.try_receive(kind, max(deadline - loop.time(), 0.0))
            if message is None:
                return None
            self._note_heard(message)
            if all(getattr(message, field) == value for field, value in fields.items()):
                return message

    async def _take_header(self, call: Call, line: Gre, within: float) -> GreHeader | None:
        """Look through what has come, then wait; headers are kept, so that each can be awaited again."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within
        while True:
            for header in call.headers:
                wanted = (line.sequence, line.acknowledgement)
                found = (header.sequence, header.acknowledgement)
                if all(want is None or want == have for want, have in zip(wanted, found, strict=True)):
                    return header
            if loop.time() >= deadline:
                return None
            await asyncio.sleep(min(0.02, deadline - loop.time()))

    # Inside.

    def _connection(self) -> Control:
        if self._control is None:
            raise LocalProtocolError("there is no control connection yet: reach(Stage.TCP)")
        return self._control

    def _note_sent(self, message: Message) -> None:
        if isinstance(message, OutgoingCallRequest) and self.case.target.role is Role.SERVER:
            self._call = self.case.prepare_call(self._connection(), message.call_id)
        elif isinstance(message, OutgoingCallReply) and self.case.target.role is Role.CLIENT:
            self._call = self.case.prepare_call(self._connection(), message.call_id, message.peer_call_id)

    def _note_heard(self, message: Message) -> None:
        if isinstance(message, OutgoingCallReply) and self._call is not None:
            self._call.peer_call_id = message.call_id

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    def _failures(self) -> _Failures:
        return _Failures(self)

    def _failed(self, words: str) -> PlayFailed:
        return PlayFailed("\n    ".join([words, *self.transcript()]))


class _Failures:
    """Turns what the machinery raises where the target does not come along into a PlayFailed."""

    def __init__(self, play: Playbook) -> None:
        self._play = play

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Failed):
            raise self._play._failed(str(error)) from None


def _matches(line: Packet | Frame | Ip, frame: HeardFrame, began: float) -> bool:
    match line:
        case Packet():
            return frame.mppe is None and frame.packet is not None and line.matches(_heard(frame, began))
        case Ip(packet):
            return frame.protocol == Protocol.IPV4 and packet in (None, frame.information)
        case Frame(protocol, information):
            return frame.mppe is None and frame.protocol == protocol and information in (None, frame.information)


def _heard(frame: HeardFrame, began: float) -> Heard:
    packet = frame.packet
    assert packet is not None
    sequence = frame.header.sequence
    assert sequence is not None
    return Heard(frame.protocol, packet.code, packet.identifier, packet.data, sequence, frame.time - began)


def _words(line: Line | type[Message], fields: Mapping[str, object]) -> str:
    if not isinstance(line, type):
        return str(line)
    shown = (f"{field} {printable(value) if isinstance(value, bytes) else value}" for field, value in fields.items())
    return " ".join([line.TYPE.text, *shown])
