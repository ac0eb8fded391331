"""Where a client's name and password come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pypptp.auth.secret_file import read_secret_file
from pypptp.errors import ConfigurationError
from pypptp.ppp.auth import Secret
from pypptp.service.kinds import Text
from pypptp.service.settings import ClientSettings
from pypptp.service.warning import PASSWORD_IS_VISIBLE

PASSWORD_VARIABLE = "PYPPTP_PASSWORD"  # noqa: S105 - the variable's name
"""The environment variable that gives a client its password."""

Prompt = Callable[[str, bool], str]
"""``prompt("Password", True)`` asks at the terminal; True: without an echo."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A name and its password.

    Attributes:
        user: the name to log in with.
        password: never in ``repr``; "" where only its hash is known.
        warnings: sentences for a person.
        nt_hash: 16 octets, which a file of secrets may hold in the password's place.
    """

    user: str
    password: str = field(repr=False)
    warnings: tuple[str, ...] = ()
    nt_hash: bytes | None = field(default=None, repr=False)

    @property
    def secret(self) -> Secret:
        """What the core proves it is the user with."""
        return Secret(self.password if self.nt_hash is None else None, nt_hash=self.nt_hash)


def find_credentials(
    settings: ClientSettings,
    *,
    environment: Mapping[str, str],
    prompt: Prompt | None,
    password_on_command_line: bool = False,
    read_file: Callable[[Path], tuple[bytes, list[str]]] = read_secret_file,
) -> Credentials:
    """Find the name and the password, and ask for what is missing.

    The password is the one of ``password`` or ``password-file``, then of PYPPTP_PASSWORD, then of the prompt.

    Args:
        settings: the client's.
        environment: ``os.environ``.
        prompt: how to ask, or None where there is no terminal.
        password_on_command_line: ``--password`` was given, so that ``ps`` shows it.
        read_file: how the password file is read.

    Raises:
        ConfigurationError: something is missing and there is no terminal to ask at, or a source holds nothing usable.
    """
    user = settings.user
    if user is None:
        if prompt is None:
            raise ConfigurationError("user: not given, and there is no terminal to ask at; use --user NAME")
        user = _checked("user", prompt("User", False).strip(), 255)

    warnings: list[str] = []
    if settings.password is not None:
        password = settings.password
        if password_on_command_line:
            warnings.append(PASSWORD_IS_VISIBLE)
    elif settings.password_file is not None:
        data, warnings = read_file(settings.password_file)
        password = _checked(f"password-file {settings.password_file}", _first_line(data, settings.password_file), 256)
    elif PASSWORD_VARIABLE in environment:
        password = _checked(PASSWORD_VARIABLE, environment[PASSWORD_VARIABLE], 256)
    elif prompt is not None:
        password = _checked("password", prompt(f"Password for {user}", True), 256)
    else:
        raise ConfigurationError(
            f"password: not given, and there is no terminal to ask at; use --password-file FILE or {PASSWORD_VARIABLE}"
        )
    return Credentials(user, password, tuple(warnings))


def _first_line(data: bytes, path: Path) -> str:
    line = data.removeprefix(b"\xef\xbb\xbf").partition(b"\n")[0].removesuffix(b"\r")
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigurationError(f"password-file {path}: the first line is not UTF-8") from None


def _checked(source: str, value: str, maximum: int) -> str:
    try:
        return Text(maximum=maximum).from_text(value)
    except ValueError as error:
        raise ConfigurationError(f"{source}: {error}") from None
