"""The real client: pptp-linux with pppd, configured by pptpsetup."""

from __future__ import annotations

import shlex
import signal
import time
from pathlib import Path

from ..lab.guest import GuestError, Program
from ..lab.topology import Machine, Tunnel
from .settings import PASSWORD, TUNNEL_NAME, USER, Settings, pppd_options

AUTH_WORDS = {"mschapv2": "mschap-v2", "mschap": "mschap", "chap": "chap", "pap": "pap"}
FILTER = "ccp_filter.py"


class PptpLinux:
    """One pptp-linux with its pppd on a machine."""

    name = "pptp-linux"
    log_level = 1
    pptp_words: tuple[str, ...] = ()
    """Further words for pptp's command line."""

    def __init__(
        self,
        machine: Machine,
        server: str,
        settings: Settings,
        user: str = USER,
        password: str = PASSWORD,
        *,
        filtered: bool = False,
    ) -> None:
        self.machine = machine
        self.server = server
        self.settings = settings
        self.user = user
        self.password = password
        self.filtered = filtered
        self._pppd: Program | None = None

    @property
    def pppd(self) -> Program:
        """The pppd that runs the link; pptp is its child."""
        if self._pppd is None:
            raise GuestError("pppd was not started")
        return self._pppd

    def prepare(self) -> list[str]:
        """Let pptpsetup write the tunnel's files; pppd's command line, with the row's options."""
        argv = [
            "pptpsetup",
            "--create",
            TUNNEL_NAME,
            "--server",
            self.server,
            "--username",
            self.user,
            "--password",
            self.password,
        ]
        self.machine.run(argv).check()
        # pptpsetup writes chap-secrets only; PAP has its own file.
        self.machine.write("ppp/pap-secrets", f'"{self.user}" {TUNNEL_NAME} "{self.password}"\n', 0o600)
        refused = [f"refuse-{word}" for method, word in AUTH_WORDS.items() if method != self.settings.auth]
        options = [
            *pppd_options(self.settings),
            *refused,
            "refuse-eap",
            "nodetach",
            "maxfail 1",
            f"logfile {self.machine.path('pppd.log')}",
        ]
        if self.settings.dns:
            options.append("usepeerdns")
        command = f"/usr/sbin/pptp {self.server} --nolaunchpppd --loglevel {self.log_level}"
        command = " ".join([command, *self.pptp_words])
        if self.filtered:
            self.machine.write(FILTER, Path(__file__).with_name(FILTER).read_bytes())
            command = f"python3 {self.machine.path(FILTER)} {self.machine.path('filter.log')} {command}"
        options.append(f"pty '{command}'")
        words = [word for option in options for word in shlex.split(option)]
        return ["pppd", "call", TUNNEL_NAME, *words]

    def start(self) -> None:
        """Write the files, start pppd."""
        self._pppd = self.machine.start(self.prepare(), "pppd.out")

    def await_up(self, limit: float = 20.0) -> Tunnel | None:
        """The tunnel once it has addresses, or None when pppd ended or `limit` seconds went by."""
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            tunnels = self.machine.tunnels()
            if tunnels:
                return tunnels[0]
            if self.pppd.wait(0.05) is not None:
                return None
        return None

    def disconnect(self) -> int | None:
        """End the connection as a user would (`poff`: SIGTERM to pppd); pppd's exit code."""
        return self.pppd.end()

    def kill_link(self) -> None:
        """Kill pppd alone; pptp and its call manager live on."""
        self.pppd.kill(signal.SIGKILL)
        self.pppd.wait(5)

    def kill(self) -> None:
        """pppd and pptp die at once, without a word."""
        self.machine.guest.kill(self.machine.processes())
        self.pppd.wait(5)

    def await_end(self, limit: float) -> int | None:
        """pppd's exit code once it has ended by itself, None when it has not."""
        return self.pppd.wait(limit)

    def tidy(self) -> None:
        """Remove pptp's host route to the server and pppd's files, which they leave (pid files only after SIGKILL)."""
        self.machine.run(["ip", "route", "del", f"{self.server}/32"])
        self.machine.shell("rm -rf /run/pppd2.tdb /run/ppp*.pid /run/pptp/* /etc/ppp/resolv.conf; : > /etc/resolv.conf")

    def name_servers(self) -> list[str]:
        """What the server gave as name servers."""
        text = self.machine.run(["cat", "/etc/ppp/resolv.conf"]).out
        return [line.split()[1] for line in text.splitlines() if line.startswith("nameserver")]

    def logs(self) -> dict[str, str]:
        """Name and text of its logs."""
        return self.machine.texts(("ppp/peers/" + TUNNEL_NAME, "pppd.out", "pppd.log", "syslog", "filter.log"))
