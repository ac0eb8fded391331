import pytest

from pypptp.gre import RoundTrip, SendWindow


def test_formulas_of_section_4_4_1() -> None:
    estimate = RoundTrip(0.1)
    estimate.sample(0.5)
    assert estimate.deviation == pytest.approx(0.1)
    assert estimate.round_trip_time == pytest.approx(0.15)
    assert estimate.adaptive_timeout == pytest.approx(0.55)
    estimate.sample(0.15)
    assert estimate.deviation == pytest.approx(0.075)
    assert estimate.adaptive_timeout == pytest.approx(0.45)


def test_back_off_doubles_and_keeps_the_deviation() -> None:
    estimate = RoundTrip(0.1)
    estimate.sample(0.5)
    estimate.back_off()
    assert estimate.round_trip_time == pytest.approx(0.3)
    assert estimate.deviation == pytest.approx(0.1)
    assert estimate.adaptive_timeout == pytest.approx(0.7)
    assert estimate.latest == 0.5
    assert RoundTrip(0.1).latest is None


def test_timeout_stays_between_its_limits() -> None:
    estimate = RoundTrip(0.0, minimum=0.05, maximum=2.0)
    assert estimate.adaptive_timeout == 0.05
    for _ in range(20):
        estimate.back_off()
    assert estimate.adaptive_timeout == 2.0
    assert estimate.timeouts == 20
    for _ in range(200):
        estimate.sample(0.001)
    assert estimate.adaptive_timeout == 0.05


@pytest.mark.parametrize(("maximum", "initial"), [(0, 1), (1, 1), (3, 1), (64, 32)])
def test_window_starts_at_half_the_peers(maximum: int, initial: int) -> None:
    assert SendWindow(maximum).size == initial


def test_window_opens_by_one_per_window_up_to_the_maximum() -> None:
    window = SendWindow(6)
    sizes = []
    for _ in range(16):
        window.acknowledged(1)
        sizes.append(window.size)
    assert sizes == [3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 5, 6, 6, 6, 6, 6]
    for _ in range(100):
        window.acknowledged(1)
    assert window.size == 6


def test_window_closes_to_half_rounded_up() -> None:
    window = SendWindow(14)
    sizes = []
    for _ in range(4):
        window.timed_out()
        sizes.append(window.size)
    assert sizes == [4, 2, 1, 1]
