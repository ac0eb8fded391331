# ruff: noqa: INP001 - a script, no package
"""Copy pypptp, and what it takes to run it, out of .venv into a folder that needs no .venv.

    .venv/bin/python packaging/install.py --destdir DIR --prefix /usr/local

What .venv holds was checked by hash when it was made, so nothing is fetched here. The folder works with the Python
.venv was made with, wherever the checkout is or is not afterwards.
"""

from __future__ import annotations

import argparse
import compileall
import re
import shutil
import sys
from importlib.metadata import Distribution, distribution
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROJECT = "pypptp"
OWN_PACKAGES = {"pypptp": ROOT / "pypptp", "pypptp_cli": ROOT / "cli" / "pypptp_cli"}
LAUNCHER = """#!{python} -I
import sys

sys.path.insert(0, {library!r})
from pypptp_cli.entry import main

main()
"""
# Where everything goes, below the prefix. Units and sysusers are read from /usr/local/lib too; see systemd.unit(5).
PLACES = (
    ("packaging/systemd", "*", "lib/systemd/system"),
    ("packaging/sysusers.d", "*.conf", "lib/sysusers.d"),
    ("docs/man", "*.1", "share/man/man1"),
    ("docs/man", "*.5", "share/man/man5"),
    ("docs/man", "*.8", "share/man/man8"),
    ("packaging/completion", "pypptp", "share/bash-completion/completions"),
    ("packaging/completion", "_pypptp", "share/zsh/site-functions"),
    ("packaging/completion", "pypptp.fish", "share/fish/vendor_completions.d"),
)


def main() -> int:
    """Install or, with --remove, take away again."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--destdir", default="")
    arguments.add_argument("--prefix", default="/usr/local")
    arguments.add_argument("--remove", action="store_true")
    given = arguments.parse_args()
    prefix = Path(given.prefix)
    if not prefix.is_absolute() or not re.fullmatch(r"[\w./+-]+", given.prefix):
        sys.exit(f"the prefix {given.prefix!r} is no absolute path that a unit can name")
    place = Path(given.destdir + given.prefix) if given.destdir else prefix
    if given.remove:
        remove(place)
    else:
        install(place, prefix, given.destdir)
        if base_python().startswith(("/home/", "/root/", "/run/user/")):
            sys.stderr.write(
                f"the Python in use, {base_python()}, is in somebody's home, where the units do not look\n"
                "(ProtectHome): remove .venv and give another, make install PYTHON=/usr/bin/python3\n"
            )
    return 0


def install(place: Path, prefix: Path, destdir: str) -> None:
    """Put everything below ``place``, which will be ``prefix`` when it runs."""
    library = place / "lib" / PROJECT
    if library.exists():
        shutil.rmtree(library)
    library.mkdir(parents=True, mode=0o755)
    for name, source in OWN_PACKAGES.items():
        shutil.copytree(source, library / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for needed in requirements(PROJECT):
        copy_distribution(needed, library)
    # Nobody can write there later, least of all the service itself. Stripped of DESTDIR, tracebacks name what there is.
    compileall.compile_dir(library, quiet=1, stripdir=destdir or None, prependdir="/" if destdir else None)
    command = place / "bin" / "pypptp"
    command.parent.mkdir(parents=True, exist_ok=True)
    launcher = LAUNCHER.format(python=base_python(), library=str(prefix / "lib" / PROJECT))
    command.write_text(launcher, encoding="utf-8")
    command.chmod(0o755)
    for source, target in files(place):
        target.parent.mkdir(parents=True, exist_ok=True)
        text = source.read_text(encoding="utf-8")
        if source.suffix in (".service", ".socket"):
            text = text.replace("/usr/local/bin/", f"{prefix}/bin/")
        target.write_text(text, encoding="utf-8")
        target.chmod(0o644)


def remove(place: Path) -> None:
    """Take away what ``install`` has put below ``place``; folders stay where others have files in them."""
    shutil.rmtree(place / "lib" / PROJECT, ignore_errors=True)
    for target in [place / "bin" / "pypptp", *(target for _, target in files(place))]:
        target.unlink(missing_ok=True)
        for folder in target.parents:
            if folder == place or not folder.is_relative_to(place):
                break
            try:
                folder.rmdir()
            except OSError:
                break


def files(place: Path) -> list[tuple[Path, Path]]:
    """List what is copied as it is: (from, to)."""
    return [
        (source, place / target / source.name)
        for folder, pattern, target in PLACES
        for source in sorted((ROOT / folder).glob(pattern))
    ]


def base_python() -> str:
    """Return the Python that .venv was made with; .venv's own goes with the checkout."""
    return str(Path(getattr(sys, "_base_executable", sys.executable)).resolve())


def requirements(project: str) -> list[Distribution]:
    """List what a project needs at run time and that again, each once, without the project."""
    found: dict[str, Distribution] = {}
    waiting = [project]
    while waiting:
        for line in distribution(waiting.pop()).requires or []:
            wanted, _, marker = line.partition(";")
            name = re.split(r"[^\w.-]", wanted.strip(), maxsplit=1)[0]
            key = re.sub(r"[-_.]+", "-", name).lower()
            if key in found or "extra ==" in marker:
                continue
            try:
                found[key] = distribution(name)
            except ModuleNotFoundError:
                continue  # its marker speaks of another system or an older Python
            waiting.append(name)
    return list(found.values())


def copy_distribution(needed: Distribution, library: Path) -> None:
    """Copy the files of an installed distribution; its commands are not wanted."""
    for file in needed.files or []:
        if ".." in file.parts or "__pycache__" in file.parts:
            continue
        target = library / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(str(file.locate()), target)


if __name__ == "__main__":
    sys.exit(main())
