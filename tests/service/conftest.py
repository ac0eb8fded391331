"""What the tests of running servers and clients share."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from pypptp.net import journal_folder
from tests.aio.dialling import udp_for_gre
from tests.service.running import SECRETS


@pytest.fixture
def udp(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    udp_for_gre(monkeypatch)
    caplog.set_level(logging.INFO)


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    path = tmp_path / "chap-secrets"
    path.write_text(SECRETS)
    path.chmod(0o600)
    return path


@pytest.fixture(autouse=True)
def _runtime_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Control sockets of the tests' servers and clients are nobody else's."""
    monkeypatch.setattr(journal_folder, "RUNTIME_FOLDER", tmp_path / "run")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
