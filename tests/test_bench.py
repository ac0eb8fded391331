"""The benchmark itself, in little: a number nobody can trust is worse than none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from bench import plot
from bench.delays import Delay, delay
from bench.limits import read_speed
from bench.loads import Iperf3, OwnSender, Run, Tool, find_tool, transfer
from bench.report import Results, describe_machine, ratios
from bench.site import Site
from bench.workers import Capacity, capacity_ratio, smallest_share
from pypptp.testing.scenario import Warden


def run(carrier: str, mbit: float, us: float, *, sessions: int = 1, traffic: str = "TCP up") -> Run:
    """A transfer of one second in packets of 1,000 octets."""
    packets = int(mbit * 1e6 / 8000)
    return Run(carrier, sessions, traffic, packets * 1000, 1.0, packets, packets * us / 2e6, (packets * us / 2e6,))


@pytest.fixture
def results() -> Results:
    found = Results("own sender", machine="1 core", date="2000-01-01")
    # The machine is slower in the second round; the pairs do not mind.
    for speed, cost in ((400.0, 20.0), (200.0, 40.0), (100.0, 40.0)):
        found.tunnels.runs += [run("pypptp", speed, cost), run("beside", speed * 2, cost / 1.25)]
    found.tunnels.round_trips += [Delay("link, idle", 0.1, 0.2, 10), Delay("pypptp, idle", 0.6, 1.2, 10)]
    found.limits = {"cipher alone, us a packet": 4.0, "encapsulate beside the cipher": 1.3}
    found.capacities = [Capacity(1, 500, 1000, (1.0,)), Capacity(2, 600, 960, (0.6, 0.4))]
    return found


def test_a_run_knows_its_rates() -> None:
    one = run("pypptp", 80, 25)
    assert (one.mbit_per_s, one.kpps, one.near_us, one.far_us) == pytest.approx((80, 10, 12.5, 12.5))


def test_ratios_are_medians_over_pairs_of_a_round(results: Results) -> None:
    found = ratios(results)
    assert found["TCP up: Mbit/s, of the bare pair's"] == pytest.approx(0.5)
    assert found["TCP up: processor time a packet, of the bare pair's"] == pytest.approx(1.25)
    assert found["TCP up: processor time a packet and end, of the cipher's alone"] == pytest.approx(5.0)


def test_capacity_counts_a_pair_at_a_time() -> None:
    slow, fast = [Capacity(1, 1, 100, (1.0,)), Capacity(2, 1, 90, (0.5, 0.5))], [Capacity(2, 1, 220, (0.7, 0.3))]
    assert capacity_ratio([*slow, *fast, Capacity(1, 1, 200, (1.0,))]) == pytest.approx(1.0)
    assert smallest_share([*slow, *fast]) == pytest.approx(0.6)


def test_the_report_shows_what_a_tunnel_adds_and_what_is_missing(results: Results) -> None:
    results.troubles.append("idle: no room")
    lines = results.lines()
    assert lines[0] == "1 core, 2000-01-01, traffic by own sender"
    assert any(line.split() == ["pypptp,", "idle", "0.60", "1.20", "0.50", "1.00"] for line in lines)
    assert lines[-1] == "left out: idle: no room"
    assert json.loads(json.dumps(results.as_json()))["tunnels"]["runs"][0]["mbit_per_s"] == 400


def test_the_plot_is_a_picture(results: Results, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    target = tmp_path / "plot.png"
    assert str(target) in plot.draw(results, target)
    assert target.read_bytes().startswith(b"\x89PNG")


def test_the_machine_has_no_name() -> None:
    assert os.uname().nodename not in describe_machine().split()


def test_a_delay_is_its_median_and_its_tail() -> None:
    summed = delay("x", [n / 1000 for n in range(1, 101)])
    assert (summed.median_ms, summed.p99_ms, summed.tries) == pytest.approx((50.5, 100, 100))
    with pytest.raises(RuntimeError, match="x: no answer"):
        delay("x", [])


@pytest.mark.parametrize(
    ("output", "speed"),
    [("type  1402 bytes\nRC4    926945.56k\n", 926_945_560.0), ("type 1402 bytes\nrc4  0.00 \n", 0.0), ("", 0.0)],
)
def test_openssl_speed_is_read(output: str, speed: float) -> None:
    assert read_speed(output) == pytest.approx(speed)


def test_iperf3_is_read() -> None:
    tool = Iperf3("iperf3")
    tcp = {"bytes": 1000, "seconds": 2.0}
    udp = tcp | {"packets": 10, "lost_packets": 4}
    reports = [json.dumps({"end": {"sum_received": one}}, indent=1).splitlines() for one in (tcp, udp)]
    came, flooded = (tool.read([], report) for report in reports)
    assert (came.octets, came.seconds, came.sent) == (1000, 2.0, None)
    assert (flooded.packets, flooded.sent) == (6, 10)
    with pytest.raises(RuntimeError, match="unable to connect"):
        tool.read([], ['{"error": "unable to connect"}'])


def tools() -> list[Tool]:
    """The tools there are here."""
    found = find_tool()
    return [OwnSender()] if isinstance(found, OwnSender) else [OwnSender(), found]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with ExitStack() as stack:
        yield Site(stack, stack.enter_context(Warden()), tmp_path, 1)


@pytest.mark.netns
@pytest.mark.parametrize("tool", tools(), ids=lambda tool: tool.name)
def test_what_is_sent_is_counted(site: Site, tool: Tool) -> None:
    with site.links() as carriers:
        tcp = transfer(site, tool, carriers, "tcp", up=True, seconds=0.2)
        udp = transfer(site, tool, carriers, "udp", up=False, seconds=0.5, octets=512, rate=2000)
    assert tcp.octets > 1_000_000
    assert tcp.loss is None
    assert udp.loss == pytest.approx(0, abs=0.2)
    assert 500 < udp.kpps * 1e3 < 4000
    # A packet of 512 octets carries 484; iperf3 and the kernel send a few packets of their own.
    assert udp.octets / 484 == pytest.approx(udp.packets, rel=0.2)


@pytest.mark.netns
def test_one_real_session_is_measured(site: Site) -> None:
    with site.pypptp(1) as carriers:
        run = transfer(site, OwnSender(), carriers, "tcp", up=True, seconds=0.5)
    assert run.octets > 1_000_000
    assert run.near_us > 0
    assert run.far_us > 0


def test_it_says_what_it_can_do() -> None:
    done = subprocess.run([sys.executable, "-m", "bench", "--help"], capture_output=True, text=True, check=True)
    assert "--quick" in done.stdout
