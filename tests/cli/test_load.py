from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

from pypptp.testing.ends import RunningServer
from pypptp_cli.load import load


def run(*words: str) -> Result:
    return CliRunner().invoke(load, words, standalone_mode=False)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["127.0.0.1"], "Missing parameter: user"),
        (["127.0.0.1", "--user", "x"], "password: not given"),
        (["192.0.2.1", "--user", "x", "--password", "y"], "say --i-own-this-target"),
        (["127.0.0.1", "--user", "x", "--sessions", "0"], "0 is not in the range"),
    ],
)
def test_what_cannot_be(monkeypatch: pytest.MonkeyPatch, words: list[str], message: str) -> None:
    monkeypatch.delenv("PYPPTP_PASSWORD", raising=False)
    assert message in str(run(*words).exception)


@pytest.mark.netns  # for the raw sockets
def test_a_load_in_words_and_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYPPTP_PASSWORD", "wonderland")
    with RunningServer({"alice": "wonderland"}, address="127.64.1.1") as server:
        target = f"{server.address}:{server.port}"
        words = [target, "--user", "alice", "--sessions", "3", "--rate", "0", "--hold", "0.1", "--pings", "20"]
        result = run(*words)
        assert result.return_value == 0, result.output
        assert "3 requested, 3 started, 3 established" in result.output
        assert "0 lost (0.00%)" in result.output
        assert "setup" in result.output
        found = json.loads(run(*words, "--json").stdout)
        assert (found["schema"], found["established"], found["phases"]["setup"]["count"]) == (1, 3, 3)
        result = run(*words, "--password", "looking-glass")
        assert result.return_value == 3
        assert "failed 3: authentication:" in result.output
