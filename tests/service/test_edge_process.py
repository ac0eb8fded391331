"""What the process that keeps its rights makes of the server's settings; tests/netns/test_run_as.py runs it."""

from __future__ import annotations

import subprocess
import sys
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from pypptp.auth.chap_secrets import read_chap_secrets
from pypptp.errors import ConfigurationError
from pypptp.net.remote import Channel, channel_pair
from pypptp.service.edge_process import Secrets, allowed_by
from pypptp.service.privileges import Separation
from pypptp.service.settings import ServerSettings, as_flags
from tests.service.running import LOCAL, server_settings

POOL = {IPv4Address(f"192.168.0.{host}") for host in range(234, 246)}


def test_what_the_settings_need() -> None:
    allowed = allowed_by(ServerSettings(local=LOCAL))
    assert (allowed.tunnels, allowed.local, allowed.listen, allowed.nat) == ("ppp%d", LOCAL, None, "auto")
    assert (allowed.isolate, allowed.proxy_arp, allowed.serves_all) == (False, False, True)
    assert allowed.peers == POOL
    more = allowed_by(server_settings(ifname="vpn7", nat="none", isolate=True, proxy_arp=True))
    assert (more.tunnels, more.listen, more.nat) == ("vpn7", IPv4Address("127.0.0.2"), "none")
    assert (more.isolate, more.proxy_arp) == (True, True)


def test_every_file_of_the_secrets_as_the_server_would_read_it(tmp_path: Path) -> None:
    own = tmp_path / "bobs"
    own.write_bytes(b"builder\n")
    path = tmp_path / "chap-secrets"
    path.write_bytes(f"alice * wonderland *\nbob * @{own} 172.16.5.5\nzo\xeb * x *\n".encode("latin-1"))
    for file in (own, path):
        file.chmod(0o600)
    settings = server_settings(secrets=path)
    allowed = allowed_by(settings)
    texts = Secrets(settings, allowed).read()
    assert {text.path for text in texts} == {str(path), str(own)}
    assert allowed.peers == POOL | {IPv4Address("172.16.5.5")}

    class Helper:
        def read_secrets(self) -> Any:
            return texts

    separation = Separation.__new__(Separation)
    separation._secrets, separation._texts, separation.helper = path, {}, Helper()  # type: ignore[assignment]
    there = read_chap_secrets(path, read_file=separation.read_file)
    assert there.entries == read_chap_secrets(path).entries
    with pytest.raises(ConfigurationError, match="was not there when the secrets were"):
        separation.read_file(Path("/etc/shadow"))


def test_an_address_of_a_user_who_is_gone_stays_allowed(tmp_path: Path) -> None:
    path = tmp_path / "chap-secrets"
    path.touch(0o600)
    settings = server_settings(secrets=path)
    allowed = allowed_by(settings)
    secrets = Secrets(settings, allowed)
    for text in ("bob * builder 172.16.5.5\n", "alice * wonderland 172.16.5.6\n"):
        path.write_text(text)
        secrets.read()
    # His session lasts, and may be negotiated anew.
    assert allowed.peers == POOL | {IPv4Address("172.16.5.5"), IPv4Address("172.16.5.6")}


def test_secrets_that_others_can_read(tmp_path: Path) -> None:
    path = tmp_path / "chap-secrets"
    path.write_text("alice * wonderland *\n")
    path.chmod(0o640)
    for settings, refused in ((server_settings(secrets=path, allow_readable_secrets=True), False),
                              (server_settings(secrets=path), True)):  # fmt: skip
        secrets = Secrets(settings, allowed_by(settings))
        if refused:
            with pytest.raises(ConfigurationError, match="mode 640"):
                secrets.read()
        else:
            assert len(secrets.read()) == 1


@pytest.mark.parametrize(
    ("first", "answer"),
    [
        ({"settings": {"local": "nowhere"}}, "--local: 'nowhere' is not an IPv4 address"),
        ({"settings": {**as_flags(ServerSettings(local=LOCAL)), "secrets": "/nowhere/secrets"}}, "/nowhere/secrets"),
        ({"no": "settings"}, None),
        (None, None),
    ],
)
def test_a_start_that_fails(first: dict[str, Any] | None, answer: str | None) -> None:
    ours, theirs = channel_pair()
    channel = Channel(ours)
    with theirs:
        command = [sys.executable, "-P", "-m", "pypptp.service.edge_process", str(theirs.fileno())]
        process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stderr=subprocess.PIPE)
    if first is not None:
        channel.send(first)
        if answer is not None:
            assert answer in str(channel.receive()[0]["wrong"])
    channel.close()
    _, said = process.communicate(timeout=20)
    assert (process.returncode, said) == (1, b"")
