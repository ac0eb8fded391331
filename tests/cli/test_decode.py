"""The decode command: its JSON, its words for people, its exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pypptp.capture.pcap_file import read_capture
from pypptp.testing.ends import RunningClient, RunningServer
from pypptp_cli.decode import decode

LAB = Path(__file__).resolve().parents[1] / "vectors" / "captures" / "lab"
INTEROP = LAB.parent / "interop"
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


@pytest.mark.parametrize("layer", ["nosuch", "lcp,chap", ""])
def test_a_layer_there_is_not(layer: str) -> None:
    for more in ([], ["--ladder", "text"]):
        result = run(SESSION, "--layer", layer, *more)
        assert result.exit_code == 2
        assert f"--layer {layer}: give one of pptp, lcp, chap" in result.stderr


@pytest.mark.parametrize(("option", "value"), [("--write-both", "both.pcapng"), ("--json", ""), ("--session", "1")])
def test_what_a_live_interface_has_no_place_for(option: str, value: str) -> None:
    result = run("--interface", "lo", option, *filter(None, [value]))
    assert result.exit_code == 2
    assert f"{option} needs a file" in result.stderr


def test_only_some_layers() -> None:
    said = run(SESSION, "--layer", "ccp", "--layer", "IPCP").stdout
    assert "CCP    Configure-Request" in said
    assert "IPCP   Configure-Ack" in said
    assert "LCP " not in said.partition("packets:")[0].replace("CCP", "")


def test_only_one_session() -> None:
    both = str(INTEROP / "two-clients.pcap")
    whole = run(both).stdout
    assert "session 1 " in whole
    assert "session 2 " in whole
    first, second = (run(both, "--session", number).stdout.splitlines() for number in "12")
    challenges = [sum("Challenge" in line for line in lines) for lines in (whole.splitlines(), first, second)]
    assert challenges == [2, 1, 1]
    assert sum("Outgoing-Call-Request" in line for line in first) == 1
    refused = run(both, "--session", "3")
    assert (refused.exit_code, "has 2" in refused.stderr) == (2, True)


def test_exports_are_lines_and_nothing_else() -> None:
    assert run(SESSION, "--export", "john").stdout.startswith("root:$MSCHAPv2$")
    assert run(SESSION, "--export", "hashcat").stdout.count("\n") == 1
    nobody = run(str(LAB / "pap.pcap"), "--export", "john")
    assert (nobody.stdout, "no MS-CHAP login" in nobody.stderr) == ("", True)


def test_ladders() -> None:
    assert "- Authentication -" in run(SESSION, "--ladder", "text").stdout
    page = run(SESSION, "--ladder", "html", "--layer", "chap").stdout
    assert page.startswith("<!DOCTYPE html>")
    assert "Challenge" in page
    assert "Configure-Request" not in page


def test_both_the_outside_and_the_inside(tmp_path: Path) -> None:
    path = tmp_path / "both.pcapng"
    assert run(SESSION, *LOGIN, "--write-both", str(path)).exit_code == 0
    packets = list(read_capture(path))
    inside = [packet for packet in packets if packet.link_type == 101]
    assert len(packets) - len(inside) == len(list(read_capture(LAB / "mppe40-stateless.pcap")))
    assert len(inside) == 12
    assert [packet.time for packet in packets] == sorted(packet.time for packet in packets)
    refused = run(SESSION, "--write-both", SESSION)
    assert (refused.exit_code, "is the capture itself" in refused.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "either a capture FILE or --interface"),
        ([SESSION, "--interface", "lo"], "either a capture FILE or --interface"),
        (["--interface", "lo", "--ladder", "text"], "ladder needs a file"),
        (["--interface", "lo", "--json"], "json needs a file"),
    ],
)
def test_either_a_file_or_an_interface(arguments: list[str], message: str) -> None:
    refused = run(*arguments)
    assert (refused.exit_code, message in refused.stderr) == (2, True)


@pytest.mark.netns  # for the sockets
def test_following_a_live_interface(tmp_path: Path) -> None:
    inner = tmp_path / "inner.pcap"
    command = [sys.executable, "-P", "-m", "pypptp_cli", "decode", "--interface", "lo", "--user", "alice"]
    with subprocess.Popen(
        [*command, "--password", "wonderland", "-w", str(inner)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as program:
        time.sleep(1.0)  # until it listens: it says nothing before something passes
        with RunningServer({"alice": "wonderland"}, address="127.68.0.1", port=1723) as server:
            with RunningClient(server.address, server.port, user="alice", password="wonderland") as client:
                client.await_connected()
                assert all(client.ping() for _ in range(3))
            server.await_no_session()
        time.sleep(0.3)
        program.send_signal(signal.SIGINT)
        said, complaints = program.communicate(timeout=10)
    assert program.returncode == 0
    assert "Start-Control-Connection-Request" in said
    assert "client > server CHAP   Response" in said
    assert "0 not" in complaints
    assert len(list(read_capture(inner))) >= 6
