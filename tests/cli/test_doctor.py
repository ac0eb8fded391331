from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from click.testing import CliRunner

from pypptp.errors import ConfigurationError
from pypptp.service import doctor as service
from pypptp.service.doctor import Finding, Mark, Question
from pypptp_cli.doctor import doctor

FOUND = [
    Finding("tun", Mark.GOOD, "TUN devices can be made"),
    Finding("forward-filter", Mark.NOTE, "cannot tell", "look"),
    Finding("gre", Mark.WRONG, "none came back \x1b[31m[red]", "let it pass"),
]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Question]:
    questions: list[Question] = []

    def examine(question: Question, say: Callable[[Finding], None]) -> None:
        questions.append(question)
        for finding in FOUND if question.host != "well" else FOUND[:2]:
            say(finding)

    monkeypatch.setattr(service, "examine", examine)
    return questions


def test_findings_on_a_terminal(asked: list[Question]) -> None:
    result = CliRunner().invoke(doctor, ["vpn.example"], standalone_mode=False)
    assert result.return_value == 1
    assert result.output.splitlines() == [
        "✓ TUN devices can be made",
        "! cannot tell",
        "    → look",
        "✗ none came back \\x1b[31m[red]",
        "    → let it pass",
        "1 of 3 checks found something wrong",
    ]
    assert asked == [Question(host="vpn.example")]


def test_notes_are_nothing_wrong(asked: list[Question]) -> None:
    result = CliRunner().invoke(doctor, ["well", "--no-trial"], standalone_mode=False)
    assert result.return_value == 0
    assert result.output.splitlines()[-1] == "nothing wrong in 2 checks, 1 to note"
    assert not asked[0].trial


def test_json(asked: list[Question]) -> None:
    result = CliRunner().invoke(doctor, ["--json"], standalone_mode=False)
    assert result.return_value == 1
    answer = json.loads(result.output)
    assert (answer["schema"], answer["host"], answer["wrong"]) == (1, None, 1)
    assert answer["findings"][0] == {
        "check": "tun",
        "mark": "good",
        "sentence": "TUN devices can be made",
        "cure": None,
    }
    assert asked[0].host is None


def test_the_password_is_that_of_the_environment(asked: list[Question]) -> None:
    words = ["vpn.example", "--user", "alice", "--port", "1800"]
    CliRunner(env={"PYPPTP_PASSWORD": "wonder land"}).invoke(doctor, words, standalone_mode=False)
    assert asked == [Question(host="vpn.example", port=1800, user="alice", password="wonder land")]
    assert "wonder" not in repr(asked)


@pytest.mark.parametrize(
    "words",
    [["--user", "alice"], ["--password-file", "x"], ["vpn.example", "--password-file", "x"], ["bad host!"]],
)
def test_usage(asked: list[Question], words: list[str]) -> None:
    result = CliRunner(env={"PYPPTP_PASSWORD": "x"}).invoke(doctor, words, standalone_mode=False)
    assert isinstance(result.exception, ConfigurationError)
    assert asked == []
