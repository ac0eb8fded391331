"""No object that holds a password shows it: in ``repr``, and so in a log line, an assertion or a debugger's list."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
import re
import traceback
from collections.abc import Iterator
from types import ModuleType

import pytest

import pypptp
import pypptp_cli
from pypptp.auth.account import Account, new_account
from pypptp.auth.chap_secrets import parse_chap_secrets
from pypptp.errors import PptpError
from pypptp.ppp.auth import Secret
from pypptp.service.credentials import Credentials

WORD = "wonderland-of-alice"
SECRETIVE = re.compile(r"(^|_)(password|nt_hash|lm_hash|passphrase|credentials?)$|^secret$")
# What is called so and is none: file names, flags, and objects that hide what they hold themselves.
HARMLESS = ("Path", "bool", "Secret", "Credentials", "ReadFile", "Word")


def modules() -> Iterator[ModuleType]:
    for package in (pypptp, pypptp_cli):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if found.name.endswith("__main__") or found.name.startswith("pypptp.testing"):
                continue
            yield importlib.import_module(found.name)


def test_fields_that_hold_a_password_are_left_out() -> None:
    shown, seen = [], 0
    for module in modules():
        for name, kind in inspect.getmembers(module, inspect.isclass):
            if kind.__module__ != module.__name__ or not dataclasses.is_dataclass(kind):
                continue
            if not hasattr(vars(kind).get("__repr__"), "__wrapped__"):
                continue  # not the one dataclass makes
            for field in dataclasses.fields(kind):
                harmless = any(word in str(field.type) for word in HARMLESS)
                if SECRETIVE.search(field.name) and not harmless:
                    seen += 1
                    if field.repr:
                        shown.append(f"{module.__name__}.{name}.{field.name}")
    assert shown == []
    assert seen >= 6


@pytest.mark.parametrize(
    "holder",
    [
        Secret(WORD),
        Secret(nt_hash=WORD.encode()[:16]),
        Account("alice", WORD),
        Account("alice", nt_hash=WORD.encode()[:16]),
        Credentials("alice", WORD),
        parse_chap_secrets(f"alice * {WORD} *\n".encode()),
        parse_chap_secrets(f"alice * {WORD} *\n".encode()).entries,
    ],
    ids=lambda holder: type(holder).__name__,
)
def test_nothing_of_it_is_shown(holder: object) -> None:
    for text in (repr(holder), str(holder), f"{holder}", repr([holder]), repr({"a": holder})):
        assert WORD[:8] not in text


def test_a_made_up_password_is_not_shown_either() -> None:
    account = new_account(lambda count: bytes(range(count)))
    assert account.password is not None
    assert account.password not in repr(account)


@pytest.mark.parametrize(
    "line",
    [
        f"alice * {WORD}",
        f"alice * {WORD} nowhere",
        f"alice * {WORD} 10.0.0.0/0",
        f'alice * "{WORD}',
        f"alice * nt:{WORD} *",
        f"alice {WORD}",
        f"alice * my {WORD} *",
        f"alice * {WORD} * -- pool",
    ],
)
def test_a_line_that_is_wrong_is_named_by_number(line: str) -> None:
    try:
        said = "\n".join(parse_chap_secrets(line.encode(), "chap-secrets").warnings)
    except PptpError as error:
        said = "".join(traceback.format_exception(error))
    # The code's own lines are in a traceback, values are not.
    assert WORD not in said
