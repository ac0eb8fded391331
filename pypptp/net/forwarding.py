"""IPv4 forwarding of this thread's network namespace.

Writing ``ip_forward`` sets more than itself (Linux ``inet_forward_change``): ``conf/all/accept_redirects`` and the
``forwarding`` of every interface. Taking it back puts those back too, so that a hardened host does not accept
redirects afterwards.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from pathlib import Path

from pypptp.errors import NetworkError

IPV4 = Path("/proc/sys/net/ipv4")

_OFF = {"all/accept_redirects": "1"}
"""What writing 0 to ``ip_forward`` leaves, where that is not 0."""


@dataclass(frozen=True, slots=True)
class ForwardingState:
    """What writing ``ip_forward`` changes.

    Attributes:
        forwarding: the value of ``ip_forward``.
        settings: path below ``conf/`` and value.
    """

    forwarding: str
    settings: dict[str, str]


def read_state() -> ForwardingState:
    """Read the present state. Raises NetworkError where /proc is not there."""
    try:
        forwarding = _read(IPV4 / "ip_forward")
        settings = {"all/accept_redirects": _read(IPV4 / "conf/all/accept_redirects")}
        for folder in (IPV4 / "conf").iterdir():
            try:
                settings[f"{folder.name}/forwarding"] = _read(folder / "forwarding")
            except OSError:
                continue  # an interface that went away meanwhile
    except OSError as error:
        raise NetworkError(f"cannot read {IPV4}/ip_forward: {error.strerror}; is /proc mounted?") from error
    return ForwardingState(forwarding, settings)


def enable() -> None:
    """Switch forwarding on."""
    try:
        (IPV4 / "ip_forward").write_text("1", encoding="ascii")
    except OSError as error:
        if error.errno == errno.EROFS:
            raise NetworkError(
                "cannot switch IPv4 forwarding on, /proc/sys is read-only: "
                "start the container with '--sysctl net.ipv4.ip_forward=1'"
            ) from error
        raise NetworkError(
            "not allowed to switch IPv4 forwarding on: run as root, or write 1 to net.ipv4.ip_forward"
        ) from error


def restore(state: ForwardingState) -> None:
    """Put everything back as it was; interfaces that went away or came since are left alone.

    Interrupted, it may be called again. A setting that is neither what it was nor what the kernel makes of it when
    forwarding goes off is somebody else's since, and left alone.
    """
    if _read(IPV4 / "ip_forward") != state.forwarding:
        (IPV4 / "ip_forward").write_text(state.forwarding, encoding="ascii")
    for name, value in state.settings.items():
        path = IPV4 / "conf" / name
        try:
            off = _OFF.get(name, "0")
            if value != off and _read(path) == off:
                path.write_text(value, encoding="ascii")
        except FileNotFoundError:
            continue


def _read(path: Path) -> str:
    return path.read_text(encoding="ascii").strip()
