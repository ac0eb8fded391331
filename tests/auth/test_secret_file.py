from __future__ import annotations

import os
from pathlib import Path

import pytest

from pypptp.auth.secret_file import MAXIMUM_SIZE, read_private_file, read_secret_file
from pypptp.errors import ConfigurationError


def test_a_pipe_has_no_mode_to_warn_of(tmp_path: Path) -> None:
    # A shell's <(...) gives a client its password through /dev/fd.
    reader, writer = os.pipe()
    try:
        os.write(writer, b"secret\n")
        os.close(writer)
        assert read_secret_file(Path(f"/dev/fd/{reader}")) == (b"secret\n", [])
    finally:
        os.close(reader)


def test_the_limit_is_exact(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch(0o600)
    with path.open("r+b") as file:
        file.truncate(MAXIMUM_SIZE)
    assert len(read_secret_file(path)[0]) == MAXIMUM_SIZE
    with path.open("r+b") as file:
        file.truncate(MAXIMUM_SIZE + 1)
    with pytest.raises(ConfigurationError, match="larger than 16 MiB"):
        read_secret_file(path)


def test_the_systems_reason_is_given(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file or directory"):
        read_secret_file(tmp_path / "missing")
    with pytest.raises(ConfigurationError, match="Is a directory"):
        read_secret_file(tmp_path)


@pytest.mark.parametrize(
    ("mode", "fine"), [(0o600, True), (0o400, True), (0o640, False), (0o604, False), (0o622, False)]
)
def test_only_its_owners(tmp_path: Path, mode: int, fine: bool) -> None:
    path = tmp_path / "chap-secrets"
    path.write_bytes(b"alice * wonderland *\n")
    path.chmod(mode)
    if fine:
        assert read_private_file(path) == (b"alice * wonderland *\n", [])
        return
    with pytest.raises(ConfigurationError) as caught:
        read_private_file(path)
    assert f"(mode {mode:o}); chmod 600 {path}, or use it as it is with --allow-readable-secrets" in str(caught.value)
    assert "wonderland" not in str(caught.value)
    assert read_secret_file(path)[0] == b"alice * wonderland *\n"
