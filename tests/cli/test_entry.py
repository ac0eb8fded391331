"""Ctrl-C is quiet from the first moment on."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest


@pytest.mark.parametrize("wait", [0.02, 0.1, 0.25])
def test_an_early_interrupt_shows_no_traceback(wait: float) -> None:
    program = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys; sys.argv = ['pypptp', 'server', '--local', '192.0.2.1', '--nat', 'none', "
            "'--listen', '127.0.0.1', '--port', '47291']; from pypptp_cli.entry import main; print(flush=True); main()",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert program.stdout is not None
    program.stdout.readline()
    time.sleep(wait)
    program.send_signal(signal.SIGINT)
    _, errors = program.communicate(timeout=20)
    assert "Traceback" not in errors
