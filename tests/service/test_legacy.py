"""pptpd.conf and pppd's options, from the files as they are to the settings of a server."""

from __future__ import annotations

from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp.errors import ConfigurationError
from pypptp.service.findings import Level
from pypptp.service.legacy import Legacy, interpret_options, interpret_pptpd_conf, read_pptpd_conf
from pypptp.service.meanings import Effect
from pypptp.service.pppd_words import PPPD_WORDS
from pypptp.service.pptpd_conf import PPTPD_WORDS
from pypptp.service.settings import ServerSettings, make_settings

ADDRESSES = "localip 192.168.0.1\nremoteip 192.168.0.234-238,192.168.0.245\n"
RECIPE_OPTIONS = """name pptpd
refuse-pap
refuse-chap
refuse-mschap
require-mschap-v2
require-mppe-128
proxyarp
nodefaultroute
lock
nobsdcomp
novj
novjccomp
nologfd
"""
DEBIANS_OPTIONS = """asyncmap 0
auth
crtscts
lock
hide-password
modem
lcp-echo-interval 30
lcp-echo-failure 4
noipx
"""


def conf(text: str, options: str | None = None, system: str | None = None) -> Legacy:
    """Interpret a pptpd.conf with the option file it names, and /etc/ppp/options."""
    files = {"/o": options, "/etc/ppp/options": system}

    def read_file(path: Path) -> bytes:
        content = files.get(str(path))
        if content is None:
            raise ConfigurationError(f"{path} cannot be read: No such file or directory")
        return content.encode()

    if options is not None:
        text = f"option /o\n{text}"
    system_options = None if system is None else Path("/etc/ppp/options")
    return interpret_pptpd_conf(
        text.encode(), "c", read_file=read_file, system_options=system_options, host_name="myhost"
    )


def settings(read: Legacy) -> ServerSettings:
    return make_settings(ServerSettings, {}, read.values)


def said(read: Legacy, level: Level = Level.INFO) -> list[str]:
    return [f"{finding.where} {finding.message}" for finding in read.findings if finding.level >= level]


def test_the_recipe(tmp_path: Path) -> None:
    (tmp_path / "options.pptpd").write_text(RECIPE_OPTIONS)
    (tmp_path / "chap-secrets").write_text("root pptpd 123456 *\n")
    path = tmp_path / "pptpd.conf"
    path.write_text(f"option {tmp_path}/options.pptpd\nlogwtmp\n{ADDRESSES}")
    read = read_pptpd_conf(path, system_options=tmp_path / "none", secrets=tmp_path / "chap-secrets")
    assert settings(read) == ServerSettings(
        local=IPv4Address("192.168.0.1"),
        remote="192.168.0.234-238,192.168.0.245",
        secrets=tmp_path / "chap-secrets",
        name="pptpd",
        auth=("mschap-v2",),
        mppe="require",
        mppe_strength=(128,),
        proxy_arp=True,
    )
    assert [str(address) for address in settings(read).address_pool().addresses] == [
        *(f"192.168.0.{host}" for host in range(234, 239)),
        "192.168.0.245",
    ]
    assert read.origins["local"] == f"{path}:3 localip"
    assert read.origins["auth"] == f"{tmp_path}/options.pptpd:5 require-mschap-v2"
    assert [(finding.where.rpartition("/")[2], finding.level) for finding in read.findings] == [
        ("pptpd.conf:2", Level.INFO),
        ("options.pptpd:9", Level.INFO),
    ]
    # A user is in there only if the file is.
    assert "secrets" not in read_pptpd_conf(path, system_options=None, secrets=tmp_path / "none").values


def test_debians_system_options_come_first() -> None:
    read = conf(ADDRESSES, RECIPE_OPTIONS + "lcp-echo-failure 9\n", DEBIANS_OPTIONS)
    assert read.files == ["c", "/etc/ppp/options", "/o"]
    found = settings(read)
    assert (found.lcp_echo_interval, found.lcp_echo_failure, found.auth) == (30.0, 9, ("mschap-v2",))
    # Once for each word, where it stands first.
    assert [line.split("'")[0:2] for line in said(read)] == [
        ["/etc/ppp/options:1 ", "asyncmap"],
        ["/etc/ppp/options:3 ", "crtscts"],
        ["/etc/ppp/options:4 ", "lock"],
        ["/etc/ppp/options:6 ", "modem"],
    ]


CONF_WORDS = [
    ("localip 10.9.0.1-3\n", {"local": IPv4Address("10.9.0.1")}),
    ("remoteip 10.9.0-2.7\n", {"remote": "10.9.0.7,10.9.1.7,10.9.2.7"}),
    ("remoteip 10.9.0.7, 10.9.0.9\n", {"remote": "10.9.0.7,10.9.0.9"}),
    ("connections 3\n", {"remote": "192.168.0.234-236", "connections": 3}),
    ("connections 6\n", {"connections": 6}),
    ("connections 0\n", {"connections": 100}),
    ("listen 10.100.100.1\n", {"listen": IPv4Address("10.100.100.1")}),
    ("debug\n", {"log_level": "debug"}),
    ("stimeout 20\n", {}),
    ("speed 115200\n", {}),
    ("noipparam\n", {"ipparam": ""}),
    ("ppp /usr/sbin/pppd\n", {}),
    ("pidfile /run/x\n", {}),
    ("logwtmp\n", {}),
    ("bcrelay eth1\n", {}),
    ("vrf red\n", {}),
    ("keep\n", {}),
    ("ptimeout 500\n", {}),
]


@pytest.mark.parametrize(("text", "changed"), CONF_WORDS)
def test_every_word_of_pptpd(text: str, changed: dict[str, Any]) -> None:
    before = conf(ADDRESSES)
    after = conf(text + ADDRESSES)
    assert after.values == {**before.values, **changed}
    for field in changed:
        assert text.split()[0] in after.origins[field]
    settings(after)


def test_the_table_above_has_every_word() -> None:
    assert {text.split()[0] for text, _ in CONF_WORDS} == set(PPTPD_WORDS) - {"option", "delegate"}


BASE = "require-mschap-v2\nrequire-mppe-128\nname pptpd\n"
OPTION_WORDS: list[tuple[str, dict[str, Any]]] = [
    ("name gate", {"name": "gate"}),
    ("usehostname", {"name": "myhost"}),
    ("usehostname domain .example", {"name": "myhost.example"}),
    ("domain example", {}),
    ("require-mschap", {"auth": ("mschap-v2", "mschap")}),
    ("require-pap require-chap", {"auth": ("mschap-v2", "chap", "pap")}),
    ("+chapms", {"auth": ("mschap-v2", "mschap")}),
    ("require-mppe", {"mppe_strength": (128, 40)}),
    ("require-mppe-40", {"mppe_strength": (128, 40)}),
    ("require-mppe nomppe-40", {"mppe_strength": (128,)}),
    ("require-mppe nomppe-128", {"mppe_strength": (40,)}),
    ("mppe required,stateless", {"mppe_strength": (128, 56, 40)}),
    ("mppe required,no40,no56", {"mppe_strength": (128,)}),
    ("nomppe", {"mppe": "deny"}),
    ("noccp", {"mppe": "deny"}),
    ("ms-dns 10.0.0.1", {"dns": (IPv4Address("10.0.0.1"),)}),
    ("ms-dns 10.0.0.1 ms-dns 10.0.0.2", {"dns": (IPv4Address("10.0.0.1"), IPv4Address("10.0.0.2"))}),
    ("ms-wins 10.0.0.3", {"wins": (IPv4Address("10.0.0.3"),)}),
    ("mtu 1400", {"mtu": 1396}),
    ("mtu 1400 nomppe", {"mtu": 1400, "mppe": "deny"}),
    ("mtu 0x500 mtu 1300", {"mtu": 1296}),
    ("mru 1300", {"mru": 1300}),
    ("lcp-echo-interval 0", {"lcp_echo_interval": 0.0}),
    ("lcp-echo-interval 20", {"lcp_echo_interval": 20.0}),
    ("lcp-echo-failure 3", {"lcp_echo_failure": 3}),
    ("idle 600", {"idle": 600.0}),
    ("maxconnect 1209600", {"maxconnect": 1209600.0}),
    ("chap-interval 300", {"chap_interval": 300.0}),
    ("ip-up-script /usr/local/sbin/up", {"ip_up": Path("/usr/local/sbin/up")}),
    ("ip-down-script /usr/local/sbin/down", {"ip_down": Path("/usr/local/sbin/down")}),
    ("linkname gate", {"linkname": "gate"}),
    # pptpd's own, the client's address, stands behind it.
    ("ipparam test", {}),
    ("nopcomp", {"pcomp": False}),
    ("noaccomp", {"accomp": False}),
    ("proxyarp", {"proxy_arp": True}),
    ("noproxyarp proxyarp", {"proxy_arp": True}),
    ("proxyarp -proxyarp", {"proxy_arp": False}),
    ("debug", {"log_level": "debug"}),
]


@pytest.mark.parametrize(("text", "changed"), OPTION_WORDS)
def test_every_word_of_pppd_that_becomes_a_setting(text: str, changed: dict[str, Any]) -> None:
    before = conf(ADDRESSES, BASE)
    after = conf(ADDRESSES, f"{BASE}{text}\n")
    if changed.get("mppe") == "deny":
        del before.values["mppe_strength"]
    assert after.values == {**before.values, **changed}
    assert all(after.origins[field].startswith("/o:") for field in changed)
    settings(after)


def test_the_parameter_of_scripts_is_pptpds_unless_it_gives_none() -> None:
    given = f"{BASE}ipparam test\n"
    said = [finding for finding in conf(ADDRESSES, given).findings if "'ipparam' has no effect" in finding.message]
    assert [(finding.source, finding.level) for finding in said] == [("/o", Level.INFO)]
    assert conf(f"noipparam\n{ADDRESSES}", given).values["ipparam"] == "test"


def test_the_scripts_pppd_runs_of_itself(tmp_path: Path) -> None:
    path = tmp_path / "pptpd.conf"
    path.write_text(ADDRESSES)
    (tmp_path / "ip-up").write_text("#!/bin/sh\n")
    (tmp_path / "ip-down").write_text("#!/bin/sh\n")
    (tmp_path / "ip-up").chmod(0o755)
    read = read_pptpd_conf(path, system_options=None, secrets=None, scripts=tmp_path)
    # The other is not executable, and pppd leaves it alone.
    assert {name: value for name, value in read.values.items() if name.startswith("ip_")} == {
        "ip_up": tmp_path / "ip-up"
    }
    assert read.origins["ip_up"] == "where pppd looks for it"
    (tmp_path / "options").write_text("ip-up-script /usr/local/sbin/up\n")
    named = read_pptpd_conf(path, system_options=tmp_path / "options", secrets=None, scripts=tmp_path)
    assert named.values["ip_up"] == Path("/usr/local/sbin/up")


def test_the_table_above_has_every_word_of_pppd() -> None:
    tried = {word for text, _ in OPTION_WORDS for word in f"{BASE} {text}".split()}
    becoming = {word for word, meaning in PPPD_WORDS.items() if meaning.effect is Effect.SETTING}
    assert becoming - tried == {"file", "call"}


@pytest.mark.parametrize("word", [word for word, meaning in PPPD_WORDS.items() if meaning.effect is not Effect.SETTING])
def test_every_other_word_changes_nothing(word: str) -> None:
    meaning = PPPD_WORDS[word]
    line = f"{word} 1" if meaning.arguments else word
    before = conf(ADDRESSES, BASE)
    after = conf(ADDRESSES, f"{BASE}{line}\n{line}\n")
    assert after.values == before.values
    assert [finding.level for finding in after.findings] == ([] if meaning.level is None else [meaning.level])


def test_silence_means_what_it_means_to_pppd() -> None:
    found = conf(ADDRESSES, "lock\n")
    assert (found.values["mppe"], found.values["name"], "auth" in found.values) == ("prefer", "myhost", False)
    assert settings(found).auth == ("mschap-v2",)
    text = " ".join(said(found, Level.WARNING))
    assert "there is no require- word" in text
    assert "there is no require-mppe word" in text
    # Without any option file nobody has asked for less than the default.
    alone = conf(ADDRESSES)
    assert set(alone.values) == {"local", "remote"}
    assert said(alone) == []


def test_addresses_nobody_names_are_pptpds_own() -> None:
    read = conf("")
    assert (read.values["local"], read.values["remote"]) == (IPv4Address("192.168.0.1"), "192.168.1.1-100")
    assert [line[:2] for line in said(read, Level.WARNING)] == ["c ", "c "]


def test_delegate_leaves_addresses_to_the_options() -> None:
    read = conf(f"delegate\n{ADDRESSES}", f"{BASE}10.8.0.100:\n")
    assert (read.values["local"], "remote" in read.values) == (IPv4Address("10.8.0.100"), False)
    assert [str(address) for address in settings(read).address_pool().addresses][:1] == ["10.8.0.234"]
    assert conf(f"delegate\n{ADDRESSES}").values["local"] == IPv4Address("192.168.0.1")
    with pytest.raises(ConfigurationError, match="local: not given"):
        settings(conf("delegate\n"))
    (line,) = [line for line in said(conf(ADDRESSES, f"{BASE}10.8.0.100:10.8.0.1\n")) if "10.8.0.100" in line]
    assert "has no effect" in line


def test_what_is_said_beside_the_words() -> None:
    several = said(conf("localip 10.0.0.1-2\nremoteip 10.0.0.9\n"), Level.WARNING)
    assert "2 addresses, one for each connection" in several[0]
    assert "192.168.0.4 twice" in said(conf("localip 10.0.0.1\nremoteip 192.168.0.4,192.168.0.4\n"))[0]
    assert "'connections' 'many'" in said(conf(f"connections many\n{ADDRESSES}"))[0]
    three = "ms-dns 10.0.0.1\nms-dns 10.0.0.2\nms-dns 10.0.0.3\n"
    read = conf(ADDRESSES, BASE + three)
    assert read.values["dns"] == (IPv4Address("10.0.0.2"), IPv4Address("10.0.0.3"))
    assert "'ms-dns' is given 3 times" in said(read)[0]


@pytest.mark.parametrize(
    ("text", "options", "complaint"),
    [
        ("localip gate\n", None, "c:1: localip: 'gate' is not an IPv4 address"),
        ("localip 127.0.0.1\n", None, "c:1: localip: "),
        ("remoteip 10.0.0.9-3\nlocalip 10.0.0.1\n", None, "c:1: remoteip: the range '10.0.0.9-3' runs backwards"),
        (f"listen gate\n{ADDRESSES}", None, "c:1: listen: 'gate' is not an IPv4 address"),
        (f"option /nowhere\n{ADDRESSES}", None, "c:1: option: /nowhere cannot be read"),
        (ADDRESSES, "mtu many\n", "/o:1: mtu: 'many' is not a whole number"),
        (ADDRESSES, "lock\nmtu 20\n", "/o:2: mtu: 16 is not between 68 and 65535"),
        (ADDRESSES, "idle -1\n", "/o:1: idle: "),
        (ADDRESSES, "ms-dns gate\n", "/o:1: ms-dns: 'gate' is not an IPv4 address"),
        (ADDRESSES, "mppe required,no\n", "/o:1: mppe: 'no' is not one of"),
        (ADDRESSES, "require-mppe-40\nnomppe-40\n", "/o:1 require-mppe-40, /o:2 nomppe-40: no key length is left"),
        (ADDRESSES, "name ''\n", "/o:1: name: is empty"),
        (ADDRESSES, "name\n", "/o:1: 'name' has no value"),
    ],
)
def test_values_nobody_can_read_are_named_with_their_line(text: str, options: str | None, complaint: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        conf(text, options)
    assert str(caught.value).startswith(complaint)


def test_an_option_file_by_itself() -> None:
    read = interpret_options(RECIPE_OPTIONS.encode(), "o", read_file=Path.read_bytes)
    assert read.values["mppe"] == "require"
    assert [finding.line for finding in read.findings] == [9]


CONF_PIECES = st.sampled_from([*(text for text, _ in CONF_WORDS), ADDRESSES, "delegate\n", "remoteip 1-2.3-4.5.6\n"])
OPTION_PIECES = st.sampled_from([*(text for text, _ in OPTION_WORDS), *PPPD_WORDS, "1.2.3.4:", "9", "'", "\\"])


@given(st.binary(), st.binary())
def test_any_octets_are_read_or_refused(text: bytes, options: bytes) -> None:
    def read_file(path: Path) -> bytes:
        return options

    try:
        read = interpret_pptpd_conf(text, "c", read_file=read_file, system_options=Path("/o"))
        settings(read)
    except ConfigurationError as error:
        refusal = str(error)
    else:
        refusal = ""
    assert "\n" not in refusal


@given(st.lists(CONF_PIECES).map("".join), st.lists(OPTION_PIECES).map(" ".join))
def test_any_words_are_read_or_refused(text: str, options: str) -> None:
    try:
        read = conf(text, options, options)
        settings(read)
    except ConfigurationError as error:
        refusal = str(error)
    else:
        refusal = ""
    assert refusal.isprintable()
    if refusal:
        return
    assert all(str(finding).isprintable() for finding in read.findings)
    words = [finding.message for finding in read.findings if " is not supported: " in finding.message]
    assert len(words) == len(set(words))


def test_a_folder_closed_to_us_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "pptpd.conf"
    path.write_text(ADDRESSES)
    closed = tmp_path / "closed" / "options"
    seen = Path.stat

    def stat(self: Path, **options: Any) -> Any:
        if self == closed:
            raise PermissionError(13, "Permission denied")
        return seen(self, **options)

    monkeypatch.setattr(Path, "stat", stat)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_pptpd_conf(path, system_options=closed, secrets=None)
    assert read_pptpd_conf(path, system_options=path / "options", secrets=None).files == [str(path)]
