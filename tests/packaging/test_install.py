"""``make install`` into a folder, and away again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "packaging" / "install.py"


def install(place: Path, *options: str) -> None:
    command = [sys.executable, str(SCRIPT), "--prefix", str(place), *options]
    subprocess.run(command, check=True, capture_output=True, timeout=50)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("prefix") / "usr"
    install(place)
    return place


def run(place: Path, *words: str, **variables: str) -> str:
    done = subprocess.run(
        [str(place / "bin" / "pypptp"), *words],
        env={"PATH": os.environ["PATH"], **variables},
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    return done.stdout


def test_it_runs_without_the_checkout(place: Path) -> None:
    assert run(place, "--version").startswith("pypptp ")
    library = str(place / "lib" / "pypptp")
    imports = f"import sys; sys.path[:0] = [{library!r}]; import pypptp.net.linux, pypptp_cli.server as found"
    # Without site: neither .venv's packages nor the checkout are to be found.
    where = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"{imports}; print(found.__file__)"],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert where.stdout.strip() == f"{library}/pypptp_cli/server.py"


def test_everything_is_compiled_and_nobody_else_can_write(place: Path) -> None:
    library = place / "lib" / "pypptp"
    assert list(library.glob("pypptp/__pycache__/session.*.pyc"))
    assert [path for path in place.rglob("*") if not path.is_symlink() and path.stat().st_mode & 0o022] == []


def test_manual_pages_units_and_completion_are_where_they_are_looked_for(place: Path) -> None:
    for name in (
        "share/man/man1/pypptp.1",
        "share/man/man5/pypptp.toml.5",
        "share/man/man8/pypptp-server.8",
        "lib/systemd/system/pypptp.service",
        "lib/systemd/system/pypptp.socket",
        "lib/systemd/system/pypptp-client@.service",
        "share/bash-completion/completions/pypptp",
        "share/zsh/site-functions/_pypptp",
        "share/fish/vendor_completions.d/pypptp.fish",
    ):
        assert (place / name).is_file(), name
    unit = (place / "lib/systemd/system/pypptp.service").read_text()
    assert f"ExecStart={place}/bin/pypptp server " in unit
    assert "/usr/local/bin" not in unit


def test_the_installed_command_completes(place: Path) -> None:
    words = run(place, COMP_WORDS="pypptp server --mppe ", COMP_CWORD="3", _PYPPTP_COMPLETE="bash_complete")
    assert words.split() == ["plain,require", "plain,prefer", "plain,deny"]


def test_destdir_is_nowhere_named(tmp_path: Path) -> None:
    install(Path("/opt/pypptp"), "--destdir", str(tmp_path))
    installed = tmp_path / "opt/pypptp"
    found = [path for path in installed.rglob("*") if path.is_file() and str(tmp_path).encode() in path.read_bytes()]
    assert found == []
    assert "'/opt/pypptp/lib/pypptp'" in (installed / "bin/pypptp").read_text()


def test_what_was_installed_goes_and_nothing_else(tmp_path: Path) -> None:
    theirs = tmp_path / "share/man/man1/other.1"
    theirs.parent.mkdir(parents=True)
    theirs.touch()
    install(tmp_path)
    install(tmp_path, "--remove")
    assert [path for path in tmp_path.rglob("*") if not path.is_dir()] == [theirs]
    assert not (tmp_path / "lib").exists()


def test_a_prefix_a_unit_cannot_name() -> None:
    for prefix in ("relative", "/with space"):
        with pytest.raises(subprocess.CalledProcessError):
            install(Path(prefix))
