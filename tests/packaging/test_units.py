"""The units, as far as systemd's own tools judge them without running them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from pypptp.service.exit_status import MEANINGS

UNITS = Path(__file__).parents[2] / "packaging" / "systemd"
SERVICES = ["pypptp.service", "pypptp-client@.service"]
EVERY = [*SERVICES, "pypptp.socket"]
MOST_EXPOSURE = 3.0


def analyze(*words: str, folder: Path) -> str:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("no systemd-analyze here")
    environment = {"SYSTEMD_COLORS": "0", "SYSTEMD_EMOJI": "0", "LANG": "C.UTF-8", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [program, *words], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=30
    )
    if "unrecognized option" in done.stderr:
        pytest.skip("this systemd-analyze cannot judge units that are not loaded")
    return done.stdout + done.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The units as they are after an installation: what they start is there."""
    command = tmp_path / "bin" / "pypptp"
    command.parent.mkdir()
    command.symlink_to("/bin/true")
    for path in UNITS.iterdir():
        text = path.read_text(encoding="utf-8").replace("/usr/local/bin/", f"{tmp_path}/bin/")
        (tmp_path / path.name).write_text(text, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("unit", SERVICES)
def test_how_far_it_is_locked_in(folder: Path, unit: str) -> None:
    said = analyze("security", "--offline=true", "--no-pager", f"./{unit}", folder=folder)
    found = re.search(r"Overall exposure level for .*: ([0-9.]+)", said)
    assert found is not None, said
    assert float(found[1]) < MOST_EXPOSURE, said


def test_systemd_understands_every_line(folder: Path) -> None:
    said = analyze("verify", "--man=no", *(f"./{unit}" for unit in EVERY), folder=folder)
    # A container has no modprobe@.service, and what else is not ours is not our fault.
    assert [line for line in said.splitlines() if "pypptp" in line] == []


def test_an_unknown_word_would_be_seen(folder: Path) -> None:
    path = folder / "pypptp.service"
    path.write_text(path.read_text(encoding="utf-8").replace("LockPersonality=", "LockPersonalty="), encoding="utf-8")
    assert "LockPersonalty" in analyze("verify", "--man=no", "./pypptp.service", folder=folder)


@pytest.mark.parametrize("unit", SERVICES)
def test_what_the_program_relies_on(unit: str) -> None:
    lines = (UNITS / unit).read_text(encoding="utf-8").splitlines()
    for line in ("Type=notify", "KillMode=mixed", "RuntimeDirectory=pypptp", "RuntimeDirectoryPreserve=yes"):
        assert line in lines
    assert any(line.startswith("WatchdogSec=") for line in lines)
    # Or the crash of one tunnel would open another's kill switch.
    assert "ExecStopPost=-/usr/local/bin/pypptp undo --keep-kill-switch" in lines


def test_a_client_that_was_refused_is_not_started_again() -> None:
    lines = (UNITS / "pypptp-client@.service").read_text(encoding="utf-8").splitlines()
    (line,) = [line for line in lines if line.startswith("RestartPreventExitStatus=")]
    never = {int(word) for word in line.partition("=")[2].split()}
    again = {"the server cannot be reached", "the server answers no more", "the server ended the session"}
    assert never == {2} | {
        status for status, meaning in MEANINGS.items() if not any(meaning.startswith(start) for start in again)
    }


def test_the_socket_is_ipv4() -> None:
    # A bare number would be an IPv6 socket, which pypptp.service.activation refuses.
    assert "ListenStream=0.0.0.0:1723" in (UNITS / "pypptp.socket").read_text(encoding="utf-8").splitlines()
