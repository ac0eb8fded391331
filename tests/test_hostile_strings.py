"""What peers put into strings reaches no log, no terminal, no JSON, no program's environment as it was sent.

Each output takes the same octets: what comes out is one line of characters that only show, and of bounded length.
"""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Callable
from ipaddress import IPv4Address

import pytest
from rich.console import Console

from pypptp.auth.authority import SecretsAuthority
from pypptp.auth.chap_secrets import parse_chap_secrets
from pypptp.capture.descriptions import describe_control, describe_ppp
from pypptp.control import ControlConfig, StartControlConnectionRequest, printable
from pypptp.endpoint import Endpoint, EndpointConfig, SessionEnded
from pypptp.ppp.auth import Secret
from pypptp.ppp.auth.message import parse_message, printable_text
from pypptp.ppp.config import LinkConfig
from pypptp.ppp.link import _quoted
from pypptp.ppp.packet import Code, ControlPacket
from pypptp.ppp.protocols import Protocol
from pypptp.roles import Role
from pypptp.service.control_socket.lines import build_answer, parse_answer
from pypptp.service.hooks import HookSettings, TunnelEnd, TunnelFacts, environment_of
from pypptp.service.server_requests import ServerRequests
from pypptp.service.settings import ServerSettings
from pypptp.testing import SimulatedNetwork, seeded
from pypptp_cli.asking import columns, shown
from pypptp_cli.live.rows import rows_of
from pypptp_cli.live.table import draw
from pypptp_cli.main import one_line
from tests.aio.dialling import site, udp_for_gre, until

HOSTILE = {
    "terminal": b"\x1b[2J\x1b]0;root\x07\x9b31m",
    "lines": b"alice\r\nserver: user 'root' up\n",
    "nul": b"alice\0' authenticated",
    "markup": b"[red]alice[/red] <b>alice</b> & \"'%s%n{0}",
    "right-to-left": "alice\u202eecila\u2066\u200b\u2028\ufeff".encode(),
    "c1 and del": bytes(range(0x7F, 0xA0)),
    "no text": b"\xff\xfe\xc3\x28\xed\xa0\x80",
    "backslashes": b"\\x1b\\n\\",
    "long": b"a" * 1300,
    "long and wide": "\U0001f480".encode() * 300,
    "every octet": bytes(range(256)),
}
LONGEST = 256

each = pytest.mark.parametrize("octets", HOSTILE.values(), ids=list(HOSTILE))


def assert_harmless(text: str, *, longest: int) -> None:
    assert text.isprintable(), text
    assert len(text) <= longest


def text_field(octets: bytes) -> str:
    return describe_ppp(Protocol.LCP, ControlPacket(Code.IDENTIFICATION, 1, bytes(4) + octets).build())


WAYS: dict[str, tuple[Callable[[bytes], str], int]] = {
    "host and vendor names": (printable, 64),
    "user names": (lambda octets: printable(octets, whole=True), 64),
    "what a server says": (printable_text, LONGEST),
    "what a server says with MS-CHAP": (lambda octets: parse_message(b"E=691 R=0 M=" + octets).text, LONGEST),
    # Each octet may become four characters, and 64 octets of a NUL take four each.
    "last words": (_quoted, 2 + 128 * 4),
    "a command's complaint": (lambda octets: one_line(octets.decode("latin-1")), 4 * 1300),
    "a cell of a table": (lambda octets: shown(octets.decode("latin-1")), 64),
    "a decoded control message": (
        lambda octets: describe_control(
            StartControlConnectionRequest(
                framing_capabilities=3, bearer_capabilities=3, host_name=octets[:64], vendor_name=octets[-64:]
            ).build()
        ),
        400,
    ),
    "a decoded text": (text_field, 256),
    "a decoded challenge": (
        lambda octets: describe_ppp(Protocol.CHAP, ControlPacket(1, 1, b"\x10" + bytes(16) + octets).build()),
        256,
    ),
    "a decoded log-in": (
        lambda octets: describe_ppp(
            Protocol.PAP, ControlPacket(1, 1, bytes((len(octets[:64]),)) + octets[:64] + b"\x01p").build()
        ),
        256,
    ),
}


@each
@pytest.mark.parametrize(("way", "longest"), WAYS.values(), ids=list(WAYS))
def test_on_one_line_and_cut(way: Callable[[bytes], str], longest: int, octets: bytes) -> None:
    assert_harmless(way(octets), longest=longest)


@each
def test_in_the_environment_of_a_program(octets: bytes) -> None:
    name = printable(octets, whole=True)
    here = IPv4Address("192.0.2.1")
    facts = TunnelFacts(interface="ppp0", local=here, remote=here, peer=here, user=name, server=True)
    end = TunnelEnd(reason=octets.decode("latin-1"))
    for value in environment_of(HookSettings(), facts, end).values():
        assert value.isprintable()


@each
def test_what_a_client_says_of_its_server(octets: bytes) -> None:
    """The server's host and vendor, and why it ended the session: in the client's own words."""
    client = Endpoint(
        Role.CLIENT,
        EndpointConfig(link=LinkConfig(name="alice")),
        random=seeded(1),
        now=0.0,
        secret=Secret("wonderland"),
    )
    control = ControlConfig(host_name=octets[:64], vendor_name=octets[:64])
    server = Endpoint(
        Role.SERVER, EndpointConfig(link=LinkConfig(name="pptpd"), control=control), random=seeded(2), now=0.0
    )
    network = SimulatedNetwork(client, server, users={"alice": "wonderland"})
    client.connect(network.now)
    assert network.run_until(lambda: network.network_up)
    (call_id,) = server.sessions
    server.close_session(call_id, octets.decode("latin-1"), network.now)
    assert network.run_until(lambda: bool(network.reasons("client")), 10)
    (reason,) = network.reasons("client")
    assert_harmless(reason, longest=600)
    assert any(isinstance(event, SessionEnded) for _, _, event in network.events)


@each
def test_what_a_server_says_of_its_client(
    octets: bytes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its log, its answers on the control socket, and what the commands print of these."""
    caplog.set_level(logging.DEBUG)
    gre = udp_for_gre(monkeypatch)
    # In UTF-8 that is not longer than a name may be, and longer than any that is shown.
    user = octets[: LONGEST // 2].decode("latin-1")

    async def scenario() -> tuple[bytes, str]:
        anybody = SecretsAuthority(parse_chap_secrets(b"* * wonderland *\n"))
        async with site(gre, authority=anybody) as here:
            wrong = await here.dial(user=user, password="wrong")
            await until(lambda: wrong.end)
            await here.connected(user=user)
            (numbered,) = here.server.sessions
            requests = ServerRequests(ServerSettings(local=here.server.config.local), here.server, pools=list)
            answer = {"ok": True, "schema": 1, **await requests._sessions({})}
            return b"".join(build_answer(answer)), numbered[1].user

    written, name = asyncio.run(scenario())
    assert_harmless(name, longest=64)
    for record in caplog.records:
        assert_harmless(record.getMessage(), longest=1000)
    assert written.endswith(b"}\n")
    assert written[:-1].decode("ascii").isprintable()
    answer = parse_answer(written)
    assert json.loads(written)["sessions"][0]["user"] == name
    (row,) = rows_of(answer, None)
    drawn = io.StringIO()
    Console(file=drawn, width=300, force_terminal=False).print(draw("server", [row], order="user"))
    for line in [*drawn.getvalue().splitlines(), columns(("USER",), [(shown(row.user),)]).splitlines()[1]]:
        assert line.isprintable(), line
    assert row.user[:20] in drawn.getvalue()


def test_a_name_with_a_nul_is_not_the_one_before_it() -> None:
    assert printable(b"alice\0mallory") == "alice"
    assert printable(b"alice\0mallory", whole=True) == "alice\\x00mallory"
