"""The process that keeps its rights (pypptp.service.privileges): ``python -m pypptp.service.edge_process CHANNEL``."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sys
from pathlib import Path
from typing import Any

from pypptp.auth.chap_secrets import read_chap_secrets
from pypptp.errors import PptpError
from pypptp.net.journal import Journal
from pypptp.net.linux import LinuxEdge
from pypptp.net.remote import Allowed, Channel, Host, SecretText
from pypptp.net.remote.channel import BadMessage, ChannelClosed
from pypptp.service.control_socket.place import remove_dead
from pypptp.service.run import set_up_logging
from pypptp.service.secrecy import guard_memory
from pypptp.service.settings import EVERY_ADDRESS, ServerSettings, make_settings

log = logging.getLogger("pypptp")


class Secrets:
    """The secrets file, for a process that may not read it.

    Args:
        settings: name the file, and say how it is read.
        allowed: is told of the addresses that users have by name.
    """

    def __init__(self, settings: ServerSettings, allowed: Allowed) -> None:
        self._settings = settings
        self._allowed = allowed

    def read(self) -> tuple[SecretText, ...]:
        """Read it and the files it names behind ``@``. Raises ConfigurationError."""
        path = self._settings.secrets
        if path is None:
            return ()
        found: dict[str, SecretText] = {}

        def read_file(named: Path) -> tuple[bytes, list[str]]:
            data, warnings = self._settings.read_secrets(named)
            found[str(named)] = SecretText(str(named), data.decode("latin-1"), tuple(warnings))
            return data, warnings

        secrets = read_chap_secrets(path, read_file=read_file)
        # Those of users who are gone stay: their sessions do, too.
        self._allowed.peers |= secrets.fixed_addresses
        return tuple(found.values())


def allowed_by(settings: ServerSettings) -> Allowed:
    """Return what a server with these settings needs."""
    return Allowed(
        tunnels=settings.ifname or "ppp%d",
        local=settings.local,
        listen=None if settings.listen == EVERY_ADDRESS else settings.listen,
        peers=set(settings.address_pool().addresses),
        nat=settings.nat,
        isolate=settings.isolate,
        proxy_arp=settings.proxy_arp,
    )


def main(arguments: list[str]) -> int:
    """Hold the network for the process at the other end of the channel, until that is gone. Returns the exit status."""
    guard_memory()
    end = socket.socket(fileno=int(arguments[0]))
    end.set_inheritable(False)
    channel = Channel(end)
    try:
        message, _ = channel.receive()
        settings = make_settings(ServerSettings, message["settings"])
        set_up_logging(settings.log_level)
        allowed = allowed_by(settings)
        secrets = Secrets(settings, allowed)
        secrets.read()
    except (ChannelClosed, BadMessage, KeyError):
        return 1
    except PptpError as error:
        with contextlib.suppress(ChannelClosed):
            channel.send({"wrong": str(error)})
        return 1
    host = Host(
        end,
        LinuxEdge(Journal(settings.instance or "server")),
        allowed,
        make_edge=LinuxEdge,
        read_secrets=secrets.read,
    )
    with contextlib.suppress(ChannelClosed):
        channel.send({"ready": True})
    host.serve()
    _tidy(message)
    return 0


def _tidy(message: dict[str, Any]) -> None:
    name = message.get("socket")
    if isinstance(name, str) and name and os.geteuid() == 0:
        remove_dead(name)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except PptpError as error:
        log.error("%s", error)
        sys.exit(1)
