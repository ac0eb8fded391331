"""NetworkManager's connections, as its own editor writes them."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp.errors import ConfigurationError
from pypptp.service.findings import Level
from pypptp.service.peers.connection import Connection
from pypptp.service.peers.network_manager import (
    SERVICE,
    Keyfile,
    connection_of,
    keyfiles,
    parse_keyfile,
    read_keyfile,
)
from pypptp.service.settings import ClientSettings, make_settings

OFFICE = """\
[connection]
id=Head office
uuid=2f9d3d2e-9f3c-4a52-8c9b-7a40a9a8d6f1
type=vpn
autoconnect=false
permissions=

[vpn]
domain=EXAMPLE
gateway=vpn.example.com
lcp-echo-failure=5
lcp-echo-interval=30
password-flags=0
refuse-chap=yes
refuse-eap=yes
refuse-mschap=yes
refuse-pap=yes
require-mppe-128=yes
user=alice
service-type=org.freedesktop.NetworkManager.pptp

[vpn-secrets]
password=wonder\\sland=1

[ipv4]
dns-search=
method=auto

[ipv6]
addr-gen-mode=stable-privacy
method=disabled

[proxy]
"""


def connection(text: str = OFFICE) -> Connection:
    lines = parse_keyfile(text.encode(), "f")
    found = connection_of(Keyfile("Head office", Path("f"), tuple(lines)))
    make_settings(ClientSettings, {}, found.read.values)
    return found


def vpn(text: str) -> Connection:
    return connection(f"[vpn]\ngateway=10.0.0.1\nrequire-mppe=yes\n{text}\n")


def ipv4(text: str) -> dict[str, Any]:
    return vpn(f"[ipv4]\n{text}").read.values


def test_a_whole_connection() -> None:
    found = connection()
    assert found.read.values == {
        "server": "vpn.example.com",
        "user": "EXAMPLE\\alice",
        "auth": ("mschap-v2",),
        "mppe": "require",
        "mppe_strength": (128,),
        "lcp_echo_interval": 30.0,
        "lcp_echo_failure": 5,
        "default_route": True,
        "use_peer_dns": True,
    }
    assert found.findings == []
    credentials = found.credentials(found.user)
    assert credentials is not None
    assert (credentials.user, credentials.password) == ("EXAMPLE\\alice", "wonder land=1")
    assert "wonder" not in repr(found)


@pytest.mark.parametrize("flags", ["1", "2", "4"])
def test_a_password_that_is_kept_elsewhere_is_asked_for(flags: str) -> None:
    found = vpn(f"user=alice\npassword-flags={flags}")
    assert found.credentials("alice") is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[ipv4]\nnever-default=true", {"default_route": False}),
        ("[ipv4]\nnever-default=false", {"default_route": True}),
        ("[ipv4]\nignore-auto-dns=true", {"use_peer_dns": False}),
        ("[ipv4]\nroute1=172.20.0.0/16\nroute2=192.168.9.4/24,0.0.0.0,50",
         {"route": (IPv4Network("172.20.0.0/16"), IPv4Network("192.168.9.0/24"))}),
        ("[ipv4]\nroute-metric=70", {"metric": 70}),
        ("require-mppe-40=yes", {"mppe_strength": (40,)}),
        ("mtu=1400\nmru=1300", {"mtu": 1396, "mru": 1300}),
        ("unit=5", {"ifname": "ppp5"}),
        ("persistent=yes", {"persist": True}),
        ("refuse-mschapv2=yes", {"auth": ("mschap", "chap", "pap")}),
        ("lcp-echo-interval=\nunit=", {}),
    ],
)  # fmt: skip
def test_keys(text: str, expected: dict[str, Any]) -> None:
    if "auth" in expected:
        with pytest.raises(ConfigurationError, match="every way"):
            vpn(f"{text}\nrefuse-mschap=yes\nrefuse-chap=yes\nrefuse-pap=yes")
    values = vpn(text).read.values
    assert {name: values[name] for name in expected} == expected
    assert set(values) - set(expected) <= {"server", "auth", "mppe", "mppe_strength", "default_route", "use_peer_dns"}


def test_without_encryption_that_is_said() -> None:
    found = connection("[vpn]\ngateway=10.0.0.1\n")
    assert found.read.values["mppe"] == "prefer"
    assert [f for f in found.findings if "the server may leave it out" in f.message]


@pytest.mark.parametrize(
    ("text", "line", "level", "message"),
    [
        ("mppe-stateful=yes", 4, Level.INFO, "'mppe-stateful' has no effect, which does not matter"),
        ("colour=blue", 4, Level.WARNING, "'colour' in [vpn] is not known"),
        ("[ipv4]\ndns=9.9.9.9;", 5, Level.WARNING, "'dns' is not supported"),
        ("[ipv4]\naddress1=10.0.0.5/24", 5, Level.WARNING, "'address1' is not supported: the server chooses"),
        ("[ipv4]\nroute1=10.0.0.0/8,10.1.1.1", 5, Level.INFO, "what stands behind the network in route1"),
    ],
)
def test_what_there_is_to_say(text: str, line: int, level: Level, message: str) -> None:
    found = [finding for finding in vpn(text).findings if "only mschap-v2" not in finding.message]
    assert [(f.line, f.level, f.message[: len(message)]) for f in found] == [(line, level, message)]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[vpn]\nuser=x", "f: there is no gateway in"),
        ("[vpn]\ngateway=a b", "f:2: gateway: "),
        ("[vpn]\ngateway=h\nrequire-mppe=maybe", "f:3: require-mppe: 'maybe' is not yes or no"),
        ("[vpn]\ngateway=h\n[ipv4]\nroute1=x", "f:4: route1: 'x' is no network"),
        ("[vpn]\ngateway=h\nmtu=many", "f:3: mtu: "),
        ("gateway=h", "f:1: is neither"),
        ("[vpn]\nwhat", "f:2: is neither"),
    ],
)
def test_no_connection(text: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        connection(text)


def test_the_files_own_rights(tmp_path: Path) -> None:
    path = tmp_path / "office.nmconnection"
    path.write_text(OFFICE)
    path.chmod(0o600)
    keyfile = read_keyfile(path)
    assert keyfile is not None
    assert (keyfile.name, "wonder" in repr(keyfile)) == ("Head office", False)
    path.chmod(0o640)
    with pytest.raises(ConfigurationError, match=f"chown root {path} && chmod 600 {path}"):
        read_keyfile(path)


def test_other_connections_are_none_of_ours(tmp_path: Path) -> None:
    for name, text in (
        ("wlan", "[connection]\nid=wlan\n[wifi-security]\npsk=secret\n"),
        ("other", OFFICE.replace("NetworkManager.pptp", "NetworkManager.vpnc")),
        ("said", OFFICE.replace("service-type=", f"note={SERVICE}\nservice-type=x")),
        (".hidden", OFFICE),
        ("office~", OFFICE),
    ):
        (tmp_path / name).write_text(text)
    assert [read_keyfile(path) for path in keyfiles((tmp_path, tmp_path / "none"))] == [None, None, None]


@given(st.text())
def test_whatever_stands_there(text: str) -> None:
    try:
        connection(f"[vpn]\ngateway=10.0.0.1\n{text}")
    except ConfigurationError:
        pass
