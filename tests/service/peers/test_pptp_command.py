"""pptp's command line behind ``pty``."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp.errors import ConfigurationError
from pypptp.service.findings import Level
from pypptp.service.meanings import Effect
from pypptp.service.peers.pptp_command import PPTP_OPTIONS, parse_pptp_command


@pytest.mark.parametrize(
    ("command", "server"),
    [
        ("/usr/sbin/pptp 10.100.100.1 --nolaunchpppd", "10.100.100.1"),
        ("pptp --nolaunchpppd vpn.example.com", "vpn.example.com"),
        ("exec pptp 10.0.0.1 --nolaunchpppd", "10.0.0.1"),
        ("pptp '10.0.0.1' --nolaunch", "10.0.0.1"),
        ("pptp --nolaunchpppd -- 10.0.0.1", "10.0.0.1"),
        ("pptp --logstring 10.9.9.9 10.0.0.1 --nolaunchpppd", "10.0.0.1"),
    ],
)
def test_the_server(command: str, server: str) -> None:
    read = parse_pptp_command(command)
    assert (read.server, [r for r in read.remarks if r[0] > Level.INFO]) == (server, [])


@pytest.mark.parametrize("option", list(PPTP_OPTIONS))
def test_every_option(option: str) -> None:
    meaning = PPTP_OPTIONS[option]
    words = f"{option} 7" if meaning.arguments else option
    read = parse_pptp_command(f"pptp {words} 10.0.0.1")
    assert read.server == "10.0.0.1"
    assert read.values == ({option: "7"} if meaning.effect is Effect.SETTING else {})
    assert [level for level, _ in read.remarks] == ([meaning.level] if meaning.level is not None else [])
    assert all(option in remark for _, remark in read.remarks)
    if meaning.arguments:
        assert parse_pptp_command(f"pptp {option}=7 10.0.0.1") == read


@pytest.mark.parametrize(
    ("command", "remark"),
    [
        ("pptp 10.0.0.1 --nolaunchppd --nolaunchpppd", "'--nolaunchppd' is no option of pptp's; did you mean"),
        ("sudo pptp 10.0.0.1", "'sudo' in front of pptp is not run"),
        ("pptp 10.0.0.1 debug", "'debug' behind the server has no effect"),
        ("pptp 10.0.0.1 --phone 5551", "'--phone' is not supported"),
    ],
)
def test_what_there_is_to_say(command: str, remark: str) -> None:
    ((level, said),) = parse_pptp_command(command).remarks
    assert level is Level.WARNING
    assert said.startswith(remark)


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        ("pppoe -I eth0", "does not run pptp, so this is no PPTP connection"),
        ("", "does not run pptp"),
        ("pptp --nolaunchpppd", "no server stands in"),
        ("pptp 'open", "is no command line: no closing quotation"),
        ("pptp fe80::1", "is not a host name or IPv4 address"),
        ("pptp $SERVER", "is not a host name"),
        ("pptp 10.0.0.1 --loglevel", "'--loglevel' has no value behind it"),
    ],
)
def test_no_connection(command: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match="pty: ") as caught:
        parse_pptp_command(command)
    assert complaint in str(caught.value)


@given(st.text())
def test_whatever_stands_there(command: str) -> None:
    try:
        assert parse_pptp_command(f"pptp {command}").server
    except ConfigurationError:
        pass
