"""``--run-as USER``: one process keeps the rights and holds the network, the other talks to peers and has none.

    root      python -m pypptp.service.edge_process   TUN devices, routes, NAT, journal, the secrets file
      │ a Unix socket; TUN and raw GRE descriptors come over it
    USER      pypptp server                           peers, PPP, MPPE, workers; no capability, and no way to get one

The helper is a fresh interpreter and the server's child. Whichever of the two dies, the other ends: the helper takes
everything back first, and what the server leaves behind without it the next start takes back, by the journal.
"""

from __future__ import annotations

import ctypes
import logging
import os
import pwd
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pypptp.errors import ConfigurationError, NetworkError, PptpError
from pypptp.net.edge import NetworkEdge
from pypptp.net.remote import Channel, RemoteHelper, channel_pair, remote_edge
from pypptp.net.remote.channel import BadMessage, ChannelClosed
from pypptp.service.control_socket.place import Place, Taken
from pypptp.service.launch import NOT_FOR_WORKERS, launch_worker
from pypptp.service.secrecy import guard_memory
from pypptp.service.settings import ServerSettings, as_flags

log = logging.getLogger("pypptp")

END_SECONDS = 15.0
"""For the helper to take everything back, after its channel has ended."""
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_MOST_CAPABILITIES = 64


class Separation:
    """What the server has of the helper.

    Attributes:
        edge: the system's network.
        helper: raw GRE sockets, the secrets.
        place: the control socket, made while that was allowed; None where there is none.
    """

    def __init__(self, end: socket.socket, secrets: Path | None, place: Place | None) -> None:
        self.edge: NetworkEdge
        self.helper: RemoteHelper
        self.edge, self.helper, self._requests = remote_edge(end)
        self.place = place
        self._secrets = secrets
        self._texts: dict[Path, tuple[bytes, list[str]]] = {}

    @property
    def lost(self) -> bool:
        """Whether the helper is gone."""
        return self._requests.lost

    def on_lost(self, act: Callable[[], object]) -> None:
        """Have ``act`` called, in a thread, when the helper is gone."""
        self._requests.on_lost(act)

    def read_file(self, path: Path) -> tuple[bytes, list[str]]:
        """Read the secrets file, or one it names; all of them are as they were when the first was read.

        Raises:
            ConfigurationError: it cannot be read, or is none of them.
        """
        if path == self._secrets:
            try:
                texts = self.helper.read_secrets()
            except NetworkError as error:
                raise ConfigurationError(f"{path} cannot be read: {error}") from None
            self._texts = {Path(text.path): (text.content.encode("latin-1"), list(text.warnings)) for text in texts}
        if path not in self._texts:
            raise ConfigurationError(f"{path} cannot be read: it was not there when the secrets were")
        data, warnings = self._texts[path]
        return data, list(warnings)

    def launch_worker(self, end: socket.socket, gre: socket.socket) -> subprocess.Popen[bytes]:
        """Start a worker with a channel of its own to the helper. Raises OSError."""
        try:
            channel = self.helper.open_channel()
        except PptpError as error:
            raise OSError(0, str(error)) from error
        with channel:
            return launch_worker(end, gre, channel)

    def close(self) -> None:
        """End the channel."""
        self._requests.close()


@contextmanager
def separated(settings: ServerSettings) -> Iterator[Separation]:
    """Start the helper, and give up every right of this process for good. Call it before there is a thread.

    Raises:
        ConfigurationError: there is no such user, or the helper found something wrong with the settings.
        NetworkError: the helper could not begin, or this process may not change its user.
    """
    user = _user(settings.run_as or "")
    place = _control_socket(settings)
    ours, theirs = channel_pair()
    with theirs:
        process = _launch(theirs)
    try:
        _begin(ours, settings, place)
        drop_privileges(user)
    except BaseException:
        ours.close()
        process.wait(END_SECONDS)
        raise
    log.info("running as %s; process %d holds the network", user.pw_name, process.pid)
    separation = Separation(ours, settings.secrets, place)
    try:
        yield separation
    finally:
        separation.close()
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            log.warning("process %d, which holds the network, has not ended yet", process.pid)


def drop_privileges(user: pwd.struct_passwd) -> None:
    """Become somebody else, without a group, a capability, or a way to get one.

    Raises:
        NetworkError: the system refuses, or it did not work.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in range(_MOST_CAPABILITIES):
        libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)  # needs CAP_SETPCAP; without, the rest is enough
    libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    try:
        os.setgroups([])
        os.setresgid(user.pw_gid, user.pw_gid, user.pw_gid)
        os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)
    except OSError as error:
        raise NetworkError(
            f"run-as: cannot become {user.pw_name}: {error.strerror}; "
            "it takes root, or CAP_SETUID and CAP_SETGID in the unit's CapabilityBoundingSet"
        ) from error
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 or capabilities() != 0:
        raise NetworkError("run-as: this process has rights that it cannot give up")
    # Modules are loaded, and workers started, later on.
    for needed in (sys.executable, os.__file__, __file__):
        if not os.access(needed, os.R_OK):
            raise NetworkError(
                f"run-as: {user.pw_name} may not read {needed}: install Python and pypptp where everybody may read them"
            )
    # The kernel sets it anew with the user.
    guard_memory()
    os.environ.update(HOME=user.pw_dir, USER=user.pw_name, LOGNAME=user.pw_name)


def capabilities() -> int:
    """Return this process's capabilities, effective and permitted, as bits."""
    found = 0
    for line in Path("/proc/self/status").read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith(("CapEff:", "CapPrm:", "CapAmb:")):
            found |= int(line.split()[1], 16)
    return found


def _user(name: str) -> pwd.struct_passwd:
    try:
        user = pwd.getpwnam(name)
    except KeyError:
        raise ConfigurationError(
            f"run-as: there is no user {name!a}; 'systemd-sysusers' or 'useradd --system {name}' makes one"
        ) from None
    if os.geteuid() != 0:
        raise ConfigurationError("run-as: only root can become somebody else; leave it out")
    return user


def _control_socket(settings: ServerSettings) -> Place | None:
    """Make it while the folder may be written to."""
    try:
        return Place(settings.instance or "server", spare="" if settings.instance else f"server-{os.getpid()}")
    except Taken as taken:
        raise ConfigurationError(
            f"instance: '{settings.instance}' runs already (process {taken.process}); "
            "end it first, or choose another --instance"
        ) from None
    except (OSError, PptpError) as error:
        log.warning("no control socket, so 'pypptp status' will not find this server: %s", error)
        return None


def _launch(end: socket.socket) -> subprocess.Popen[bytes]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, NOT_FOR_WORKERS)
    try:
        return subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-P", "-m", "pypptp.service.edge_process", str(end.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[end.fileno()],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )
    except OSError as error:
        raise NetworkError(f"cannot start the process that holds the network: {error.strerror}") from error
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(end: socket.socket, settings: ServerSettings, place: Place | None) -> None:
    channel = Channel(end)
    name = "" if place is None else place.name
    try:
        channel.send({"settings": as_flags(settings), "socket": name, "pid": os.getpid()})
        answer, _ = channel.receive()
    except (ChannelClosed, BadMessage):
        raise NetworkError("the process that holds the network did not begin") from None
    if "wrong" in answer:
        raise ConfigurationError(str(answer["wrong"]))


__all__ = ["Separation", "capabilities", "drop_privileges", "separated"]
