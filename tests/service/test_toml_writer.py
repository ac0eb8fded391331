"""A settings file that is written is read back as the same settings."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from pypptp.errors import ConfigurationError
from pypptp.service.findings import Finding, Level
from pypptp.service.options import options_of
from pypptp.service.settings import ServerSettings, make_settings
from pypptp.service.toml_file import parse_toml
from pypptp.service.toml_writer import WIDTH, write_toml
from tests.service.test_legacy import ADDRESSES, CONF_PIECES, OPTION_PIECES, RECIPE_OPTIONS, conf

FULL = make_settings(
    ServerSettings,
    {
        "local": "10.0.0.1",
        "remote": "10.0.0.0/24",
        "pool": "staff=10.9.0.0/24,10.8.0.1-9 guests=10.7.0.1",
        "secrets": "/etc/ppp/chap-secrets",
        "name": 'a "quoted" \\ näme',
        "listen": "10.100.100.1",
        "nat": "none",
        "dns": "9.9.9.9,1.1.1.1",
        "wins": "10.0.0.3",
        "rate": "2mbit/512kbit",
        "user_rate": "alice=10mbit,bob=unlimited",
        "single_session": "replace",
        "connections": "100",
        "ip_up": "/etc/ppp/ip-up",
        "ip_down": "/etc/ppp/ip-down",
        "hook_timeout": "7.5",
        "ipparam": "",
        "linkname": "gate",
        "idle": "0.5",
        "maxconnect": "1209600",
        "chap_interval": "300",
        "workers": "2",
        "port": "1724",
        "auth": "mschap-v2,pap",
        "mppe": "prefer",
        "mppe_strength": "128,40",
        "mtu": "1300",
        "mru": "1304",
        "lcp_echo_failure": "0",
        "ifname": "vpn%d",
        "instance": "gate",
        "run_as": "pptp",
        "log_level": "debug",
    },
)


def written(settings: ServerSettings, **given: object) -> str:
    values = {field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)}
    return write_toml(ServerSettings, values, origins={}, **given)  # type: ignore[arg-type]


def read(text: str) -> ServerSettings:
    return make_settings(ServerSettings, {}, parse_toml(text.encode(), ServerSettings))


def test_every_option_is_read_back() -> None:
    text = written(FULL)
    assert read(text) == FULL
    assert all(f"\n{option.name} = " in text for option in options_of(ServerSettings))


def test_comments_say_from_where_and_what_is_missing() -> None:
    found = conf(ADDRESSES, RECIPE_OPTIONS.replace("nodefaultroute", "defaultroute"))
    text = write_toml(
        ServerSettings, found.values, origins=found.origins, findings=found.findings, head="Settings\nof a server."
    )
    assert text.startswith("# Settings of a server.\n\n# Address of the server's end")
    assert '# from c:2 localip\nlocal = "192.168.0.1"\n' in text
    _, _, ending = text.partition("# Not the same as before:\n")
    assert ending.startswith("# - /o:8: 'defaultroute' is not supported")
    assert "lock" not in ending
    assert max(map(len, text.splitlines())) <= WIDTH
    assert read(text) == make_settings(ServerSettings, {}, found.values)


def test_nothing_breaks_out_of_a_comment() -> None:
    text = written(FULL, findings=[Finding("a\nmtu = 1", 1, Level.WARNING, 'x\r\nmtu = 2\x85"')], head="h\nmtu = 3")
    assert read(text) == FULL


def test_a_relative_file_is_found_from_anywhere() -> None:
    settings = dataclasses.replace(FULL, secrets=Path("chap-secrets"))
    assert read(written(settings)).secrets == Path.cwd() / "chap-secrets"


@given(st.text(max_size=40))
def test_any_name_is_read_back(name: str) -> None:
    try:
        settings = dataclasses.replace(FULL, name=name)
        written(settings).encode()
    except (ConfigurationError, UnicodeEncodeError):
        return
    assert read(written(settings)) == settings


@given(st.lists(CONF_PIECES).map("".join), st.lists(OPTION_PIECES).map(" ".join))
def test_whatever_old_files_become_is_read_back(text: str, options: str) -> None:
    try:
        found = conf(text, options)
        settings = make_settings(ServerSettings, {}, found.values)
    except ConfigurationError:
        return
    assert read(write_toml(ServerSettings, found.values, origins=found.origins, findings=found.findings)) == settings
