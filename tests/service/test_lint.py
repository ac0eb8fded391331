"""Each fault a file can have is made once, and found."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp.errors import ConfigurationError
from pypptp.net.addresses import LocalAddress
from pypptp.service.findings import Finding, Level
from pypptp.service.lint import (
    FileKind,
    Surroundings,
    kind_of,
    lint_file,
    lint_secrets,
    lint_system,
    weakness_of,
)
from pypptp.service.peers.network_manager import SERVICE
from pypptp.service.settings import ServerSettings

LAN = LocalAddress("eth0", IPv4Address("192.168.0.1"), IPv4Network("192.168.0.0/24"))
GOOD = "root pptpd correct-horse *\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "chap-secrets").write_text(GOOD)
    (tmp_path / "chap-secrets").chmod(0o600)
    return tmp_path


def lint(path: Path, text: str | None = None, *addresses: LocalAddress) -> list[str]:
    """What is found in a file with this text, its folder left out."""
    if text is not None:
        path.write_text(text)
    secrets = path.parent / "chap-secrets"
    around = Surroundings(system_options=None, secrets=secrets, host_name="myhost", addresses=addresses)
    return [str(finding).replace(f"{path.parent}/", "") for finding in lint_file(path, around)]


def secrets(text: str, settings: ServerSettings | None = None) -> list[str]:
    return [str(finding) for finding in lint_secrets(text.encode(), "s", settings=settings)]


SETTINGS = ServerSettings(local=IPv4Address("192.168.0.1"))


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("pypptp.toml", "", FileKind.TOML),
        ("pptpd.conf", "", FileKind.PPTPD_CONF),
        ("pptpd.conf.bak", "", FileKind.PPTPD_CONF),
        ("options.pptpd", "", FileKind.OPTIONS),
        ("pptpd-options", "", FileKind.OPTIONS),
        ("chap-secrets", "", FileKind.SECRETS),
        ("a", "# x\nlocalip 10.0.0.1\nnonsense\n", FileKind.PPTPD_CONF),
        ("a", "debug\nlogwtmp\n", FileKind.PPTPD_CONF),
        ("a", "debug\nlock\nmtu 1400\n", FileKind.OPTIONS),
        ("a", "+mschap-v2\n", FileKind.OPTIONS),
        ("a", 'local = "10.0.0.1"\n', FileKind.TOML),
        ("a", "root pptpd 123456 *\n", FileKind.SECRETS),
        ("peers/test", "", FileKind.PEER),
        ("a", "lock\npty 'pptp h'\n", FileKind.PEER),
        ("office.nmconnection", "", FileKind.KEYFILE),
        ("a", "[vpn]\nservice-type=org.freedesktop.NetworkManager.pptp\n", FileKind.KEYFILE),
    ],
)
def test_the_kind_of_a_file(name: str, text: str, kind: FileKind) -> None:
    assert kind_of(Path(name), text.encode()) is kind


@pytest.mark.parametrize("text", ["", "# x\n", "what is\n"])
def test_neither_name_nor_content_tells(text: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot tell what this is"):
        kind_of(Path("a"), text.encode())


def test_files_without_fault(folder: Path) -> None:
    assert lint(folder / "chap-secrets") == []
    assert lint(folder / "pptpd.conf", "localip 192.168.7.1\nremoteip 192.168.7.2-9\n", LAN) == []
    assert lint(folder / "options", "name pptpd\nrequire-mschap-v2\nrequire-mppe-128\n") == []
    assert lint(folder / "a.toml", 'local = "192.168.7.1"\nsecrets = "chap-secrets"\n', LAN) == []
    assert lint(folder / "c.toml", 'server = "gate"\ndefault-route = true\n') == []
    assert lint(folder / "both.toml", '[server]\nlocal = "192.168.7.1"\n[client]\nserver = "gate"\n') == []


def test_a_pptpd_conf_with_all_that_belongs_to_it(folder: Path) -> None:
    (folder / "o").write_text("require-mschap-v2\nrequire-mppe-128\ndefaultroute\nlock\nname gate\n")
    found = lint(
        folder / "pptpd.conf",
        f"option {folder}/o\nlocalip 192.168.0.1\nremoteip 192.168.0.1-3\n",
        LAN,
        LocalAddress("eth1", IPv4Address("192.168.0.3"), IPv4Network("192.168.0.3/32")),
    )
    starts = [
        "o:3: warning: 'defaultroute' is not supported",
        "o:4: info: 'lock' has no effect",
        "pptpd.conf:3: warning: 192.168.0.1 is the server's own address",
        "pptpd.conf:3: warning: 192.168.0.2-3 is in 192.168.0.0/24, the network at eth0",
        "pptpd.conf:3: error: 192.168.0.3 is this machine's own, on eth1",
        "chap-secrets:1: warning: never used: it is for the server 'pptpd', and this one is 'gate'",
    ]
    assert len(found) == len(starts)
    for line, start in zip(found, starts, strict=True):
        assert line.startswith(start)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("localip gate\n", "pptpd.conf:1: error: localip: 'gate' is not an IPv4 address"),
        ("localip 10.0.0.1\nremoteip 10.0.0.1\n", "pptpd.conf: error: remote: '10.0.0.1' leaves no address for a peer"),
        ("option /nowhere\n", "pptpd.conf:1: error: option: /nowhere cannot be read: No such file or directory"),
        ("delegate\n", "pptpd.conf: error: local: not given"),
    ],
)
def test_a_pptpd_conf_no_server_starts_with(folder: Path, text: str, found: str) -> None:
    assert lint(folder / "pptpd.conf", text)[-1].startswith(found)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("local = '10.0.0.1'\nmtu = 20\n", "a.toml:2: error: mtu: 20 is not between"),
        ("local = '10.0.0.1'\n\nlcp_echo_interval = 'x'\n", "a.toml:3: error: lcp-echo-interval: must be"),
        ("local = '10.0.0.1'\nremot = '10.0.0.7'\n", "a.toml:2: error: unknown key 'remot'; did you mean remote?"),
        ("local = \n", "a.toml:1: error: not TOML: Invalid value"),
        ("mtu = 1400\n", "a.toml: error: local: not given"),
        ("local = '10.0.0.1'\nmppe = 'prefer'\n", "a.toml: warning: mppe: prefer lets data pass without encryption"),
        ("local = '10.0.0.1'\nsecrets = 'none'\n", "error: none cannot be read: No such file or directory"),
        ("local = '10.0.0.1'\nremote = '10.0.0.1-2'\n", "a.toml:2: warning: 10.0.0.1 is the server's own address"),
        ("[client]\nserver = 'a b'\n", "a.toml:2: error: [client] server: 'a b' is not a host name"),
    ],
)
def test_faults_of_a_settings_file(folder: Path, text: str, found: str) -> None:
    (line,) = lint(folder / "a.toml", text)
    assert line.startswith(found)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("root pptpd\n", "s:1: error: a line needs at least three words"),
        ("# nobody\n", "s: warning: there is no user"),
        ("root * 123456 *\n", "s:1: warning: the password of 'root' is a number"),
        ("root * Root *\n", "s:1: warning: the password of 'root' is the user's name"),
        ("root * short *\n", "s:1: warning: the password of 'root' has fewer than 10 characters"),
        ("* * correct-horse *\n", "s:1: warning: whoever knows this secret"),
        ("root * correct-horse\n", "s:1: warning: 'root' may use no address, since the fourth column is empty"),
        ("root * correct-horse -\n", "s:1: warning: 'root' may use no address, and so not connect"),
        ("root * correct-horse *\nroot * correct-mouse *\n", "s:2: warning: never used, line 1 has the same"),
        ("a * correct-horse 10.0.0.7\nb * correct-mouse 10.0.0.7\n", "s:2: warning: 10.0.0.7 belongs to 'a' already"),
        ("a * correct-horse 192.168.0.1\n", "s:1: error: 192.168.0.1 of 'a' is the server's own"),
        ("a gate correct-horse *\n", "s:1: warning: never used: it is for the server 'gate'"),
    ],
)
def test_faults_of_the_secrets(text: str, found: str) -> None:
    (line,) = secrets(text, SETTINGS)
    assert line.startswith(found)
    assert "horse" not in line


def test_secrets_that_others_can_read(folder: Path) -> None:
    (folder / "chap-secrets").chmod(0o644)
    (line,) = lint(folder / "chap-secrets")
    assert line.startswith("chap-secrets: error: chap-secrets holds secrets and others have access to it (mode 644)")


def test_a_hash_is_not_called_weak() -> None:
    assert secrets(f"root * nt:{'0' * 32} *\n") == []


@pytest.mark.parametrize("password", ["correct-horse", "f185-y76x-c04a", "über-lang-genug"])
def test_passwords_that_are_let_pass(password: str) -> None:
    assert weakness_of(password, "root") == ""


@pytest.mark.parametrize("password", ["PASSWORD", "1234567890123", "aaaaaaaaaaaa", "ninechars", "", "root"])
def test_passwords_that_are_not(password: str) -> None:
    assert weakness_of(password, "root")


def test_what_the_system_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert lint_system(["no TUN"]) == [Finding("this machine", 0, Level.ERROR, "no TUN")]
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert lint_system(["needs root"])[0].level is Level.WARNING


def test_a_file_that_is_not_there(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        lint_file(folder / "none.toml", Surroundings())


PEER = "pty 'pptp 10.0.0.1 --nolaunchpppd --phone 1'\nname root\nremotename test\n"
KEYFILE = f"[vpn]\nservice-type={SERVICE}\ngateway=h\nuser=u\nrequire-mppe-128=yes\n[vpn-secrets]\npassword=short\n"


def test_a_peers_file_and_its_password(folder: Path) -> None:
    with (folder / "chap-secrets").open("a") as file:
        file.write('root test "123456" *\n')
    starts = [
        "test: info: only mschap-v2 is used to log in",
        "test: warning: mppe: prefer lets data pass without encryption",
        "test: warning: no word asks for encryption",
        "test: warning: the password of 'root' is a number",
        "test:1: warning: '--phone' is not supported",
    ]
    for line, start in zip(sorted(lint(folder / "test", PEER)), starts, strict=True):
        assert line.startswith(start)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("pty 'pptp h'\nname bob\nremotename x\n", "chap-secrets: warning: there is no line for 'bob' and 'x'"),
        ("pty 'pptp h'\nmtu x\n", "test:2: error: mtu: 'x' is not a whole number"),
        ("pty 'chat'\n", "test:1: error: pty: 'chat' does not run pptp"),
        ("pty 'pptp h'\nmtu 20\n", "test:2: error: mtu: "),
    ],
)
def test_faults_of_a_peers_file(folder: Path, text: str, found: str) -> None:
    assert any(line.startswith(found) for line in lint(folder / "test", text))


def test_a_connection_of_network_managers(folder: Path) -> None:
    path = folder / "office.nmconnection"
    path.write_text(KEYFILE)
    path.chmod(0o600)
    assert sorted(line.split(":")[1] for line in lint(path)) == [" info", " warning"]
    path.chmod(0o644)
    (line,) = lint(path)
    assert line.startswith("office.nmconnection: error: ")
    (line,) = lint(path, "[connection]\nid=wlan\n")
    assert line == "office.nmconnection: error: this is no PPTP connection"


@given(
    st.sampled_from(["a.toml", "pptpd.conf", "options", "chap-secrets", "any", "a.nmconnection", "peers/a"]),
    st.binary(max_size=60),
    st.sampled_from([b"", PEER.encode(), KEYFILE.encode()]),
)
def test_any_octets_are_looked_through(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: bytes, before: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(before + data)
    path.chmod(0o600)
    try:
        found = lint_file(path, Surroundings(system_options=None, secrets=None, host_name="h"))
    except ConfigurationError:
        return
    assert all(str(finding).isprintable() for finding in found)
