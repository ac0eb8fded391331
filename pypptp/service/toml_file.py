"""The settings file: TOML with the options' names as keys.

A file for one command has its keys at the top. One for both has tables ``[server]`` and ``[client]``; keys above them
are for every command, and a table's key wins over the one above. ``lcp-echo-interval`` and ``lcp_echo_interval`` are
the same key.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pypptp.auth.secret_file import read_secret_file
from pypptp.errors import ConfigurationError
from pypptp.service.kinds import File, did_you_mean, shown
from pypptp.service.options import Option, options_of
from pypptp.service.settings import COMMANDS, CommonSettings


@dataclass(frozen=True, slots=True)
class TomlFile:
    """What a file says for one command.

    Attributes:
        values: typed values by field name, for ``make_settings``. May hold a password, so ``repr`` leaves it out.
        warnings: sentences for a person.
    """

    values: Mapping[str, Any] = field(repr=False)
    warnings: tuple[str, ...] = ()


def load_toml(path: Path, kind: type[CommonSettings]) -> TomlFile:
    """Read the file at ``path`` for the command whose settings are ``kind``.

    A relative file name in it counts from the file's own folder. It warns if the file holds a password others can read.

    Raises:
        ConfigurationError: no such file, no TOML, an unknown key (with a suggestion), a wrong type or value. Names
            file and key.
    """
    data, warnings = read_secret_file(path)
    values = parse_toml(data, kind, str(path))
    for option in options_of(kind):
        if isinstance(option.kind, File) and option.field in values:
            values[option.field] = path.parent / values[option.field]
    secret = any(option.secret and option.field in values for option in options_of(kind))
    return TomlFile(values, tuple(warnings) if secret else ())


def parse_toml(data: bytes, kind: type[CommonSettings], source: str = "config") -> dict[str, Any]:
    """Read a file's content; see ``load_toml``.

    Args:
        data: the file, whole.
        kind: whose settings are wanted. The table of the other command is checked as well.
        source: the file's name, for errors.

    Returns:
        Typed values by field name.

    Raises:
        ConfigurationError: as in ``load_toml``.
    """
    try:
        document = tomllib.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(f"{source}: line {line} is not UTF-8, so this is not a TOML file") from None
    except RecursionError:
        raise ConfigurationError(f"{source}: not TOML anyone would write: nested too deeply") from None
    except ValueError as error:
        # Besides TOMLDecodeError, a plain ValueError comes from an integer of more than 4,300 digits.
        raise ConfigurationError(f"{source}: not TOML: {shown_error(error)}") from None

    tables = {name: document.pop(name) for name in COMMANDS if isinstance(document.get(name), dict)}
    try:
        common = _read_table(document, kind, shared=bool(tables))
        own: dict[str, Any] = {}
        for name, table in tables.items():
            try:
                values = _read_table(table, COMMANDS[name])
            except ConfigurationError as error:
                raise ConfigurationError(f"[{name}] {error}") from None
            if COMMANDS[name] is kind:
                own = values
    except ConfigurationError as error:
        raise ConfigurationError(f"{source}: {error}") from None
    return {**common, **own}


def shown_error(error: Exception) -> str:
    """Make one printable line of a parser's complaint."""
    return shown(str(error)).strip("'")


def _read_table(table: Mapping[str, Any], kind: type[CommonSettings], *, shared: bool = False) -> dict[str, Any]:
    """Read the keys of one table. ``shared``: it stands above the commands' tables, with options of any."""
    options = {option.name: option for option in options_of(kind)}
    foreign = {
        option.name: (option, command)
        for command, other in COMMANDS.items()
        for option in options_of(other)
        if option.name not in options
    }
    values: dict[str, Any] = {}
    for key, value in table.items():
        name = key.replace("_", "-")
        if name in options:
            option: Option = options[name]
            if option.field in values:
                raise ConfigurationError(f"{name}: given twice, with - and with _")
            values[option.field] = option.from_toml(value)
        elif name in foreign:
            option, command = foreign[name]
            if shared:
                option.from_toml(value)
            else:
                raise ConfigurationError(f"{name} is an option of pypptp {command}, not of pypptp {kind.command}")
        else:
            known = (*options, *COMMANDS) if shared or isinstance(value, dict) else tuple(options)
            raise ConfigurationError(f"unknown key {shown(key)}{did_you_mean(key, known)}")
    return values
