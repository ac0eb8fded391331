from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pypptp_cli import check as module
from pypptp_cli.check import check


@pytest.fixture(autouse=True)
def _nothing_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "probe", list)
    monkeypatch.setattr(module, "_addresses", list)


@pytest.fixture
def options(tmp_path: Path) -> Path:
    path = tmp_path / "options"
    path.write_text("require-mschap-v2\nrequire-mppe-128\nname x\ndefaultroute\nlock\n")
    return path


def run(*words: object) -> Result:
    """Run the command as main() does: what it returns is its exit status."""
    return CliRunner().invoke(check, [str(word) for word in words], standalone_mode=False)


def test_each_finding_is_a_line(options: Path) -> None:
    result = run(options)
    assert result.return_value == 0
    lines = result.stdout.splitlines()
    assert [line.split("'")[0] for line in lines] == [f"{options}:4: warning: ", f"{options}:5: info: "]
    assert run("--quiet", options).stdout.splitlines() == lines[:1]


def test_errors_make_the_exit_status(options: Path, tmp_path: Path) -> None:
    bad = tmp_path / "a.toml"
    bad.write_text("local = '10.0.0.1'\nmtu = 20\n")
    result = run(options, bad)
    assert result.return_value == 1
    assert f"{bad}:2: error: mtu: 20 is not between" in result.stdout


def test_a_file_that_cannot_be_read(options: Path) -> None:
    result = run("/nowhere.toml", options)
    assert result.return_value == 2
    assert result.stderr == "pypptp: /nowhere.toml cannot be read: No such file or directory\n"
    assert "defaultroute" in result.stdout


def test_json_is_one_object(options: Path) -> None:
    result = run("--json", options, "/nowhere.toml", options)
    found = json.loads(result.stdout)
    assert found["version"] == 1
    assert [(entry["file"], entry["line"], entry["level"]) for entry in found["findings"]] == [
        (str(options), 4, "warning"),
        (str(options), 5, "info"),
    ]
    assert found["unreadable"] == ["/nowhere.toml cannot be read: No such file or directory"]


def test_what_this_machine_lacks_is_among_them(options: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "probe", lambda: ["no /dev/net/tun: modprobe tun"])
    monkeypatch.setattr("os.geteuid", lambda: 0)
    result = run("-q", options)
    assert result.return_value == 1
    assert result.stdout.splitlines()[-1] == "this machine: error: no /dev/net/tun: modprobe tun"
    assert "this machine" not in run("--no-system", options).stdout
