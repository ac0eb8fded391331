"""The end that has the rights: it judges each request, does it, and hands descriptors over."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from typing import Any, Final, Protocol

from pypptp.errors import ConfigurationError, LocalProtocolError, NetworkError, PptpError
from pypptp.net.edge import NetworkEdge, Tun
from pypptp.net.raw_gre import open_gre_socket
from pypptp.net.remote.allowed import MOST_TUNS, Allowed, NotAllowed
from pypptp.net.remote.channel import BadMessage, Channel, ChannelClosed, channel_pair
from pypptp.net.remote.codec import decode, encode, hints_of, signature_of

log = logging.getLogger("pypptp.edge")

THREADS: Final = 16
"""Requests served at once: closing a TUN takes the kernel 20 ms, and a server that stops has hundreds."""

FAREWELL_SECONDS: Final = 10.0
"""For the workers' channels to end after the first one has."""

MOST_CHANNELS: Final = 64
"""At once; a server has 32 workers at most, and one that has just ended may still be on its way out."""

KINDS: Final[Mapping[str, type[PptpError]]] = {
    "network": NetworkError,
    "local": LocalProtocolError,
    "configuration": ConfigurationError,
    "not allowed": NotAllowed,
}
"""How an exception is called on the way; what is none of these arrives as a NetworkError."""


@dataclass(frozen=True, slots=True)
class SecretText:
    """A file of secrets, read by the process that may.

    Attributes:
        path: as it is named in the settings, or behind an ``@``.
        content: its octets, each a character (ISO 8859-1). Never in ``repr``.
        warnings: about who else can read it.
    """

    path: str
    content: str
    warnings: tuple[str, ...]

    def __repr__(self) -> str:
        return f"SecretText({self.path!r}, {len(self.content)} octets)"


class Helper(Protocol):
    """What is asked of the host besides the methods of a NetworkEdge."""

    def open_gre(self, local: IPv4Address | None, first: int, last: int) -> int:
        """Open a raw GRE socket for the call ids ``first`` to ``last``; 1 to 65535 needs no filter."""

    def open_channel(self) -> int:
        """Open another channel, for a worker: it may have TUNs of its own, and nothing else."""

    def read_secrets(self) -> tuple[SecretText, ...]:
        """Read the secrets file again, and those it names."""


class Host:
    """Serves one channel until it ends; then everything that was done for it is taken back.

    Args:
        end: our end of the channel; it becomes the host's to close.
        edge: does what is allowed.
        allowed: says what is.
        make_edge: makes an edge for the channel of a worker.
        read_secrets: reads the secrets, and brings ``allowed.peers`` up to date.
    """

    def __init__(
        self,
        end: socket.socket,
        edge: NetworkEdge,
        allowed: Allowed,
        *,
        make_edge: Callable[[], NetworkEdge],
        read_secrets: Callable[[], tuple[SecretText, ...]],
    ) -> None:
        self._channel = Channel(end)
        self._edge = edge
        self._allowed = allowed
        self._make_edge = make_edge
        self._read_secrets = read_secrets
        self._tuns: dict[int, Tun] = {}
        self._last = 0
        self._lock = threading.Lock()
        self._workers: dict[threading.Thread, Host] = {}
        self._helper: dict[str, Callable[..., tuple[Any, int | None]]] = {
            "open_gre": self._open_gre,
            "open_channel": self._open_channel,
            "read_secrets": self._secrets,
        }

    def serve(self) -> None:
        """Serve until the other end is gone."""
        with ThreadPoolExecutor(THREADS, "edge-request") as threads:
            while True:
                try:
                    message, descriptor = self._channel.receive()
                except ChannelClosed:
                    break
                except BadMessage as error:
                    log.error("%s; the channel is closed", error)
                    break
                if descriptor is not None:
                    os.close(descriptor)  # nothing is handed over in this direction
                threads.submit(self._serve_one, message)
        self.end()

    def end(self) -> None:
        """Close the channel, wait for those of the workers, and take everything back."""
        self._channel.close()
        for thread, worker in list(self._workers.items()):
            thread.join(FAREWELL_SECONDS)
            if thread.is_alive():
                worker._channel.close()
                thread.join(FAREWELL_SECONDS)
        for error in self._edge.undo():
            log.warning("%s", error)

    def _serve_one(self, message: dict[str, Any]) -> None:
        number = message.get("id")
        descriptor = None
        try:
            answer, descriptor = self._do(message.get("call"), message.get("with"))
            reply = {"id": number, "answer": answer}
        except Exception as error:
            kind = next((name for name, known in KINDS.items() if isinstance(error, known)), "")
            if isinstance(error, NotAllowed):
                log.error("refused: %s", error)
            elif not isinstance(error, PptpError):
                log.error("internal error", exc_info=error)
            reply = {"id": number, "kind": kind, "text": str(error) or type(error).__name__}
        try:
            self._channel.send(reply, descriptor)
        except ChannelClosed:
            pass  # whoever asked is gone, and everything is about to be taken back
        finally:
            if descriptor is not None and message.get("call") != "open_tun":
                os.close(descriptor)

    def _do(self, method: object, given: object) -> tuple[Any, int | None]:
        if not isinstance(method, str) or not isinstance(given, dict):
            raise BadMessage("no request")
        if method in self._helper:
            arguments = self._arguments(getattr(Helper, method), given)
            return self._helper[method](**arguments)
        called = getattr(NetworkEdge, method, None) if not method.startswith("_") else None
        if not callable(called):
            raise BadMessage(f"there is no request {method[:40]!a}")
        if method == "undo_for" and self._is_gone(given):
            return [], None
        arguments = self._arguments(called, given)
        self._allowed.check(method, arguments, self._edge.default_route)
        if method == "open_tun" and len(self._tuns) >= MOST_TUNS:
            raise NotAllowed("there are TUNs enough")
        answer = getattr(self._edge, method)(**arguments)
        if method == "open_tun":
            return self._hand_over(answer)
        if method == "undo_for":
            self._tuns.pop(given["tun"]["tun"], None)
        return encode(answer, lambda value: None), None

    def _arguments(self, method: Callable[..., Any], given: dict[str, Any]) -> dict[str, Any]:
        hints = hints_of(method)
        names = [name for name in signature_of(method).parameters if name != "self"]
        if set(given) != set(names):
            raise BadMessage(f"{method.__name__} has other arguments")
        return {name: decode(hints[name], given[name], self._tun) for name in names}

    def _tun(self, number: int) -> Tun:
        tun = self._tuns.get(number)
        if tun is None:
            raise BadMessage(f"there is no TUN {number}")
        return tun

    def _is_gone(self, given: dict[str, Any]) -> bool:
        tun = given.get("tun")
        return isinstance(tun, dict) and type(tun.get("tun")) is int and tun["tun"] not in self._tuns

    def _hand_over(self, tun: Tun) -> tuple[Any, int]:
        with self._lock:
            self._last += 1
            number = self._last
            self._tuns[number] = tun
        return {"tun": number, "name": tun.name}, tun.fd

    def _open_gre(self, local: IPv4Address | None, first: int, last: int) -> tuple[Any, int]:
        if not self._allowed.serves_all or local != self._allowed.listen or not 1 <= first <= last <= 65_535:
            raise NotAllowed("a GRE socket for another address, or for no call ids")
        every = (first, last) == (1, 65_535)
        gre = open_gre_socket(None if local is None else str(local), call_ids=None if every else range(first, last + 1))
        return None, gre.detach()

    def _open_channel(self) -> tuple[Any, int]:
        self._workers = {thread: worker for thread, worker in self._workers.items() if thread.is_alive()}
        if not self._allowed.serves_all or len(self._workers) >= MOST_CHANNELS:
            raise NotAllowed("no more channels")
        ours, theirs = channel_pair()
        worker = Host(
            ours,
            self._make_edge(),
            replace(self._allowed, serves_all=False),
            make_edge=self._make_edge,
            read_secrets=self._read_secrets,
        )
        thread = threading.Thread(target=worker.serve, name="edge-worker", daemon=True)
        self._workers[thread] = worker
        thread.start()
        return None, theirs.detach()

    def _secrets(self) -> tuple[Any, None]:
        if not self._allowed.serves_all:
            raise NotAllowed("the secrets are not for workers")
        return encode(self._read_secrets(), lambda value: None), None
