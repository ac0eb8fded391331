from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp.errors import ConfigurationError
from pypptp.service.options import options_of
from pypptp.service.settings import ClientSettings, CommonSettings, ServerSettings, make_settings
from pypptp.service.toml_file import load_toml, parse_toml

BOTH = b"""
mtu = 1300
default-route = true
[server]
local = "192.168.0.1"
remote = "192.168.0.234-238"
mppe-strength = [128, 40]
dns = ["8.8.8.8", "1.1.1.1"]
echo_interval = 0
[client]
server = "10.100.100.1"
mtu = 1200
bypass = ["private", "203.0.113.0/24"]
"""


def server(text: str) -> dict[str, object]:
    return parse_toml(text.encode(), ServerSettings, "f")


def test_a_file_for_one_command() -> None:
    assert server('local = "192.168.0.1"\nlcp_echo-interval = 2.5\nauth = "mschap-v2,pap"\nmppe-strength = 40') == {
        "local": IPv4Address("192.168.0.1"),
        "lcp_echo_interval": 2.5,
        "auth": ("mschap-v2", "pap"),
        "mppe_strength": (40,),
    }
    assert parse_toml(b'server = "vpn.example.org"', ClientSettings) == {"server": "vpn.example.org"}
    assert server("") == {}


def test_a_file_for_both() -> None:
    values = parse_toml(BOTH, ServerSettings)
    assert values == {
        "mtu": 1300,
        "local": IPv4Address("192.168.0.1"),
        "remote": "192.168.0.234-238",
        "mppe_strength": (128, 40),
        "dns": (IPv4Address("8.8.8.8"), IPv4Address("1.1.1.1")),
        "echo_interval": 0.0,
    }
    assert make_settings(ServerSettings, {}, values).address_pool().size == 5
    client = make_settings(ClientSettings, {}, parse_toml(BOTH, ClientSettings))
    assert (client.server, client.mtu, client.default_route) == ("10.100.100.1", 1200, True)
    assert client.bypass[-1] == IPv4Network("203.0.113.0/24")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("lcp-echo-intervall = 3", "f: unknown key 'lcp-echo-intervall'; did you mean lcp-echo-interval?"),
        ("Local = '192.168.0.1'", "f: unknown key 'Local'; did you mean local?"),
        ("zzz = 3", "f: unknown key 'zzz'"),
        ("[sever]\nlocal = 'x'", "f: unknown key 'sever'; did you mean server?"),
        ("'a\\nb' = 3", r"f: unknown key 'a\nb'"),
        ("default-route = true", "f: default-route is an option of pypptp client, not of pypptp server"),
        ("[server]\nuser = 'x'", "f: [server] user is an option of pypptp client, not of pypptp server"),
        ("[client]\nmtuu = 1", "f: [client] unknown key 'mtuu'; did you mean mtu?"),
        ("mtu = '1400'", "f: mtu: must be an integer, not a string"),
        ("mtu = 7", "f: mtu: 7 is not between 68 and 65535"),
        ("[client]\nmtu = 7", "f: [client] mtu: 7 is not between 68 and 65535"),
        ("local = 3232235521", "f: local: must be a string, not an integer"),
        ("lcp-echo-failure = true", "f: lcp-echo-failure: must be an integer, not true or false"),
        ("echo-interval = nan", "f: echo-interval: nan is neither 0 (off) nor between 0.01 and 86400 seconds"),
        ("echo-interval = 1979-05-27", "f: echo-interval: must be a number of seconds, not a date or time"),
        ("echo-interval = 1\necho_interval = 1", "f: echo-interval: given twice, with - and with _"),
        ("port = " + "9" * 5000, "f: not TOML: "),
        ("port = 0x" + "f" * 5000, "f: port: a number beyond 64 bits is not between"),
        ("local = ", "f: not TOML: Invalid value (at "),
        ("a = " + "[" * 10_000, "f: not TOML"),
        ("[server]\n[server]", "f: not TOML: Cannot declare"),
    ],
)
def test_what_is_wrong_is_named(text: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^" + re.escape(complaint)) as caught:
        server(text)
    assert "\n" not in str(caught.value)


def test_a_password_without_quotes_is_not_shown() -> None:
    with pytest.raises(ConfigurationError, match=r"^f: password: must be a string, not an integer$"):
        parse_toml(b"password = 123456", ClientSettings, "f")


def test_other_encodings_are_named_with_the_line() -> None:
    with pytest.raises(ConfigurationError, match=r"^f: line 2 is not UTF-8"):
        parse_toml(b'mtu = 1400\nname = "\xe4"', ServerSettings, "f")
    assert parse_toml(b"\xef\xbb\xbfmtu = 1400", ServerSettings) == {"mtu": 1400}


def test_files_named_in_a_file_are_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "pypptp.toml"
    path.write_text('[server]\nsecrets = "users"\n[client]\npassword-file = "/etc/secret"\n')
    assert load_toml(path, ServerSettings).values == {"secrets": tmp_path / "users"}
    assert load_toml(path, ClientSettings).values == {"password_file": Path("/etc/secret")}


def test_only_a_file_with_a_password_needs_hiding(tmp_path: Path) -> None:
    path = tmp_path / "pypptp.toml"
    path.write_text('mtu = 1400\n[client]\npassword = "hunter2"\n')
    path.chmod(0o644)
    loaded = load_toml(path, ClientSettings)
    assert len(loaded.warnings) == 1
    assert str(path) in loaded.warnings[0]
    assert "hunter2" not in f"{loaded!r} {loaded.warnings}"
    assert load_toml(path, ServerSettings).warnings == ()
    path.chmod(0o600)
    assert load_toml(path, ClientSettings).warnings == ()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(str(tmp_path / "no.toml"))):
        load_toml(tmp_path / "no.toml", ServerSettings)


@pytest.mark.parametrize("kind", [ServerSettings, ClientSettings])
def test_every_default_can_be_written_in_a_file(kind: type[CommonSettings]) -> None:
    for option in options_of(kind):
        if option.required or option.default is None or option.default == ():
            continue
        text = option.kind.to_text(option.default)
        quoted = text if isinstance(option.default, bool | int | float) else f"'{text}'"
        for key in (option.name, option.field):
            assert parse_toml(f"{key} = {quoted}".encode(), kind) == {option.field: option.default}


KEYS = st.sampled_from([o.name for kind in (ServerSettings, ClientSettings) for o in options_of(kind)] + ["[server]"])
VALUES = st.sampled_from(
    ["1", "-1", "1.5", "nan", "true", "[]", "{}", "'x'", "'10.0.0.1'", "['128', 40]", "[[1]]", "07:32:00", "''"]
)


@given(
    st.binary(max_size=100)
    | st.text(max_size=100).map(lambda text: text.encode("utf-8"))
    | st.lists(st.tuples(KEYS, VALUES).map(" = ".join) | st.sampled_from(["[server]", "[client]"]), max_size=5)
    .map("\n".join)
    .map(str.encode)
)
def test_any_file_gives_values_or_one_error(data: bytes) -> None:
    for kind in (ServerSettings, ClientSettings):
        required: dict[str, str] = {"local": "192.168.0.1"} if kind is ServerSettings else {"server": "a"}
        try:
            make_settings(kind, required, parse_toml(data, kind, "f"))
        except ConfigurationError as error:
            complaint = str(error)
        else:
            complaint = "none"
        assert "\n" not in complaint
