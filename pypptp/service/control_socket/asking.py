"""The end that asks: blocking, for commands."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pypptp.errors import NetworkError, PptpError
from pypptp.service.control_socket.lines import LARGEST_ANSWER, build_request, parse_answer
from pypptp.service.control_socket.place import (
    connect,
    control_folder,
    is_name,
    names_in,
    opened_folder,
    process_behind,
)

PATIENCE: Final = 30.0
"""Seconds for an answer; a reload may have to read a long file from a slow disk."""

LOOK_SECONDS: Final = 2.0
"""For each instance, when all are looked for; one that is stopped in a debugger never answers."""

_PIECE: Final = 65_536


class NothingRuns(PptpError):
    """Nobody is there to be asked."""


class NotAllowed(PptpError):
    """This user may not ask."""


class Silent(PptpError):
    """Somebody is there, and gives no answer, or none that can be understood."""


class RequestRefused(PptpError):
    """The answer is that it cannot or will not be done; the sentence is the instance's own."""


@dataclass(frozen=True, slots=True)
class Instance:
    """A server or client that runs.

    Attributes:
        name: what it is called.
        kind: ``server`` or ``client``; empty where it does not answer.
        pid: its process.
    """

    name: str
    kind: str
    pid: int


def ask(instance: str, request: str, *, patience: float = PATIENCE, **arguments: Any) -> Mapping[str, Any]:
    """Ask a running instance and wait for the answer.

    Args:
        instance: its name.
        request: what to ask: ``status`` and others, see docs/control.md.
        patience: seconds to wait.
        **arguments: the request's other fields.

    Returns:
        The answer's fields.

    Raises:
        NothingRuns: there is no such instance.
        NotAllowed: it is somebody else's.
        Silent: it does not answer.
        RequestRefused: it cannot do what it was asked to.
        BadRequest: the request is too long.
    """
    deadline = time.monotonic() + patience
    line = build_request(request, arguments)
    with _connected(instance, patience) as connection:
        try:
            connection.sendall(line)
            answer = parse_answer(_receive_line(connection, deadline))
        except (TimeoutError, BlockingIOError):
            pid, _ = process_behind(connection)
            raise Silent(f"'{instance}' (process {pid}) does not answer; is it stopped, or busy?") from None
        except (OSError, ValueError) as error:
            raise Silent(f"'{instance}' gave no answer that this version understands: {error}") from None
    if not answer["ok"]:
        raise RequestRefused(str(answer.get("error") or "it was refused, without a reason"))
    return answer


def instances() -> list[Instance]:
    """List who runs, by name. Sockets that killed processes left behind are not listed.

    Raises:
        NotAllowed: the folder is somebody else's.
    """
    found = []
    try:
        with opened_folder(create=False) as folder:
            names = names_in(folder)
    except FileNotFoundError:
        return []
    except PermissionError as error:
        raise NotAllowed(_not_allowed()) from error
    except (OSError, NetworkError) as error:
        raise NotAllowed(f"cannot look for what runs: {error}") from error
    for name in names:
        try:
            answer = ask(name, "instance", patience=LOOK_SECONDS)
        except NothingRuns:
            continue
        except PptpError:
            pid = _process_of(name)
            if pid:
                found.append(Instance(name, "", pid))
            continue
        found.append(Instance(name, str(answer.get("kind", "")), int(answer.get("pid", 0))))
    return found


def _process_of(name: str) -> int:
    try:
        with _connected(name, LOOK_SECONDS) as connection:
            return process_behind(connection)[0]
    except PptpError:
        return 0


def _connected(instance: str, patience: float) -> socket.socket:
    try:
        if not is_name(instance):
            raise FileNotFoundError
        with opened_folder(create=False) as folder:
            return connect(folder, instance, patience)
    except (FileNotFoundError, ConnectionRefusedError):
        raise NothingRuns(nothing_runs(instance)) from None
    except PermissionError as error:
        raise NotAllowed(_not_allowed()) from error
    except (TimeoutError, BlockingIOError):
        raise Silent(f"'{instance}' does not answer; is it stopped, or busy?") from None
    except (OSError, NetworkError) as error:
        raise NotAllowed(f"cannot ask '{instance}': {error}") from error


def nothing_runs(instance: str = "", *, kind: str = "server") -> str:
    """Say that nobody is there, where was looked, and how to have somebody.

    Args:
        instance: the name that was asked for.
        kind: what was looked for where none was, ``server`` or ``server or client``.
    """
    try:
        where = f"nothing answers in {control_folder()}"
    except NetworkError as error:
        where = str(error)
    whose = "" if os.geteuid() == 0 else "; what root started is asked as root"
    if instance:
        return f"no '{instance}' is running here ({where}{whose}); 'pypptp status' shows what is"
    if "client" in kind:
        return f"no {kind} is running here ({where}{whose}); 'pypptp list' shows the connections that were set up"
    return (
        f"no {kind} is running here ({where}{whose}); start one with 'pypptp server --local 192.168.0.1', "
        "or see 'systemctl status pypptp'"
    )


def _not_allowed() -> str:
    return f"not allowed to look into {control_folder()}: run this as root, or as the user who started it"


def _receive_line(connection: socket.socket, deadline: float) -> bytes:
    pieces: list[bytes] = []
    octets = 0
    while not (pieces and pieces[-1].endswith(b"\n")):
        connection.settimeout(max(0.001, deadline - time.monotonic()))
        piece = connection.recv(_PIECE)
        octets += len(piece)
        if not piece:
            raise ValueError("it hung up")
        if octets > LARGEST_ANSWER:
            raise ValueError("it does not end")
        pieces.append(piece)
    return b"".join(pieces)
