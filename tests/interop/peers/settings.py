"""What a connection is to be like, in words that every peer program is configured from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

AuthMethod = Literal["mschapv2", "mschap", "chap", "pap"]
Offer = Literal["vj", "deflate", "bsd", "ipv6"]

USER = "vpnuser"
PASSWORD = "Pa55-wort"
TUNNEL_NAME = "lab"
INNER_SERVER = "192.168.88.1"
POOL_FIRST = "192.168.88.100"
NAME_SERVERS = ("192.168.88.53", "192.168.88.54")


@dataclass(frozen=True, slots=True)
class Settings:
    """One row of the table.

    `mppe`: key strength, None for no encryption. `offers`: what each pppd is to propose beyond the plain set. `mtu`:
    MTU and MRU of the link, None for the program's own. `echo`: LCP echo interval in seconds. `pool`: addresses the
    server has to give.
    """

    auth: AuthMethod = "mschapv2"
    mppe: Literal["128", "40"] | None = "128"
    stateful: bool = False
    dns: bool = False
    mtu: int | None = None
    field_compression: bool = True
    offers: tuple[Offer, ...] = ()
    echo: int | None = None
    pool: int = 10


def pool_last(pool: int) -> str:
    """The last address of a pool with `pool` addresses."""
    prefix, _, first = POOL_FIRST.rpartition(".")
    return f"{prefix}.{int(first) + pool - 1}"


def pppd_options(settings: Settings) -> list[str]:
    """The pppd options, one per line of an options file, that both of pppd's roles share."""
    options = ["lock", "debug", "dump", "nodefaultroute"]
    match settings.mppe:
        case "128":
            options.append("require-mppe-128")
        case "40":
            options += ["require-mppe-40", "nomppe-128"]
        case None:
            options.append("nomppe")
    if settings.stateful:
        options.append("mppe-stateful")
    if settings.mtu is not None:
        options += [f"mtu {settings.mtu}", f"mru {settings.mtu}"]
    if not settings.field_compression:
        options += ["nopcomp", "noaccomp"]
    if "vj" not in settings.offers:
        options += ["novj", "novjccomp"]
    options.append("bsdcomp 15" if "bsd" in settings.offers else "nobsdcomp")
    options.append("deflate 15" if "deflate" in settings.offers else "nodeflate")
    options.append("+ipv6" if "ipv6" in settings.offers else "noipv6")
    if settings.echo is not None:
        options += [f"lcp-echo-interval {settings.echo}", "lcp-echo-failure 4"]
    return options
