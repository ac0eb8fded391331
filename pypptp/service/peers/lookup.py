"""Where connections are, and which one a name means."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pypptp.errors import ConfigurationError
from pypptp.service.kinds import did_you_mean, shown
from pypptp.service.legacy import SYSTEM_OPTIONS, SYSTEM_SECRETS, is_there, read_bounded
from pypptp.service.peers.connection import Connection
from pypptp.service.peers.network_manager import connection_of, keyfiles, read_keyfile
from pypptp.service.peers.peer_file import names_pptp, read_peer


@dataclass(frozen=True, slots=True)
class Places:
    """Where files are.

    Attributes:
        peers: pppd's peers files; the file's name is the connection's.
        system_options: what pppd reads before any of them, or None.
        secrets: the passwords of those in ``peers``.
        network_manager: folders with NetworkManager's keyfiles; the id in a file is the connection's name.
        host_name: the host's name, None to ask for it.
    """

    peers: Path = Path("/etc/ppp/peers")
    system_options: Path | None = SYSTEM_OPTIONS
    secrets: Path = SYSTEM_SECRETS
    network_manager: tuple[Path, ...] = (
        Path("/etc/NetworkManager/system-connections"),
        Path("/run/NetworkManager/system-connections"),
    )
    host_name: str | None = None

    def read_peer(self, name: str) -> Connection:
        """Read the peers file of that name. Raises ConfigurationError."""
        return read_peer(
            name,
            self.peers / name,
            system_options=self.system_options,
            secrets=self.secrets,
            scripts=self.secrets.parent,
            host_name=self.host_name,
        )


SYSTEM = Places()


def find_connection(name: str, places: Places = SYSTEM) -> Connection:
    """Read the connection of a name: a peers file's, else the id of a connection of NetworkManager's.

    Raises:
        ConfigurationError: there is none, or its file is not as it should be.
    """
    # As pppd's call does: a file in a folder below is fine, one beside or above is not.
    if not name or name.startswith("/") or ".." in Path(name).parts or "\0" in name:
        raise ConfigurationError(f"{shown(name)} is not the name of a connection")
    if is_there(places.peers / name):
        return places.read_peer(name)
    known = [path.name for path in _peer_files(places)]
    for path in keyfiles(places.network_manager):
        try:
            keyfile = read_keyfile(path)
        except ConfigurationError:
            if path.name.removesuffix(".nmconnection") == name:
                raise
            continue
        if keyfile is not None and keyfile.name == name:
            return connection_of(keyfile)
        if keyfile is not None:
            known.append(keyfile.name)
    raise ConfigurationError(
        f"there is no connection {shown(name)}, neither {places.peers / name} nor one of NetworkManager's; "
        f"'pypptp list' shows those there are, 'pypptp setup --create' makes one{did_you_mean(name, tuple(known))}"
    )


def all_connections(places: Places = SYSTEM) -> tuple[list[Connection], list[str]]:
    """Read every connection that is for PPTP.

    Returns:
        The connections by name, and for each file or folder that cannot be read a sentence.
    """
    connections: dict[str, Connection] = {}
    troubles: list[str] = []

    def peer(path: Path) -> Connection | None:
        return places.read_peer(path.name) if names_pptp(read_bounded(path)) else None

    def keyfile(path: Path) -> Connection | None:
        found = read_keyfile(path)
        return None if found is None else connection_of(found)

    for paths, read in ((_peer_files(places), peer), (keyfiles(places.network_manager), keyfile)):
        try:
            for path in paths:
                try:
                    connection = read(path)
                except ConfigurationError as error:
                    troubles.append(str(error))
                    continue
                if connection is not None:
                    connections.setdefault(connection.name, connection)
        except ConfigurationError as error:
            troubles.append(str(error))
    return [connections[name] for name in sorted(connections)], troubles


def _peer_files(places: Places) -> Iterator[Path]:
    try:
        found = sorted(places.peers.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise ConfigurationError(f"{places.peers} cannot be read: {error.strerror}") from None
    yield from (path for path in found if path.is_file() and not path.name.startswith(".") and path.name[-1] != "~")
