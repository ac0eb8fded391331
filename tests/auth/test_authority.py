from __future__ import annotations

import asyncio

from pypptp.auth.account import Account
from pypptp.auth.authority import AccountAuthority, Authority, SecretsAuthority
from pypptp.auth.chap_secrets import parse_chap_secrets


def ask(authority: Authority, name: str, server: str = "pptpd") -> Account | None:
    return asyncio.run(authority.account(name, server))


def test_secrets_authority_answers_from_the_file_in_force() -> None:
    authority = SecretsAuthority(parse_chap_secrets(b"alice pptpd one *"))
    assert ask(authority, "alice") == Account("alice", "one", source="chap-secrets:1")
    assert ask(authority, "alice", "other") is None
    authority.replace(parse_chap_secrets(b"alice pptpd two *"))
    account = ask(authority, "alice")
    assert account is not None
    assert account.password == "two"


def test_account_authority_knows_one_user() -> None:
    authority = AccountAuthority(Account("pypptp", "secret"))
    assert ask(authority, "pypptp", "any") == Account("pypptp", "secret")
    assert ask(authority, "HOME\\pypptp") == Account("HOME\\pypptp", "secret", identity="pypptp")
    assert ask(authority, "root") is None
    assert ask(authority, "") is None
