"""Runs the checks against all four targets and writes the page: ``python -m tests.interop.conformance``.

Words name the targets to run anew: ``pypptp-server``, ``pypptp-client``, ``pptpd``, ``pptp-linux``. With an id behind
it (``pptpd:cc/2.7/7``) only that check is, and takes its place among the others. ``page`` runs none.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack

from pypptp.testing.spec import CATALOGUE

from ..lab.build import LabUnavailableError
from . import lab, own, page
from .results import SUBJECTS, read_all
from .run import say

OWN = {"pypptp-server": own.run_server, "pypptp-client": own.run_client}
REAL = {"pptpd": lab.run_pptpd, "pptp-linux": lab.run_pptp_linux}


def main() -> None:
    """Run what is named, or everything; write the page of what is there then."""
    known = [subject.name for subject in SUBJECTS]
    wanted = sys.argv[1:] or known
    again: dict[str, list[str]] = {}
    for word in wanted:
        name, _, check_id = word.partition(":")
        if name not in (*known, "page") or (check_id and check_id not in CATALOGUE):
            sys.exit(f"there is no {word}; there are {', '.join(known)}, each with or without :ID, and page")
        again.setdefault(name, []).extend([check_id] if check_id else [])
    try:
        with ExitStack() as stack:
            guest = stack.enter_context(lab.guest()) if set(again) & set(REAL) else None
            for name, ids in again.items():
                say(name)
                if name in OWN:
                    OWN[name](ids).write(name)
                elif guest is not None and name in REAL:
                    REAL[name](guest, ids).write(name)
    except LabUnavailableError as reason:
        sys.exit(str(reason))
    records = read_all()
    if empty := page.missing(records):
        sys.exit(f"{len(empty)} checks have no result: {', '.join(empty)}")
    for remark in page.stale(records):
        say(f"a remark about what is not found any more: {remark}")
    page.TARGET.write_text(page.document(records))


if __name__ == "__main__":
    main()
