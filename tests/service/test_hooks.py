"""Real programs, in a real event loop; a shell is enough for all that pppd's scripts are."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from pypptp.service import hooks as module
from pypptp.service.hooks import Hooks, HookSettings, SessionHooks, TunnelEnd, TunnelFacts
from tests.aio.dialling import until
from tests.aio.entries import session_end, session_entry

FACTS = TunnelFacts(
    interface="ppp0",
    local=IPv4Address("192.168.0.1"),
    remote=IPv4Address("192.168.0.234"),
    peer=IPv4Address("10.100.100.2"),
    user="alice",
    server=True,
    dns=(IPv4Address("9.9.9.9"), IPv4Address("1.1.1.1")),
    wins=(IPv4Address("10.0.0.3"),),
)
END = TunnelEnd(reason="the peer terminated the link: 'bye'", seconds=12.6, octets_sent=700, octets_received=30)

Script = Callable[..., Path]


@pytest.fixture
def script(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Script:
    """Makes a program of lines for the shell; ``$OUT`` in them is a file beside it."""
    caplog.set_level(logging.INFO)

    def make(text: str, name: str = "up") -> Path:
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\nOUT={tmp_path}/out\n{text}\n")
        path.chmod(0o755)
        return path

    return make


def run(settings: HookSettings, *, act: Callable[[Hooks], Any], close: bool = True) -> None:
    async def scenario() -> None:
        hooks = Hooks(settings)
        result = act(hooks)
        if asyncio.iscoroutine(result):
            await result
        if close:
            await hooks.close()

    asyncio.run(scenario())


def up_and_down(hooks: Hooks) -> None:
    hooks.up(FACTS)
    hooks.down(FACTS, END)


def out(tmp_path: Path) -> list[str]:
    return (tmp_path / "out").read_text().splitlines()


def test_arguments_and_environment_are_pppds(script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYPPTP_PASSWORD", "a secret of ours")
    text = 'echo "$#|$1|$2|$3|$4|$5|$6" >>$OUT; env | grep -v "^PWD=\\|^_=\\|^SHLVL=\\|^OLDPWD=" | sort >>$OUT'
    settings = HookSettings(ip_up=script(text), ip_down=script(text, "down"), linkname="gate")
    run(settings, act=up_and_down)
    common = [
        "CALLING_SID=10.100.100.2",
        "DEVICE=/dev/net/tun",
        "DNS1=9.9.9.9",
        "DNS2=1.1.1.1",
        "IFNAME=ppp0",
        "IPLOCAL=192.168.0.1",
        "IPREMOTE=192.168.0.234",
        "LINKNAME=gate",
        f"ORIG_UID={os.getuid()}",
        f"PATH={module.SEARCH_PATH}",
        "PEERNAME=alice",
        f"PPPD_PID={os.getpid()}",
        f"PPPLOGNAME={module._own_name()}",
        "PYPPTP_PEER=10.100.100.2",
        "SPEED=0",
        "WINS1=10.0.0.3",
    ]
    arguments = "6|ppp0|/dev/net/tun|0|192.168.0.1|192.168.0.234|10.100.100.2"
    gone = ["BYTES_RCVD=30", "BYTES_SENT=700", "CONNECT_TIME=13", f"PYPPTP_REASON={END.reason}"]
    assert out(tmp_path) == [arguments, *common, arguments, *sorted([*common, *gone])]


@pytest.mark.parametrize(
    ("ipparam", "server", "expected"),
    [(None, True, "10.100.100.2"), ("", True, ""), ("test", True, "test"), (None, False, ""), ("test", False, "test")],
)
def test_the_sixth_argument(script: Script, tmp_path: Path, ipparam: str | None, server: bool, expected: str) -> None:
    facts = TunnelFacts(
        interface="ppp0", local=FACTS.local, remote=FACTS.remote, peer=FACTS.peer, server=server, uses_dns=not server
    )
    settings = HookSettings(ip_up=script('echo "$#|$6|$PEERNAME|$CALLING_SID|$USEPEERDNS" >$OUT'), ipparam=ipparam)
    run(settings, act=lambda hooks: hooks.up(facts))
    assert out(tmp_path) == [f"6|{expected}||{'10.100.100.2' if server else ''}|"]


def test_nothing_of_ours_is_inherited(script: Script, tmp_path: Path) -> None:
    kept, other = os.pipe()
    os.set_inheritable(kept, False)
    text = (
        "for fd in /proc/self/fd/*; do readlink $fd; done | grep -v '^/proc' >$OUT;"
        "cut -d' ' -f1,5,6 /proc/self/stat >>$OUT; umask >>$OUT; pwd >>$OUT"
    )
    try:
        run(HookSettings(ip_up=script(text)), act=lambda hooks: hooks.up(FACTS))
    finally:
        os.close(kept)
        os.close(other)
    *descriptors, stat, umask, folder = out(tmp_path)
    assert not any("socket:" in descriptor for descriptor in descriptors)
    assert sum(descriptor.startswith("pipe:") for descriptor in descriptors) <= 3, descriptors
    _, group, session = map(int, stat.split())
    assert group == session != os.getsid(0)
    assert (umask, folder) == ("0077", "/")


def test_the_loop_goes_on_meanwhile(script: Script) -> None:
    async def act(hooks: Hooks) -> None:
        hooks.up(FACTS)
        longest, before = 0.0, time.monotonic()
        while hooks.running:
            await asyncio.sleep(0.005)
            longest, before = max(longest, time.monotonic() - before), time.monotonic()
        assert longest < 0.25

    run(HookSettings(ip_up=script("sleep 0.5")), act=act)


def test_those_of_one_interface_run_in_order(script: Script, tmp_path: Path) -> None:
    settings = HookSettings(
        ip_up=script('sleep 0.2; echo "up $1 $5" >>$OUT'), ip_down=script('echo "down $1" >>$OUT', "down")
    )
    other = TunnelFacts(interface="ppp1", local=FACTS.local, remote=IPv4Address("10.0.0.9"), peer=FACTS.peer)

    def act(hooks: Hooks) -> None:
        hooks.up(FACTS)
        hooks.down(FACTS, END)
        hooks.down(other, END)
        hooks.up(FACTS)

    run(settings, act=act)
    # Another interface waits for nobody.
    assert out(tmp_path) == ["down ppp1", "up ppp0 192.168.0.234", "down ppp0", "up ppp0 192.168.0.234"]


def test_so_many_at_a_time(script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 2)
    settings = HookSettings(ip_up=script("echo begin >>$OUT; sleep 0.15; echo end >>$OUT"))

    def act(hooks: Hooks) -> None:
        for number in range(5):
            hooks.up(TunnelFacts(interface=f"ppp{number}", local=FACTS.local, remote=FACTS.remote, peer=FACTS.peer))

    run(settings, act=act)
    running = most = 0
    for line in out(tmp_path):
        running += 1 if line == "begin" else -1
        most = max(most, running)
    assert (most, len(out(tmp_path))) == (2, 10)


def gone(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] in ("Z", "X")
    except FileNotFoundError:
        return True


def test_one_that_takes_too_long_goes_with_all_it_has_started(
    script: Script, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MERCY_SECONDS", 0.1)
    # Neither of them takes SIGTERM for an order.
    text = "trap '' TERM; sh -c \"trap '' TERM; sleep 60\" & echo $! $$ >$OUT; sleep 60; sleep 60"
    began = time.monotonic()
    run(HookSettings(ip_up=script(text), timeout=0.5), act=lambda hooks: hooks.up(FACTS))
    assert time.monotonic() - began < 5
    assert "ip-up for ppp0 has not ended within 0.5 s and is killed" in caplog.text
    assert "was ended by signal 9" in caplog.text
    for process in map(int, out(tmp_path)[0].split()):
        deadline = time.monotonic() + 5
        while not gone(process):
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_what_it_leaves_in_the_background_is_its_own_affair(script: Script, tmp_path: Path) -> None:
    began = time.monotonic()
    run(HookSettings(ip_up=script("sleep 3 & echo $! >$OUT")), act=lambda hooks: hooks.up(FACTS))
    assert time.monotonic() - began < 2
    (process,) = map(int, out(tmp_path))
    assert not gone(process)
    os.kill(process, 9)


def test_output_is_lines_of_the_log(
    script: Script, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LINES", 4)
    text = (
        "echo one; echo; printf 'tw\\033o\\n' >&2; printf 'bad \\377\\n'; "
        "printf 'no line end'; exec 1>&2; printf '\\na\\nb\\nc\\nd'; exit 3"
    )
    run(HookSettings(ip_up=script(text)), act=lambda hooks: hooks.up(FACTS))
    lines = [record.getMessage() for record in caplog.records if record.name == "pypptp.hooks"]
    assert lines[:-1] == [
        "ip-up for ppp0: one",
        "ip-up for ppp0: tw\\x1bo",
        "ip-up for ppp0: bad \\xff",
        "ip-up for ppp0: no line end",
        "ip-up for ppp0: it says more than 4 lines; the rest is left out",
    ]
    assert lines[-1].endswith("/up ended with exit status 3")


def test_endless_output_is_bounded(script: Script, caplog: pytest.LogCaptureFixture) -> None:
    run(
        HookSettings(ip_up=script("yes | head -c 3000000; head -c 3000000 /dev/zero | tr '\\0' x")),
        act=lambda h: h.up(FACTS),
    )
    lines = [record.getMessage() for record in caplog.records if record.name == "pypptp.hooks"]
    assert len(lines) == module.LINES + 1


@pytest.mark.parametrize("trouble", ["missing", "plain", "format"])
def test_what_cannot_be_run_is_a_line_of_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, trouble: str
) -> None:
    path = tmp_path / "up"
    if trouble != "missing":
        path.write_text("no program\n")
        path.chmod(0o755 if trouble == "format" else 0o644)
    settings = HookSettings(ip_up=path)
    if trouble == "format":
        assert settings.problems() == []
    else:
        (problem,) = settings.problems()
        assert problem.startswith(f"ip-up: {path} is not a program")
    before = sum(1 for _ in Path("/proc/self/fd").iterdir())
    run(settings, act=lambda hooks: hooks.up(FACTS))
    (line,) = [record.getMessage() for record in caplog.records if record.name == "pypptp.hooks"]
    assert line.startswith(f"ip-up for ppp0: {path} cannot be run: ")
    assert sum(1 for _ in Path("/proc/self/fd").iterdir()) == before


def test_close_waits_and_then_no_longer(script: Script, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = HookSettings(ip_up=script("sleep 60"), ip_down=script("echo down >>$OUT", "down"), timeout=0.4)
    began = time.monotonic()
    run(settings, act=up_and_down)
    assert time.monotonic() - began < 5
    # The first took all the time there was.
    assert "ip-down for ppp0 is not run: there is no time left" in caplog.text
    assert not (tmp_path / "out").exists()


def test_the_impatient_leave_nothing_behind(script: Script, tmp_path: Path) -> None:
    async def scenario() -> None:
        hooks = Hooks(HookSettings(ip_up=script("echo $$ >$OUT; sleep 60; sleep 60")))
        hooks.up(FACTS)
        await until(lambda: (tmp_path / "out").exists() and out(tmp_path))
        closing = asyncio.create_task(hooks.close())
        await asyncio.sleep(0.05)
        closing.cancel()
        await asyncio.gather(closing, return_exceptions=True)

    asyncio.run(scenario())
    deadline = time.monotonic() + 5
    while not gone(int(out(tmp_path)[0])):
        assert time.monotonic() < deadline
        time.sleep(0.01)


class Noted(Hooks):
    """Runs nothing."""

    def __init__(self) -> None:
        super().__init__(HookSettings())
        self.calls: list[tuple[str, TunnelFacts, TunnelEnd | None]] = []

    def up(self, facts: TunnelFacts) -> None:
        self.calls.append(("up", facts, None))

    def down(self, facts: TunnelFacts, end: TunnelEnd) -> None:
        self.calls.append(("down", facts, end))


def test_a_servers_sessions() -> None:
    async def scenario() -> None:
        hooks = Noted()
        watcher = SessionHooks(hooks, (IPv4Address("10.0.0.3"),))
        entry, end = session_entry(7), session_end(7)
        watcher.session_up(entry)
        watcher.session_up(entry)
        watcher.connection_closed()
        watcher.session_down(end)
        watcher.session_down(end)
        ((up, facts, _), (down, again, told)) = hooks.calls
        assert (up, down) == ("up", "down")
        assert facts == again
        assert (facts.interface, facts.local, facts.remote) == (entry.interface, entry.local, entry.address)
        assert (facts.peer, facts.user, facts.dns, facts.server) == (entry.peer, entry.user, entry.dns, True)
        assert facts.wins == (IPv4Address("10.0.0.3"),)
        assert told == TunnelEnd(
            reason=end.reason, seconds=end.seconds, octets_sent=end.octets_out, octets_received=end.octets_in
        )

    asyncio.run(scenario())


def test_a_session_that_has_changed_goes_down_and_up() -> None:
    async def scenario() -> None:
        hooks = Noted()
        watcher = SessionHooks(hooks)
        entry = session_entry(7)
        watcher.session_up(entry)
        watcher.session_up(replace(entry, mtu=1000))
        watcher.session_up(replace(entry, interface="ppp9"))
        watcher.session_down(session_end(7))
        assert [(call, facts.interface) for call, facts, _ in hooks.calls] == [
            ("up", entry.interface),
            ("down", entry.interface),
            ("up", "ppp9"),
            ("down", "ppp9"),
        ]

    asyncio.run(scenario())
