from __future__ import annotations

from dataclasses import FrozenInstanceError
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import pytest

from pypptp.errors import ConfigurationError
from pypptp.service.settings import PRIVATE_NETWORKS, ClientSettings, ServerSettings, as_flags, make_settings

LOCAL = IPv4Address("192.168.0.1")


def test_one_option_is_enough_for_a_server() -> None:
    settings = make_settings(ServerSettings, {"local": "192.168.0.1"})
    assert settings == ServerSettings(
        local=LOCAL,
        remote=None,
        secrets=None,
        name="pptpd",
        listen=IPv4Address("0.0.0.0"),
        nat="auto",
        dns=(),
        port=1723,
        auth=("mschap-v2",),
        mppe="require",
        mppe_strength=(128,),
        mtu=1400,
        mru=None,
        echo_interval=60.0,
        lcp_echo_interval=30.0,
        lcp_echo_failure=4,
        ifname=None,
        log_level="info",
    )
    assert [str(a) for a in settings.address_pool().addresses[::11]] == ["192.168.0.234", "192.168.0.245"]
    assert settings.warnings() == []


def test_one_option_is_enough_for_a_client() -> None:
    settings = make_settings(ClientSettings, {"server": "10.100.100.1"})
    assert settings == ClientSettings(
        server="10.100.100.1",
        user=None,
        password=None,
        password_file=None,
        default_route=False,
        bypass=(),
        route=(),
    )
    assert (settings.port, settings.mtu, settings.mru) == (1723, 1400, None)


def test_every_server_flag() -> None:
    flags = {
        "local": "192.168.0.240",
        "remote": "192.168.0.234-238,192.168.0.240-241",
        "secrets": "/etc/ppp/chap-secrets",
        "name": "vpn",
        "listen": "10.0.0.5",
        "port": "11723",
        "nat": "none",
        "ifname": "vpn%d",
        "log_level": "debug",
        "echo_interval": "0",
        "lcp_echo_interval": "2.5",
        "lcp_echo_failure": "0",
        "dns": ("8.8.8.8", "1.1.1.1"),
        "mtu": "1496",
        "mru": "68",
        "mppe": "prefer",
        "mppe_strength": "128,40",
        "auth": "mschap-v2,chap,pap",
    }
    settings = make_settings(ServerSettings, flags)
    assert settings == ServerSettings(
        local=IPv4Address("192.168.0.240"),
        remote="192.168.0.234-238,192.168.0.240-241",
        secrets=Path("/etc/ppp/chap-secrets"),
        name="vpn",
        listen=IPv4Address("10.0.0.5"),
        port=11723,
        nat="none",
        ifname="vpn%d",
        log_level="debug",
        echo_interval=0.0,
        lcp_echo_interval=2.5,
        lcp_echo_failure=0,
        dns=(IPv4Address("8.8.8.8"), IPv4Address("1.1.1.1")),
        mtu=1496,
        mru=68,
        mppe="prefer",
        mppe_strength=(128, 40),
        auth=("mschap-v2", "chap", "pap"),
    )
    assert settings.address_pool().size == 6
    assert [warning.partition(":")[0] for warning in settings.warnings()] == ["mppe", "auth", "mppe-strength"]


def test_flags_win_over_the_file_and_the_file_over_defaults() -> None:
    file = {"local": LOCAL, "mtu": 1300, "mru": 1200, "dns": (IPv4Address("8.8.8.8"),)}
    settings = make_settings(ServerSettings, {"mtu": "1000", "dns": (), "port": None, "config": "x.toml"}, file)
    assert (settings.local, settings.mtu, settings.mru, settings.port) == (LOCAL, 1000, 1200, 1723)
    assert settings.dns == (IPv4Address("8.8.8.8"),)


def test_a_flag_undoes_a_files_line() -> None:
    file = {"server": "a", "default_route": True}
    assert not make_settings(ClientSettings, {"default_route": False}, file).default_route
    assert make_settings(ClientSettings, {"default_route": None}, file).default_route
    dns = {"local": LOCAL, "dns": (IPv4Address("8.8.8.8"),)}
    assert make_settings(ServerSettings, {"dns": ("",)}, dns).dns == ()


@pytest.mark.parametrize(
    ("flag", "file"),
    [({"password": "x"}, {"password_file": Path("f")}), ({"password_file": "f"}, {"password": "x"})],
)
def test_a_flag_for_the_password_sets_the_files_aside(flag: dict[str, str], file: dict[str, Any]) -> None:
    settings = make_settings(ClientSettings, flag, {"server": "a", **file})
    assert [name for name in ("password", "password_file") if getattr(settings, name) is not None] == list(flag)


@pytest.mark.parametrize(
    ("flags", "warned"),
    [
        ({"persist": True, "idle": "600"}, True),
        ({"persist": True, "idle": "600", "demand": True}, False),
        ({"idle": "600"}, False),
        ({"persist": True}, False),
    ],
)
def test_to_hang_up_when_idle_only_to_dial_again_is_unwise(flags: dict[str, Any], warned: bool) -> None:
    settings = make_settings(ClientSettings, {"server": "a", **flags})
    assert [warning for warning in settings.warnings() if warning.startswith("idle:")] == (
        ["idle: with persist alone the client connects again at once; use demand"] if warned else []
    )


def test_private_is_the_recipes_six_networks() -> None:
    settings = make_settings(ClientSettings, {"server": "a", "bypass": ("private", "203.0.113.0/24")})
    assert settings.bypass == (*PRIVATE_NETWORKS, IPv4Network("203.0.113.0/24"))
    assert len(PRIVATE_NETWORKS) == 6


@pytest.mark.parametrize(
    ("kind", "flags", "complaint"),
    [
        (ServerSettings, {}, "^local: not given; use --local ADDRESS"),
        (ClientSettings, {}, "^server: not given; use --server HOST"),
        (ServerSettings, {"local": "192.168.0"}, "^--local: '192.168.0' is not an IPv4 address$"),
        (ServerSettings, {"remote": "192.168.0.1"}, "^remote: '192.168.0.1' leaves no address for a peer$"),
        (ServerSettings, {"remote": "192.168.0.9-5"}, "^remote: the range '192.168.0.9-5' runs backwards"),
        (ServerSettings, {"mtu": "67"}, "^--mtu: 67 is not between 68 and 65535$"),
        (ServerSettings, {"port": "0"}, "^--port: 0 is not between 1 and 65535$"),
        (ServerSettings, {"echo_interval": "-1"}, "^--echo-interval: "),
        (ServerSettings, {"log_level": "chatty"}, "^--log-level: 'chatty' is not one of debug, info"),
        (ServerSettings, {"auth": "mschapv2"}, "^--auth: .*did you mean mschap-v2"),
        (ServerSettings, {"auth": "chap,pap"}, "^auth: chap,pap yields no keys for MPPE"),
        (ServerSettings, {"mppe_strength": "64"}, "^--mppe-strength: '64' is not one of 128, 56, 40$"),
        (ServerSettings, {"dns": ("1.1.1.1", "8.8.8.8", "9.9.9.9")}, "^--dns: 3 values are more than 2$"),
        (ServerSettings, {"name": ""}, "^--name: is empty$"),
        (
            ClientSettings,
            {"demand_local": "10.0.0.1", "demand_remote": "10.0.0.1"},
            "^demand-remote: the two ends of a tunnel cannot have the same address",
        ),
        (ClientSettings, {"holdoff": "-1"}, "^--holdoff: "),
        (ClientSettings, {"route": ("10.1.0.0/8",)}, "^--route: '10.1.0.0/8' has bits set"),
        (ClientSettings, {"route": ("10.0.0.0/8",), "bypass": ("private",)}, "^route: 10.0.0.0/8 cannot go"),
        (ClientSettings, {"password": "x", "password_file": "f"}, "^password: give either"),
    ],
)
def test_bad_options_are_named(kind: type[ServerSettings], flags: dict[str, Any], complaint: str) -> None:
    required = {"local": "192.168.0.1"} if kind is ServerSettings else {"server": "a"}
    with pytest.raises(ConfigurationError, match=complaint) as caught:
        make_settings(kind, {**required, **flags} if flags else {})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"mtu": 10}, "^mtu: 10 is not between"),
        ({"mppe": "maybe"}, "^mppe: 'maybe' is not one of"),
        ({"dns": (LOCAL,) * 3}, "^dns: 3 values"),
        ({"auth": ()}, "^auth: names nothing$"),
    ],
)
def test_a_library_users_values_are_checked_too(values: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        ServerSettings(local=LOCAL, **values)


def test_chap_is_enough_where_nothing_is_encrypted() -> None:
    assert ServerSettings(local=LOCAL, auth=("chap",), mppe="deny").auth == ("chap",)


def test_settings_do_not_change_and_do_not_tell() -> None:
    settings = ClientSettings(server="a", password="hunter2")
    assert "hunter2" not in repr(settings)
    with pytest.raises(FrozenInstanceError):
        settings.mtu = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    "flags",
    [
        {"local": "192.168.0.1"},
        {
            "local": "192.168.0.1",
            "remote": "192.168.0.5-9,10.0.0.0/30",
            "secrets": "etc/chap secrets",
            "auth": ("mschap-v2", "pap"),
            "mppe": "prefer",
            "mppe_strength": "40,128",
            "dns": ("9.9.9.9", "1.1.1.1"),
            "echo_interval": "0.5",
            "listen": "127.0.0.1",
            "ifname": "vpn%d",
            "workers": "3",
            "log_level": "debug",
        },
    ],
)
def test_settings_as_flags_make_the_same_settings(flags: dict[str, Any]) -> None:
    settings = make_settings(ServerSettings, flags)
    assert make_settings(ServerSettings, as_flags(settings)) == settings


def test_a_clients_flags_without_its_password() -> None:
    flags = {"server": "vpn.example", "password": "wonderland", "bypass": "private", "default_route": "true"}
    settings = make_settings(ClientSettings, flags)
    written = as_flags(settings)
    assert "password" not in written
    again = make_settings(ClientSettings, written)
    assert (again.server, again.bypass, again.default_route) == ("vpn.example", PRIVATE_NETWORKS, True)


def test_a_kill_switch_without_persist_is_unwise() -> None:
    assert any("kill-switch" in warning for warning in ClientSettings(server="a", kill_switch=True).warnings())
    assert ClientSettings(server="a", kill_switch=True, persist=True).warnings() == []
    assert ClientSettings(server="a", kill_switch=True, demand=True).warnings() == []


@pytest.mark.parametrize("value", ["-1", "4294967296", "low"])
def test_a_metric_that_the_kernel_would_not_take(value: str) -> None:
    with pytest.raises(ConfigurationError, match="metric"):
        make_settings(ClientSettings, {"server": "a", "metric": value})


def test_an_uplink_is_an_interface() -> None:
    with pytest.raises(ConfigurationError, match="uplink"):
        make_settings(ClientSettings, {"server": "a", "uplink": ("eth0", "no interface")})


@pytest.mark.parametrize("enclosed", [{"exec": "true"}, {"socks": "1080"}])
@pytest.mark.parametrize(
    ("flags", "named"),
    [
        ({"default_route": True}, "default-route"),
        ({"route": ["10.0.0.0/8"]}, "route"),
        ({"bypass": ["private"]}, "bypass"),
        ({"metric": "7"}, "metric"),
        ({"kill_switch": True}, "kill-switch"),
        ({"demand": True}, "demand"),
    ],
)
def test_an_enclosed_tunnel_leaves_the_machine_alone(
    enclosed: dict[str, str], flags: dict[str, Any], named: str
) -> None:
    assert make_settings(ClientSettings, {"server": "vpn"} | enclosed).is_enclosed
    beside = next(iter(enclosed))
    with pytest.raises(ConfigurationError, match=f"^{named}: has no place beside {beside}, "):
        make_settings(ClientSettings, {"server": "vpn"} | enclosed | flags)


def test_a_proxy_for_everybody_is_unwise() -> None:
    def warnings(listen: str) -> list[str]:
        return make_settings(ClientSettings, {"server": "vpn", "socks": listen}).warnings()

    assert warnings("1080") == []
    assert warnings("0.0.0.0:1080") == ["socks: whoever reaches 0.0.0.0:1080 uses the tunnel, without a password"]
