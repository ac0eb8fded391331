"""Forms of headers and acknowledgements, each of a persona that has it."""

from __future__ import annotations

import pytest

from pypptp.ppp.packet import Code
from pypptp.ppp.protocols import Protocol
from pypptp.testing import personas
from pypptp.testing.personas.calling import PersonaCall
from tests.testing.personas.wire import Wire


@pytest.mark.parametrize(
    ("address", "protocol", "number", "information", "field"),
    [
        (False, False, Protocol.LCP, b"\x01", "ff03c021"),
        (False, False, Protocol.COMPRESSED, b"\x90", "ff0300fd"),
        (True, True, Protocol.COMPRESSED, b"\x90", "fd"),
        (True, False, Protocol.IPV4, b"E", "0021"),
        (False, True, Protocol.IPV4, b"E", "ff0321"),
        (True, True, Protocol.CHAP, b"\x01", "c223"),
        (True, True, Protocol.LCP, bytes((Code.CODE_REJECT,)), "ff03c021"),
        (True, True, Protocol.LCP, bytes((Code.PROTOCOL_REJECT,)), "c021"),
        (True, True, Protocol.LCP, b"", "c021"),
    ],
)
def test_what_stands_before_the_information(
    address: bool, protocol: bool, number: int, information: bytes, field: str
) -> None:
    with personas.WINDOWS_10.in_memory() as peer:
        peer.connect()
        call = peer.call
        assert isinstance(call, PersonaCall)
        call.short_address, call.short_protocol = address, protocol
        assert call.field(number, information).hex() == field


def test_an_acknowledgement_goes_with_data_once_and_never_alone() -> None:
    with personas.ACCEL_PPP.in_memory() as peer:
        peer.connect()
        assert peer.ping()
        peer.wait(100.0)
        headers = Wire(peer).gre()
        told = [header.acknowledgement for header in headers if header.acknowledgement is not None]
        assert told == sorted(set(told))
        assert all(header.sequence is not None for header in headers)


def test_news_are_acknowledged_alone_by_who_does_that_with_all_data_too() -> None:
    with personas.NPPPD.in_memory() as peer:
        peer.connect()
        assert peer.ping()
        peer.wait(1.0)
        last = Wire(peer).gre()[-1]
        assert (last.sequence, last.acknowledgement) == (None, peer.call.highest)
