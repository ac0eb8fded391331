"""The ``pypptp`` command: its subcommands, and how an error reaches a person."""

from __future__ import annotations

import importlib
import os
import sys

import click

from pypptp import __version__
from pypptp.errors import ConfigurationError, PptpError

EXIT_FAILURE = 1
EXIT_USAGE = 2

SUBCOMMANDS = {
    "server": "Serve PPTP clients, in place of pptpd and pppd.",
    "client": "Connect to a PPTP server, in place of pptp-linux and pppd.",
    "setup": "Set a connection up, or delete it, in place of pptpsetup.",
    "call": "Connect by a name that was set up, in place of pppd call.",
    "hangup": "End a connection that 'pypptp call' made.",
    "list": "List the connections that were set up, and which are up.",
    "doctor": "Say what keeps a tunnel from working, and the cure.",
    "status": "Show which servers and clients run here, and how they are.",
    "sessions": "List who is connected to a running server.",
    "top": "Watch the sessions of a running server live.",
    "disconnect": "End sessions of a running server: a user's, one, or all.",
    "reload": "Have a running server read its users again.",
    "drain": "Have a running server end when its last session has ended.",
    "undo": "Take back what a killed server or client left behind.",
    "user": "Add, remove and list users, and change their passwords.",
    "check": "Look through a server's or a client's files without starting it.",
    "convert": "Write pptpd's files as a settings file of pypptp's.",
    "decode": "List and decrypt the PPTP sessions of a capture file.",
    "spec": "Hold a PPTP server or client against the standards.",
    "probe": "Ask a server what it is and what it would agree to.",
    "load": "Open many sessions with a server of one's own, and time them.",
    "proxy": "Be a bad line between a client and a server of one's own.",
    "demo": "Show a tunnel at work between three network namespaces.",
}
"""One module each in this package, imported when it is called: a command pays for nothing it does not use."""


class Commands(click.Group):
    """The subcommands, imported on demand."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table."""
        return list(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a subcommand."""
        if cmd_name not in SUBCOMMANDS:
            return None
        module = importlib.import_module(f"pypptp_cli.{cmd_name}")
        command = getattr(module, cmd_name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the overview without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(SUBCOMMANDS.items()))


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=(
        "PPTP's cryptography is broken: MS-CHAPv2 can be cracked offline, MPPE has no integrity. "
        "Use it for networks you cannot change, for labs and for tests."
    ),
)
@click.version_option(__version__, "-V", "--version", message="pypptp %(version)s")
def cli() -> None:
    """PPTP in pure Python: server, client and tools."""


def main() -> None:
    """Run the command line; every failure is one line on stderr and an exit status.

    Exit status: 0 done, 1 failed, 2 a wrong option, file or address; what ``client`` has beside is in
    pypptp.service.exit_status.
    """
    try:
        status = cli.main(standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        sys.exit(EXIT_USAGE)
    except click.ClickException as error:
        fail(error.format_message(), EXIT_USAGE)
    except (click.Abort, KeyboardInterrupt):
        fail("interrupted", 128 + 2)
    except ConfigurationError as error:
        fail(str(error), EXIT_USAGE)
    except PptpError as error:
        from pypptp.service.exit_status import exit_status

        fail(str(error), exit_status(error))
    except BrokenPipeError:
        # The reader of our output has gone, "pypptp decode ... | head"; Python would say so again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_FAILURE)
    except OSError as error:
        # What no layer below could give a better sentence: no descriptors left, a full disk.
        fail(str(error), EXIT_FAILURE)
    sys.exit(status if isinstance(status, int) else 0)


def one_line(message: str) -> str:
    """Return a message without line breaks, and with nothing in it that a terminal could take for a command."""
    line = " ".join(message.split())
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in line)


def fail(message: str, status: int) -> None:
    """Say what is wrong in one line and end."""
    click.echo(f"pypptp: {one_line(message)}", err=True)
    sys.exit(status)
