"""The exceptions a caller of pypptp can meet.

    PptpError
     ├── LocalProtocolError     the caller asked a machine for something its state does not allow
     ├── RemoteProtocolError    the peer broke the protocol; ``code`` is the wire code that tells it so
     ├── ConfigurationError     a wrong option, file or address, named in one sentence
     └── NetworkError           the system refused a TUN device, a socket, a route or a rule

A machine never raises on what a peer sends once it runs: it counts, answers and, where it must, ends that session.
RemoteProtocolError is raised by the parsers alone, for those who call them directly.
"""

from __future__ import annotations

from pypptp.causes import Cause


class PptpError(Exception):
    """Base of every exception pypptp raises on purpose."""


class LocalProtocolError(PptpError):
    """The caller used a machine in a state that does not allow it, or gave it a value the wire cannot carry."""


class RemoteProtocolError(PptpError):
    """The peer sent what the standard forbids.

    Attributes:
        code: the wire code with which the standard answers it, or None where it is dropped in silence.
        section: where the standard says so, for example ``"RFC 2637 1.4"``.
    """

    code: int | None = None
    section: str = ""

    def __init__(self, message: str, *, code: int | None = None, section: str | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code
        if section is not None:
            self.section = section


class ConfigurationError(PptpError):
    """A wrong option, file or address. The text is one sentence that names it."""


class NetworkError(PptpError):
    """The operating system refused something. The text is one sentence with the cure.

    Attributes:
        cause: SYSTEM, or why a server cannot be reached.
    """

    cause: Cause = Cause.SYSTEM

    def __init__(self, message: str, *, cause: Cause | None = None) -> None:
        super().__init__(message)
        if cause is not None:
            self.cause = cause
