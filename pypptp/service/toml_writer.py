"""Writing a settings file, with a comment on each key that says where it comes from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pypptp.service.findings import Finding, Level
from pypptp.service.options import options_of
from pypptp.service.settings import CommonSettings

WIDTH = 118


def write_toml(
    kind: type[CommonSettings],
    values: Mapping[str, Any],
    *,
    origins: Mapping[str, str],
    findings: Sequence[Finding] = (),
    head: str = "",
) -> str:
    """Write the file that ``parse_toml`` makes the same values of.

    Args:
        kind: whose settings they are.
        values: typed, by field name; None is left out.
        origins: where each comes from.
        findings: what did not become a setting; those that matter stand at the end.
        head: a line for the top.
    """
    lines = [*_comment(head), ""] if head else []
    for option in options_of(kind):
        value = values.get(option.field)
        if value is None:
            continue
        lines += [*_comment(option.help), *_comment(f"from {origins[option.field]}" if option.field in origins else "")]
        lines += [f"{option.name} = {_written(value)}", ""]
    missing = [finding for finding in findings if finding.level > Level.INFO]
    if missing:
        lines += ["# Not the same as before:"]
        lines += [line for finding in missing for line in _comment(f"- {finding.sentence}")]
    return "\n".join(lines).rstrip() + "\n"


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    if isinstance(value, tuple):
        return f"[{', '.join(_written(item) for item in value)}]"
    # JSON's strings are TOML's basic strings, but for DEL.
    return json.dumps(str(value.absolute() if isinstance(value, Path) else value), ensure_ascii=False).replace(
        "\x7f", "\\u007f"
    )


def _comment(text: str) -> list[str]:
    """Write a text as comment lines; what is in it cannot end the comment."""
    printable = "".join(character if character.isprintable() else " " for character in text)
    lines: list[str] = []
    for word in printable.split():
        if lines and len(lines[-1]) + 1 + len(word) <= WIDTH:
            lines[-1] += f" {word}"
        else:
            lines.append(f"# {word}" if not lines else f"#   {word}")
    return lines
