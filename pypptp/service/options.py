"""One option: its name everywhere, its help, its kind and its default.

The options of a command are the fields of its settings class (``settings.py``): name and default are the field's own,
help and kind stand in its annotation. The commands' flags, the TOML keys, the manual and the completion are made from
``options_of``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_type_hints

from pypptp.errors import ConfigurationError
from pypptp.service.kinds import Kind, ListOf


@dataclass(frozen=True, slots=True, eq=False)
class Described:
    """What a settings field's annotation says of its option.

    Attributes:
        help: one line, without a full stop.
        kind: which values it takes.
        secret: its value must not be shown.
        default_text: what to say of the default where it is not a fixed value.
    """

    help: str
    kind: Kind[Any]
    secret: bool = False
    default_text: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Option:
    """An option of a command.

    Attributes:
        name: as users write it: ``lcp-echo-interval``.
        help: one line, without a full stop and without the default.
        kind: which values it takes; has ``metavar``, ``choices``, ``is_flag``, ``repeatable``.
        default: the typed value when nobody says anything; None where there is none.
        required: there is no default, and the command does not start without it.
        secret: its value must not be shown.
        default_text: the default in words, empty where there is nothing to say.
    """

    name: str
    help: str
    kind: Kind[Any]
    default: Any
    required: bool
    secret: bool
    default_text: str

    @property
    def field(self) -> str:
        """The name in Python and of the settings' field: ``lcp_echo_interval``."""
        return self.name.replace("-", "_")

    @property
    def flag(self) -> str:
        """The name on a command line: ``--lcp-echo-interval``."""
        return f"--{self.name}"

    @property
    def declaration(self) -> str:
        """The flag as click declares it; an on-off option has its opposite, so that a flag can undo a file's line."""
        return f"{self.flag}/--no-{self.name}" if self.kind.is_flag else self.flag

    @property
    def help_text(self) -> str:
        """The help with the default behind it."""
        ending = "required" if self.required else f"default {self.default_text}" if self.default_text else ""
        return f"{self.help} ({ending})" if ending else self.help

    def from_flag(self, value: bool | str | Sequence[str]) -> Any:
        """Read what a command line gave: a word, several of a repeatable option, or a bool of an on-off option.

        Raises:
            ConfigurationError: names the option and the value.
        """
        try:
            if isinstance(value, bool):
                return value
            if isinstance(value, str):
                return self.kind.from_text(value)
            if not isinstance(self.kind, ListOf):
                raise ValueError("is given more than once")
            return self.kind.join([self.kind.from_text(word) for word in value])
        except ValueError as error:
            raise ConfigurationError(f"{self.flag}: {error}") from None

    def from_toml(self, value: object) -> Any:
        """Read what a TOML file gave.

        Raises:
            ConfigurationError: names the key and what is wrong.
        """
        try:
            return self.kind.from_toml(value)
        except ValueError as error:
            raise ConfigurationError(f"{self.name}: {error}") from None

    def check(self, value: Any) -> None:
        """Hold a typed value against the kind's limits; the default is always right.

        Raises:
            ConfigurationError: names the option and the value.
        """
        if value is None and self.default is None and not self.required:
            return
        try:
            self.kind.check(value)
        except ValueError as error:
            raise ConfigurationError(f"{self.name}: {error}") from None


def options_of(settings: type) -> tuple[Option, ...]:
    """List the options of a settings class, its own before those it shares with other commands."""
    if settings not in _OPTIONS:
        _OPTIONS[settings] = _read_fields(settings)
    return _OPTIONS[settings]


_OPTIONS: dict[type, tuple[Option, ...]] = {}


def _read_fields(settings: type) -> tuple[Option, ...]:
    hints = get_type_hints(settings, include_extras=True)
    own = settings.__annotations__
    found: list[Option] = []
    for field in sorted(dataclasses.fields(settings), key=lambda field: field.name not in own):
        described: Described = hints[field.name].__metadata__[0]
        required = field.default is dataclasses.MISSING
        default = None if required else field.default
        text = described.default_text
        if not text and default not in (None, (), False) and not described.secret:
            text = described.kind.to_text(default)
        name = field.name.replace("_", "-")
        found.append(Option(name, described.help, described.kind, default, required, described.secret, text))
    return tuple(found)
