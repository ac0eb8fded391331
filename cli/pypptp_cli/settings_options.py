"""Turn a settings class into the options of a command, and what they and a file say back into settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from pypptp.service.findings import Finding, Level
from pypptp.service.legacy import read_pptpd_conf
from pypptp.service.options import options_of
from pypptp.service.settings import CommonSettings, ServerSettings, make_settings
from pypptp.service.toml_file import load_toml
from pypptp_cli.completing import complete_files, completer_of

Function = TypeVar("Function", bound=Callable[..., Any])
Settings = TypeVar("Settings", bound=CommonSettings)


def settings_options(kind: type[CommonSettings], *, preset: str = "") -> Callable[[Function], Function]:
    """Decorate a command with every option of a settings class, and with ``--config``.

    With ``preset``, words for what the settings come from already, there is no ``--config`` and nothing is required.

    Values arrive as the words the user wrote; ``read_settings`` checks them, so that a flag and a line of a file are
    judged by the same code and in the same words.
    """
    old = ", or pptpd's own /etc/pptpd.conf" if kind is ServerSettings else ""

    def decorate(function: Function) -> Function:
        for option in reversed(options_of(kind)):
            function = click.option(
                option.declaration,
                option.field,
                help=f"{option.help} (default {preset}'s)" if preset and option.required else option.help_text,
                metavar=None if option.kind.is_flag else option.kind.metavar,
                multiple=option.kind.repeatable,
                default=None,
                type=click.BOOL if option.kind.is_flag else click.STRING,
                shell_complete=completer_of(option.kind),
            )(function)
        if preset:
            return function
        return click.option(
            "--config",
            metavar="FILE",
            help=f"TOML file with the same options{old}; those given here win",
            default=None,
            shell_complete=complete_files,
        )(function)

    return decorate


def read_settings(kind: type[Settings], flags: dict[str, Any]) -> tuple[Settings, tuple[Finding, ...]]:
    """Put flags and the file of ``--config`` together.

    For a server, a file whose name does not end in .toml is pptpd's; where it is used and there are no other secrets,
    they are pppd's.

    Returns:
        The settings, and what there is to say about the file.

    Raises:
        ConfigurationError: names the option or key, and what is wrong with it.
    """
    config = flags.pop("config", None)
    if config is None:
        return make_settings(kind, flags), ()
    if is_old_file(kind, config):
        old = read_pptpd_conf(Path(config))
        return make_settings(kind, flags, old.values), tuple(old.findings)
    file = load_toml(Path(config), kind)
    return make_settings(kind, flags, file.values), tuple(
        Finding("", 0, Level.WARNING, warning) for warning in file.warnings
    )


def is_old_file(kind: type[CommonSettings], config: str) -> bool:
    """Say whether a file of ``--config`` is pptpd's and not TOML; its name tells."""
    return kind is ServerSettings and not config.lower().endswith(".toml")
