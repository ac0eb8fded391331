"""A conformance suite for PPTP: 144 checks that a server or a client is held against.

``catalogue`` says what is checked, ``checks`` does it, ``runner`` runs it. A check gets a ``Case``: ways to come to
each stage of a session with the target, from where it deviates message by message, and a transcript of everything.
"""

from __future__ import annotations

from pypptp.testing.dialogue.case import Case, Target, Timers
from pypptp.testing.dialogue.network import Network, TargetSilent
from pypptp.testing.dialogue.verdicts import Verdict
from pypptp.testing.spec import checks
from pypptp.testing.spec.catalogue import CATALOGUE, Entry, Level
from pypptp.testing.spec.registry import REGISTRY, Check
from pypptp.testing.spec.runner import Outcome, Result, Run, select

__all__ = [
    "CATALOGUE",
    "REGISTRY",
    "Case",
    "Check",
    "Entry",
    "Level",
    "Network",
    "Outcome",
    "Result",
    "Run",
    "Target",
    "TargetSilent",
    "Timers",
    "Verdict",
    "checks",
    "select",
]
