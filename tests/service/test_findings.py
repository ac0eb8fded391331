from __future__ import annotations

import logging

import pytest

from pypptp.service.findings import Finding, Level, log_findings


def test_a_finding_says_where_and_how_much() -> None:
    finding = Finding("/etc/pptpd.conf", 3, Level.WARNING, "mind the gap")
    assert str(finding) == "/etc/pptpd.conf:3: warning: mind the gap"
    assert Finding("/etc/pptpd.conf", 0, Level.ERROR, "x").where == "/etc/pptpd.conf"
    alone = Finding("", 0, Level.ERROR, "x")
    assert (alone.sentence, str(alone)) == ("x", "error: x")


def test_the_log_has_the_same_levels(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    log_findings([Finding("f", 7, level, level.name) for level in Level])
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.INFO, "f:7: INFO"),
        (logging.WARNING, "f:7: WARNING"),
        (logging.ERROR, "f:7: ERROR"),
    ]
