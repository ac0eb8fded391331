"""Control protocols driven by hand: two joined in memory, or one whose peer is the test, under a clock that waits."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from pypptp.ppp.automaton import Action, State
from pypptp.ppp.control_protocol import ControlProtocol
from pypptp.ppp.packet import Code, ControlPacket, Option, build_options, parse_options
from pypptp.roles import RandomBytes

M = TypeVar("M", bound=ControlProtocol)
Drop = Callable[[int, int, ControlPacket], bool]
"""``(side, number of the packet on that side, packet)``: whether the path loses it."""


def seeded(seed: int = 1) -> RandomBytes:
    return random.Random(seed).randbytes


def configure(code: int, identifier: int, options: Iterable[tuple[int, bytes]]) -> ControlPacket:
    return ControlPacket(code, identifier, build_options(Option(*option) for option in options))


def options_of(packet: ControlPacket) -> list[tuple[int, bytes]]:
    options = parse_options(packet.data)
    assert options is not None
    return [(option.type, option.value) for option in options]


class Pair:
    """Two control protocols with a path between them that loses what ``drop`` says.

    ``trace`` has every packet sent: (time, side, packet). ``signals`` has every layer signal of either side.
    """

    def __init__(self, left: ControlProtocol, right: ControlProtocol, *, drop: Drop | None = None) -> None:
        self.machines = (left, right)
        self.drop = drop
        self.now = 1000.0
        self.trace: list[tuple[float, int, ControlPacket]] = []
        self.signals: tuple[list[Action], list[Action]] = ([], [])
        self._path: deque[tuple[int, ControlPacket]] = deque()
        self._sent = [0, 0]

    def start(self) -> None:
        for machine in self.machines:
            machine.open(self.now)
            machine.up(self.now)

    def run(self, seconds: float) -> None:
        """Carry packets and let timers fire until the time is over; it must come to rest in between."""
        until = self.now + seconds
        for _ in range(5000):
            self._collect()
            if self._path:
                side, packet = self._path.popleft()
                self.machines[1 - side].receive(packet.build(), self.now)
                continue
            due = [timer for machine in self.machines if (timer := machine.get_timer()) is not None]
            if not due or min(due) > until:
                self.now = until
                return
            self.now = max(self.now, min(due))
            for machine in self.machines:
                machine.handle_timer(self.now)
        raise AssertionError("the two never come to rest")

    def sent(self, side: int) -> list[ControlPacket]:
        return [packet for _, sender, packet in self.trace if sender == side]

    def _collect(self) -> None:
        for side, machine in enumerate(self.machines):
            for packet in machine.packets:
                self.trace.append((self.now, side, packet))
                number, self._sent[side] = self._sent[side], self._sent[side] + 1
                if self.drop is None or not self.drop(side, number, packet):
                    self._path.append((side, packet))
            machine.packets.clear()
            self.signals[side].extend(machine.signals)
            machine.signals.clear()


class Alone(Generic[M]):
    """One control protocol; the test plays the peer."""

    def __init__(self, machine: M) -> None:
        self.machine = machine
        self.now = 1000.0
        machine.open(self.now)
        machine.up(self.now)
        self.request = self.only(Code.CONFIGURE_REQUEST)

    def is_in(self, state: State) -> bool:
        return self.machine.state is state

    def taken(self) -> list[ControlPacket]:
        packets = list(self.machine.packets)
        self.machine.packets.clear()
        return packets

    def only(self, code: int) -> ControlPacket:
        (packet,) = self.taken()
        assert packet.code == code, packet
        return packet

    def give(self, *packets: ControlPacket) -> list[ControlPacket]:
        for packet in packets:
            self.machine.receive(packet.build(), self.now)
        return self.taken()

    def ask(self, *options: tuple[int, bytes], identifier: int = 77) -> ControlPacket:
        """Send a Configure-Request and return its answer."""
        answers = self.give(configure(Code.CONFIGURE_REQUEST, identifier, options))
        (answer,) = [packet for packet in answers if packet.code in (2, 3, 4)]
        assert answer.identifier == identifier
        return answer

    def answer(self, code: int, *options: tuple[int, bytes]) -> list[ControlPacket]:
        """Nak or Reject the last request; a new one is expected in return."""
        packets = self.give(configure(code, self.request.identifier, options))
        requests = [packet for packet in packets if packet.code == Code.CONFIGURE_REQUEST]
        self.request = requests[-1] if requests else self.request
        return packets

    def acknowledge(self) -> None:
        self.give(ControlPacket(Code.CONFIGURE_ACK, self.request.identifier, self.request.data))

    def open(self, *options: tuple[int, bytes]) -> None:
        """Acknowledge what it asks and ask for the options given."""
        self.acknowledge()
        assert self.ask(*options).code == Code.CONFIGURE_ACK
        assert self.machine.opened

    def wait(self) -> list[ControlPacket]:
        """Go on to the next deadline."""
        deadline = self.machine.get_timer()
        assert deadline is not None
        self.now = deadline
        self.machine.handle_timer(self.now)
        return self.taken()
