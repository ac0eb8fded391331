"""Fixtures and rules for all tests."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from pypptp.net import resolv_conf
from pypptp.service import secrecy

ROOT = Path(__file__).resolve().parent.parent
VECTORS = ROOT / "tests" / "vectors"

# Shared machines make deadlines lie. "ci" tries the same examples every time, so that a red run is the change's fault;
# "dev" looks for new ones and remembers what failed; "thorough" is for a parser one has just written.
settings.register_profile("ci", deadline=None, derandomize=True, max_examples=100, print_blob=True)
settings.register_profile("dev", deadline=None, max_examples=100)
settings.register_profile("thorough", deadline=None, max_examples=5000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev"))


@pytest.fixture(autouse=True)
def _no_real_name_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that forgets to say where /etc/resolv.conf and its copy are finds none."""
    monkeypatch.setattr(resolv_conf, "STATE_FOLDER", Path("/nonexistent/pypptp"))


@pytest.fixture(autouse=True)
def _tests_may_dump_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands close their process to others. Those that tests call run in pytest's own, which stays open."""
    monkeypatch.setattr(secrecy, "_close_to_others", lambda: None)


def _why_no_netns() -> str | None:
    """Name what is missing for the namespace tests, or return None."""
    if not sys.platform.startswith("linux"):
        return "needs Linux"
    if os.geteuid() != 0:
        return "needs root"
    if not Path("/dev/net/tun").exists():
        return "needs /dev/net/tun"
    # Root in a container may lack CAP_SYS_ADMIN: only trying tells. In a child, so that the tests stay where they are.
    attempt = "import ctypes, sys; sys.exit(ctypes.CDLL(None).unshare(0x40000000) != 0)"  # CLONE_NEWNET
    if subprocess.run([sys.executable, "-c", attempt], check=False).returncode != 0:
        return "needs the right to make network namespaces"
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    marked = [item for item in items if item.get_closest_marker("netns")]
    reason = _why_no_netns() if marked else None
    if reason is not None:
        for item in marked:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder with standards and captures beside the project."""
    path = ROOT.parent / "shared"
    if not path.is_dir():
        pytest.skip("no ../shared beside the project")
    return path


@pytest.fixture(scope="session")
def vectors() -> dict[str, Any]:
    """All published and recomputed values, by algorithm."""
    loaded: dict[str, Any] = json.loads((VECTORS / "vectors.json").read_text(encoding="utf-8"))
    return loaded
