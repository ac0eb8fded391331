"""docs/conformance.md is what the records say, the records are about every check, and our own are good."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pypptp.roles import Role
from pypptp.testing.spec import CATALOGUE, REGISTRY, Level, Verdict, select

from . import page
from .remarks import REMARKS
from .results import SUBJECTS, Found, Subject, read_all

RECORDS = read_all()
OURS = [subject for subject in SUBJECTS if not subject.real]
REAL = [subject for subject in SUBJECTS if subject.real]


def test_the_page_is_current() -> None:
    assert page.TARGET.read_text() == page.document(RECORDS)


def test_no_check_is_missing() -> None:
    assert page.missing(RECORDS) == []
    for subject, record in RECORDS.items():
        assert [found.id for found in record.results] == select(subject.role)


def test_a_missing_check_is_noticed() -> None:
    record = RECORDS[OURS[0]]
    fewer = replace(record, results=record.results[1:])
    assert page.missing({**RECORDS, OURS[0]: fewer}) == [f"pypptp-server {record.results[0].id}"]


def test_a_changed_verdict_changes_the_page() -> None:
    record = RECORDS[OURS[0]]
    first = record.results[0]
    failed = Found(first.id, Verdict.FAIL, "result 2", 0.1, ["0.000 <- control"])
    changed = replace(record, results=[failed, *record.results[1:]])
    text = page.document({**RECORDS, OURS[0]: changed})
    assert text != page.document(RECORDS)
    assert "## What pypptp server does otherwise" in text
    assert "Seen: result 2." in text


@pytest.mark.parametrize("subject", OURS, ids=lambda subject: subject.name)
def test_ours_fails_nothing(subject: Subject) -> None:
    for found in RECORDS[subject].results:
        assert found.verdict not in page.EXPLAINED, f"{found.id}: {found.actual}"
    assert RECORDS[subject].sanity == ["PASS", "PASS"]


def test_every_check_is_decided_against_ours() -> None:
    decided = {found.id for subject in OURS for found in RECORDS[subject].results if found.verdict is not Verdict.SKIP}
    assert decided == set(CATALOGUE)
    server = next(subject for subject in OURS if subject.role is Role.SERVER)
    assert sum(found.verdict is not Verdict.SKIP for found in RECORDS[server].results) >= 130


@pytest.mark.parametrize("subject", REAL, ids=lambda subject: subject.name)
def test_what_the_real_ones_do_otherwise_is_shown(subject: Subject) -> None:
    text = page.TARGET.read_text()
    for found in RECORDS[subject].results:
        if found.verdict in page.EXPLAINED:
            entry = CATALOGUE[found.id]
            assert f"{found.id}: {found.verdict} ({entry.level}, {entry.reference})" in text
            assert found.transcript, f"{found.id} has no transcript"


def test_remarks_are_about_findings() -> None:
    assert list(page.stale(RECORDS)) == []
    assert all(check_id in REGISTRY for _, check_id in REMARKS)


def test_levels_are_explained() -> None:
    for level in Level:
        assert str(level) in page.HEAD
