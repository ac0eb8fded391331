import json
from dataclasses import replace
from ipaddress import IPv4Address
from xml.etree import ElementTree

from pypptp.testing.dialogue.transcript import Direction, Entry, Layer, Transcript
from pypptp.testing.spec import Level, Outcome, Result, Verdict
from pypptp.testing.spec.reports import as_json, as_junit, is_expected, read_expected, unexpected


def result(check_id: str, verdict: Verdict, actual: str = "seen") -> Result:
    return Result(check_id, "RFC 2637 2.1", Level.MUST, verdict, "wanted", actual, 0.25, None)


OUTCOME = Outcome(
    [
        result("cc/2.1/1", Verdict.PASS),
        result("cc/2.1/2", Verdict.FAIL, "with \x1b and <angles>"),
        result("cc/2.1/3", Verdict.SKIP),
        result("gre/4.1/1", Verdict.FAIL),
    ],
    [result("sanity/first", Verdict.PASS)],
)


def test_json() -> None:
    found = json.loads(json.dumps(as_json(OUTCOME, ["gre/"])))
    assert [one["id"] for one in found["results"]] == ["cc/2.1/1", "cc/2.1/2", "cc/2.1/3", "gre/4.1/1"]
    assert {"id", "verdict", "expected", "actual"} <= set(found["results"][0])
    assert found["results"][0]["verdict"] == "PASS"
    assert [one["expected_failure"] for one in found["results"]] == [False, False, False, True]
    assert found["counts"] == {"PASS": 1, "FAIL": 2, "SKIP": 1}


def test_json_shows_what_did_not_pass() -> None:
    transcript = Transcript(0.0)
    near, far = IPv4Address("127.0.0.2"), IPv4Address("127.0.0.1")
    transcript.add(Entry(0.25, Direction.REMARK, Layer.REMARK, b"", "RST", near, far, (0, 0)))
    results = [replace(result("cc/2.1/1", verdict), transcript=transcript) for verdict in Verdict]
    shown = {one["verdict"]: one["transcript"] for one in as_json(Outcome(results, []))["results"]}
    assert shown == {verdict: ["    0.250 -- RST"] if verdict in ("FAIL", "NONSTRICT") else [] for verdict in Verdict}


def test_junit() -> None:
    suite = ElementTree.fromstring(as_junit(OUTCOME, {"cc/2.1/2": "the exchange"}, ["gre/4.1/1"]))
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("5", "1", "1")
    failure = suite.find("testcase[@name='cc/2.1/2']/failure")
    assert failure is not None
    assert failure.get("message") == r"with \x1b and <angles>"
    assert "the exchange" in (failure.text or "")
    assert suite.find("testcase[@name='gre/4.1/1']/failure") is None


def test_expected_failures() -> None:
    known = read_expected(["# all of GRE", "gre/", "", "cc/2.1/1  # mended meanwhile"])
    assert known == ["gre/", "cc/2.1/1"]
    assert is_expected("gre/4.3/1", known)
    assert not is_expected("cc/2.1/10", known)
    failed, mended = unexpected(OUTCOME, known)
    assert [one.id for one in failed] == ["cc/2.1/2"]
    assert [one.id for one in mended] == ["cc/2.1/1"]
