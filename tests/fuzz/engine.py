"""One target under atheris, in a process of its own: libFuzzer ends the process when it is done.

python -m tests.fuzz.engine TARGET [libFuzzer's options and folders]
"""

from __future__ import annotations

import os
import sys

import atheris


def main() -> None:
    """Run until libFuzzer ends it."""
    name = sys.argv.pop(1)
    # What is imported here is rewritten so that the fuzzer sees which branches a try takes, and what it compares.
    with atheris.instrument_imports(include=["pypptp"]):
        from tests.fuzz.targets import TARGETS
    target = TARGETS[name]
    atheris.Setup([os.environ.get("LAUNCHER", sys.argv[0]), *sys.argv[1:]], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
