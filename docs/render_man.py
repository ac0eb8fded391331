# ruff: noqa: INP001 - a script beside its pages, no package
"""Write the manual pages in docs/man from the commands themselves.

.venv/bin/python docs/render_man.py [--check]
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import click

from pypptp import __version__
from pypptp.service.exit_status import MEANINGS
from pypptp.service.options import Option, options_of
from pypptp.service.settings import ClientSettings, CommonSettings, ServerSettings
from pypptp.service.warning import BROKEN_CRYPTOGRAPHY
from pypptp_cli.main import SUBCOMMANDS, cli

FOLDER = Path(__file__).with_name("man")
SECTION = {"server": 8, "client": 8}
"""Programs of an administrator; the others are everybody's, section 1."""
EXIT_STATUS = (
    ("0", "It did what it was asked to, ended by a signal included."),
    ("1", "It failed; one line on standard error says why."),
    ("2", "An option, file or address is wrong; the line names it."),
)
UNITS = (
    ("pypptp.service", "The server, with the settings of /etc/pptpd.conf or what /etc/default/pypptp says instead."),
    ("pypptp.socket", "Port 1723, opened by systemd: the first client starts the server."),
    ("pypptp-client@NAME.service", "pypptp call NAME."),
)
FILES = (
    ("/etc/pptpd.conf, /etc/ppp/options.pptpd", "Settings of a server, in pptpd's and pppd's words."),
    ("/etc/ppp/chap-secrets", "Users and their passwords."),
    ("/etc/ppp/peers/NAME", "A tunnel of a client."),
    ("/etc/default/pypptp", "CONFIG=, OPTIONS= and RUN_AS= for pypptp.service."),
    ("/run/pypptp/journal", "What is changed of the system at present; pypptp undo takes it back."),
    ("/run/pypptp/control", "The sockets by which running servers and clients are asked."),
)


def escape(text: str) -> str:
    """Return text as roff shows it unchanged."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join(f"\\&{line}" if line.startswith((".", "'")) else line for line in text.splitlines())


def title(name: str, section: int) -> list[str]:
    """Return the header of a page."""
    return [f'.TH "{name.upper()}" "{section}" "" "pypptp {__version__}" "pypptp"']


def paragraphs(text: str) -> list[str]:
    """Return a help text as paragraphs."""
    return [part for block in re.split(r"\n\s*\n", text.strip()) for part in (".PP", escape(" ".join(block.split())))]


def option_list(command: click.Command) -> list[str]:
    """Return the options of a command, in the order of its help."""
    lines = []
    context = click.Context(command, info_name=command.name)
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context) if isinstance(parameter, click.Option) else None
        if record is not None:
            names, text = record
            lines += [".TP", f".B {escape(names)}", escape(" ".join(text.split()))]
    return lines


def usage(command: click.Command, name: str) -> str:
    """Return the one-line synopsis."""
    context = click.Context(command, info_name=name)
    return escape(" ".join([name, *command.collect_usage_pieces(context)]))


def command_pages(command: click.Command, words: str) -> dict[str, str]:
    """Return the page of a command, and those of its subcommands on it."""
    name = words.replace(" ", "-")
    section = SECTION.get(name.removeprefix("pypptp-"), 1)
    short = SUBCOMMANDS.get(words.removeprefix("pypptp "), (command.help or "").strip().split("\n")[0])
    lines = [*title(name, section), ".SH NAME", f"{escape(name)} \\- {escape(short.rstrip('.'))}"]
    lines += [".SH SYNOPSIS", f".B {usage(command, words)}", ".SH DESCRIPTION", *paragraphs(command.help or short)]
    lines += [".SH OPTIONS", *option_list(command)]
    if isinstance(command, click.Group):
        context = click.Context(command)
        for sub in command.list_commands(context):
            inner = command.get_command(context, sub)
            assert inner is not None
            lines += [f'.SH "{escape(words.upper())} {escape(sub.upper())}"', f".B {usage(inner, f'{words} {sub}')}"]
            lines += [*paragraphs(inner.help or ""), *option_list(inner)]
    return {f"{name}.{section}": "\n".join([*lines, *ending(name)]) + "\n"}


def ending(name: str) -> list[str]:
    """Return what every page ends with."""
    lines = [".SH EXIT STATUS"]
    more = MEANINGS if name in ("pypptp-client", "pypptp-call") else {}
    for status, meaning in (*EXIT_STATUS, *((str(status), f"{meaning}.") for status, meaning in more.items())):
        lines += [".TP", f".B {status}", escape(meaning[0].upper() + meaning[1:])]
    lines += [".SH SECURITY", escape(BROKEN_CRYPTOGRAPHY)]
    others = [f"pypptp-{sub}" for sub in SUBCOMMANDS] + ["pypptp", "pypptp.toml"]
    seen = [
        f"\\fB{escape(other)}\\fR({5 if other.endswith('toml') else SECTION.get(other.removeprefix('pypptp-'), 1)})"
        for other in sorted(others)
        if other != name
    ]
    return [*lines, ".SH SEE ALSO", ", ".join(seen)]


def overview() -> dict[str, str]:
    """Return pypptp(1)."""
    lines = [*title("pypptp", 1), ".SH NAME", "pypptp \\- PPTP in pure Python: server, client and tools"]
    lines += [".SH SYNOPSIS", ".B pypptp", ".I command", "[options]", ".SH DESCRIPTION", *paragraphs(cli.help or "")]
    lines += [".SH COMMANDS"]
    for sub, text in SUBCOMMANDS.items():
        lines += [".TP", f".B pypptp {escape(sub)}", escape(text)]
    for heading, entries in (("UNITS", UNITS), ("FILES", FILES)):
        lines.append(f".SH {heading}")
        for name, text in entries:
            lines += [".TP", f".B {escape(name)}", escape(text)]
    return {"pypptp.1": "\n".join([*lines, *ending("pypptp")]) + "\n"}


def toml_option(option: Option) -> list[str]:
    """Return one key of the settings file."""
    kind = option.kind.metavar if not option.kind.is_flag else "true | false"
    return [".TP", f".B {escape(option.name)} = {escape(kind)}", escape(option.help_text + ".")]


def settings_page() -> dict[str, str]:
    """Return pypptp.toml(5)."""
    lines = [*title("pypptp.toml", 5), ".SH NAME", "pypptp.toml \\- settings of pypptp server and pypptp client"]
    lines += [".SH DESCRIPTION"]
    lines += paragraphs(
        "A TOML file for --config. Its keys are the options' names; a flag on the command line wins over the file. "
        "A file for one command has its keys at the top; one for both has tables [server] and [client], and keys above "
        "them count for both. lcp-echo-interval and lcp_echo_interval are the same key. An unknown key is an error."
    )
    kinds: tuple[type[CommonSettings], ...] = (ServerSettings, ClientSettings)
    for kind in kinds:
        lines.append(f'.SH "[{kind.command.upper()}]"')
        for option in options_of(kind):
            lines += toml_option(option)
    return {"pypptp.toml.5": "\n".join([*lines, *ending("pypptp.toml")]) + "\n"}


def pages() -> dict[str, str]:
    """Return every page by file name."""
    found = {**overview(), **settings_page()}
    context = click.Context(cli)
    for sub in SUBCOMMANDS:
        command = cli.get_command(context, sub)
        assert command is not None
        found.update(command_pages(command, f"pypptp {sub}"))
    return found


def main() -> int:
    """Write the pages, or with --check say whether those on disk are current."""
    current = pages()
    on_disk = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.[158]")}
    if "--check" in sys.argv[1:]:
        stale = sorted(name for name in current.keys() | on_disk.keys() if current.get(name) != on_disk.get(name))
        if stale:
            sys.stderr.write(f"docs/man is not current ({', '.join(stale)}): run docs/render_man.py\n")
        return 1 if stale else 0
    FOLDER.mkdir(exist_ok=True)
    for name in on_disk.keys() - current.keys():
        (FOLDER / name).unlink()
    for name, text in current.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
