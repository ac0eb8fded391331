"""The end that is asked: a ControlSocket beside the packets, which it must never hold up."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Mapping
from functools import partial
from types import TracebackType
from typing import Any, Final, Literal

from pypptp import __version__
from pypptp.errors import ConfigurationError, PptpError
from pypptp.service.control_socket.lines import (
    LARGEST_REQUEST,
    SCHEMA,
    BadRequest,
    Handler,
    build_answer,
    parse_request,
)
from pypptp.service.control_socket.place import Place, Taken, process_behind

log = logging.getLogger("pypptp.control")

MOST_ASKERS: Final = 16
"""Connections at once."""

REQUEST_SECONDS: Final = 30.0
"""Without a whole request, until a connection is closed."""

ANSWER_SECONDS: Final = 10.0
"""For the asker to read an answer."""

LAST_WORDS_SECONDS: Final = 1.0
"""At the end, for answers that are being given: to a request to end, for example."""

ACCEPT_PAUSE: Final = 1.0
"""Seconds after the system had no descriptor for another connection."""

BUSY: Final = "too many ask at once; try again in a moment"


class ControlSocket:
    """Answers on the socket of one instance, as long as its ``async with`` lasts.

    Where the system has no place for a socket, that is a warning and everything else goes on.

    Args:
        instance: its name; None for the kind's, and where that is taken, with the process number behind it.
        kind: what this process is.
        requests: what can be asked of it, by name.
        place: a name that was taken already, by this process when it had the right to.

    Attributes:
        name: the name it took.
        answered: requests that were answered.
        refused: those that were not, and askers turned away.
    """

    def __init__(
        self,
        instance: str | None,
        kind: Literal["server", "client"],
        requests: Mapping[str, Handler],
        *,
        place: Place | None = None,
    ) -> None:
        self.name = instance or kind
        self.kind = kind
        self.answered = 0
        self.refused = 0
        self._spare = "" if instance else f"{kind}-{os.getpid()}"
        self._requests = dict(requests) | {"instance": _instance}
        self._place = place
        self._conversations: set[asyncio.Task[None]] = set()
        self._answering: set[asyncio.Task[None]] = set()
        self._resume: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> ControlSocket:
        """Begin to answer.

        Raises:
            ConfigurationError: another process has the name.
        """
        try:
            if self._place is None:
                self._place = await asyncio.to_thread(lambda: Place(self.name, spare=self._spare))
        except Taken as taken:
            process = f" (process {taken.process})" if taken.process else ""
            raise ConfigurationError(
                f"instance: '{self.name}' runs already{process}; end it first, or choose another --instance"
            ) from None
        except (OSError, PptpError) as error:
            log.warning("no control socket, so 'pypptp status' will not find this %s: %s", self.kind, error)
            return self
        self.name = self._place.name
        asyncio.get_running_loop().add_reader(self._place.socket.fileno(), self._accept)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Answer no more."""
        place, self._place = self._place, None
        if place is None:
            return
        asyncio.get_running_loop().remove_reader(place.socket.fileno())
        if self._resume is not None:
            self._resume.cancel()
        if self._answering:
            await asyncio.wait(set(self._answering), timeout=LAST_WORDS_SECONDS)
        for conversation in list(self._conversations):
            conversation.cancel()
        await asyncio.gather(*self._conversations, return_exceptions=True)
        await asyncio.to_thread(place.leave)

    def _accept(self) -> None:
        assert self._place is not None
        try:
            connection, _ = self._place.socket.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:
            log.error("cannot accept a connection on the control socket: %s", error.strerror or error)
            asyncio.get_running_loop().remove_reader(self._place.socket.fileno())
            self._resume = asyncio.get_running_loop().call_later(ACCEPT_PAUSE, self._go_on)
            return
        connection.setblocking(False)
        if len(self._conversations) >= MOST_ASKERS:
            self.refused += 1
            self._turn_away(connection, BUSY)
        elif not _may_ask(connection):
            self.refused += 1
            self._turn_away(connection, "only root and the user it runs as may ask it")
        else:
            conversation = asyncio.get_running_loop().create_task(self._converse(connection))
            self._conversations.add(conversation)
            conversation.add_done_callback(partial(self._over, connection))

    def _go_on(self) -> None:
        if self._place is not None:
            asyncio.get_running_loop().add_reader(self._place.socket.fileno(), self._accept)

    def _over(self, connection: socket.socket, conversation: asyncio.Task[None]) -> None:
        # Not in the conversation itself: one that is cancelled before its first step does nothing at all.
        connection.close()
        self._conversations.discard(conversation)
        self._answering.discard(conversation)

    def _turn_away(self, connection: socket.socket, sentence: str) -> None:
        with connection:
            try:
                connection.send(b"".join(build_answer(self._refusal(sentence))))
            except OSError:
                pass

    async def _converse(self, connection: socket.socket) -> None:
        loop, conversation = asyncio.get_running_loop(), asyncio.current_task()
        assert conversation is not None
        reader = _LineReader(connection)
        try:
            while True:
                async with asyncio.timeout(REQUEST_SECONDS):
                    line = await reader.line()
                if not line or self._place is None:
                    return
                self._answering.add(conversation)
                answer = bytearray()
                for piece in build_answer(await self._answer(line)):
                    answer += piece
                    await asyncio.sleep(0)
                async with asyncio.timeout(ANSWER_SECONDS):
                    await loop.sock_sendall(connection, answer)
                self._answering.discard(conversation)
                if reader.overrun or self._place is None:
                    return
        except (OSError, TimeoutError):
            # It has gone, or does not read, or says nothing.
            return

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            if len(line) > LARGEST_REQUEST:
                raise BadRequest(f"a request has {LARGEST_REQUEST} octets at most")
            name, arguments = parse_request(line)
            handler = self._requests.get(name)
            if handler is None:
                known = ", ".join(self._requests)
                raise BadRequest(f"a {self.kind} knows no request {name[:40]!a}, only {known}")
            answer = await handler(arguments)
        except PptpError as error:
            self.refused += 1
            return self._refusal(str(error))
        except Exception:
            self.refused += 1
            log.exception("internal error in answer to a request")
            return self._refusal("internal error; the log has more")
        self.answered += 1
        return {**self._head(ok=True), **answer}

    def _head(self, *, ok: bool) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "ok": ok,
            "instance": self.name,
            "kind": self.kind,
            "pid": os.getpid(),
            "version": __version__,
        }

    def _refusal(self, sentence: str) -> dict[str, Any]:
        return {**self._head(ok=False), "error": sentence}


class _LineReader:
    """Reads lines from a connection; ``overrun`` once one was too long to read on."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = bytearray()
        self.overrun = False

    async def line(self) -> bytes:
        """Return the next line, more octets than a request may have where it is longer, nothing at the end."""
        loop = asyncio.get_running_loop()
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > LARGEST_REQUEST:
                self.overrun = True
                return bytes(self._buffer)
            received = await loop.sock_recv(self._connection, LARGEST_REQUEST)
            if not received:
                return b""
            self._buffer += received
        line = bytes(self._buffer[: end + 1])
        del self._buffer[: end + 1]
        return line


async def _instance(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    return {}


def _may_ask(connection: socket.socket) -> bool:
    return process_behind(connection)[1] in (0, os.geteuid())
