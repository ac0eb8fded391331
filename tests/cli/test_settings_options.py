"""Every option as a user writes it, from the command line and from a file, to the settings it makes."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from pypptp.errors import ConfigurationError
from pypptp.service.findings import Finding
from pypptp.service.options import options_of
from pypptp.service.settings import PRIVATE_NETWORKS, ClientSettings, CommonSettings, ServerSettings
from pypptp_cli.settings_options import read_settings, settings_options

SERVER = ["--local", "192.168.0.1"]
CLIENT = ["--server", "10.100.100.1"]


def parse(kind: type[CommonSettings], *words: str) -> tuple[Any, tuple[Finding, ...]]:
    """What a command makes of its words; errors as they reach main()."""
    found: list[Any] = []

    @click.command()
    @settings_options(kind)
    def command(**flags: Any) -> None:
        found.append(read_settings(kind, flags))

    result = CliRunner().invoke(command, list(words), standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return found[0]  # type: ignore[no-any-return]


Words = list[tuple[tuple[str, ...], str, object]]

COMMON: Words = [
    (("--port", "1724"), "port", 1724),
    (("--ifname", "vpn%d"), "ifname", "vpn%d"),
    (("--ifname", "vpn7"), "ifname", "vpn7"),
    (("--log-level", "debug"), "log_level", "debug"),
    (("--echo-interval", "30"), "echo_interval", 30.0),
    (("--echo-interval", "0"), "echo_interval", 0.0),
    (("--lcp-echo-interval", "5"), "lcp_echo_interval", 5.0),
    (("--lcp-echo-failure", "2"), "lcp_echo_failure", 2),
    (("--mtu", "1300"), "mtu", 1300),
    (("--mru", "1300"), "mru", 1300),
    (("--mppe", "prefer"), "mppe", "prefer"),
    (("--mppe", "deny"), "mppe", "deny"),
    (("--mppe-strength", "128,40"), "mppe_strength", (128, 40)),
    (("--auth", "mschap-v2,mschap"), "auth", ("mschap-v2", "mschap")),
    (("--auth", "mschap-v2,mschap,chap,pap"), "auth", ("mschap-v2", "mschap", "chap", "pap")),
]
OWN_OF_SERVER: Words = [
    (("--remote", "192.168.0.234-238,192.168.0.245"), "remote", "192.168.0.234-238,192.168.0.245"),
    (("--secrets", "/etc/ppp/chap-secrets"), "secrets", Path("/etc/ppp/chap-secrets")),
    (("--name", "gate"), "name", "gate"),
    (("--listen", "10.100.100.1"), "listen", IPv4Address("10.100.100.1")),
    (("--nat", "eth0"), "nat", "eth0"),
    (("--nat", "none"), "nat", "none"),
    (("--dns", "9.9.9.9", "--dns", "1.1.1.1"), "dns", (IPv4Address("9.9.9.9"), IPv4Address("1.1.1.1"))),
    (("--wins", "10.0.0.3"), "wins", (IPv4Address("10.0.0.3"),)),
    (("--idle", "600"), "idle", 600.0),
    (("--maxconnect", "1209600"), "maxconnect", 1_209_600.0),
    (("--chap-interval", "300"), "chap_interval", 300.0),
]
OWN_OF_CLIENT: Words = [
    (("--user", "CORP\\alice"), "user", "CORP\\alice"),
    (("--password", "x"), "password", "x"),
    (("--password-file", "/etc/pw"), "password_file", Path("/etc/pw")),
    (("--default-route",), "default_route", True),
    (("--no-default-route",), "default_route", False),
    (
        ("--bypass", "10.0.0.0/8", "--bypass", "9.0.0.0/8"),
        "bypass",
        (IPv4Network("10.0.0.0/8"), IPv4Network("9.0.0.0/8")),
    ),
    (("--bypass", "private"), "bypass", PRIVATE_NETWORKS),
    (("--route", "203.0.113.0/24"), "route", (IPv4Network("203.0.113.0/24"),)),
]


@pytest.mark.parametrize(("words", "field", "value"), COMMON + OWN_OF_SERVER)
def test_options_of_the_server(words: tuple[str, ...], field: str, value: object) -> None:
    settings, warnings = parse(ServerSettings, *SERVER, *words)
    assert getattr(settings, field) == value
    assert warnings == ()


@pytest.mark.parametrize(("words", "field", "value"), COMMON + OWN_OF_CLIENT)
def test_options_of_the_client(words: tuple[str, ...], field: str, value: object) -> None:
    settings, _ = parse(ClientSettings, *CLIENT, *words)
    assert getattr(settings, field) == value


@pytest.mark.parametrize(
    ("kind", "words", "complaint"),
    [
        (ServerSettings, (), "local"),
        (ClientSettings, (), "server"),
        (ServerSettings, ("--local", "192.168.0.300"), "--local"),
        (ServerSettings, ("--local", "vpn.example"), "--local"),
        (ServerSettings, (*SERVER, "--dns", "9.9.9.9", "--dns", "1.1.1.1", "--dns", "8.8.8.8"), "--dns"),
        (ServerSettings, (*SERVER, "--remote", "192.168.0.240-234"), "remote"),
        (ServerSettings, (*SERVER, "--remote", "192.168.0.1"), "remote"),
        (ServerSettings, (*SERVER, "--mppe", "maybe"), "--mppe"),
        (ServerSettings, (*SERVER, "--mppe-strength", "64"), "--mppe-strength"),
        (ServerSettings, (*SERVER, "--auth", ""), "--auth"),
        (ServerSettings, (*SERVER, "--auth", "eap"), "--auth"),
        (ServerSettings, (*SERVER, "--auth", "pap"), "auth"),
        (ServerSettings, (*SERVER, "--port", "0"), "--port"),
        (ServerSettings, (*SERVER, "--port", "many"), "--port"),
        (ServerSettings, (*SERVER, "--mtu", "67"), "--mtu"),
        (ServerSettings, (*SERVER, "--ifname", "a name too long for Linux"), "--ifname"),
        (ServerSettings, (*SERVER, "--log-level", "loud"), "--log-level"),
        (ServerSettings, (*SERVER, "--echo-interval", "-1"), "--echo-interval"),
        (ClientSettings, (*CLIENT, "--route", "203.0.113.0/33"), "--route"),
        (ClientSettings, (*CLIENT, "--route", "10.0.0.0/8", "--bypass", "10.0.0.0/8"), "route"),
        (ClientSettings, (*CLIENT, "--password", "x", "--password-file", "/y"), "password"),
        (ClientSettings, ("--server", "not a host"), "--server"),
        (ClientSettings, ("--server", ""), "--server"),
        (ServerSettings, (*SERVER, "--config", "/nowhere.toml"), "/nowhere.toml"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(kind: type[CommonSettings], words: tuple[str, ...], complaint: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse(kind, *words)
    assert complaint in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_file_says_the_same_and_flags_win(tmp_path: Path) -> None:
    path = tmp_path / "server.toml"
    path.write_text(
        'local = "10.1.0.1"\nport = 1800\ndns = ["9.9.9.9"]\nmppe-strength = [128, 56]\nlcp_echo_failure = 7\n'
    )
    settings, warnings = parse(ServerSettings, "--config", str(path))
    assert warnings == ()
    assert (settings.local, settings.port, settings.dns) == (IPv4Address("10.1.0.1"), 1800, (IPv4Address("9.9.9.9"),))
    assert (settings.mppe_strength, settings.lcp_echo_failure) == ((128, 56), 7)
    settings, _ = parse(ServerSettings, "--config", str(path), "--port", "1900", *SERVER, "--dns", "1.1.1.1")
    assert (settings.local, settings.port, settings.dns) == (
        IPv4Address("192.168.0.1"),
        1900,
        (IPv4Address("1.1.1.1"),),
    )
    assert settings.lcp_echo_failure == 7


def test_a_flag_undoes_a_files_switch(tmp_path: Path) -> None:
    path = tmp_path / "client.toml"
    path.write_text('server = "vpn.example"\ndefault-route = true\npassword-file = "/etc/pw"\n')
    settings, _ = parse(ClientSettings, "--config", str(path), "--no-default-route", "--password", "x")
    assert (settings.default_route, settings.password, settings.password_file) == (False, "x", None)


def test_an_unknown_key_comes_with_a_suggestion(tmp_path: Path) -> None:
    path = tmp_path / "server.toml"
    path.write_text('local = "10.1.0.1"\nsecrts = "/etc/ppp/chap-secrets"\n')
    with pytest.raises(ConfigurationError, match=r"secrts.*secrets"):
        parse(ServerSettings, "--config", str(path))


@pytest.mark.parametrize(("kind", "words"), [(ServerSettings, SERVER), (ClientSettings, CLIENT)])
def test_help_names_every_option(kind: type[CommonSettings], words: list[str]) -> None:
    @click.command()
    @settings_options(kind)
    def command(**flags: Any) -> None:
        raise AssertionError

    shown = CliRunner().invoke(command, ["--help"], terminal_width=200).output
    for option in options_of(kind):
        assert option.flag in shown
    assert "--config" in shown
    assert words[0] in shown


def test_a_servers_file_that_is_not_toml_is_pptpds(tmp_path: Path) -> None:
    (tmp_path / "options").write_text("name gate\nrequire-mschap-v2\nrequire-mppe-128\ndefaultroute\n")
    path = tmp_path / "pptpd.conf"
    path.write_text(f"option {tmp_path}/options\nlocalip 10.1.0.1\nremoteip 10.1.0.7-9\n")
    settings, findings = parse(ServerSettings, "--config", str(path), "--remote", "10.1.0.77", "--secrets", "/s")
    assert (settings.local, settings.remote, settings.name) == (IPv4Address("10.1.0.1"), "10.1.0.77", "gate")
    assert settings.secrets == Path("/s")
    assert [finding.line for finding in findings if finding.source.startswith(str(tmp_path))] == [4]
    with pytest.raises(ConfigurationError, match="not TOML"):
        parse(ClientSettings, "--config", str(path))
