"""Asking a running server or client, and telling it what to do: one Unix socket for each of them.

    /run/pypptp/control/NAME.sock     mode 0600 in a folder of mode 0700, the name is that of ``--instance``

A request is one line, a JSON object: ``{"request": "status"}``. So is the answer: ``{"schema": 1, "ok": true, ...}``
or ``{"schema": 1, "ok": false, "error": "a sentence"}``. docs/control.md describes what they say.
"""

from pypptp.service.control_socket.asking import (
    Instance,
    NotAllowed,
    NothingRuns,
    RequestRefused,
    Silent,
    ask,
    instances,
)
from pypptp.service.control_socket.lines import SCHEMA, BadRequest, Handler
from pypptp.service.control_socket.listener import ControlSocket
from pypptp.service.control_socket.place import control_folder, name_from, remove_all_dead

__all__ = [
    "SCHEMA",
    "BadRequest",
    "ControlSocket",
    "Handler",
    "Instance",
    "NotAllowed",
    "NothingRuns",
    "RequestRefused",
    "Silent",
    "ask",
    "control_folder",
    "instances",
    "name_from",
    "remove_all_dead",
]
