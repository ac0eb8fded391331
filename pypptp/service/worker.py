"""A worker process of ``pypptp server --workers N``: ``python -m pypptp.service.worker CHANNEL GRE [EDGE]``.

A fresh interpreter and not a fork: the parent has threads and an event loop by the time a worker is started again, and
what they hold must not be copied. It is given three descriptors, stderr among them, a fourth with ``--run-as``, and
everything else by its parent in messages.
"""

from __future__ import annotations

import logging
import socket
import sys

from pypptp.aio.workers import Worker, receive_begin
from pypptp.errors import PptpError
from pypptp.net.journal import Journal
from pypptp.net.linux import LinuxEdge
from pypptp.net.remote import remote_edge
from pypptp.service.core_config import server_config
from pypptp.service.run import run_loop, set_up_logging
from pypptp.service.secrecy import guard_memory
from pypptp.service.settings import ServerSettings, make_settings

log = logging.getLogger("pypptp")


def main(arguments: list[str]) -> int:
    """Serve until the parent says that it is over. Returns the exit status."""
    guard_memory()
    end, gre, *channel = (socket.socket(fileno=int(argument)) for argument in arguments)
    for inherited in (end, gre, *channel):
        inherited.set_inheritable(False)
    with end, gre:
        begin = receive_begin(end)
        settings = make_settings(ServerSettings, dict(begin.settings))
        set_up_logging(settings.log_level)
        edge = remote_edge(channel[0])[0] if channel else _own_edge(settings, begin.index)
        worker = Worker(server_config(settings), begin, end=end, gre=gre, edge=edge)
        run_loop(worker.run())
    return 0


def _own_edge(settings: ServerSettings, index: int) -> LinuxEdge:
    """Make the edge of a worker that has the rights itself.

    Proxy ARP is the one thing it does that outlives it, and so the one thing to be journaled. What a worker that was
    killed left behind goes at once, and not with the server's next start.
    """
    if not settings.proxy_arp:
        return LinuxEdge()
    edge = LinuxEdge(Journal(f"{settings.instance or settings.command}, worker {index + 1}"))
    for change in edge.recover().taken_back:
        log.info("took back what was left behind: %s", change)
    return edge


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except PptpError as error:
        log.error("%s", error)
        sys.exit(1)
