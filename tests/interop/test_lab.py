"""The lab's own parts that need no guest: what it says where it cannot be had, the CCP filter, the matrix."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from .cases import FAILURES, OLD_FILES, OPTIONS, SEEN
from .lab import build
from .matrix import document, missing
from .pairs import PAIRS
from .peers import ccp_filter
from .results import Result
from .speed import insert

# LCP-style framing of <mppe +H -M +S -L -D -C> in a CCP Configure-Ack, as pppd sends it.
STATELESS_ACK = bytes.fromhex("ff0380fd0201000a120601000040")
STATEFUL_NAK = bytes.fromhex("ff0380fd0301000a120600000040")


def with_fcs(frame: bytes) -> bytes:
    return frame + (ccp_filter.fcs(frame) ^ 0xFFFF).to_bytes(2, "little")


def test_another_distribution_is_told_which_packages_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: {"ID": "fedora", "PRETTY_NAME": "Fedora 42"})
    with pytest.raises(build.LabUnavailableError, match=r"user-mode-linux and debootstrap; this is Fedora 42"):
        build.check_host()


def test_an_ordinary_user_is_told_to_be_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: {"ID": "debian", "VERSION_CODENAME": "bookworm"})
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(build.LabUnavailableError, match="root"):
        build.obtain(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("packages", "kind"), [({"user-mode-linux"}, "uml"), (set(), "qemu")])
def test_an_emulated_machine_takes_the_place_of_user_mode_linux(
    packages: set[str], kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("PYPPTP_LAB", raising=False)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(build, "run", lambda argv: argv[-1] if argv[-1] in packages else "")
    assert build.choose_kind(tmp_path, "bookworm") == kind


def test_the_environment_names_the_kind_of_guest(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PYPPTP_LAB", "qemu")
    assert build.choose_kind(tmp_path, "bookworm") == "qemu"
    monkeypatch.setenv("PYPPTP_LAB", "kvm")
    with pytest.raises(build.LabUnavailableError, match="uml or qemu, not 'kvm'"):
        build.choose_kind(tmp_path, "bookworm")


def test_a_missing_program_is_named() -> None:
    with pytest.raises(build.LabUnavailableError, match="no-such-program"):
        build.run(["no-such-program"])


def test_a_failing_program_says_why() -> None:
    with pytest.raises(build.LabUnavailableError, match="because of this"):
        build.run(["sh", "-c", "echo because of this >&2; exit 3"])


def test_a_program_that_hangs_is_given_up() -> None:
    with pytest.raises(build.LabUnavailableError, match=r"sleep did not end within 0 s"):
        build.run(["sleep", "30"], limit=0.1)


def test_the_filter_naks_stateless_mode() -> None:
    assert ccp_filter.naked(with_fcs(STATELESS_ACK)) == with_fcs(STATEFUL_NAK)
    assert ccp_filter.naked(with_fcs(STATELESS_ACK[2:])) == with_fcs(STATEFUL_NAK[2:])


@pytest.mark.parametrize(
    "frame", [with_fcs(STATEFUL_NAK), STATELESS_ACK + b"\0\0", with_fcs(b"\xff\x03\x00\x21E"), b""]
)
def test_the_filter_leaves_all_else_alone(frame: bytes) -> None:
    assert ccp_filter.naked(frame) is None


def test_byte_stuffing_is_undone() -> None:
    frame = bytes(range(256))
    line = ccp_filter.escape(frame)
    assert not set(line) & (set(range(0x20)) | {ccp_filter.FLAG})
    assert ccp_filter.unescape(line) == frame


def results() -> dict[tuple[str, str], Result]:
    rows = [case.name for case in OPTIONS] + list(FAILURES) + list(OLD_FILES) + list(SEEN)
    return {(pair.name, row): Result(pair.name, row, "passed", 1.0, "") for pair in PAIRS for row in rows}


def test_the_matrix_has_a_cell_for_everything() -> None:
    found = results()
    assert missing(found) == []
    page = document(found)
    assert all(case.title in page for case in OPTIONS)
    assert "|  |" not in page


def test_an_empty_cell_is_an_error() -> None:
    found = results()
    del found[PAIRS[0].name, OPTIONS[0].name]
    assert missing(found) == [f"{PAIRS[0].name} {OPTIONS[0].name}"]


def test_reasons_are_for_pairs_there_are() -> None:
    names = {pair.name for pair in PAIRS}
    assert all(set(case.not_for) <= names for case in OPTIONS)


def test_the_speed_table_replaces_the_last_one() -> None:
    page = insert("# Performance\n", "one\n")
    assert page.startswith("# Performance\n")
    again = insert(page + "\nmore\n", "two\n")
    assert "one\n" not in again
    assert "two\n" in again
    assert again.endswith("\nmore\n")
