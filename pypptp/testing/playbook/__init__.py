"""Plays: a test says what is sent and what has to come, in the standards' words, at any layer and for either role.

``lines`` has the words, ``playbook`` the play.
"""

from pypptp.testing.playbook.lines import ANY, Frame, Gre, Heard, Ip, Packet, Segment, ccp, chap, ipcp, lcp, pap
from pypptp.testing.playbook.playbook import Playbook, PlayFailed, Stage

__all__ = [
    "ANY",
    "Frame",
    "Gre",
    "Heard",
    "Ip",
    "Packet",
    "PlayFailed",
    "Playbook",
    "Segment",
    "Stage",
    "ccp",
    "chap",
    "ipcp",
    "lcp",
    "pap",
]
