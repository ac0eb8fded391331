"""SIGHUP: other users from then on, and nobody is dropped."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import pty
import signal
import subprocess
import sys
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from pypptp.auth.account import Account
from pypptp.auth.authority import AccountAuthority, Authority, SecretsAuthority
from pypptp.auth.chap_secrets import read_chap_secrets
from pypptp.errors import NetworkError
from pypptp.service.reload import Reload, Reloaded, Terminal
from pypptp.service.serve import run_server
from pypptp.service.settings import ServerSettings
from tests.service.running import Watched, await_log, meanwhile, send, server_settings

LOCAL = IPv4Address("192.168.0.1")


class Bench:
    """A reload with everything around it in sight."""

    def __init__(self, path: Path | None, *, nat: bool = True) -> None:
        self.settings = ServerSettings(local=LOCAL, secrets=path)
        self.authority: Authority = AccountAuthority(Account("pypptp", "x"))
        if path is not None:
            self.authority = SecretsAuthority(read_chap_secrets(path))
        self.pool = self.settings.address_pool()
        self.nats: list[list[IPv4Network]] = []
        self.refuse = False
        covered = set(self.pool.addresses)
        self.reload = Reload(self.settings, self.authority, self.pool, covered, self.cover if nat else None)

    def cover(self, networks: list[IPv4Network]) -> None:
        if self.refuse:
            raise NetworkError("the kernel has no nftables")
        self.nats.append(networks)

    def password(self, user: str) -> str | None:
        account = asyncio.run(self.authority.account(user, "pptpd"))
        return account.password if account else None


@pytest.fixture(autouse=True)
def _keep_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "chap-secrets"
    write(path, "alice * wonderland *\n")
    return path


def write(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o600)


def test_users_come_go_and_change(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(path)
    write(path, "alice * through-the-glass *\nbob * builder *\n")
    reloaded = asyncio.run(bench.reload.once())
    assert (bench.password("alice"), bench.password("bob")) == ("through-the-glass", "builder")
    read = f"{path} read again: users now 2, before 1"
    assert caplog.messages == [read]
    assert reloaded == Reloaded(True, (read, "added: bob", "changed: alice"))
    # Further down is not another user.
    write(path, "# nobody else\n\nbob * builder *\n")
    assert asyncio.run(bench.reload.now()).said[1:] == ("removed: alice",)
    assert bench.password("alice") is None
    assert asyncio.run(bench.reload.now()).said[1:] == ("no user has changed",)


def test_the_names_of_users_are_shown_escaped_and_not_all_of_them(path: Path) -> None:
    bench = Bench(path)
    path.write_bytes(b'"\x1b[2J" * secret *\n' + b"".join(b"user%02d * secret *\n" % n for n in range(30)))
    said = asyncio.run(bench.reload.once()).said
    (added,) = [line for line in said if line.startswith("added: ")]
    assert added.isprintable()
    assert added.startswith("added: \\x1b[2J, user00, user01, ")
    assert added.endswith(", user18 and 11 more")


@pytest.mark.parametrize("text", ["alice\n", "alice * 'wonder\n", None])
def test_a_bad_file_changes_nothing_and_says_why(
    path: Path, caplog: pytest.LogCaptureFixture, text: str | None
) -> None:
    bench = Bench(path)
    if text is None:
        path.unlink()
    else:
        write(path, text)
    reloaded = asyncio.run(bench.reload.once())
    assert bench.password("alice") == "wonderland"
    (record,) = caplog.records
    assert reloaded == Reloaded(False, (record.getMessage(),))
    assert record.levelno == logging.ERROR
    assert record.getMessage().startswith(f"the users stay as they were: {path}")


def test_an_address_of_ones_own_is_kept_from_the_others_and_gets_nat(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(path)
    write(path, "alice * wonderland 192.168.0.234\nbob * builder 172.16.5.5\n")
    asyncio.run(bench.reload.once())
    assert bench.nats == [[IPv4Network("172.16.5.5/32")]]
    assert bench.pool.allocate("carol") == IPv4Address("192.168.0.235")
    # Once is enough.
    asyncio.run(bench.reload.once())
    assert len(bench.nats) == 1


def test_nat_that_is_refused_is_tried_again(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(path)
    bench.refuse = True
    write(path, "bob * builder 172.16.5.5\n")
    asyncio.run(bench.reload.once())
    assert bench.password("bob") == "builder"
    assert caplog.messages[-1] == "no NAT for 172.16.5.5/32: the kernel has no nftables"
    bench.refuse = False
    asyncio.run(bench.reload.once())
    assert len(bench.nats) == 1


def test_without_nat_there_is_none_for_new_addresses(path: Path) -> None:
    bench = Bench(path, nat=False)
    write(path, "bob * builder 172.16.5.5\n")
    asyncio.run(bench.reload.once())
    assert bench.password("bob") == "builder"


def test_a_made_up_user_stays(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(None)
    asyncio.run(bench.reload.once())
    assert bench.password("pypptp") == "x"
    assert caplog.messages == ["nothing to read again: there is no secrets file"]


def test_a_server_that_is_told_by_the_signal(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    edge = Watched()
    before = signal.getsignal(signal.SIGHUP)

    def act() -> None:
        await_log(caplog, "listening on")
        write(path, "alice *\n")
        send(signal.SIGHUP)
        await_log(caplog, "the users stay as they were")
        write(path, "bob * builder 172.16.5.5\n")
        send(signal.SIGHUP)
        await_log(caplog, "read again: users now 1, before 1")
        send(signal.SIGTERM)

    with meanwhile(act):
        run_server(server_settings(secrets=path), edge=edge, announce_account=lambda account: None)
    assert [networks for _, networks, _ in edge.nats][1:] == [[IPv4Network("172.16.5.5/32")]]
    assert edge.changes() == []
    assert signal.getsignal(signal.SIGHUP) is before


PROGRAM = """
import signal, sys, time
from pypptp.service.reload import Terminal
terminal, hung_up = Terminal(), []
signal.signal(signal.SIGHUP, lambda *_: hung_up.append(terminal.lost))
print("ready", terminal.lost, file=sys.stderr, flush=True)
deadline = time.monotonic() + 20
while not hung_up and time.monotonic() < deadline:
    time.sleep(0.01)
print("lost" if hung_up and hung_up[0] else "kept", file=sys.stderr, flush=True)
"""


@pytest.mark.parametrize("closed", [True, False])
def test_a_closed_terminal_is_told_from_a_request(closed: bool) -> None:
    mine, theirs = pty.openpty()
    # setsid -c: the terminal becomes the child's own.
    process = subprocess.Popen(
        ["setsid", "-c", "-w", sys.executable, "-c", PROGRAM],
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    with process, process.stderr:
        os.close(theirs)
        try:
            assert process.stderr.readline() == "ready False\n"
            if not closed:
                process.send_signal(signal.SIGHUP)
        finally:
            if closed:
                os.close(mine)
        assert process.stderr.readline() == ("lost\n" if closed else "kept\n")
        if not closed:
            os.close(mine)


def test_without_a_terminal_none_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_terminal(path: str, flags: int) -> int:
        raise OSError(errno.ENXIO, "No such device or address")

    monkeypatch.setattr(os, "open", no_terminal)
    assert not Terminal().lost
