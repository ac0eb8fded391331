"""Two control connections joined by two octet strings and a clock that stands still until told."""

from __future__ import annotations

import random
from typing import TypeVar

from pypptp.control import CallIdAllocator, ControlConfig, ControlConnection, ControlEvent, Message, parse_message
from pypptp.control.framing import MessageBuffer
from pypptp.control.messages import StartControlConnectionRequest
from pypptp.roles import Role

E = TypeVar("E")


def call_ids(seed: int = 1) -> CallIdAllocator:
    return CallIdAllocator(random.Random(seed).randbytes)


def messages_in(data: bytes) -> list[Message]:
    """Cut and parse; a rest that is no whole message fails."""
    buffer = MessageBuffer()
    buffer.feed(data)
    found = []
    while (message := buffer.next_message()) is not None:
        found.append(parse_message(message))
    assert len(buffer) == 0
    return found


def events(connection: ControlConnection) -> list[ControlEvent]:
    found = []
    while (event := connection.next_event()) is not None:
        found.append(event)
    return found


def only(kind: type[E], items: list[ControlEvent] | list[Message]) -> E:
    (item,) = (item for item in items if isinstance(item, kind))
    return item


def start_request(**fields: int | bytes) -> bytes:
    values: dict[str, object] = {"framing_capabilities": 3, "bearer_capabilities": 3, **fields}
    return StartControlConnectionRequest(**values).build()  # type: ignore[arg-type]


class Alone:
    """One connection whose peer is the test: messages in, messages out."""

    def __init__(self, role: Role, config: ControlConfig | None = None, *, now: float = 1000.0) -> None:
        self.now = now
        self.ids = call_ids()
        self.connection = ControlConnection(role, config or ControlConfig(), call_ids=self.ids, now=now)

    def give(self, *messages: Message | bytes) -> list[Message]:
        for message in messages:
            self.connection.receive_data(message if isinstance(message, bytes) else message.build(), self.now)
        return self.taken()

    def taken(self) -> list[Message]:
        return messages_in(self.connection.data_to_send())

    def events(self) -> list[ControlEvent]:
        return events(self.connection)

    def wait(self, until: float) -> None:
        """Let the clock run to ``until`` the way a shell does: timer by timer."""
        for _ in range(10_000):
            due = self.connection.get_timer()
            if due is None or due > until:
                break
            self.now = max(self.now, due)
            self.connection.handle_timer(self.now)
        else:
            raise AssertionError("the timer does not move on")
        self.now = until


class Joined:
    """A client and a server in one process."""

    def __init__(self, client: ControlConfig | None = None, server: ControlConfig | None = None) -> None:
        self.now = 1000.0
        self.client_ids, self.server_ids = call_ids(1), call_ids(2)
        self.client = ControlConnection(Role.CLIENT, client or ControlConfig(), call_ids=self.client_ids, now=self.now)
        self.server = ControlConnection(Role.SERVER, server or ControlConfig(), call_ids=self.server_ids, now=self.now)

    def carry(self, step: int | None = None) -> None:
        """Move octets both ways, ``step`` at a time, until nobody has any."""
        for _ in range(100):
            to_server, to_client = self.client.data_to_send(), self.server.data_to_send()
            if not to_server and not to_client:
                return
            for data, receiver in ((to_server, self.server), (to_client, self.client)):
                for start in range(0, len(data), step or max(len(data), 1)):
                    receiver.receive_data(data[start : start + (step or len(data))], self.now)
        raise AssertionError("the two do not come to rest")

    def started(self) -> Joined:
        self.client.start(self.now)
        self.carry()
        assert self.client.established
        assert self.server.established
        events(self.client)
        events(self.server)
        return self

    def call(self) -> tuple[int, int]:
        """Set a call up; return the client's id and the server's."""
        client_id = self.client.place_call(self.now)
        self.carry()
        server_id = self.server.accept_call(client_id, self.now)
        self.carry()
        events(self.client)
        events(self.server)
        return client_id, server_id
