"""What is missing on this machine to run a tunnel, in plain sentences."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pypptp.errors import NetworkError


def probe(*, namespaces: bool = False) -> list[str]:
    """Try what a server or client needs of the system, without changing anything.

    Args:
        namespaces: network namespaces are needed too (the demo's own); a TUN device and an nftables table are then
        tried
            inside one, where nobody sees them.

    Returns:
        One sentence for each thing that is missing, the cure in it; empty where nothing is.
    """
    if not sys.platform.startswith("linux"):
        return ["this is not Linux: the server and the client run there only, the library everywhere"]
    # Not before: pyroute2 is installed on Linux alone.
    from pypptp.net.namespaces import Namespace

    missing = [sentence for sentence in (raw_socket_trouble(), device_trouble(), rights_trouble()) if sentence]
    if namespaces:
        try:
            with Namespace("trial") as trial:
                if not missing:
                    missing += trial.run(_try_edge)
        except NetworkError as error:
            missing.append(str(error))
    return _fold(missing)


CAP_NET_ADMIN = 12


def raw_socket_trouble() -> str:
    """Try to open a raw GRE socket. Return what is in the way and the cure, "" for nothing."""
    from pypptp.net.raw_gre import open_gre_socket

    try:
        open_gre_socket(None).close()
    except NetworkError as error:
        return str(error)
    return ""


def device_trouble() -> str:
    """Look at the device file of TUNs. Return what is in the way and the cure, "" for nothing."""
    from pypptp.net import tun  # not before: python-pytun is installed on Linux alone

    device = Path(tun.DEVICE)
    there = device.exists()
    if not there or not os.access(device, os.R_OK | os.W_OK):
        return tun.device_sentence(there)
    return ""


def rights_trouble() -> str:
    """Say what keeps this process from setting up interfaces and routes, and the cure; "" for nothing."""
    if _has_capability(CAP_NET_ADMIN):
        return ""
    return "not allowed to set up interfaces and routes: run as root or give the process CAP_NET_ADMIN"


def _has_capability(number: int) -> bool:
    try:
        for line in Path("/proc/self/status").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("CapEff:"):
                return bool(int(line.split()[1], 16) >> number & 1)
    except OSError:
        pass
    return os.geteuid() == 0


def _try_edge() -> list[str]:
    from pypptp.net.nat import NatTable
    from pypptp.net.tun import LinuxTun

    missing = []
    try:
        LinuxTun(None).close()
    except NetworkError as error:
        missing.append(str(error))
    try:
        NatTable("lo", [], tunnels="ppp%d").remove()
    except NetworkError as error:
        missing.append(str(error))
    return missing


def _fold(missing: list[str]) -> list[str]:
    """An ordinary user lacks everything at once: one sentence says it."""
    if len(missing) > 1 and os.geteuid() != 0 and all("run as root" in sentence for sentence in missing):
        return ["this needs root (or CAP_NET_ADMIN and CAP_NET_RAW): run it as root, for example with sudo"]
    return list(dict.fromkeys(missing))
