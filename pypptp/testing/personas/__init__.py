"""Ready-made peers, with the option lists, orders and quirks of real ones, each with where it is on record.

    >>> from pypptp.testing import personas
    >>> with personas.WINDOWS_XP.in_memory("alice", "wonderland") as peer:
    ...     peer.connect()
    ...     peer.ping()
    ...     peer.hang_up()
    True

A persona plays the end it is of: a client with a server of this project's, a server with a client. ``call`` and
``serve`` put a real one there instead. docs/personas.md lists what each of them does.
"""

from pypptp.testing.personas.gallery import PERSONAS, looks_like
from pypptp.testing.personas.habits import Quirk
from pypptp.testing.personas.persona import Persona
from pypptp.testing.personas.play import PersonaPlay
from pypptp.testing.personas.routers import CISCO, ROUTEROS
from pypptp.testing.personas.unix import ACCEL_PPP, MACOS_10_4, NPPPD, PPTP_LINUX, PPTPD
from pypptp.testing.personas.windows import RRAS, WINDOWS_10, WINDOWS_2000, WINDOWS_XP

__all__ = [
    "ACCEL_PPP",
    "CISCO",
    "MACOS_10_4",
    "NPPPD",
    "PERSONAS",
    "PPTPD",
    "PPTP_LINUX",
    "ROUTEROS",
    "RRAS",
    "WINDOWS_10",
    "WINDOWS_2000",
    "WINDOWS_XP",
    "Persona",
    "PersonaPlay",
    "Quirk",
    "looks_like",
]
