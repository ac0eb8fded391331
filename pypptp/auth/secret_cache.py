"""What accounts are checked with, kept, so that a user's hashes are worked out once and not at every log-in."""

from __future__ import annotations

from pypptp.auth.account import Account
from pypptp.ppp.auth import Secret

MAXIMUM_SECRETS = 4096
"""Secrets kept; the one that was not wanted for longest goes first."""


class SecretCache:
    """A Secret for each password or NT hash an account names.

    Found by what proves the user, not by the user's name: a password that was changed makes a new one.
    """

    __slots__ = ("_maximum", "_secrets")

    def __init__(self, maximum: int = MAXIMUM_SECRETS) -> None:
        self._maximum = maximum
        self._secrets: dict[tuple[str | None, bytes | None], Secret] = {}

    def __len__(self) -> int:
        """Secrets kept."""
        return len(self._secrets)

    def secret(self, account: Account) -> Secret:
        """Return the account's secret, the same object as last time."""
        key = account.password, account.nt_hash
        secret = self._secrets.pop(key, None)
        if secret is None:
            secret = Secret(account.password, nt_hash=account.nt_hash)
            if len(self._secrets) >= self._maximum:
                del self._secrets[next(iter(self._secrets))]
        self._secrets[key] = secret
        return secret
