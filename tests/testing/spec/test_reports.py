import json
from xml.etree import ElementTree

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
