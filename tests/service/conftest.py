"""What the tests of running servers and clients share."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

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
