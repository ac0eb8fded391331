"""The real server: pptpd with its pptpctrl and pppd, as Debian ships them."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Mapping

from ..lab.guest import GuestError, Program
from ..lab.topology import Machine
from .settings import INNER_SERVER, NAME_SERVERS, PASSWORD, POOL_FIRST, USER, Settings, pool_last, pppd_options

AUTH_OPTIONS = {
    "mschapv2": ["refuse-pap", "refuse-chap", "refuse-mschap", "require-mschap-v2"],
    "mschap": ["refuse-pap", "refuse-chap", "refuse-mschap-v2", "require-mschap"],
    "chap": ["refuse-pap", "refuse-mschap", "refuse-mschap-v2", "require-chap"],
    "pap": ["refuse-chap", "refuse-mschap", "refuse-mschap-v2", "require-pap"],
}


PPPD = r"/usr/sbin/pppd "
PPTPCTRL = r"pptpd \["
"""pptpctrl calls itself `pptpd [10.77.0.11:EE35 - 0080]`."""


class Pptpd:
    """One pptpd on a machine."""

    name = "pptpd"

    def __init__(self, machine: Machine, settings: Settings, users: Mapping[str, str] | None = None) -> None:
        self.machine = machine
        self.settings = settings
        self.users = dict(users or {USER: PASSWORD})
        self._daemon: Program | None = None

    def start(self) -> None:
        """Write its files, start it, wait until it listens."""
        options = [*pppd_options(self.settings), *AUTH_OPTIONS[self.settings.auth], "name pptpd", "auth", "nologfd"]
        options.append(f"logfile {self.machine.path('pppd.log')}")
        if self.settings.dns:
            options += [f"ms-dns {address}" for address in NAME_SERVERS]
        options_file = self.machine.write("pptpd-options", "\n".join(options) + "\n")
        last = pool_last(self.settings.pool).rpartition(".")[2]
        configuration = self.machine.write(
            "pptpd.conf",
            f"option {options_file}\nlocalip {INNER_SERVER}\n"
            f"remoteip {POOL_FIRST}{'' if self.settings.pool == 1 else '-' + last}\nconnections {self.settings.pool}\n",
        )
        secrets = "".join(f'"{user}" * "{password}" *\n' for user, password in self.users.items())
        self.machine.write("ppp/chap-secrets", secrets, 0o600)
        self.machine.write("ppp/pap-secrets", secrets, 0o600)
        self._daemon = self.machine.start(["pptpd", "--fg", "--conf", configuration], "pptpd.out")
        self._await_listening()

    def _await_listening(self) -> None:
        deadline = time.monotonic() + 10
        while not self.machine.listens():
            if time.monotonic() > deadline or self.daemon.wait(0.05) is not None:
                raise GuestError(f"pptpd did not listen: {self.daemon.output()}")

    @property
    def daemon(self) -> Program:
        """The listening program."""
        if self._daemon is None:
            raise GuestError("pptpd was not started")
        return self._daemon

    def workers(self, pattern: str) -> list[int]:
        """The pids of the processes whose command line begins with `pattern`."""
        return sorted(pid for pid, line in self.machine.processes().items() if re.match(pattern, line))

    def end_call(self) -> None:
        """End every call as an administrator would: SIGTERM to the call's pptpctrl."""
        self.machine.guest.kill(self.workers(PPTPCTRL), signal.SIGTERM)

    def kill_call(self) -> None:
        """Kill every call's pppd outright."""
        self.machine.guest.kill(self.workers(PPPD))

    def kill(self) -> None:
        """Everything of the server dies at once, without a word."""
        self.machine.guest.kill(self.machine.processes())
        self.daemon.wait(5)

    def stop(self) -> None:
        """End calls and daemon."""
        self.end_call()
        self.daemon.end()

    def tidy(self) -> None:
        """Remove pppd's database of links and pptpd's pid file, which both leave (and pppd's own after SIGKILL)."""
        self.machine.shell("rm -f /run/pppd2.tdb /run/pptpd.pid /run/ppp*.pid")

    def logs(self) -> dict[str, str]:
        """Name and text of its logs."""
        return self.machine.texts(("pptpd.conf", "pptpd-options", "pptpd.out", "syslog", "pppd.log"))
