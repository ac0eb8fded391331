"""TUN devices, opened with python-pytun."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

from pypptp.errors import NetworkError
from pypptp.net.edge import tun_pattern

try:
    import pytun
except ImportError:  # another system: the module can be imported there, but nothing opened
    pytun = None

DEVICE = "/dev/net/tun"
IFF_NAPI = 0x0010
"""Linux 4.15; python-pytun passes the flag on though it has no name for it."""

NAPI_SETTINGS = {"napi_defer_hard_irqs": "2", "gro_flush_timeout": "50000"}
"""With these the kernel merges TCP segments that are written one by one, and a tenth of the acknowledgements comes
back."""

_NAME = re.compile(r"[^\s/:%]{1,15}")
_NUMBER = re.compile(r"%d")


class LinuxTun:
    """One TUN device of this kernel.

    Args:
        name: an exact name, a pattern with one ``%d``, or None for ``ppp%d``.

    Raises:
        NetworkError: no such name, no device file, no right, or the name is taken.
    """

    def __init__(self, name: str | None = None) -> None:
        pattern = check_name(name)
        if pytun is None:
            raise NetworkError("cannot open a TUN device: python-pytun is not installed (it needs Linux)")
        self._device = _open(pattern)
        self.name: str = self._device.name
        self.fd: int = self._device.fileno()
        # python-pytun opens it inheritable and blocking: a hook script would keep the interface alive.
        os.set_inheritable(self.fd, False)
        os.set_blocking(self.fd, False)

    def close(self) -> None:
        """Close the descriptor, and with it the interface. The kernel takes about 20 ms for it."""
        if self.fd >= 0:
            self.fd = -1
            self._device.close()

    def __repr__(self) -> str:
        return f"<LinuxTun {self.name} {'closed' if self.fd < 0 else f'fd {self.fd}'}>"


def check_name(name: str | None) -> str:
    """Return the pattern for a TUN's name; raise NetworkError where the kernel would not take it."""
    pattern = tun_pattern(name)
    if not _NAME.fullmatch(_NUMBER.sub("0", pattern, count=1)) or pattern in (".", ".."):
        raise NetworkError(
            f"{pattern!r} is no interface name: use 1 to 15 characters, without '/', ':' or space, and at most one '%d'"
        )
    return pattern


def _open(pattern: str) -> pytun.TunTapDevice:
    # EXCL: somebody else's persistent TUN of that name is not ours to take over. ``ppp%d`` always makes a new one.
    flags = pytun.IFF_TUN | pytun.IFF_NO_PI | (0 if "%d" in pattern else pytun.IFF_TUN_EXCL)
    try:
        try:
            return pytun.TunTapDevice(name=pattern, flags=flags | IFF_NAPI, dev=DEVICE)
        except (pytun.Error, OSError) as error:
            if _code(error) != errno.EINVAL:
                raise
            return pytun.TunTapDevice(name=pattern, flags=flags, dev=DEVICE)
    except (pytun.Error, OSError) as error:
        raise NetworkError(_sentence(pattern, _code(error))) from error


def _code(error: Exception) -> int | None:
    number = error.args[0] if error.args else None
    return number if isinstance(number, int) else None


def device_sentence(there: bool) -> str:
    """Say why the device file cannot be opened: it is not there, or not ours to open."""
    if not there:
        return f"there is no {DEVICE}: use 'modprobe tun', or start the container with '--device {DEVICE}'"
    return f"not allowed to open {DEVICE}: run as root, or let this user read and write it"


def _sentence(pattern: str, code: int | None) -> str:
    if code in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        return device_sentence(there=False)
    if code in (errno.EPERM, errno.EACCES):
        if not os.access(DEVICE, os.R_OK | os.W_OK):
            return device_sentence(there=True)
        return "not allowed to make a TUN device: run as root or give the process CAP_NET_ADMIN"
    if code in (errno.EBUSY, errno.EEXIST):
        return f"there is an interface {pattern} already: choose another name with --ifname"
    if code == errno.EINVAL:
        return f"{pattern!r} cannot be a TUN device: another kind of interface may have that name (--ifname)"
    if code in (errno.EMFILE, errno.ENFILE):
        return "no file descriptor left for a TUN device: raise the limit with 'ulimit -n'"
    return f"cannot make a TUN device {pattern}: {os.strerror(code) if code is not None else 'unknown error'}"


def tune_napi(name: str, alias: str) -> bool:
    """Let the kernel merge what is written to TUN ``name``; False where it does not let us.

    /sys belongs to the namespace it was mounted in, which a thread that called setns(2) has left: an interface of the
    same name may be somebody else's there. ``alias`` is what we set as the interface's alias by netlink, and proves
    it is ours.
    """
    folder = Path("/sys/class/net") / name
    try:
        if (folder / "ifalias").read_text(encoding="utf-8").rstrip("\n") != alias:
            return False
        for setting, value in NAPI_SETTINGS.items():
            (folder / setting).write_text(value, encoding="ascii")
    except OSError:
        return False
    return True
