"""Connections made and deleted as pptpsetup does it: a peers file, and a line of chap-secrets.

The files are pptpsetup's octet for octet, so that pppd and ``pptpsetup --delete`` go on with them. Where pptpsetup
writes what pppd reads as something else (a backslash, a quote), it is written so that pppd reads what was meant. And
where pptpsetup deletes every line that has the connection's name in it as a word, here only the connection's own goes.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pypptp.auth.secrets_editor import add_tunnel, edit_file, remove_tunnel
from pypptp.auth.words import quote_word
from pypptp.errors import ConfigurationError
from pypptp.service.kinds import HostName, Text, shown
from pypptp.service.legacy import is_there, read_bounded
from pypptp.service.peers.peer_file import WRITTEN_BY_PPTPSETUP, interpret_peer

FOLDER = Path("/etc/ppp")

PEER_MODE = 0o640
"""pptpsetup's: nothing secret is in the file, and the group of /etc/ppp/peers may call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewConnection:
    """What ``pptpsetup --create`` is told.

    Attributes:
        name: what the connection is to be called by: letters, digits, ``_``, and inside ``-`` and ``.``.
        server: host name or address.
        username: who logs in.
        domain: stands before the user's name with a backslash, or "".
        encrypt: require MPPE with 128 bits.

    Raises:
        ConfigurationError: one that no file could hold.
    """

    name: str
    server: str
    username: str
    domain: str = ""
    encrypt: bool = False

    def __post_init__(self) -> None:
        check_name(self.name)
        for option, kind, value in (
            ("--server", HostName(), self.server),
            ("--username", Text(), self.username),
            *((("--domain", Text(), self.domain),) if self.domain else ()),
        ):
            try:
                kind.check(value)
            except ValueError as error:
                raise ConfigurationError(f"{option}: {error}") from None

    @property
    def client(self) -> str:
        """The name that logs in."""
        return f"{self.domain}\\{self.username}" if self.domain else self.username

    @property
    def peer_file(self) -> bytes:
        """The content of the peers file."""
        lines = [
            f'pty "/usr/sbin/pptp {self.server} --nolaunchpppd"',
            "lock",
            "noauth",
            "nobsdcomp",
            "nodeflate",
            f"name {quote_word(self.client)}",
            f"remotename {self.name}",
            f"ipparam {self.name}",
            *(("require-mppe-128",) if self.encrypt else ()),
        ]
        return WRITTEN_BY_PPTPSETUP + "".join(f"{line}\n" for line in lines).encode()


def check_name(name: str) -> None:
    """See that a connection can have this name. Raises ConfigurationError."""
    if re.fullmatch(r"\w([\w.-]*\w)?", name, re.ASCII) is None or len(name) > 64:
        raise ConfigurationError(
            f"{shown(name)} is no name for a connection: letters, digits and _ (and inside also - and .) make one"
        )


def create(connection: NewConnection, password: str, folder: Path = FOLDER) -> list[str]:
    """Write the files of a connection; one that pptpsetup wrote before is replaced.

    Args:
        connection: what they say.
        password: the user's.
        folder: in place of /etc/ppp; made where it is missing, as a machine without pppd has none.

    Returns:
        What was done, in sentences.

    Raises:
        ConfigurationError: a file cannot be written, or somebody's own peers file has that name already; nothing is
            changed then.
    """
    peer, secrets = folder / "peers" / connection.name, folder / "chap-secrets"
    before = _client_in(peer)
    if is_there(peer) and not read_bounded(peer).startswith(WRITTEN_BY_PPTPSETUP):
        raise ConfigurationError(
            f"{peer} is there already and was not written by pptpsetup; choose another name, or delete it first: "
            f"pypptp setup --delete {connection.name}"
        )
    replaced = is_there(peer)
    added = add_tunnel(connection.name, connection.client, password, former=before, source=str(secrets))
    with _replacing(peer, connection.peer_file):
        edit_file(secrets, added, create=True)
    return [f"{peer} {'replaced' if replaced else 'written'}", f"line for {shown(connection.client)} in {secrets}"]


def delete(name: str, folder: Path = FOLDER) -> list[str]:
    """Delete the peers file of a connection, and its line of chap-secrets.

    Returns:
        What was done, in sentences.

    Raises:
        ConfigurationError: there is no such connection, or a file cannot be changed.
    """
    check_name(name)
    peer, secrets = folder / "peers" / name, folder / "chap-secrets"
    if not is_there(peer):
        raise ConfigurationError(f"there is no connection {shown(name)} in {peer.parent}")
    client = _client_in(peer)
    done = []
    if is_there(secrets):
        before = read_bounded(secrets)
        edit_file(secrets, remove_tunnel(name, client, source=str(secrets)))
        if read_bounded(secrets) != before:
            done.append(f"its line taken out of {secrets}")
    try:
        peer.unlink()
    except OSError as error:
        raise ConfigurationError(f"{peer} cannot be deleted: {error.strerror}") from None
    return [f"{peer} deleted", *done]


def _client_in(peer: Path) -> str | None:
    """Return who logs in by a peers file that is there, as pppd reads it; None where that cannot be told."""
    if not is_there(peer):
        return None
    try:
        return interpret_peer(read_bounded(peer), str(peer), read_file=read_bounded, folder=peer.parent).client
    except ConfigurationError:
        return None


@contextmanager
def _replacing(path: Path, data: bytes) -> Iterator[None]:
    """Write a file beside ``path``, and give it that name once the block is done; or leave all as it was."""
    try:
        path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(descriptor, PEER_MODE)
            os.fsync(descriptor)
        yield
        Path(name).replace(path)
    except BaseException as error:
        Path(name).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise ConfigurationError(f"{path} cannot be written: {error.strerror}") from None
        raise
