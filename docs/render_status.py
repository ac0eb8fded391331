# ruff: noqa: INP001 - a script beside its picture, no package
"""Draw docs/status.svg: ``pypptp status`` and ``pypptp top`` beside a real server and its clients (as root).

.venv/bin/python docs/render_status.py
"""

import io
import os
import re
import sys
import tempfile
import threading
import time
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import MONOKAI

from pypptp.aio.words import parse_network
from pypptp.net.namespaces import Namespace
from pypptp.service.control_socket import ask, instances
from pypptp.testing.scenario import GATEWAY_PRIVATE, PUBLIC, Hosts, Program, Sink, Warden, send
from pypptp_cli.live.rows import rows_of
from pypptp_cli.live.table import draw
from pypptp_cli.status import describe
from pypptp_cli.top import head, sample

PICTURE = Path(__file__).with_name("status.svg")
COLUMNS = 124
PATIENCE = 30.0
PYPPTP = [sys.executable, "-P", "-m", "pypptp_cli"]
USERS = {"alice": "wonderland", "bob": "builder"}
PROMPT = "[bold green]$[/] "


def run(hosts: Hosts, folder: Path, warden: Warden) -> Console:
    """Start a server and clients, send something, and look."""
    (folder / "chap-secrets").write_text("".join(f"{user} * {password} *\n" for user, password in USERS.items()))
    (folder / "chap-secrets").chmod(0o600)

    def start(name: str, host: Namespace, *words: str, **variables: str) -> Program:
        environment = {key: value for key, value in os.environ.items() if key != "JOURNAL_STREAM"} | variables
        return Program(name, host, [*PYPPTP, *words], environment=environment, folder=folder, warden=warden)

    options = ("--secrets", "chap-secrets", "--workers", "2", "--lcp-echo-interval", "1")
    programs = [start("server", hosts.gateway, "server", "--local", "192.168.0.1", *options)]
    programs[0].await_line(lambda line: "listening on " in line or None, patience=PATIENCE)
    try:
        for number, (user, password) in enumerate(USERS.items()):
            ways = ("--route", f"{PUBLIC}/32") if number == 0 else ()
            words = ("client", "--server", str(GATEWAY_PRIVATE), "--user", user, "--instance", f"of-{user}", *ways)
            programs.append(start(user, hosts.private, *words, PYPPTP_PASSWORD=password))
            programs[-1].await_line(parse_network, patience=PATIENCE)
        time.sleep(2)
        return look(hosts)
    finally:
        for program in reversed(programs):
            program.stop()


def look(hosts: Hosts) -> Console:
    """Ask the server and a client while something passes."""
    console = Console(
        record=True, width=COLUMNS, force_terminal=True, color_system="truecolor", file=io.StringIO(), _environ={}
    )
    with Sink(hosts.public, PUBLIC) as sink:
        send(hosts.private, PUBLIC, sink.port, seconds=0.3)
        sink.take()
    console.print(f"{PROMPT}pypptp status")
    for running in instances():
        for line in describe(ask(running.name, "status")):
            console.print(line, highlight=False, markup=False)
    with Sink(hosts.public, PUBLIC) as sink:
        sending = threading.Thread(target=lambda: send(hosts.private, PUBLIC, sink.port, seconds=4))
        sending.start()
        time.sleep(0.5)
        before = sample("server")
        time.sleep(2)
        after = sample("server")
        sending.join()
        sink.take()
    console.print(f"\n{PROMPT}pypptp top")
    console.print(draw(head(after), rows_of(after, before), order="in", room=24, keys=True))
    return console


def main() -> int:
    """Run it and draw it. Returns the exit status."""
    with tempfile.TemporaryDirectory() as folder, Warden() as warden, Hosts() as hosts:
        console = run(hosts, Path(folder), warden)
    # No font from somebody else's server: the picture shows the reader's own.
    style = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    style = style.replace("Fira Code, monospace", "DejaVu Sans Mono, Menlo, Consolas, monospace")
    drawn = console.export_svg(title="a server and its clients", theme=MONOKAI, code_format=style, unique_id="status")
    PICTURE.write_text(drawn + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
