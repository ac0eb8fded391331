"""Reading a file that holds secrets: bounded, and with a look at who else can read it."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

from pypptp.errors import ConfigurationError

MAXIMUM_SIZE = 16 * 1024 * 1024
"""Octets. A secrets file with 100,000 users has about 5 MiB; /dev/zero has no end."""


ReadFile = Callable[[Path], tuple[bytes, list[str]]]
"""Reads a file of secrets: (content, warnings). Raises ConfigurationError where it cannot."""


def read_secret_file(path: Path) -> tuple[bytes, list[str]]:
    """Read a file of secrets, whole.

    Returns:
        Its content, and a warning if anyone but its owner can read or write it (what pppd's ``check_access`` looks at).

    Raises:
        ConfigurationError: there is none, it cannot be read, or it is too large. Names the file.
    """
    warnings: list[str] = []
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if stat.S_ISREG(mode) and mode & 0o077:
                warnings.append(
                    f"{path} holds secrets and others have access to it (mode {mode & 0o777:o}); chmod 600 {path}"
                )
            data = file.read(MAXIMUM_SIZE + 1)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError:
        raise ConfigurationError(f"{str(path)!a} is not a file name") from None
    if len(data) > MAXIMUM_SIZE:
        raise ConfigurationError(f"{path} is larger than {MAXIMUM_SIZE // 1024 // 1024} MiB, which no secrets file is")
    return data, warnings


def read_private_file(path: Path) -> tuple[bytes, list[str]]:
    """Read a file of secrets that is its owner's alone; what others can read or write is refused, as sshd does.

    Raises:
        ConfigurationError: besides what ``read_secret_file`` raises, anyone but its owner has access to it.
    """
    data, warnings = read_secret_file(path)
    if warnings:
        raise ConfigurationError(f"{warnings[0]}, or use it as it is with --allow-readable-secrets")
    return data, warnings
