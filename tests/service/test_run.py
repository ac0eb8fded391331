"""What a running server and client have in common: the log, and an event loop that complains in lines."""

from __future__ import annotations

import asyncio
import logging
import re

import pytest

from pypptp.errors import NetworkError
from pypptp.service import run as module
from pypptp.service.run import require_system, set_up_logging

pytestmark = pytest.mark.usefixtures("udp")


def test_what_asyncio_complains_of_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    async def complain() -> None:
        context = {"message": "socket.accept() out of system resource", "exception": OSError(24, "Too many open files")}
        for _ in range(200):
            asyncio.get_running_loop().call_exception_handler(context)

    module.run_loop(complain())
    (record,) = caplog.records
    assert record.getMessage() == "socket.accept() out of system resource: [Errno 24] Too many open files"
    assert record.exc_info is None


def test_a_machine_that_cannot_have_tunnels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "probe", lambda: ["no /dev/net/tun: modprobe tun", "no root: use sudo"])
    with pytest.raises(NetworkError, match="no /dev/net/tun: modprobe tun; no root: use sudo"):
        require_system()
    monkeypatch.setattr(module, "probe", list)
    require_system()


def test_log_lines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    # force=True closes what was there, and pytest's own is to live.
    for handler in handlers:
        root.removeHandler(handler)
    try:
        set_up_logging("warning")
        module.log.warning("attention")
        module.log.info("unimportant")
    finally:
        for handler in list(root.handlers):
            root.removeHandler(handler)
        for handler in handlers:
            root.addHandler(handler)
        root.setLevel(level)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert re.fullmatch(r"\d\d:\d\d:\d\d WARNING attention\n", captured.err)
