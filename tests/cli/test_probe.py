from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

from pypptp.testing.ends import RunningServer
from pypptp.testing.probe.findings import ControlFindings, Findings
from pypptp_cli.probe import _rows, probe


def run(*words: str) -> Result:
    return CliRunner().invoke(probe, words, standalone_mode=False)


def test_a_user_without_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYPPTP_PASSWORD", raising=False)
    assert "password: not given for alice" in str(run("127.0.0.1", "--user", "alice").exception)


def test_nobody_answers() -> None:
    assert run("127.0.0.77:9", "--timeout", "0.2").return_value == 69


@pytest.mark.netns  # for the raw sockets
def test_a_server_in_words_and_as_json() -> None:
    with RunningServer({"alice": "wonderland"}, address="127.66.1.1") as server:
        words = (f"{server.address}:{server.port}", "--user", "alice", "--password", "wonderland", "--timeout", "1")
        said = run(*words).output
        assert "mschap-v2" in said
        assert "MPPE 128 stateless" in said
        assert "192.168.0.2 from 192.168.0.1" in said
        found = json.loads(run(*words, "--json").stdout)
        assert (found["schema"], found["link"]["authentication"]) == (1, "mschap-v2")
        assert "wonderland" not in said + json.dumps(found)


def test_a_server_is_named_where_its_first_words_are_known() -> None:
    control = ControlFindings(256, "Ok", "local", "linux", 1, 1, 0, 0, answers_echo=True, seconds=0.1)
    rows = dict(_rows(Findings("192.0.2.1", 1723, control=control)))
    assert "looks like" not in rows
    control.looks_like = ["pptpd"]
    assert dict(_rows(Findings("192.0.2.1", 1723, control=control)))["looks like"] == "pptpd"
