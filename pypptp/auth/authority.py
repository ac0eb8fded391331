"""Who decides whether a name may log in."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from pypptp.auth.account import Account
from pypptp.auth.chap_secrets import Secrets


class Authority(Protocol):
    """Anything that knows users. Asynchronous, since some of them (RADIUS, a directory) sit behind a network."""

    async def account(self, name: str, server_name: str) -> Account | None:
        """Find the user ``name`` (as the peer gave it) of the server called ``server_name``; None: no such user."""
        ...


class SecretsAuthority:
    """Users from a chap-secrets file. ``replace`` puts a newly read one in its place; sessions do not notice."""

    __slots__ = ("_secrets",)

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets

    @property
    def secrets(self) -> Secrets:
        """What is in force."""
        return self._secrets

    def replace(self, secrets: Secrets) -> None:
        """Answer from ``secrets`` from now on."""
        self._secrets = secrets

    async def account(self, name: str, server_name: str) -> Account | None:
        """Look the user up; see ``Secrets.lookup``."""
        return self._secrets.lookup(name, server_name)


class AccountAuthority:
    """One user, for a server that was given no file: the account it made for itself at start."""

    __slots__ = ("_account",)

    def __init__(self, account: Account) -> None:
        self._account = account

    async def account(self, name: str, server_name: str) -> Account | None:
        """Return the one account if the name is its user's, with or without a Windows domain before it."""
        known = self._account
        if known.user not in (name, name.rpartition("\\")[2]):
            return None
        return replace(known, user=name, identity=known.user)
