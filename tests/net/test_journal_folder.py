import os
import stat
import threading
from pathlib import Path

import pytest

from pypptp.errors import NetworkError
from pypptp.net import journal_folder as module
from pypptp.net.journal_folder import alone_in, journal_folder, open_folder


def test_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert journal_folder() == Path("/run/pypptp/journal")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1000")
    assert journal_folder() == Path("/run/user/1000/pypptp/journal")
    for nowhere in ("", "run/user"):
        monkeypatch.setenv("XDG_RUNTIME_DIR", nowhere)
        with pytest.raises(NetworkError, match="XDG_RUNTIME_DIR is not set"):
            journal_folder()


def test_made_for_us_alone(tmp_path: Path) -> None:
    path = tmp_path / "pypptp" / "journal"
    with pytest.raises(FileNotFoundError):
        open_folder(path, create=False)
    assert not path.parent.exists()
    for create in (True, True, False):
        descriptor = open_folder(path, create=create)
        assert stat.S_IMODE(os.fstat(descriptor).st_mode) == 0o700
        assert not os.get_inheritable(descriptor)
        os.close(descriptor)


@pytest.mark.parametrize(
    ("which", "mode"), [("pypptp/journal", 0o750), ("pypptp/journal", 0o701), ("pypptp", 0o775), ("pypptp", 0o757)]
)
def test_open_to_others(tmp_path: Path, which: str, mode: int) -> None:
    os.close(open_folder(tmp_path / "pypptp/journal", create=True))
    (tmp_path / which).chmod(mode)
    for create in (True, False):
        with pytest.raises(NetworkError, match=rf"{which} is open to others \(mode {mode:04o}\)"):
            open_folder(tmp_path / "pypptp/journal", create=create)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give a folder away")
@pytest.mark.parametrize("which", ["pypptp/journal", "pypptp"])
def test_somebody_elses(tmp_path: Path, which: str) -> None:
    os.close(open_folder(tmp_path / "pypptp/journal", create=True))
    os.chown(tmp_path / which, 12345, -1)
    with pytest.raises(NetworkError, match="belongs to user 12345, not to user 0"):
        open_folder(tmp_path / "pypptp/journal", create=True)


@pytest.mark.parametrize("which", ["pypptp/journal", "pypptp"])
def test_a_link_is_not_followed(tmp_path: Path, which: str) -> None:
    os.close(open_folder(tmp_path / "elsewhere/journal", create=True))
    if "/" in which:
        (tmp_path / "pypptp").mkdir()
    (tmp_path / which).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match=r"Not a directory|symbolic links"):
        open_folder(tmp_path / "pypptp/journal", create=True)


def test_one_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "pypptp/journal"
    first, second = open_folder(path, create=True), open_folder(path, create=True)
    try:
        with alone_in(first, patience=0) as held:
            assert held
            with alone_in(second, patience=0.05) as also:
                assert not also
            with alone_in(second, patience=0) as also:  # who did not have it has not let go of it
                assert not also
        freed = threading.Event()
        with alone_in(first, patience=0):

            def wait() -> None:
                with alone_in(second, patience=20) as held:
                    assert held
                    freed.set()

            waiting = threading.Thread(target=wait)
            waiting.start()
            assert not freed.wait(0.05)
        assert freed.wait(20)
        waiting.join()
    finally:
        os.close(first)
        os.close(second)


def test_the_folder_ends_with_the_boot() -> None:
    assert Path("/run/pypptp") == module.RUNTIME_FOLDER
