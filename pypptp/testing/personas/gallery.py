"""All personas, and whom a server looks like."""

from __future__ import annotations

from typing import Final

from pypptp.control import printable
from pypptp.roles import Role
from pypptp.testing.personas.persona import Persona
from pypptp.testing.personas.routers import CISCO, ROUTEROS
from pypptp.testing.personas.unix import ACCEL_PPP, MACOS_10_4, NPPPD, PPTP_LINUX, PPTPD
from pypptp.testing.personas.windows import RRAS, WINDOWS_10, WINDOWS_2000, WINDOWS_XP

PERSONAS: Final[tuple[Persona, ...]] = (
    WINDOWS_2000,
    WINDOWS_XP,
    WINDOWS_10,
    MACOS_10_4,
    PPTP_LINUX,
    RRAS,
    PPTPD,
    ACCEL_PPP,
    NPPPD,
    ROUTEROS,
    CISCO,
)
"""Clients first."""


def looks_like(
    host_name: str, vendor_name: str, firmware: int, maximum_channels: int, framing: int, bearer: int
) -> list[str]:
    """Return the servers whose Start-Control-Connection-Reply has these fields; none where nobody is known by them."""
    told = (vendor_name, firmware, maximum_channels, framing, bearer)
    names = []
    for persona in PERSONAS:
        habits = persona.control
        known = (printable(habits.vendor_name), habits.firmware, habits.maximum_channels, habits.framing, habits.bearer)
        host_fits = habits.host_name_is_own or printable(habits.host_name) == host_name
        if persona.role is Role.SERVER and habits.start_known and host_fits and known == told:
            names.append(persona.name)
    return names
