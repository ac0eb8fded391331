"""With real sockets: client personas and a server of ours on loopback, server personas and a client of ours."""

from __future__ import annotations

import sys

import pytest

from pypptp.roles import Role
from pypptp.testing import personas
from pypptp.testing.ends import RunningServer
from pypptp.testing.personas import PERSONAS, Persona

CLIENTS = [persona for persona in PERSONAS if persona.role is Role.CLIENT]
SERVERS = [persona for persona in PERSONAS if persona.role is Role.SERVER]
PORT = 17231
CLIENT = """
from pypptp.testing.ends import RunningClient

with RunningClient("127.62.0.2", {port}, user="alice", password="wonderland") as client:
    client.await_connected()
    client.await_end()
"""


@pytest.mark.netns  # for the raw sockets
@pytest.mark.parametrize("persona", CLIENTS, ids=lambda persona: persona.name)
def test_a_client_calls_a_real_server(persona: Persona) -> None:
    with RunningServer({"alice": "wonderland"}, address="127.62.0.1") as server:
        with persona.call(server.address, server.port, user="alice", password="wonderland") as peer:
            peer.connect()
            assert peer.ping()
            assert server.await_session("alice").encryption == "MPPE 128-bit stateless"
            peer.hang_up()
        server.await_no_session()


@pytest.mark.netns
@pytest.mark.parametrize("persona", SERVERS, ids=lambda persona: persona.name)
def test_a_server_takes_the_call_of_a_real_client(persona: Persona) -> None:
    command = f"{sys.executable} -c '{CLIENT.format(port=PORT)}'"
    with persona.serve(command, listen="127.62.0.2", port=PORT, user="alice", password="wonderland") as peer:
        peer.connect()
        assert peer.ping()
        peer.hang_up()


def test_in_memory_it_plays_the_end_it_is_of() -> None:
    with personas.RRAS.in_memory("bob", "builder") as peer:
        peer.connect()
        assert peer.case.target.role is Role.CLIENT
        assert peer.acting.login is not None
