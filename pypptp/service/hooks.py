"""Programs that are run when a tunnel has come up and when it has gone, as pppd runs /etc/ppp/ip-up and ip-down.

Arguments are pppd's: interface, device, speed, local address, remote address, ipparam. So is the environment, as far as
there is something to say (pppd(8), "SCRIPTS"):

    IFNAME IPLOCAL IPREMOTE DEVICE SPEED PPPD_PID ORIG_UID PPPLOGNAME      always
    PEERNAME                            on a server, whoever has logged in
    DNS1 DNS2 WINS1 WINS2               what the client was told; pppd sets them on a client alone
    USEPEERDNS                          on a client that uses them
    LINKNAME                            where one was given
    CONNECT_TIME BYTES_SENT BYTES_RCVD  for ip-down
    PYPPTP_PEER                         the outer address of the other end
    CALLING_SID                         on a server the same, as with accel-ppp
    PYPPTP_REASON                       for ip-down, why it ended

There is no serial line, so the device is the one tunnels are made with and the speed is 0. CALL_FILE, MACREMOTE and
the variables of chat scripts are not set, and auth-up, auth-down and ip-pre-up are not run.

A program gets nothing else of ours: no descriptor, no environment, no terminal; it is the leader of a session of its
own, in ``/``, with the umask 077. Its output is lines of the log. What it leaves running in the background is its own
affair, unless it takes longer than it may: then it goes with all of its process group.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import pwd
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final

from pypptp.aio.register import SessionEnd, SessionEntry

log = logging.getLogger("pypptp.hooks")

AT_ONCE: Final = 8
"""Programs that run at a time; further ones wait. Two hundred clients that come back together must not be two hundred
shells."""

MERCY_SECONDS: Final = 1.0
"""From SIGTERM to SIGKILL, for one that takes too long."""

LINES: Final = 100
"""Lines of a program's output that are logged; what it says beyond is dropped."""

LINE_LENGTH: Final = 400
"""Characters of a line that are logged."""

LAST_READS: Final = 32
"""Of what is in the pipe when a program has ended; 64 KiB fit, unless something in the background goes on writing."""

DEVICE: Final = "/dev/net/tun"
SPEED: Final = "0"
SEARCH_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class HookSettings:
    """What is run, and how.

    Attributes:
        ip_up: what to run when a tunnel is up, or None.
        ip_down: what to run when it has gone, or None.
        timeout: seconds either may take.
        ipparam: the sixth argument; None for the outer address of a server's client, and nothing on a client.
        linkname: what LINKNAME says, "" to leave it out.
    """

    ip_up: Path | None = None
    ip_down: Path | None = None
    timeout: float = 30.0
    ipparam: str | None = None
    linkname: str = ""

    def problems(self) -> list[str]:
        """Say in sentences which of the programs cannot be run."""
        return [
            f"{name}: {path} is not a program that can be run, so it is not: it must be there, and executable"
            for name, path in (("ip-up", self.ip_up), ("ip-down", self.ip_down))
            if path is not None and not is_program(path)
        ]


def is_program(path: Path) -> bool:
    """Say whether there is a file at ``path`` that we may run."""
    return path.is_file() and os.access(path, os.X_OK)


@dataclass(frozen=True, slots=True, kw_only=True)
class TunnelFacts:
    """What a program is told of a tunnel.

    Attributes:
        interface: name of the TUN.
        local: our inner address.
        remote: the other end's.
        peer: the outer address of the other end.
        user: on a server, who has logged in, escaped; on a client "".
        server: whether we are the server.
        dns: name servers the client was told of.
        wins: WINS servers it was told of.
        uses_dns: on a client, whether it uses them.
    """

    interface: str
    local: IPv4Address
    remote: IPv4Address
    peer: IPv4Address
    user: str = ""
    server: bool = False
    dns: tuple[IPv4Address, ...] = ()
    wins: tuple[IPv4Address, ...] = ()
    uses_dns: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TunnelEnd:
    """What ip-down is told besides.

    Attributes:
        reason: why the tunnel has gone, in words for a person.
        seconds: how long it was there.
        octets_sent: octets of the packets we sent through it.
        octets_received: octets of those we received.
    """

    reason: str
    seconds: float = 0.0
    octets_sent: int = 0
    octets_received: int = 0


class Hooks:
    """Runs them without holding anybody up.

    Those of one interface run one after the other, in the order of the calls: a session's ip-down waits for its ip-up
    to end, and the ip-up of the next session that gets the same interface for that. It needs a running event loop.
    """

    def __init__(self, settings: HookSettings) -> None:
        self._settings = settings
        self._last: dict[str, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._threads = ThreadPoolExecutor(AT_ONCE, "hooks")
        self._deadline: float | None = None

    @property
    def running(self) -> int:
        """Interfaces of which a program runs or waits to."""
        return len(self._last)

    def up(self, facts: TunnelFacts) -> None:
        """A tunnel has come up."""
        if self._settings.ip_up is not None:
            self._enqueue("ip-up", self._settings.ip_up, facts, None)

    def down(self, facts: TunnelFacts, end: TunnelEnd) -> None:
        """A tunnel that was up has gone; the facts are those of ``up``."""
        if self._settings.ip_down is not None:
            self._enqueue("ip-down", self._settings.ip_down, facts, end)

    async def close(self) -> None:
        """Wait until all have ended; those that have not within one more time-out are killed, or not begun."""
        self._deadline = asyncio.get_running_loop().time() + self._settings.timeout
        try:
            while self._last:
                await asyncio.wait(list(self._last.values()))
        finally:
            # For the impatient, who cancel: nothing of ours goes on when we have ended.
            tasks = list(self._last.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._threads.shutdown(wait=False)

    def _enqueue(self, hook: str, program: Path, facts: TunnelFacts, end: TunnelEnd | None) -> None:
        interface = facts.interface
        previous = self._last.get(interface)
        task = asyncio.get_running_loop().create_task(self._in_turn(previous, hook, program, facts, end))
        self._last[interface] = task

        def forget(done: asyncio.Task[None]) -> None:
            if self._last.get(interface) is done:
                del self._last[interface]

        task.add_done_callback(forget)

    async def _in_turn(
        self, previous: asyncio.Task[None] | None, hook: str, program: Path, facts: TunnelFacts, end: TunnelEnd | None
    ) -> None:
        if previous is not None:
            await asyncio.wait({previous})
        async with self._slots:
            name = f"{hook} for {facts.interface}"
            seconds = self._settings.timeout
            if self._deadline is not None:
                seconds = min(seconds, self._deadline - asyncio.get_running_loop().time())
            if seconds <= 0:
                log.warning("%s is not run: there is no time left", name)
                return
            command = [os.fspath(program), *arguments_of(self._settings, facts)]
            await self._run(name, command, environment_of(self._settings, facts, end), seconds)

    async def _run(self, name: str, command: list[str], environment: dict[str, str], seconds: float) -> None:
        loop = asyncio.get_running_loop()
        output = _Output(name)
        begin = loop.run_in_executor(self._threads, partial(_start, command, environment, output.write_end))
        try:
            process = await asyncio.shield(begin)
        except asyncio.CancelledError:
            # It cannot be taken back half way, and takes a few milliseconds.
            await asyncio.wait({begin})
            if begin.exception() is None:
                _signal_group(begin.result(), signal.SIGKILL)
            output.end()
            raise
        except OSError as error:
            log.error("%s: %s cannot be run: %s", name, command[0], error.strerror or error)
            output.end()
            return
        output.begin()
        ended = loop.run_in_executor(self._threads, process.wait)
        try:
            status = await self._wait(name, process, ended, seconds)
        finally:
            if process.returncode is None:
                _signal_group(process, signal.SIGKILL)
            output.end()
        if status > 0:
            log.warning("%s: %s ended with exit status %d", name, command[0], status)
        elif status < 0:
            log.warning("%s: %s was ended by signal %d", name, command[0], -status)

    async def _wait(
        self, name: str, process: subprocess.Popen[bytes], ended: asyncio.Future[int], seconds: float
    ) -> int:
        await asyncio.wait({ended}, timeout=seconds)
        if ended.done():
            return ended.result()
        log.warning("%s has not ended within %g s and is killed", name, round(seconds, 1))
        _signal_group(process, signal.SIGTERM)
        await asyncio.wait({ended}, timeout=MERCY_SECONDS)
        # The group and not the leader alone: what it has started may have taken SIGTERM for a suggestion.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        return await ended


class SessionHooks:
    """The hooks of a server: a Watcher.

    Args:
        hooks: what runs them.
        wins: the WINS servers clients are told of.
    """

    def __init__(self, hooks: Hooks, wins: tuple[IPv4Address, ...] = ()) -> None:
        self._hooks = hooks
        self._wins = wins
        self._up: dict[int, tuple[TunnelFacts, float]] = {}

    def session_up(self, entry: SessionEntry) -> None:
        """Run ip-up, unless it was already and nothing it is told has changed since."""
        facts = TunnelFacts(
            interface=entry.interface,
            local=entry.local,
            remote=entry.address,
            peer=entry.peer,
            user=entry.user,
            server=True,
            dns=entry.dns,
            wins=self._wins,
        )
        before, since = self._up.get(entry.call_id, (None, 0.0))
        if before == facts:
            return
        now = asyncio.get_running_loop().time()
        if before is not None:
            self._hooks.down(before, TunnelEnd(reason="the link was negotiated anew", seconds=now - since))
        self._up[entry.call_id] = facts, now
        self._hooks.up(facts)

    def session_down(self, end: SessionEnd) -> None:
        """Run ip-down."""
        facts, _ = self._up.pop(end.call_id, (None, 0.0))
        if facts is not None:
            self._hooks.down(
                facts,
                TunnelEnd(
                    reason=end.reason,
                    seconds=end.seconds,
                    octets_sent=end.octets_out,
                    octets_received=end.octets_in,
                ),
            )

    def connection_closed(self) -> None:
        """Nothing is run for control connections."""


def arguments_of(settings: HookSettings, facts: TunnelFacts) -> list[str]:
    """Return the six arguments."""
    ipparam = settings.ipparam
    if ipparam is None:
        # As pptpd gives it, unless noipparam stands in its file.
        ipparam = str(facts.peer) if facts.server else ""
    return [facts.interface, DEVICE, SPEED, str(facts.local), str(facts.remote), ipparam]


def environment_of(settings: HookSettings, facts: TunnelFacts, end: TunnelEnd | None) -> dict[str, str]:
    """Return the whole environment of a program."""
    variables = {
        "PATH": SEARCH_PATH,
        "IFNAME": facts.interface,
        "IPLOCAL": str(facts.local),
        "IPREMOTE": str(facts.remote),
        "DEVICE": DEVICE,
        "SPEED": SPEED,
        "PPPD_PID": str(os.getpid()),
        "ORIG_UID": str(os.getuid()),
        "PPPLOGNAME": _own_name(),
        "PYPPTP_PEER": str(facts.peer),
        "LINKNAME": settings.linkname,
    }
    for kind, servers in (("DNS", facts.dns), ("WINS", facts.wins)):
        variables |= {f"{kind}{number}": str(server) for number, server in enumerate(servers[:2], 1)}
    if facts.server:
        variables |= {"PEERNAME": facts.user, "CALLING_SID": str(facts.peer)}
    if facts.uses_dns and facts.dns:
        variables["USEPEERDNS"] = "1"
    if end is not None:
        variables |= {
            "CONNECT_TIME": f"{end.seconds:.0f}",
            "BYTES_SENT": str(end.octets_sent),
            "BYTES_RCVD": str(end.octets_received),
            "PYPPTP_REASON": end.reason,
        }
    return {name: _clean(value) for name, value in variables.items() if value}


@cache
def _own_name() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return ""


def _clean(text: str) -> str:
    """Leave out of a value what the system cannot pass on, and what could end a line of a file made of it."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _start(command: list[str], environment: dict[str, str], output: int) -> subprocess.Popen[bytes]:
    """Start a program; in a thread, since the kernel takes its time to make a process of one as large as ours.

    Our own descriptor of its output is closed in any case.
    """
    try:
        return subprocess.Popen(  # noqa: S603 - what the administrator has named
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            cwd="/",
            umask=0o077,
            start_new_session=True,
        )
    finally:
        os.close(output)


def _signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    """Send a signal to a program and to what it has started, as long as its number is its own."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)


class _Output:
    """What a program writes, line by line into the log.

    Attributes:
        write_end: the program's end of the pipe; whoever starts it closes ours of it.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._read_end, self.write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        self._pending = b""
        self._lines = 0

    def begin(self) -> None:
        """The program has its end: read."""
        asyncio.get_running_loop().add_reader(self._read_end, self._read)

    def end(self) -> None:
        """Say what is there, and close. Who still has the other end of the pipe writes to nobody from now on."""
        for _ in range(LAST_READS):
            if not self._read():
                break
        self._say(self._pending)
        asyncio.get_running_loop().remove_reader(self._read_end)
        os.close(self._read_end)

    def _read(self) -> bool:
        """Take what is there, and say whether there may be more at once."""
        try:
            data = os.read(self._read_end, 4096)
        except BlockingIOError:
            return False
        if not data:
            # The pipe would be ready for ever.
            asyncio.get_running_loop().remove_reader(self._read_end)
            return False
        *lines, self._pending = (self._pending + data).split(b"\n")
        for line in lines:
            self._say(line)
        if len(self._pending) > LINE_LENGTH:
            self._say(self._pending)
            self._pending = b""
        return True

    def _say(self, octets: bytes) -> None:
        line = _clean(octets.decode("utf-8", "backslashreplace").rstrip())[:LINE_LENGTH]
        if not line:
            return
        self._lines += 1
        if self._lines <= LINES:
            log.info("%s: %s", self._name, line)
        elif self._lines == LINES + 1:
            log.info("%s: it says more than %d lines; the rest is left out", self._name, LINES)


__all__ = ["HookSettings", "Hooks", "SessionHooks", "TunnelEnd", "TunnelFacts", "is_program"]
