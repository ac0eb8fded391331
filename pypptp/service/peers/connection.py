"""A connection that has a name, whatever kind of file it stands in."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pypptp.auth.account import Account
from pypptp.errors import ConfigurationError
from pypptp.service.credentials import Credentials
from pypptp.service.findings import Finding, Level
from pypptp.service.legacy import Legacy
from pypptp.service.peers.words import REFUSALS

Source = Literal["pppd", "NetworkManager"]

NOTHING_ASKED = (
    "no word asks for encryption, and so the server may leave it out, as with pppd; "
    "require-mppe-128 in the file or --mppe require has it always"
)
"""What to say of a file that leaves encryption to the server. pppd would not even offer it then."""


@dataclass(slots=True)
class Connection:
    """A connection of a file.

    Attributes:
        name: what it is called by.
        path: its file.
        source: whose file that is.
        read: what the file says, in ``ClientSettings``' fields, and what there is to say about it. No secret in it.
        find: from a user's name to what proves it. Raises ConfigurationError where nothing does.
    """

    name: str
    path: Path
    source: Source
    read: Legacy
    find: Callable[[str], Account | None] = field(repr=False)

    @property
    def server(self) -> str:
        """Host name or address."""
        server = self.read.values["server"]
        assert isinstance(server, str)
        return server

    @property
    def user(self) -> str:
        """The name it logs in with; empty where the file has none."""
        return str(self.read.values.get("user", ""))

    @property
    def findings(self) -> list[Finding]:
        """What there is to say about the file, and those it names."""
        return self.read.findings

    def credentials(self, user: str) -> Credentials | None:
        """Return the name with what proves it, or None where the files have nothing and somebody must be asked.

        Raises:
            ConfigurationError: a file of secrets cannot be read, or does not say which of two is meant.
        """
        account = self.find(user)
        if account is None:
            return None
        return Credentials(user, account.password or "", nt_hash=account.nt_hash)


def set_methods(read: Legacy, refused: Iterable[str], origin: str) -> None:
    """Set ``auth`` from the ways of logging in that a file does without.

    pppd takes any other that the server asks for. Here it is MS-CHAPv2 alone where that is not refused: one that is
    weaker would do for who sits between.

    Args:
        read: what is known of the file.
        refused: values of ``REFUSALS``.
        origin: where the refusals stand.

    Raises:
        ConfigurationError: every one is refused.
    """
    without = set(refused)
    left = [method for method in REFUSALS.values() if method not in without]
    if not left:
        raise ConfigurationError(f"{origin}: every way of logging in is refused")
    if left[0] != "mschap-v2":
        read.set("auth", ",".join(left), origin, origin)
        return
    read.set("auth", "mschap-v2", origin or "what pppd likes best", origin)
    if left[1:]:
        words = ",".join(left)
        message = f"only mschap-v2 is used to log in; --auth {words} for a server that has nothing better"
        read.say(read.files[-1], 0, Level.INFO, message)


def chosen_password(secret: str, where: str) -> Account:
    """Return the account of a password that stands in a file by itself."""
    if not secret:
        raise ConfigurationError(f"{where}: the password is empty")
    return Account("", secret, source=where)
