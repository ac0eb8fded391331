"""Packet filters as real programs made them, recorded from the kernel.

``docker`` and ``ufw`` are the rules those programs set up, loaded with iptables 1.8.9 into nftables and (``-legacy``)
into the older tables; ``firewalld`` is a cut of what that program makes, loaded with nft 1.0.6.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from pypptp.net.firewall import Ruleset, parse_nftables
from pypptp.net.legacy_tables import parse_entries, parse_info

FOLDER = Path(__file__).parent / "recordings"


def load(name: str) -> dict[str, Any]:
    recorded: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return recorded


def ruleset(name: str) -> Ruleset:
    recorded = load(name)
    kinds = ("chains", "rules", "sets", "elements", "objects")
    found = parse_nftables(*([bytes.fromhex(body) for body in recorded["nftables"][kind]] for kind in kinds))
    for table in recorded["legacy"]:
        chains = parse_entries(parse_info(bytes.fromhex(table["info"])), bytes.fromhex(table["entries"]))
        found = dataclasses.replace(found, chains=(*found.chains, *chains))
    return found
