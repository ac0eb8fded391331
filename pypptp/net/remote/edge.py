"""The end without rights: a NetworkEdge whose methods are requests."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import partial
from typing import Any, cast

from pypptp.errors import NetworkError
from pypptp.net.edge import NetworkEdge, Recovery, Tun
from pypptp.net.remote.channel import BadMessage, Channel, ChannelClosed
from pypptp.net.remote.codec import decode, encode, hints_of, signature_of
from pypptp.net.remote.host import KINDS, Helper, SecretText

GONE = "the process that holds the network has ended"
_WITHOUT_IT: Mapping[str, Callable[[], object]] = {
    "changes": list,
    "recover": lambda: Recovery(errors=[GONE]),
    "undo": lambda: [GONE],
    "undo_for": lambda: [GONE],
}
"""What the methods that never raise return where there is nobody to ask."""


class RemoteTun:
    """A TUN device that the other process made; both have a descriptor of it.

    Attributes:
        number: by which both know it.
        name: the interface's.
        fd: our descriptor; -1 once closed.
    """

    def __init__(self, requests: Requests, number: int, name: str, fd: int) -> None:
        self.number = number
        self.name = name
        self.fd = fd
        self._requests = requests
        os.set_blocking(fd, False)

    def let_go(self) -> None:
        """Close our descriptor alone."""
        if self.fd >= 0:
            fd, self.fd = self.fd, -1
            os.close(fd)

    def close(self) -> None:
        """Have both descriptors closed, and with them the interface."""
        if self.fd >= 0:
            self._requests.edge.undo_for(self)

    def __repr__(self) -> str:
        return f"<RemoteTun {self.name} {'closed' if self.fd < 0 else f'fd {self.fd}'}>"


class Requests:
    """Asks the other process; from any thread, several at once.

    Args:
        end: our end of the channel; it becomes this object's to close.

    Attributes:
        edge: what is on the channel, as a NetworkEdge.
    """

    def __init__(self, end: socket.socket) -> None:
        self._channel = Channel(end)
        self._waiting: dict[int, Future[tuple[Any, int | None]]] = {}
        self._lock = threading.Lock()
        self._last = 0
        self._lost = False
        self._on_lost: Callable[[], object] | None = None
        self.edge = cast(NetworkEdge, _RemoteEdge(self))
        self._reader = threading.Thread(target=self._receive, name="edge-channel", daemon=True)
        self._reader.start()

    @property
    def lost(self) -> bool:
        """Whether the other process is gone."""
        return self._lost

    def on_lost(self, act: Callable[[], object]) -> None:
        """Have ``act`` called when the other process is gone, in a thread; at once where it is."""
        with self._lock:
            self._on_lost = act
            if not self._lost:
                return
        act()

    def ask(self, method: str, given: dict[str, Any]) -> tuple[Any, int | None]:
        """Ask, and wait for the answer and the descriptor with it.

        Raises:
            PptpError: what the other end raised.
            ChannelClosed: it is gone.
        """
        answer: Future[tuple[Any, int | None]] = Future()
        with self._lock:
            if self._lost:
                raise ChannelClosed(GONE)
            self._last += 1
            number = self._last
            self._waiting[number] = answer
        try:
            self._channel.send({"id": number, "call": method, "with": given})
        except ChannelClosed:
            # The reader is about to find out, too, and to fail those who wait.
            pass
        return answer.result()

    def close(self) -> None:
        """End the channel: the other process takes back what is left."""
        self._on_lost = None
        self._channel.close()
        self._reader.join()

    def _receive(self) -> None:
        while True:
            try:
                message, descriptor = self._channel.receive()
            except (ChannelClosed, BadMessage):
                break
            number = message.get("id")
            with self._lock:
                answer = self._waiting.pop(number, None) if isinstance(number, int) else None
            if answer is None:
                if descriptor is not None:
                    os.close(descriptor)
            elif "answer" in message:
                answer.set_result((message["answer"], descriptor))
            else:
                kind = KINDS.get(str(message.get("kind")), NetworkError)
                answer.set_exception(kind(str(message.get("text"))))
        with self._lock:
            self._lost = True
            waiting, self._waiting = self._waiting, {}
            act = self._on_lost
        for answer in waiting.values():
            answer.set_exception(ChannelClosed(GONE))
        if act is not None:
            act()


class _RemoteEdge:
    """Every method of NetworkEdge, made of its signature: a new one there needs nothing here, and a rule in Allowed."""

    def __init__(self, requests: Requests) -> None:
        self._requests = requests

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = None if name.startswith("_") else getattr(NetworkEdge, name, None)
        if not callable(method):
            raise AttributeError(name)
        return partial(self._call, name, method)

    def _call(self, name: str, method: Callable[..., Any], *positional: object, **by_name: object) -> Any:
        bound = signature_of(method).bind(self, *positional, **by_name)
        bound.apply_defaults()
        given = {key: encode(value, _number_of) for key, value in bound.arguments.items() if key != "self"}
        try:
            answer, descriptor = self._requests.ask(name, given)
        except ChannelClosed:
            if name in _WITHOUT_IT:
                answer, descriptor = None, None
                return self._over(bound.arguments, _WITHOUT_IT[name]())
            raise NetworkError(GONE) from None
        if name == "open_tun":
            return self._take(answer, descriptor)
        found = decode(hints_of(method)["return"], answer, _no_tun)
        return self._over(bound.arguments, found) if name == "undo_for" else found

    def _over(self, arguments: Mapping[str, object], answer: Any) -> Any:
        tun = arguments.get("tun")
        if isinstance(tun, RemoteTun):
            tun.let_go()
        return answer

    def _take(self, answer: Any, descriptor: int | None) -> Tun:
        if descriptor is None:
            self._requests.ask("undo_for", {"tun": {"tun": answer["tun"]}})
            raise NetworkError("no file descriptor left for a TUN device: raise the limit with 'ulimit -n'")
        return RemoteTun(self._requests, answer["tun"], answer["name"], descriptor)


class RemoteHelper:
    """The rest of what the other process does for us; see :class:`pypptp.net.remote.host.Helper`."""

    def __init__(self, requests: Requests) -> None:
        self._requests = requests

    def open_gre(self, local: str | None = None, *, call_ids: range | None = None) -> socket.socket:
        """Open a raw GRE socket, as :func:`pypptp.net.raw_gre.open_gre_socket` does. Raises NetworkError."""
        ids = range(1, 65_536) if call_ids is None else call_ids
        return self._socket("open_gre", local=local, first=ids[0], last=ids[-1])

    def open_channel(self) -> socket.socket:
        """Open a channel for a worker. Raises NetworkError."""
        return self._socket("open_channel")

    def read_secrets(self) -> tuple[SecretText, ...]:
        """Read the secrets file, and those it names.

        Raises:
            ConfigurationError: it cannot be read, or is refused.
            NetworkError: there is nobody to read it.
        """
        answer, _ = self._ask("read_secrets")
        texts: tuple[SecretText, ...] = decode(hints_of(Helper.read_secrets)["return"], answer, _no_tun)
        return texts

    def _socket(self, method: str, **given: object) -> socket.socket:
        _, descriptor = self._ask(method, **given)
        if descriptor is None:
            raise NetworkError("no file descriptor left for a socket: raise the limit with 'ulimit -n'")
        return socket.socket(fileno=descriptor)

    def _ask(self, method: str, **given: object) -> tuple[Any, int | None]:
        try:
            return self._requests.ask(method, given)
        except ChannelClosed:
            raise NetworkError(GONE) from None


def remote_edge(end: socket.socket) -> tuple[NetworkEdge, RemoteHelper, Requests]:
    """Return what is at the other end of a channel: the edge, the rest, and the channel to close.

    Args:
        end: our end; it is closed with the requests.
    """
    requests = Requests(end)
    return requests.edge, RemoteHelper(requests), requests


def _number_of(value: object) -> int | None:
    return value.number if isinstance(value, RemoteTun) else None


def _no_tun(number: int) -> Tun:
    raise BadMessage("a TUN comes with its descriptor")


__all__ = ["GONE", "RemoteHelper", "RemoteTun", "Requests", "remote_edge"]
