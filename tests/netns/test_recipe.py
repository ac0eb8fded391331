"""The server host of the recipe people follow, with its files where and as they have them.

private 10.100.100.2 ----- 10.100.100.1 gateway 203.0.113.1 ----- 203.0.113.2 public
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pypptp.testing.scenario import PUBLIC, Program, ping

from .conftest import PATIENCE, PYPPTP, Lab

pytestmark = pytest.mark.netns

FILES = {
    "pptpd.conf": """option /etc/ppp/options.pptpd
logwtmp
localip 192.168.0.1
remoteip 192.168.0.234-238,192.168.0.245
""",
    "ppp/options.pptpd": """name pptpd
refuse-pap
refuse-chap
refuse-mschap
require-mschap-v2
require-mppe-128
proxyarp
lock
nobsdcomp
novj
novjccomp
nologfd
ms-dns 8.8.8.8
ms-dns 8.8.4.4
""",
    "ppp/chap-secrets": """# Secrets for authentication using CHAP
# client\tserver\tsecret\t\t\tIP addresses
root\tpptpd\t123456\t*
""",
}

IN_ITS_OWN_ETC = """set -e
mount --make-rprivate /
mount -t tmpfs -o size=64m none /mnt
cp -a /etc /mnt/etc
cp -a "$1"/. /mnt/etc/
mount --bind /mnt/etc /etc
shift
exec "$@"
"""
"""Runs a command in a mount namespace whose /etc has the files of a folder in it."""


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    folder = tmp_path / "etc"
    (folder / "ppp").mkdir(parents=True)
    for name, text in FILES.items():
        (folder / name).write_text(text)
    (folder / "ppp/chap-secrets").chmod(0o600)
    return folder


def in_etc(etc: Path, *words: str) -> list[str]:
    return ["unshare", "--mount", "sh", "-c", IN_ITS_OWN_ETC, "sh", str(etc), *PYPPTP, *words]


def serve(lab: Lab, etc: Path) -> Program:
    server = lab.start_command("server", lab.hosts.gateway, in_etc(etc, "server", "--config", "/etc/pptpd.conf"))
    server.await_line(lambda line: "listening on " in line or None, patience=PATIENCE)
    return server


def test_the_old_files_serve_as_they_are(lab: Lab, etc: Path) -> None:
    server = serve(lab, etc)
    said = "\n".join(server.lines)
    assert "/etc/pptpd.conf:2: 'logwtmp' has no effect, which does not matter" in said
    assert "/etc/ppp/options.pptpd:7: 'proxyarp' is not supported" in said
    assert said.count("lock") == 1
    assert "192.168.0.1 for 6 clients" in said
    client, network = lab.connected("--default-route", "--bypass", "private", user="root", password="123456")
    assert (str(network.local), str(network.peer), network.strength) == ("192.168.0.234", "192.168.0.1", 128)
    assert ping(lab.hosts.private, PUBLIC).received == 4
    assert client.stop() == 0
    assert server.stop() == 0, server.lines
    assert lab.left_behind() == []


def test_a_user_who_is_added_gets_in_without_a_restart(lab: Lab, etc: Path) -> None:
    # The file is the test's own: the namespace's copy of /etc is out of reach.
    secrets = etc.parent / "users"
    secrets.write_text("root pptpd 123456 *\n")
    secrets.chmod(0o600)
    words = in_etc(etc, "server", "--config", "/etc/pptpd.conf", "--secrets", str(secrets))
    server = lab.start_command("server", lab.hosts.gateway, words)
    server.await_line(lambda line: "listening on " in line or None, patience=PATIENCE)
    first, network = lab.connected(user="root", password="123456")
    user = [*PYPPTP, "user", "add", "bob", "--secrets", str(secrets), "--nt-hash", "--address", "192.168.0.250"]
    subprocess.run(user, input=b"builder-of-things\n", check=True, capture_output=True)
    os.kill(server.pid, signal.SIGHUP)
    server.await_line(lambda line: "read again: users now 2, before 1" in line or None, patience=PATIENCE)
    _, second = lab.connected(user="bob", password="builder-of-things")
    assert str(second.local) == "192.168.0.250"
    assert ping(lab.hosts.gateway, network.local, count=2).received == 2
    assert first.status is None


def test_check_and_convert_on_the_same_files(lab: Lab, etc: Path, tmp_path: Path) -> None:
    def run(*words: str) -> Callable[[], subprocess.CompletedProcess[str]]:
        return lambda: subprocess.run(in_etc(etc, *words), capture_output=True, text=True, timeout=60, check=False)

    checked = lab.hosts.gateway.run(run("check", "--json", "/etc/pptpd.conf"))
    assert checked.returncode == 0, checked.stderr
    found = [(entry["file"], entry["line"], entry["level"]) for entry in json.loads(checked.stdout)["findings"]]
    assert found == [
        ("/etc/pptpd.conf", 2, "info"),
        ("/etc/ppp/options.pptpd", 7, "warning"),
        ("/etc/ppp/options.pptpd", 8, "info"),
        ("/etc/ppp/chap-secrets", 3, "warning"),
    ]
    converted = lab.hosts.gateway.run(run("convert"))
    assert converted.returncode == 0, converted.stderr
    (tmp_path / "pypptp.toml").write_text(converted.stdout)
    words = in_etc(etc, "server", "--config", str(tmp_path / "pypptp.toml"))
    server = lab.start_command("server", lab.hosts.gateway, words)
    server.await_line(lambda line: "192.168.0.1 for 6 clients" in line or None, patience=PATIENCE)
    _, network = lab.connected(user="root", password="123456")
    assert network.strength == 128
