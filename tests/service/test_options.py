from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from pypptp.errors import ConfigurationError
from pypptp.service.kinds import ListOf
from pypptp.service.options import Option, options_of
from pypptp.service.settings import ClientSettings, CommonSettings, ServerSettings, make_settings

COMMON = [
    "port",
    "auth",
    "mppe",
    "mppe-strength",
    "mppe-stateful",
    "pcomp",
    "accomp",
    "mtu",
    "mru",
    "echo-interval",
    "lcp-echo-interval",
    "lcp-echo-failure",
    "allow-multicast",
    "ifname",
    "ip-up",
    "ip-down",
    "hook-timeout",
    "ipparam",
    "linkname",
    "instance",
    "log-level",
]
SERVER = [
    *("local", "remote", "pool", "secrets", "allow-readable-secrets", "name", "listen", "nat", "dns", "wins"),
    *("proxy-arp", "isolate", "rate", "user-rate", "allow-nested", "single-session", "max-sessions-per-user"),
    *("connections", "max-starting", "max-per-address", "idle", "maxconnect", "chap-interval", "run-as"),
    *("workers", *COMMON),
]
CLIENT = [
    *("server", "user", "password", "password-file", "default-route", "bypass", "route", "metric", "uplink"),
    *(
        "kill-switch",
        "use-peer-dns",
        "exec",
        "socks",
        "persist",
        "max-fail",
        "holdoff",
        "demand",
        "demand-local",
        "demand-remote",
        "idle",
    ),
    *("maxconnect", *COMMON),
]


def option(settings: type[CommonSettings], name: str) -> Option:
    return next(option for option in options_of(settings) if option.name == name)


@pytest.mark.parametrize(("settings", "names"), [(ServerSettings, SERVER), (ClientSettings, CLIENT)])
def test_options_are_the_settings_fields_own_first(settings: type[CommonSettings], names: list[str]) -> None:
    assert [option.name for option in options_of(settings)] == names


@pytest.mark.parametrize("settings", [ServerSettings, ClientSettings])
def test_every_option_can_be_shown(settings: type[CommonSettings]) -> None:
    for shown in options_of(settings):
        assert shown.help
        assert not shown.help.endswith(".")
        assert shown.flag == f"--{shown.field.replace('_', '-')}"
        assert shown.kind.is_flag or shown.kind.metavar
        if not shown.required:
            shown.check(shown.default)


def test_names_and_help() -> None:
    interval = option(ServerSettings, "lcp-echo-interval")
    assert (interval.field, interval.flag, interval.declaration) == (
        "lcp_echo_interval",
        "--lcp-echo-interval",
        "--lcp-echo-interval",
    )
    assert interval.help_text.endswith("(default 30)")
    assert option(ServerSettings, "local").help_text.endswith("(required)")
    assert option(ServerSettings, "auth").help_text.endswith("(default mschap-v2)")
    assert option(ClientSettings, "default-route").declaration == "--default-route/--no-default-route"
    assert option(ClientSettings, "password").secret
    assert not option(ClientSettings, "user").secret


def test_errors_name_the_flag_or_the_key() -> None:
    mtu = option(ServerSettings, "mtu")
    with pytest.raises(ConfigurationError, match=r"^--mtu: '14OO' is not a whole number$"):
        mtu.from_flag("14OO")
    with pytest.raises(ConfigurationError, match=r"^mtu: must be an integer, not a string$"):
        mtu.from_toml("1400")
    with pytest.raises(ConfigurationError, match=r"^--mtu: is given more than once$"):
        mtu.from_flag(("1400", "1500"))


def test_repeated_flags_are_joined() -> None:
    dns = option(ServerSettings, "dns")
    assert isinstance(dns.kind, ListOf)
    assert [str(a) for a in dns.from_flag(("8.8.8.8", "1.1.1.1"))] == ["8.8.8.8", "1.1.1.1"]
    with pytest.raises(ConfigurationError, match=r"^--dns: 3 values are more than 2$"):
        dns.from_flag(("8.8.8.8", "1.1.1.1,9.9.9.9"))


def test_a_click_command_can_be_made_from_the_table() -> None:
    made: list[ClientSettings] = []

    @click.command()
    def client(**flags: str | tuple[str, ...] | bool | None) -> None:
        made.append(make_settings(ClientSettings, flags))

    for each in options_of(ClientSettings):
        if each.kind.is_flag:
            client = click.option(each.declaration, each.field, default=None, help=each.help_text)(client)
        else:
            client = click.option(
                each.declaration,
                each.field,
                metavar=each.kind.metavar,
                multiple=each.kind.repeatable,
                help=each.help_text,
            )(client)
    runner = CliRunner()
    line = "--server 10.100.100.1 --bypass 10.0.0.0/8 --bypass 9.0.0.0/8 --default-route --mppe-strength 128,40"
    assert runner.invoke(client, line.split()).exit_code == 0
    assert "--no-default-route" in runner.invoke(client, ["--help"]).output
    (settings,) = made
    assert settings.default_route
    assert [str(network) for network in settings.bypass] == ["10.0.0.0/8", "9.0.0.0/8"]
    assert settings.mppe_strength == (128, 40)
