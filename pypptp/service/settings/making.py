"""Settings from flags and a file, and flags from settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pypptp.errors import ConfigurationError
from pypptp.service.options import options_of
from pypptp.service.settings.client import ClientSettings
from pypptp.service.settings.common import CommonSettings
from pypptp.service.settings.server import ServerSettings

Settings = TypeVar("Settings", bound=CommonSettings)
Flags = Mapping[str, bool | str | Sequence[str] | None]

COMMANDS: Mapping[str, type[CommonSettings]] = {"server": ServerSettings, "client": ClientSettings}
"""Every command that has settings, by name; the tables a TOML file may have."""

_ALTERNATIVES = ({"password", "password_file"},)
"""Options of which a flag for one also sets aside a file's line for the other."""


def make_settings(kind: type[Settings], flags: Flags, file: Mapping[str, Any] | None = None) -> Settings:
    """Put settings together: flags win over the file, the file over the defaults.

    Args:
        kind: ``ServerSettings`` or ``ClientSettings``.
        flags: what the command line gave, by field name and unconverted; None and ``()`` mean not given, other names
            are ignored.
        file: what ``load_toml`` returned, typed.

    Raises:
        ConfigurationError: a bad value, a contradiction, or a required option that nobody gave.
    """
    options = options_of(kind)
    given: dict[str, Any] = {}
    for option in options:
        raw = flags.get(option.field)
        if raw is not None and raw != ():
            given[option.field] = option.from_flag(raw)
    values = dict(file or {})
    for group in _ALTERNATIVES:
        if group.intersection(given):
            values = {name: value for name, value in values.items() if name not in group}
    values.update(given)
    missing = next((option for option in options if option.required and option.field not in values), None)
    if missing is not None:
        raise ConfigurationError(
            f"{missing.name}: not given; use {missing.flag} {missing.kind.metavar} or a config file"
        )
    return kind(**values)


def as_flags(settings: CommonSettings) -> dict[str, str]:
    """Write settings as the flags that ``make_settings`` makes them of again, by field name; no secret among them."""
    flags: dict[str, str] = {}
    for option in options_of(type(settings)):
        value = getattr(settings, option.field)
        if value is not None and not option.secret:
            flags[option.field] = option.kind.to_text(value)
    return flags
