"""One control connection with the target, message by message."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

from pypptp.control import FramingError, MalformedMessage, MessageBuffer
from pypptp.control.messages import (
    EchoReply,
    EchoRequest,
    Message,
    OutgoingCallReply,
    OutgoingCallRequest,
    StartControlConnectionReply,
    StartControlConnectionRequest,
    StopControlConnectionRequest,
    parse_message,
)
from pypptp.testing.dialogue.inbox import Inbox
from pypptp.testing.dialogue.network import ControlChannel
from pypptp.testing.dialogue.transcript import Direction, Entry, Layer, Transcript
from pypptp.testing.dialogue.verdicts import Failed, Unreached

M = TypeVar("M", bound=Message)

ANY_FRAMING = 3
VENDOR = b"pypptp spec"


def start_request(**changes: Any) -> StartControlConnectionRequest:
    """Return the request a well-behaved client sends, with changes."""
    fields: dict[str, Any] = {
        "framing_capabilities": ANY_FRAMING,
        "bearer_capabilities": ANY_FRAMING,
        "vendor_name": VENDOR,
    }
    return StartControlConnectionRequest(**{**fields, **changes})


def start_reply(**changes: Any) -> StartControlConnectionReply:
    """Return the reply a well-behaved server sends, with changes."""
    fields: dict[str, Any] = {
        "result_code": 1,
        "framing_capabilities": ANY_FRAMING,
        "bearer_capabilities": ANY_FRAMING,
        "vendor_name": VENDOR,
    }
    return StartControlConnectionReply(**{**fields, **changes})


def call_request(call_id: int, **changes: Any) -> OutgoingCallRequest:
    """Return the request a well-behaved client sends, with changes."""
    fields: dict[str, Any] = {
        "call_id": call_id,
        "call_serial_number": call_id,
        "minimum_bps": 2400,
        "maximum_bps": 10_000_000,
        "bearer_type": ANY_FRAMING,
        "framing_type": ANY_FRAMING,
        "packet_receive_window_size": 64,
    }
    return OutgoingCallRequest(**{**fields, **changes})


class Control:
    """A control connection. What comes is recorded, cut into messages and kept until it is asked for.

    Attributes:
        channel: the connection itself.
        messages: messages received, as octets: some are malformed on purpose, and so may the answers be.
        answers_echoes: answer the target's Echo-Requests, as it should be; off to play dead.
        reading: whether what comes is read at all.
        closed: whether the target has ended the connection.
        out_of_step: what was wrong with the target's framing, empty where nothing was.
    """

    def __init__(self, channel: ControlChannel, transcript: Transcript, *, timeout: float, reading: bool) -> None:
        self.channel = channel
        self.messages: Inbox[bytes] = Inbox()
        self.answers_echoes = True
        self.closed = False
        self.out_of_step = ""
        self._transcript = transcript
        self._timeout = timeout
        self._buffer = MessageBuffer()
        self._ended = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None
        if reading:
            self.read()

    def read(self) -> None:
        """Begin to read."""
        if self._reader is None:
            self._reader = asyncio.get_running_loop().create_task(self._read())

    async def send(self, *messages: Message | bytes) -> None:
        """Send messages, or octets that are none, in one segment. A connection that is gone is no error."""
        octets = b"".join(message if isinstance(message, bytes) else message.build() for message in messages)
        self._record(Direction.SENT, octets)
        try:
            await self.channel.send(octets)
        except ConnectionError:
            self._remark("the connection is gone")

    async def receive(self, kind: type[M], within: float | None = None, *, what: str = "") -> M:
        """Return the next message of a kind.

        Raises:
            Failed: none comes in time.
        """
        message = await self.try_receive(kind, within)
        if message is None:
            ending = "; the target closed the connection" if self.closed else ""
            raise Failed(f"{what or kind.TYPE.text} did not come{ending}")
        return message

    async def try_receive(self, kind: type[M], within: float | None = None) -> M | None:
        """Return the next message of a kind, or None."""

        def wanted(octets: bytes) -> bool:
            return isinstance(_parse(octets), kind)

        octets = await self.messages.take(wanted, self._timeout if within is None else within)
        message = None if octets is None else _parse(octets)
        return message if isinstance(message, kind) else None

    async def receive_any(self, kinds: tuple[type[Message], ...], within: float | None = None) -> Message | None:
        """Return the next message of any of the kinds, or None."""

        def wanted(octets: bytes) -> bool:
            return isinstance(_parse(octets), kinds)

        octets = await self.messages.take(wanted, self._timeout if within is None else within)
        return None if octets is None else _parse(octets)

    async def wait_closed(self, within: float | None = None) -> bool:
        """Wait for the target to end the connection; returns whether it did."""
        try:
            async with asyncio.timeout(self._timeout if within is None else within):
                await self._ended.wait()
        except TimeoutError:
            return False
        return True

    async def echo(self, identifier: int, within: float | None = None) -> EchoReply | None:
        """Ask for a sign of life; None where there is none."""
        await self.send(EchoRequest(identifier=identifier))
        deadline = asyncio.get_running_loop().time() + (self._timeout if within is None else within)
        while (left := deadline - asyncio.get_running_loop().time()) > 0:
            reply = await self.try_receive(EchoReply, left)
            if reply is None or reply.identifier == identifier:
                return reply
        return None

    async def start(self) -> StartControlConnectionReply:
        """Do what a client does first.

        Raises:
            Unreached: the server does not take it.
        """
        await self.send(start_request())
        try:
            reply = await self.receive(StartControlConnectionReply)
        except Failed as missing:
            raise Unreached(str(missing)) from None
        if reply.result_code != 1:
            raise Unreached(f"Start-Control-Connection-Reply with result {reply.result_code}")
        return reply

    async def place_call(self, call_id: int, **changes: Any) -> OutgoingCallReply:
        """Do what a client does then.

        Raises:
            Unreached: the server does not take the call.
        """
        await self.send(call_request(call_id, **changes))
        try:
            reply = await self.receive(OutgoingCallReply)
        except Failed as missing:
            raise Unreached(str(missing)) from None
        if reply.result_code != 1 or reply.peer_call_id != call_id:
            raise Unreached(
                f"Outgoing-Call-Reply with result {reply.result_code} error {reply.error_code} "
                f"peer call id {reply.peer_call_id}, {call_id} was asked for"
            )
        return reply

    async def stop(self) -> None:
        """Say goodbye and leave; nobody is waited for."""
        if not self.closed:
            await self.send(StopControlConnectionRequest(reason=1))
        self.close()

    def close(self) -> None:
        """End the connection with FIN."""
        self.channel.close()
        self._stop_reading()

    def abort(self) -> None:
        """End the connection with RST."""
        self._remark("RST")
        self.channel.abort()
        self._stop_reading()

    def _stop_reading(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
        self.messages.close()

    async def _read(self) -> None:
        while True:
            octets = await self.channel.receive()
            if not octets:
                break
            self._record(Direction.RECEIVED, octets)
            await self._cut(octets)
        self._remark("the target closed the control connection")
        self.closed = True
        self._ended.set()
        self.messages.close()

    async def _cut(self, octets: bytes) -> None:
        self._buffer.feed(octets)
        try:
            while (message := self._buffer.next_message()) is not None:
                parsed = _parse(message)
                if isinstance(parsed, EchoRequest) and self.answers_echoes:
                    await self.send(EchoReply(identifier=parsed.identifier))
                self.messages.put(message)
        except FramingError as error:
            self.out_of_step = str(error)

    def _record(self, direction: Direction, octets: bytes, text: str = "") -> None:
        channel = self.channel
        now = asyncio.get_running_loop().time() - self._transcript.began
        layer = Layer.CONTROL if octets else Layer.REMARK
        self._transcript.add(Entry(now, direction, layer, octets, text, channel.near, channel.far, channel.ports))

    def _remark(self, text: str) -> None:
        self._record(Direction.REMARK, b"", text)


def _parse(octets: bytes) -> Message | None:
    try:
        return parse_message(octets)
    except MalformedMessage:
        return None
