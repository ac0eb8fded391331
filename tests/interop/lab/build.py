"""The lab's two ingredients, built once and kept: a kernel, and a Debian root with the real peers.

The kernel is user-mode Linux; where that package is not to be had, or where the environment says `PYPPTP_LAB=qemu`,
it is Debian's own in an emulated machine (qemu.py).

Both come from the host's own package archive, named by `apt-get indextargets`, so no host name stands here. The root
has the host's own suite: the project's virtual environment (and the interpreter it points to) then runs in the guest as
it is on the host, against the same C library. The result is kept in `~/.cache/pypptp/lab/<key>`, where the key is made
of everything that goes in; nothing in there is written to once the build has been moved in place.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from . import qemu

RECIPE_VERSION = 1
"""Raised when the steps below change in a way that the key would not see."""

PACKAGES = (
    "ethtool",
    "iperf3",
    "iproute2",
    "iptables",
    "iputils-ping",
    "kmod",
    "ppp",
    "pptp-linux",
    "pptpd",
    "procps",
    "python3",
    "tcpdump",
)
"""What the guest's root holds besides Debian's minimal base."""

KERNEL_PACKAGE = "user-mode-linux"
HOST_TOOLS = {"debootstrap": "debootstrap", "ip": "iproute2", "taskset": "util-linux", "unshare": "util-linux"}
"""Programs that the host must have, and the package each is in."""

BUILD_LIMIT_SECONDS = 900
APT_LIMIT_SECONDS = 300

INIT = """\
#!/bin/sh
# Process 1 of the guest. The root is the host's folder, read-only: lay a tmpfs over it, move in, hand over to the
# session.
set -e
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH HOME=/root LC_ALL=C.UTF-8
mount -t proc proc /proc
modprobe overlay
mount -t tmpfs tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work overlay /mnt/root
cd /mnt/root
umount /proc
pivot_root . mnt
mount -t proc proc /proc
umount -l /mnt
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
mkdir -p /run/netns /run/lock /lab
{lab_mount}
. /lab/start
"""
"""/lab is the session's folder on the host, with the script `start` in it."""

LAB_MOUNT = 'mount -t hostfs -o "$lab" hostfs /lab'
"""`lab` comes from the kernel's command line."""

Kind = Literal["uml", "qemu"]


class LabUnavailableError(Exception):
    """The lab cannot be had on this machine; the message is one sentence that says what is missing."""


@dataclass(frozen=True, slots=True)
class Ingredients:
    """A built lab: `kind` says what sort of guest, `kernel` is the user-mode Linux program or the emulated machine's
    kernel image, `rootfs` the guest's root, `release` the kernel's version.
    """

    kind: Kind
    kernel: Path
    rootfs: Path
    release: str


def default_cache() -> Path:
    """The folder that built labs are kept in; `PYPPTP_LAB_CACHE` names another."""
    named = os.environ.get("PYPPTP_LAB_CACHE")
    return Path(named) if named else Path.home() / ".cache" / "pypptp" / "lab"


def obtain(cache: Path | None = None) -> Ingredients:
    """The lab's ingredients, from the cache or built now (about a minute; `BUILD_LIMIT_SECONDS` at most).

    Raises LabUnavailableError where this machine cannot have them.
    """
    suite = _suite()
    parent = cache or default_cache()
    kind = choose_kind(parent, suite)
    folder = parent / _key(suite, kind)
    if not (folder / "complete").exists():
        _check_root()
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _locked(folder.parent / "lock"):
            if not (folder / "complete").exists():
                _build(folder, suite, kind)
    release = (folder / "complete").read_text().strip()
    kernel = folder / ("uml/usr/bin/linux.uml" if kind == "uml" else "qemu/kernel")
    return Ingredients(kind, kernel, folder / "rootfs", release)


def choose_kind(cache: Path, suite: str) -> Kind:
    """What `PYPPTP_LAB` names; else user-mode Linux, unless there is no such package here."""
    named = os.environ.get("PYPPTP_LAB", "")
    match named:
        case "uml" | "qemu":
            return named
        case "":
            pass
        case _:
            raise LabUnavailableError(f"PYPPTP_LAB must be uml or qemu, not {named!r}")
    if (cache / _key(suite, "uml") / "complete").exists() or _has_package(KERNEL_PACKAGE):
        return "uml"
    if (cache / _key(suite, "qemu") / "complete").exists():
        return "qemu"
    # A machine that has never run apt-get update has no package at all.
    _check_root()
    run(["apt-get", "update"])
    return "uml" if _has_package(KERNEL_PACKAGE) else "qemu"


def _has_package(name: str) -> bool:
    return bool(run(["apt-cache", "madison", name]).strip())


def check_host() -> None:
    """Raise LabUnavailableError unless a guest can be started here: Debian on x86-64, root, and /dev/net/tun."""
    _suite()
    _check_root()
    if not Path("/dev/net/tun").exists():
        raise LabUnavailableError("the interop lab needs /dev/net/tun, which this machine does not have")


def _check_root() -> None:
    if os.geteuid() != 0:
        raise LabUnavailableError("the interop lab must be run as root (it makes a root file system and a tap device)")


def _suite() -> str:
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        release = {}
    if release.get("ID") != "debian" or "VERSION_CODENAME" not in release:
        name = release.get("PRETTY_NAME", platform.system())
        raise LabUnavailableError(
            f"the interop lab needs Debian's packages {KERNEL_PACKAGE} and debootstrap; this is {name}"
        )
    if platform.machine() != "x86_64":
        raise LabUnavailableError(f"Debian's {KERNEL_PACKAGE} is for x86-64 only; this machine is {platform.machine()}")
    return release["VERSION_CODENAME"]


def _init(kind: Kind) -> str:
    return INIT.format(lab_mount=LAB_MOUNT if kind == "uml" else qemu.LAB_MOUNT)


def _key(suite: str, kind: Kind) -> str:
    recipe = KERNEL_PACKAGE if kind == "uml" else qemu.RECIPE
    parts = "\n".join([str(RECIPE_VERSION), suite, recipe, _init(kind), *PACKAGES])
    return f"{suite}-{hashlib.sha256(parts.encode()).hexdigest()[:16]}"


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def run(
    argv: Sequence[str], *, cwd: Path | None = None, limit: float = APT_LIMIT_SECONDS, log: Path | None = None
) -> str:
    """What a program wrote to standard output; LabUnavailableError when it is missing, fails, or takes too long."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    try:
        done = subprocess.run(
            argv,
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=limit,
            check=False,
        )
    except FileNotFoundError:
        raise LabUnavailableError(f"the interop lab needs the program {argv[0]}, which is not installed") from None
    except subprocess.TimeoutExpired:
        raise LabUnavailableError(
            f"{argv[0]} did not end within {limit:.0f} s while the interop lab was built"
        ) from None
    if log is not None:
        log.write_text(done.stdout + done.stderr)
    if done.returncode != 0:
        lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
        reason = lines[-1] if lines else "no message"
        raise LabUnavailableError(f"{' '.join(argv[:2])} failed while the interop lab was built: {reason}")
    return done.stdout


def _build(folder: Path, suite: str, kind: Kind) -> None:
    run(["apt-get", "update"])
    needed = HOST_TOOLS | (qemu.HOST_TOOLS if kind == "qemu" else {})
    missing = sorted({package for tool, package in needed.items() if shutil.which(tool) is None})
    if missing:
        run(["apt-get", "install", "-y", "--no-install-recommends", *missing])
    staging = Path(tempfile.mkdtemp(prefix="building-", dir=folder.parent))
    try:
        staging.chmod(0o755)
        if kind == "uml":
            release = _unpack_kernel(staging)
            _make_root(staging, suite, release, staging / "uml/usr/lib/uml/modules" / release, _init(kind))
        else:
            release = qemu.unpack_kernel(staging, run)
            _make_root(staging, suite, release, qemu.modules(staging, release), _init(kind))
            qemu.make_initramfs(staging, release, run)
        (staging / "complete").write_text(release + "\n")
        if folder.exists():
            shutil.rmtree(folder)
        staging.rename(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _unpack_kernel(staging: Path) -> str:
    run(["apt-get", "download", KERNEL_PACKAGE], cwd=staging)
    package = next(staging.glob(f"{KERNEL_PACKAGE}_*.deb"))
    run(["dpkg-deb", "-x", str(package), str(staging / "uml")])
    package.unlink()
    releases = sorted(path.name for path in (staging / "uml/usr/lib/uml/modules").iterdir())
    if not releases:
        raise LabUnavailableError(f"Debian's package {KERNEL_PACKAGE} holds no modules here")
    return releases[-1]


def _mirror(suite: str) -> str:
    listed = run(
        ["apt-get", "indextargets", "--format", "$(ORIGIN)|$(CODENAME)|$(COMPONENT)|$(SITE)", "Created-By: Packages"]
    )
    for line in listed.splitlines():
        origin, codename, component, site = line.split("|", 3)
        if (origin, codename, component) == ("Debian", suite, "main"):
            return site
    raise LabUnavailableError(f"apt knows no Debian archive of {suite} here, which the interop lab's root is made from")


def _make_root(staging: Path, suite: str, release: str, modules: Path, init_text: str) -> None:
    root = staging / "rootfs"
    include = ",".join(PACKAGES)
    argv = ["debootstrap", "--variant=minbase", f"--include={include}", suite, str(root), _mirror(suite)]
    run(argv, limit=BUILD_LIMIT_SECONDS, log=staging / "debootstrap.log")
    # cp of a folder onto a name that does not exist would rename it: lib/modules is made first.
    (root / "usr/lib/modules").mkdir(parents=True, exist_ok=True)
    shutil.copytree(modules, root / "usr/lib/modules" / release, symlinks=True)
    run(["chroot", str(root), "depmod", release])
    init = root / "sbin/lab-init"
    init.write_text(init_text)
    init.chmod(0o755)
    shutil.rmtree(root / "var/cache/apt/archives", ignore_errors=True)
