from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from ipaddress import IPv4Address
from typing import Any

import pytest

from pypptp.errors import ConfigurationError
from pypptp.ppp.config import LinkConfig, MppePolicy
from pypptp.testing import ends
from pypptp.testing.ends import RunningServer
from pypptp.testing.load import Load, LoadPlan, Phase, Report

pytestmark = pytest.mark.netns  # for the raw sockets

SERVER = "127.64.0.1"


@pytest.fixture
def server() -> Iterator[RunningServer]:
    with RunningServer({"user1": "wonderland", "user2": "wonderland"}, address=SERVER) as running:
        yield running


def run(server: RunningServer, **plan: Any) -> Report:
    values: dict[str, Any] = {"user": "user1", "password": "wonderland", "rate": 0.0, "hold": 0.1, "timeout": 5.0}
    load = Load(LoadPlan(server=IPv4Address(server.address), port=server.port, **{**values, **plan}))
    return asyncio.run(load.run())


def test_all_at_once_with_data(server: RunningServer) -> None:
    report = run(server, sessions=20, pings=50.0, hold=0.2, size=1000)
    assert report.good
    assert (report.established, report.released) == (20, 20)
    assert report.pings == report.pongs >= 60
    counts = {phase: len(times) for phase, times in report.times.items()}
    assert counts.pop(Phase.PING) == report.pongs
    assert set(counts.values()) == {20}
    setups = sorted(report.times[Phase.SETUP])
    assert 0 < setups[0] <= setups[-1] < 5
    server.await_no_session()


def test_names_with_a_number_and_a_rate(server: RunningServer) -> None:
    report = run(server, sessions=3, user="user{n}", rate=20.0)
    assert (report.established, report.released, report.good) == (2, 2, False)
    ((reason, count),) = report.failed.items()
    assert reason.startswith("authentication:")
    assert count == 1
    assert report.seconds > 0.1


def test_a_full_server_is_named_as_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ends, "POOL", "10.77.0.2")
    with RunningServer({"user1": "wonderland"}, address=SERVER) as server:
        report = run(server, sessions=2, hold=0.5)
    assert report.established == 1
    assert report.failed == {"busy: the peer terminated the link: no address left in the pool": 1}


def test_a_server_that_goes_away() -> None:
    with RunningServer({"user1": "wonderland"}, address=SERVER) as server:
        leaving = threading.Timer(0.5, server.stop)
        leaving.start()
        report = run(server, sessions=3, hold=5.0)
        leaving.join()
    assert (report.established, report.released) == (3, 0)
    assert sum(report.dropped.values()) == 3
    assert report.seconds < 4


def test_nobody_there() -> None:
    with RunningServer({"user1": "wonderland"}, address=SERVER) as server:
        pass
    report = run(server, sessions=2)
    assert report.failed == {"refused: connection refused": 2}


def test_what_encryption_is_asked_for() -> None:
    link = LinkConfig(name="pptpd", mppe=MppePolicy.DENY)
    with RunningServer({"user1": "wonderland"}, address=SERVER, link=link) as server:
        assert run(server, sessions=1, mppe=MppePolicy.PREFER).good
        report = run(server, sessions=1)
        assert [reason.partition(":")[0] for reason in report.failed] == ["encryption"]


def test_more_than_this_process_can_have() -> None:
    with pytest.raises(ConfigurationError, match="sessions: 70000 take"):
        Load(LoadPlan(server=IPv4Address(SERVER), sessions=70_000, user="x", password="x"))
