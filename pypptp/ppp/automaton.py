"""The option negotiation automaton of RFC 1661 section 4, as a table.

The table below is section 4.1, cell for cell: a string in the RFC's own notation, ``actions/new-state``. It knows
neither packets nor options nor time; ControlProtocol turns packets into events and actions into packets.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum

from pypptp.errors import LocalProtocolError


class State(IntEnum):
    """The states of section 4.2, with the RFC's own numbers."""

    INITIAL = 0
    STARTING = 1
    CLOSED = 2
    STOPPED = 3
    CLOSING = 4
    STOPPING = 5
    REQUEST_SENT = 6
    ACK_RECEIVED = 7
    ACK_SENT = 8
    OPENED = 9


class Event(StrEnum):
    """The events of section 4.3."""

    UP = "Up"
    DOWN = "Down"
    OPEN = "Open"
    CLOSE = "Close"
    TIMEOUT = "TO+"
    TIMEOUT_EXPIRED = "TO-"
    REQUEST_GOOD = "RCR+"
    REQUEST_BAD = "RCR-"
    ACK = "RCA"
    NAK = "RCN"
    TERMINATE_REQUEST = "RTR"
    TERMINATE_ACK = "RTA"
    UNKNOWN_CODE = "RUC"
    REJECT_PERMITTED = "RXJ+"
    REJECT_CATASTROPHIC = "RXJ-"
    ECHO = "RXR"


class Action(StrEnum):
    """The actions of section 4.4."""

    THIS_LAYER_UP = "tlu"
    THIS_LAYER_DOWN = "tld"
    THIS_LAYER_STARTED = "tls"
    THIS_LAYER_FINISHED = "tlf"
    INITIALIZE_RESTART_COUNT = "irc"
    ZERO_RESTART_COUNT = "zrc"
    SEND_CONFIGURE_REQUEST = "scr"
    SEND_CONFIGURE_ACK = "sca"
    SEND_CONFIGURE_NAK = "scn"
    SEND_TERMINATE_REQUEST = "str"
    SEND_TERMINATE_ACK = "sta"
    SEND_CODE_REJECT = "scj"
    SEND_ECHO_REPLY = "ser"


# Of the footnotes, p (passive) and r (restart) are implementation options not taken; x (crossed connection) marks a
# Configure-Ack nobody waits for, which starts the negotiation anew.
_TABLE = """
        0       1          2          3                4           5
Up      2       irc,scr/6  -          -                -           -
Down    -       -          0          tls/1            0           1
Open    tls/1   1          irc,scr/6  3                5           5
Close   0       tlf/0      2          2                4           4
TO+     -       -          -          -                str/4       str/5
TO-     -       -          -          -                tlf/2       tlf/3
RCR+    -       -          sta/2      irc,scr,sca/8    4           5
RCR-    -       -          sta/2      irc,scr,scn/6    4           5
RCA     -       -          sta/2      sta/3            4           5
RCN     -       -          sta/2      sta/3            4           5
RTR     -       -          sta/2      sta/3            sta/4       sta/5
RTA     -       -          2          3                tlf/2       tlf/3
RUC     -       -          scj/2      scj/3            scj/4       scj/5
RXJ+    -       -          2          3                4           5
RXJ-    -       -          tlf/2      tlf/3            tlf/2       tlf/3
RXR     -       -          2          3                4           5

        6          7          8          9
Up      -          -          -          -
Down    1          1          1          tld/1
Open    6          7          8          9
Close   irc,str/4  irc,str/4  irc,str/4  tld,irc,str/4
TO+     scr/6      scr/6      scr/8      -
TO-     tlf/3      tlf/3      tlf/3      -
RCR+    sca/8      sca,tlu/9  sca/8      tld,scr,sca/8
RCR-    scn/6      scn/7      scn/6      tld,scr,scn/6
RCA     irc/7      scr/6      irc,tlu/9  tld,scr/6
RCN     irc,scr/6  scr/6      irc,scr/8  tld,scr/6
RTR     sta/6      sta/6      sta/6      tld,zrc,sta/5
RTA     6          6          8          tld,scr/6
RUC     scj/6      scj/7      scj/8      scj/9
RXJ+    6          6          8          9
RXJ-    tlf/3      tlf/3      tlf/3      tld,irc,str/5
RXR     6          7          8          ser/9
"""


def _read_table(text: str) -> dict[tuple[State, Event], tuple[tuple[Action, ...], State]]:
    transitions = {}
    states: list[State] = []
    for line in filter(None, text.splitlines()):
        words = line.split()
        if words[0].isdigit():
            states = [State(int(word)) for word in words]
            continue
        event, *cells = words
        for state, cell in zip(states, cells, strict=True):
            if cell != "-":
                actions, _, new_state = cell.rpartition("/")
                taken = tuple(Action(action) for action in actions.split(",") if action)
                transitions[state, Event(event)] = (taken, State(int(new_state)))
    return transitions


TRANSITIONS = _read_table(_TABLE)
"""``(state, event) -> (actions, new state)``; a pair that is absent is the RFC's dash, an illegal transition."""

TIMER_RUNS = frozenset(state for state, event in TRANSITIONS if event is Event.TIMEOUT)
"""The states in which the Restart timer runs: those that have a time-out event (section 4.1)."""


class Automaton:
    """One instance of the table: the state, and the actions an event asks for."""

    __slots__ = ("state",)

    def __init__(self) -> None:
        self.state = State.INITIAL

    def feed(self, event: Event) -> tuple[Action, ...]:
        """Take an event; enter the new state and return the actions to carry out, in their order.

        Raises:
            LocalProtocolError: the pair is one of the dashes of section 4.1. A caller that delivers packets only while
                the lower layer is up never meets one.
        """
        try:
            actions, self.state = TRANSITIONS[self.state, event]
        except KeyError:
            raise LocalProtocolError(f"event {event.value} cannot happen in state {self.state.name}") from None
        return actions
