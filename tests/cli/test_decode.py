"""The decode command: its JSON, its words for people, its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pypptp.capture.pcap_file import read_capture
from pypptp_cli.decode import decode

LAB = Path(__file__).resolve().parents[1] / "vectors" / "captures" / "lab"
SESSION = str(LAB / "mppe40-stateless.pcap")
LOGIN = ["--user", "root", "--password", "123456"]


def run(*arguments: str, password: str | None = None) -> Result:
    return CliRunner(env={"PYPPTP_PASSWORD": password}).invoke(decode, list(arguments))


def test_json_is_one_object_and_nothing_else() -> None:
    result = run(SESSION, *LOGIN, "--json")
    assert result.exit_code == 0
    assert result.stderr == ""
    found = json.loads(result.stdout)
    assert list(found) == ["control", "gre", "ppp", "mppe"]
    assert found["control"] == 5
    assert set(found["gre"]) == {"total", "ack_only", "seq_and_ack", "seq_only"}
    assert found["ppp"]["0xfd"] == 12
    for direction in ("client_to_server", "server_to_client"):
        counts = found["mppe"][direction]
        assert len(counts.pop("sha256")) == 64
        assert counts == {"frames": 6, "decrypted": 6, "duplicates": 0, "undecryptable": 0}


def test_a_person_sees_every_message_in_order() -> None:
    result = run(SESSION, *LOGIN)
    assert result.exit_code == 0
    order = [
        "Start-Control-Connection-Request",
        "Outgoing-Call-Reply, Connected (1)",
        "LCP    Configure-Request",
        "CHAP   Challenge",
        "CHAP   Response",
        "CHAP   Success",
        "CCP    Configure-Ack",
        "IPCP   Configure-Ack",
        "LCP    Terminate-Request",
        "Call-Clear-Request",
    ]
    positions = [result.stdout.index(text) for text in order]
    assert positions == sorted(positions)
    assert "root; MPPE 40 stateless" in result.stdout


def test_without_a_user_there_are_counts_only() -> None:
    found = json.loads(run(SESSION, "--json", password="123456").stdout)
    assert found["mppe"]["client_to_server"]["frames"] == 6
    assert found["mppe"]["client_to_server"]["decrypted"] == 0


def test_the_password_may_come_from_a_file_or_the_environment(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("123456\n", encoding="utf-8")
    expected = run(SESSION, *LOGIN, "--json").stdout
    assert run(SESSION, "--user", "root", "--password-file", str(secret), "--json").stdout == expected
    assert run(SESSION, "--user", "root", "--json", password="123456").stdout == expected


def test_a_password_that_does_not_fit_is_said_and_no_error() -> None:
    result = run(SESSION, "--user", "root", "--password", "wrong", "--json")
    assert result.exit_code == 0
    assert result.stderr == 'pypptp: user and password do not fit the login of "root"\n'
    assert json.loads(result.stdout)["mppe"]["client_to_server"]["undecryptable"] == 6


def test_inner_packets_are_written(tmp_path: Path) -> None:
    inner = tmp_path / "inner.pcap"
    result = run(SESSION, *LOGIN, "--json", "-w", str(inner))
    assert result.exit_code == 0
    packets = list(read_capture(inner))
    assert len(packets) == 12
    assert {packet.link_type for packet in packets} == {101}
    assert {packet.data[0] >> 4 for packet in packets} == {4, 6}
    assert [packet.time for packet in packets] == sorted(packet.time for packet in packets)


def test_a_capture_cut_short_is_readable(tmp_path: Path) -> None:
    path = tmp_path / "cut.pcap"
    path.write_bytes(Path(SESSION).read_bytes()[:3010])
    result = run(str(path), "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["control"] > 0
    assert result.stderr == "pypptp: the file ends inside a record; what comes before it was read\n"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["absent.pcap"], "absent.pcap: No such file or directory"),
        (["."], "Is a directory"),
        ([__file__], "neither pcap nor pcapng"),
        ([SESSION, "--user", "root"], "--user needs"),
        ([SESSION, *LOGIN, "--password-file", "absent"], "exclude each other"),
        ([SESSION, "--user", "root", "--password-file", "absent"], "--password-file absent"),
        ([SESSION, "-w", "absent/inner.pcap"], "-w absent/inner.pcap"),
    ],
)
def test_wrong_input_is_one_line_and_exit_2(arguments: list[str], named: str) -> None:
    for more in ([], ["--json"]):
        result = run(*arguments, *more)
        assert result.exit_code == 2
        assert result.stdout == ""
        assert named in result.stderr
        assert result.stderr.count("\n") == 1


def test_the_capture_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "session.pcap"
    whole = Path(SESSION).read_bytes()
    path.write_bytes(whole)
    result = run(str(path), *LOGIN, "-w", str(path))
    assert result.exit_code == 2
    assert path.read_bytes() == whole


@pytest.mark.parametrize("path", sorted(LAB.glob("*.pcap")), ids=lambda path: path.stem)
def test_every_capture_is_shown_without_a_traceback(path: Path) -> None:
    for arguments in ([], LOGIN, ["--json"]):
        result = run(str(path), *arguments)
        assert result.exit_code == 0
        assert result.exception is None
