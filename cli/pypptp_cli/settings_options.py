"""Turn a settings class into the options of a command, and what they and a file say back into settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from pypptp.service.options import options_of
from pypptp.service.settings import CommonSettings, make_settings
from pypptp.service.toml_file import load_toml

Function = TypeVar("Function", bound=Callable[..., Any])
Settings = TypeVar("Settings", bound=CommonSettings)


def settings_options(kind: type[CommonSettings]) -> Callable[[Function], Function]:
    """Decorate a command with every option of a settings class, and with ``--config``.

    Values arrive as the words the user wrote; ``read_settings`` checks them, so that a flag and a line of a file are
    judged by the same code and in the same words.
    """

    def decorate(function: Function) -> Function:
        for option in reversed(options_of(kind)):
            function = click.option(
                option.declaration,
                option.field,
                help=option.help_text,
                metavar=None if option.kind.is_flag else option.kind.metavar,
                multiple=option.kind.repeatable,
                default=None,
                type=click.BOOL if option.kind.is_flag else click.STRING,
            )(function)
        return click.option(
            "--config", metavar="FILE", help="TOML file with the same options; those given here win", default=None
        )(function)

    return decorate


def read_settings(kind: type[Settings], flags: dict[str, Any]) -> tuple[Settings, tuple[str, ...]]:
    """Put flags and the file of ``--config`` together.

    Returns:
        The settings, and warnings about the file.

    Raises:
        ConfigurationError: names the option or key, and what is wrong with it.
    """
    config = flags.pop("config", None)
    if config is None:
        return make_settings(kind, flags), ()
    file = load_toml(Path(config), kind)
    return make_settings(kind, flags, file.values), file.warnings
