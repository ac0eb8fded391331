"""What a shell can complete behind an option or a command: words, files, interfaces, users, names of tunnels.

It runs while somebody types: it asks nobody but servers on this machine, takes no lock, and says nothing where there is
nothing to say.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from pypptp.errors import ConfigurationError, PptpError
from pypptp.service.kinds import File, Interface, Kind, ListOf

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]
"""What click calls with the word as far as it is typed."""

PEERS = Path("/etc/ppp/peers")
SECRETS = Path("/etc/ppp/chap-secrets")
INTERFACES = Path("/sys/class/net")


def completer_of(kind: Kind[Any]) -> Complete | None:
    """Return what completes values of a kind; None where there is nothing to choose from."""
    inner = kind.item if isinstance(kind, ListOf) else kind
    if isinstance(inner, File):
        return complete_files
    if isinstance(inner, Interface):
        words = (*kind.choices, *getattr(inner, "words", ()))
        return lambda _context, _parameter, typed: _matching([*words, *_names(INTERFACES)], typed)
    if kind.choices:
        separated = isinstance(kind, ListOf)
        return lambda _context, _parameter, typed: _matching(kind.choices, typed, separated=separated)
    return None


def complete_files(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Leave it to the shell, which knows files better."""
    return [CompletionItem(typed, type="file")]


def complete_users(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Complete the name of a user in the secrets file that the command names, if it may be read."""
    from pypptp.auth.chap_secrets import read_chap_secrets

    try:
        entries = read_chap_secrets(Path(context.params.get("path") or SECRETS)).entries
    except ConfigurationError:
        return []
    return _matching(sorted({entry.client for entry in entries if entry.client != "*"}), typed)


def complete_connected(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Complete the name of a user who is connected to a server here, and ``all``."""
    from pypptp.service.control_socket import ask, instances

    users = {"all"}
    try:
        for server in instances():
            if server.kind == "server":
                users |= {session["user"] for session in ask(server.name, "sessions", patience=1.0)["sessions"]}
    except PptpError:
        pass
    return _matching(sorted(users), typed)


def complete_peers(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Complete the name of a tunnel: a file in /etc/ppp/peers."""
    return _matching(_names(PEERS), typed)


def _names(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    except OSError:
        return []


def _matching(words: list[str] | tuple[str, ...], typed: str, *, separated: bool = False) -> list[CompletionItem]:
    """Return the words that begin as typed; of a list with commas, those that can follow the last one."""
    before, comma, last = typed.rpartition(",") if separated else ("", "", typed)
    chosen = before.split(",") if comma else []
    return [CompletionItem(before + comma + word) for word in words if word.startswith(last) and word not in chosen]
