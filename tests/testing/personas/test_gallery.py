from __future__ import annotations

import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from pypptp.ppp.ccp import SupportedBits
from pypptp.roles import Role
from pypptp.testing.personas import PERSONAS, Persona, Quirk, looks_like
from pypptp.testing.personas.habits import AUTHENTICATION, MAGIC, AuthHabits, ControlHabits, LcpHabits, NetworkHabits
from tests.testing.personas.quirks import SEEN, ended, whole

ROOT = Path(__file__).parents[3]
EVERYBODY = pytest.mark.parametrize("persona", PERSONAS, ids=lambda persona: persona.name)
QUIRKS = [
    pytest.param(persona, quirk, id=f"{persona.name}: {quirk.key}") for persona in PERSONAS for quirk in persona.quirks
]


@EVERYBODY
def test_it_connects_with_ours_with_mppe_128_and_pings_go_both_ways_until_it_hangs_up(persona: Persona) -> None:
    wire = whole(persona)
    assert persona.ccp.grants == SupportedBits.BITS_128 | SupportedBits.STATELESS
    encrypted = {said.mine for said in wire.said if said.protocol == 0xFD}
    clear = [said for said in wire.said if said.protocol == 0x21]
    assert (encrypted, clear) == ({True, False}, [])
    assert wire.over


@EVERYBODY
def test_ours_ends_the_session_in_order(persona: Persona) -> None:
    wire = ended(persona)
    assert wire.over
    assert wire.reason == "enough"


@pytest.mark.parametrize(("persona", "quirk"), QUIRKS)
def test_the_quirk_is_on_the_wire(persona: Persona, quirk: Quirk) -> None:
    scene, look = SEEN[persona.name, quirk.key] if (persona.name, quirk.key) in SEEN else SEEN[quirk.key]
    assert look(persona, scene(persona)), quirk.text


def test_every_look_belongs_to_a_quirk() -> None:
    known = {quirk.key for persona in PERSONAS for quirk in persona.quirks}
    assert {key if isinstance(key, str) else key[1] for key in SEEN} == known


@EVERYBODY
def test_a_quirk_says_what_and_where_from(persona: Persona) -> None:
    keys = [quirk.key for quirk in persona.quirks]
    assert keys
    assert len(set(keys)) == len(keys)
    assert all(quirk.text and len(quirk.source) > 12 for quirk in persona.quirks)


@pytest.mark.parametrize("name", ["RRAS", "pptpd", "accel-ppp", "npppd", "RouterOS"])
def test_a_server_is_known_by_its_first_words(name: str) -> None:
    persona = next(persona for persona in PERSONAS if persona.name == name)
    habits = asdict(persona.control)
    words = habits["host_name"].decode(), habits["vendor_name"].decode()
    numbers = [habits[key] for key in ("firmware", "maximum_channels", "framing", "bearer")]
    assert looks_like(*words, *numbers) == [name]
    assert looks_like(words[0], words[1] + "!", *numbers) == []


def test_clients_and_those_without_a_record_are_not_recognised() -> None:
    assert looks_like("local", "cananian", 1, 65535, 3, 3) == []
    assert looks_like("", "", 0, 0, 3, 3) == []


def test_a_router_has_a_name_of_its_own() -> None:
    assert looks_like("edge-7", "MikroTik", 1, 0, 2, 0) == ["RouterOS"]


def test_the_page_in_docs_is_current() -> None:
    check = [sys.executable, str(ROOT / "docs" / "render_personas.py"), "--check"]
    result = subprocess.run(check, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


PLAIN = ControlHabits(firmware=7, minimum_bps=1, maximum_bps=2, window=9, connect_speed=5)
WORDS = AuthHabits(success="{proof} M=Welcome", failure="E=691 R=0 C={challenge} V=3 M=Go")


@pytest.mark.parametrize(("persona", "quirk"), QUIRKS)
def test_a_peer_without_habits_has_not_the_quirk(persona: Persona, quirk: Quirk) -> None:
    """So each look above can fail: a peer with the common defaults and other numbers does not pass it."""
    scene, look = SEEN[persona.name, quirk.key] if (persona.name, quirk.key) in SEEN else SEEN[quirk.key]
    looks = []
    for waits in (True, False):
        network = NetworkHabits(waits_for_ccp=waits)
        lcp = LcpHabits(options=(MAGIC,) if persona.role is Role.CLIENT else (MAGIC, AUTHENTICATION))
        plain = Persona(
            name=persona.name, role=persona.role, quirks=(), control=PLAIN, lcp=lcp, auth=WORDS, network=network
        )
        try:
            looks.append(look(plain, scene(plain)))
        except (IndexError, StopIteration, ValueError):
            looks.append(False)
    assert not all(looks), quirk.text
