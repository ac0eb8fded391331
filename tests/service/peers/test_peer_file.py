"""Peers files as pptpsetup, a distribution and people write them."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp.auth.chap_secrets import parse_chap_secrets
from pypptp.errors import ConfigurationError
from pypptp.service.findings import Level
from pypptp.service.meanings import Effect
from pypptp.service.peers.peer_file import find_account, interpret_peer, names_pptp, read_peer
from pypptp.service.peers.words import PEER_WORDS
from pypptp.service.settings import ClientSettings, make_settings
from tests.conftest import VECTORS

PTY = 'pty "/usr/sbin/pptp 10.100.100.1 --nolaunchpppd"\n'
FILES: Mapping[str, bytes] = {
    # As Debian's pptp-linux and ppp ship them, without the comments.
    "/etc/ppp/options.pptp": b"lock noauth\nrefuse-pap\nrefuse-eap\nrefuse-chap\nrefuse-mschap\nnobsdcomp\nnodeflate\n",
    "/etc/ppp/options": b"asyncmap 0\nauth\ncrtscts\nlock\nlcp-echo-interval 30\nlcp-echo-failure 4\nnoipx\n",
    "/etc/ppp/peers/common": b"usepeerdns\n",
}


def read_file(path: Path) -> bytes:
    try:
        return FILES[str(path)]
    except KeyError:
        raise ConfigurationError(f"{path} cannot be read: No such file or directory") from None


def values(text: str, *, options: str | None = None) -> dict[str, Any]:
    """What the file's own words become, without what every file has."""
    path = None if options is None else Path(options)
    read = interpret_peer(text.encode(), "p", read_file=read_file, system_options=path, host_name="box").read
    make_settings(ClientSettings, {}, read.values)
    assert set(read.origins) == set(read.values)
    return read.values


def own(text: str) -> dict[str, Any]:
    plain = {"server": "10.100.100.1", "user": "box", "auth": ("mschap-v2",), "mppe": "prefer"}
    return {name: value for name, value in values(PTY + text).items() if (name, value) not in plain.items()}


def said(text: str, level: Level = Level.WARNING) -> list[tuple[int, str]]:
    read = interpret_peer(text.encode(), "p", read_file=read_file, host_name="box").read
    return [(finding.line, finding.message) for finding in read.findings if finding.level >= level]


def recorded(name: str, peer: str, tmp_path: Path) -> tuple[Path, Path]:
    folder = VECTORS / "pptpsetup" / name
    secrets = tmp_path / "chap-secrets"
    secrets.write_bytes((folder / "chap-secrets").read_bytes())
    secrets.chmod(0o600)
    return folder / peer, secrets


def test_the_recipes_connection(tmp_path: Path) -> None:
    path, secrets = recorded("recipe", "test", tmp_path)
    connection = read_peer("test", path, system_options=None, secrets=secrets)
    settings = make_settings(ClientSettings, {}, connection.read.values)
    assert (settings.server, settings.user, settings.auth) == ("10.100.100.1", "root", ("mschap-v2",))
    assert (settings.mppe, settings.mppe_strength, settings.default_route) == ("require", (128,), False)
    credentials = connection.credentials("root")
    assert credentials is not None
    assert (credentials.user, credentials.password) == ("root", "123456")
    assert [(f.line, f.level) for f in connection.findings] == [(3, Level.INFO), (0, Level.INFO)]


def test_pppds_own_scripts_are_run_if_they_are_there(tmp_path: Path) -> None:
    path, secrets = recorded("recipe", "test", tmp_path)
    for name, mode in (("ip-up", 0o755), ("ip-down", 0o644)):
        (tmp_path / name).touch(mode)
    found = read_peer("test", path, system_options=None, secrets=secrets, scripts=tmp_path).read.values
    assert (found["ip_up"], found.get("ip_down")) == (tmp_path / "ip-up", None)
    assert "ip_up" not in read_peer("test", path, system_options=None, secrets=secrets, scripts=None).read.values


def test_without_encrypt_the_server_decides_and_that_is_said(tmp_path: Path) -> None:
    path, secrets = recorded("clear", "office", tmp_path)
    connection = read_peer("office", path, system_options=None, secrets=secrets)
    assert connection.read.values["mppe"] == "prefer"
    (finding,) = [finding for finding in connection.findings if finding.level == Level.WARNING]
    assert "the server may leave it out" in finding.message
    assert "--mppe require" in finding.message


def test_a_domain_as_pptpsetup_writes_it(tmp_path: Path) -> None:
    path, secrets = recorded("domain", "work", tmp_path)
    connection = read_peer("work", path, system_options=None, secrets=secrets)
    assert connection.user == "EXAMPLE\\alice"
    credentials = connection.credentials("EXAMPLE\\alice")
    assert credentials is not None
    assert credentials.password == "s3cret"
    (finding,) = [finding for finding in connection.findings if finding.level == Level.WARNING]
    assert (finding.line, "Write EXAMPLE\\\\alice for both" in finding.message) == (7, True)


def test_a_password_that_pptpsetup_asked_for(tmp_path: Path) -> None:
    path, secrets = recorded("prompt", "test", tmp_path)
    connection = read_peer("test", path, system_options=None, secrets=secrets)
    credentials = connection.credentials("root")
    assert credentials is not None
    assert credentials.password == "hunter2"
    assert "ends with a line end" in connection.findings[-1].message
    assert "hunter2" not in str(connection.findings)


def test_a_file_that_pptpsetup_did_not_write_means_what_pppd_reads() -> None:
    assert values(f"{PTY}name EXAMPLE\\user\n")["user"] == "EXAMPLEuser"
    with pytest.raises(ConfigurationError, match=r"name: 'EXAMPLE\\nobody' holds a control character; two backslashes"):
        values(f"{PTY}name EXAMPLE\\nobody\n")
    assert values(f"{PTY}name EXAMPLE\\\\nobody\n")["user"] == "EXAMPLE\\nobody"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name alice", {"user": "alice"}),
        ("user bob name alice", {"user": "bob"}),
        ("name alice usehostname domain example.net", {"user": "box.example.net"}),
        ("require-mppe-128", {"mppe": "require", "mppe_strength": (128,)}),
        ("require-mppe", {"mppe": "require", "mppe_strength": (128, 40)}),
        ("require-mppe nomppe-40", {"mppe": "require", "mppe_strength": (128,)}),
        ("mppe required,no40,no56", {"mppe": "require", "mppe_strength": (128,)}),
        ("nomppe", {"mppe": "deny"}),
        ("noccp", {"mppe": "deny"}),
        ("refuse-eap refuse-pap refuse-chap refuse-mschap", {}),
        ("refuse-mschap-v2", {"auth": ("mschap", "chap", "pap")}),
        ("-mschap-v2 -mschap -chap", {"auth": ("pap",)}),
        ("mtu 1400", {"mtu": 1396}),
        ("nomppe mtu 1400", {"mppe": "deny", "mtu": 1400}),
        ("mru 1400 lcp-echo-interval 20 lcp-echo-failure 3",
         {"mru": 1400, "lcp_echo_interval": 20.0, "lcp_echo_failure": 3}),
        ("persist", {"persist": True, "max_fail": 10}),
        ("persist maxfail 0 holdoff 5", {"persist": True, "max_fail": 0, "holdoff": 5.0}),
        ("persist nopersist", {"persist": False}),
        ("nopersist persist", {"persist": True, "max_fail": 10}),
        ("demand idle 600 10.0.0.5:10.0.0.1",
         {"demand": True, "persist": True, "max_fail": 10, "idle": 600.0, "demand_local": IPv4Address("10.0.0.5"),
          "demand_remote": IPv4Address("10.0.0.1")}),
        ("demand nopersist", {"demand": True, "persist": False}),
        ("maxconnect 3600", {"maxconnect": 3600.0}),
        ("defaultroute", {"default_route": True}),
        ("replacedefaultroute defaultroute-metric 50", {"default_route": True, "metric": 50}),
        ("nodefaultroute defaultroute", {"default_route": False}),
        ("usepeerdns", {"use_peer_dns": True}),
        ("unit 7", {"ifname": "ppp7"}),
        ("ifname vpn0", {"ifname": "vpn0"}),
        ("nopcomp noaccomp debug", {"pcomp": False, "accomp": False, "log_level": "debug"}),
        ("ip-up-script /x ip-down-script /y", {"ip_up": Path("/x"), "ip_down": Path("/y")}),
        ("ipparam test linkname tunnel", {"ipparam": "test", "linkname": "tunnel"}),
        ("call common", {"use_peer_dns": True}),
        ("file /etc/ppp/options.pptp", {}),
        (":", {}),
        ("0.0.0.0:0.0.0.0", {}),
    ],
)  # fmt: skip
def test_words(text: str, expected: dict[str, Any]) -> None:
    assert own(text) == expected


SAMPLES = {"mppe": "required", "mtu": "1300", "mru": "1300", "name": "zoe", "user": "zoe", "ifname": "vpn9"}
NOT_BY_THEMSELVES = {"pty", "file", "call", "domain", "usehostname", "remotename", "password", "pptp_server"}


@pytest.mark.parametrize(
    "word",
    [w for w, m in PEER_WORDS.items() if m.effect is Effect.SETTING and w not in NOT_BY_THEMSELVES],
)
def test_every_word_that_becomes_a_setting_does(word: str) -> None:
    value = SAMPLES.get(word, "77") if PEER_WORDS[word].arguments else ""
    read = interpret_peer(f"{PTY}{word} {value}\n".encode(), "p", read_file=read_file, host_name="box").read
    assert any(origin.startswith(f"p:2 {word}") for origin in read.origins.values()) or (
        word in ("refuse-mschap", "refuse-chap", "refuse-pap") and "p:2" in read.origins["auth"]
    )


def test_what_pppd_reads_first_gives_way() -> None:
    found = values(f"{PTY}lcp-echo-interval 20\n", options="/etc/ppp/options")
    assert (found["lcp_echo_interval"], found["lcp_echo_failure"]) == (20.0, 4)


def test_ptys_own_options() -> None:
    found = values("pty 'pptp 10.0.0.9 --nolaunchpppd --loglevel 2 --idle-wait 30'\n")
    assert (found["server"], found["log_level"], found["echo_interval"]) == ("10.0.0.9", "debug", 30.0)
    ((line, remark),) = said("require-mppe\npty 'pptp 10.0.0.9 --phone 1'\n")
    assert (line, remark[:27]) == (2, "'--phone' is not supported:")


def test_the_plugin_that_has_the_kernel_carry_packets() -> None:
    text = "plugin pptp.so\npptp_server 10.0.0.9\nrequire-mppe\n"
    assert values(text)["server"] == "10.0.0.9"
    assert said(text) == []
    assert said(text + "plugin radius.so")[0][0] == 4


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("welcome /x\nwelcome /y", 3, "'welcome' is not supported"),
        ("10.0.0.5:", 3, "'10.0.0.5:' is not supported: the server chooses the addresses"),
        ("lok", 3, "'lok' is no word of pppd's, the rest of the line is left out; did you mean lock?"),
        ("multilink", 3, "'multilink' is not supported"),
    ],
)
def test_what_matters_is_said_once_with_its_line(text: str, line: int, message: str) -> None:
    ((found, sentence),) = said(f"{PTY}require-mppe\n{text}\n")
    assert (found, sentence[: len(message)]) == (line, message)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("lock\n", "p: there is neither a pty word"),
        ("pty 'chat -v'\n", "p:1: pty: 'chat -v' does not run pptp"),
        (
            f"{PTY}refuse-pap refuse-chap refuse-mschap refuse-mschap-v2",
            "p:2 refuse-mschap-v2, .*: every way of logging",
        ),
        (f"{PTY}mtu 12", "p:2: mtu: "),
        (f"{PTY}mtu abc", "p:2: mtu: 'abc' is not a whole number"),
        (f"{PTY}file /nowhere", "p:2: /nowhere cannot be read"),
        (f"{PTY}password ''", "p:2: the password is empty"),
        (f"{PTY}name", "p:2: 'name' has no value behind it"),
    ],
)
def test_no_connection(text: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        values(text)


SECRETS = parse_chap_secrets(b"alice one first *\nbob one 1 *\nbob two 2 *\n* any zero *\nyves * y *\n")


@pytest.mark.parametrize(
    ("user", "remote", "password"),
    [
        ("alice", "one", "first"),
        ("alice", "", "first"),
        ("bob", "two", "2"),
        ("alice", "any", "zero"),
        ("yves", "", "y"),
        ("yves", "two", "y"),
        ("alice", "two", None),
        ("mallory", "", None),
    ],
)
def test_which_line_is_meant(user: str, remote: str, password: str | None) -> None:
    account = find_account(SECRETS, user, remote)
    assert (account.password if account is not None else None) == password


def test_two_lines_and_nothing_that_says_which() -> None:
    with pytest.raises(ConfigurationError, match="lines for several servers, 'one', 'two'; remotename"):
        find_account(SECRETS, "bob", "")


def test_a_password_word_goes_before_the_secrets(tmp_path: Path) -> None:
    path = tmp_path / "p"
    path.write_text(f"{PTY}name alice\npassword 'wonder land'\n")
    connection = read_peer("p", path, system_options=None, secrets=tmp_path / "none")
    credentials = connection.credentials("alice")
    assert credentials is not None
    assert credentials.password == "wonder land"
    assert "wonder" not in repr(connection)


def test_a_hash_in_place_of_the_password(tmp_path: Path) -> None:
    (tmp_path / "p").write_text(f"{PTY}name alice\nremotename p\n")
    (tmp_path / "secrets").write_text(f"alice p nt:{'0f' * 16} *\n")
    (tmp_path / "secrets").chmod(0o600)
    credentials = read_peer("p", tmp_path / "p", system_options=None, secrets=tmp_path / "secrets").credentials("alice")
    assert credentials is not None
    assert credentials.secret.nt_hash == b"\x0f" * 16


def test_no_line_is_said(tmp_path: Path) -> None:
    (tmp_path / "p").write_text(f"{PTY}name alice\nremotename p\n")
    connection = read_peer("p", tmp_path / "p", system_options=None, secrets=tmp_path / "none")
    assert connection.credentials("alice") is None
    assert connection.findings[-1].message == "there is no line for 'alice' and 'p'"


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        (PTY, True),
        ("plugin pptp.so\n", True),
        ("file /etc/ppp/options.pptp\n", True),
        ("connect 'chat -f /etc/chat'\n/dev/ttyS0\n", False),
        ("# pptp\nplugin rp-pppoe.so\n", False),
    ],
)
def test_a_glance(text: str, is_one: bool) -> None:
    assert names_pptp(text.encode()) is is_one


@given(st.binary())
def test_whatever_stands_there(data: bytes) -> None:
    for content in (data, PTY.encode() + data):
        try:
            interpret_peer(content, "p", read_file=read_file)
        except ConfigurationError:
            pass
