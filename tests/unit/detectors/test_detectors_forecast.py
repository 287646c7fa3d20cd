"""What will be full and when, what merely moves, and which names belong together."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

import pytest

from detectors.anomaly import Anomaly, Direction, Hit
from detectors.metrics.capacity import fillings
from detectors.metrics.exhaustion import Exhaustion, duration
from detectors.metrics.trend import forecast
from tests.support.windows import metrics, series

HOUR_OF_WINDOWS = 360
LIMIT = 100.0


def run(
    level: Callable[[int], float], windows: int, *, name: str = "disk", unit: str = "By"
) -> list[Anomaly]:
    """Return what the detector says about a level between 0 and 100 beside its limit."""
    detector = Exhaustion()
    found: list[Anomaly] = []
    for index in range(windows):
        used = series(f"{name}.usage", index, [level(index)], unit=unit)
        limit = series(f"{name}.capacity", index, [LIMIT], unit=unit)
        found.extend(detector.observe(metrics(index, [used, limit])))
    return found


def ramp(begin: int, a_window: float, noise: float = 0.0) -> Callable[[int], float]:
    """Return 20 until `begin`, then rising by so much a window."""
    rng = random.Random(8)
    return lambda index: min(20.0 + max(index - begin, 0) * a_window + rng.gauss(0, noise), LIMIT)


@pytest.mark.parametrize("noise", [0.0, 0.15])
@pytest.mark.parametrize("a_window", [4.0, 0.8, 0.25])
def test_a_ramp_is_forecast_while_there_is_time(a_window: float, noise: float) -> None:
    """The warning comes in the first half of the way, and the time it names is right within a quarter."""
    begin = 60
    found = run(ramp(begin, a_window, noise), begin + int(80 / a_window))
    assert found
    first = found[0]
    windows = (first.end - first.evidence[0].start) // (first.end - first.evidence[0].start)
    assert windows == 1
    at = 20.0 + (LIMIT - 20.0) * 0.5
    assert first.evidence[0].observed is not None
    assert first.evidence[0].observed <= at
    left = (LIMIT - first.evidence[0].observed) / a_window * 10
    said = _seconds(first.reason.rsplit("about ", 1)[1].rstrip("."))
    assert said == pytest.approx(left, rel=0.25)
    assert (first.direction, first.hit) == (Direction.UP, Hit.SATURATION)


def _seconds(text: str) -> float:
    amount, unit = text.split(" ")
    return float(amount) * {"s": 1, "min": 60, "h": 3600}[unit]


def test_one_ramp_is_one_anomaly_and_gets_more_urgent() -> None:
    """All windows share an id, the score rises as the time left shrinks."""
    found = run(ramp(60, 0.25), 60 + 300)
    assert len({one.id for one in found}) == 1
    assert found[-1].score > 2 * found[0].score


QUIET: Sequence[tuple[str, Callable[[int], float]]] = (
    ("flat", lambda index: 40.0),
    ("noisy", lambda index: 40.0 + random.Random(index).gauss(0, 4)),
    ("seasonal", lambda index: 50.0 + 30.0 * math.sin(index / 720 * 2 * math.pi)),
    ("short season", lambda index: 50.0 + 30.0 * math.sin(index / 90 * 2 * math.pi)),
    ("sawtooth", lambda index: 30.0 + (index % 60) * 0.9),
    ("steps", lambda index: 30.0 + (index // 100) * 5.0),
    ("slow", lambda index: 30.0 + index * 0.005),
    ("falling", lambda index: 90.0 - index * 0.05),
    ("settling", lambda index: 70.0 - 50.0 * math.exp(-index / 40)),
)


@pytest.mark.parametrize(("name", "level"), QUIET, ids=[name for name, _ in QUIET])
def test_what_does_not_fill_up_is_silent(name: str, level: Callable[[int], float]) -> None:
    """Four hours without a warning; what goes up and down may warn in its first round only."""
    found = run(level, 4 * HOUR_OF_WINDOWS)
    first_round = 130 if name in ("short season", "sawtooth", "seasonal") else 0
    late = [one for one in found if (one.end - found[0].evidence[0].start) // 10**10 > first_round]
    assert late == []
    assert name in ("short season", "sawtooth", "seasonal") or found == []


def test_what_is_left_can_run_out_too() -> None:
    """A falling amount of free space is a filling disk."""
    detector = Exhaustion()
    found: list[Anomaly] = []
    for index in range(120):
        left = 80.0 - max(index - 60, 0) * 1.5
        free = series("node_filesystem_avail_bytes", index, [max(left, 0.0)], unit="By")
        size = series("node_filesystem_size_bytes", index, [100.0], unit="By")
        found.extend(detector.observe(metrics(index, [free, size])))
    assert found
    assert found[0].direction is Direction.DOWN


def test_missing_and_odd_samples_do_not_matter() -> None:
    """NaN, gaps and repeated windows change nothing about a clear ramp."""
    level = ramp(60, 1.0)
    detector = Exhaustion()
    found: list[Anomaly] = []
    for index in range(120):
        if index % 7 == 3:
            continue
        values = [math.nan, level(index)] if index % 5 == 0 else [level(index)]
        used = series("disk.usage", index, values, unit="By")
        limit = series("disk.capacity", index, [LIMIT], unit="By")
        found.extend(detector.observe(metrics(index, [used, limit])))
        found.extend(detector.observe(metrics(index - 2, [used, limit])) if index == 50 else [])
    assert found


@pytest.mark.parametrize(
    ("used", "limit"),
    [
        ("container.filesystem.usage", "container.filesystem.capacity"),
        ("process.memory.usage", "process.memory.limit"),
        ("kubelet_volume_stats_used_bytes", "kubelet_volume_stats_capacity_bytes"),
        ("container_memory_usage_bytes", "container_spec_memory_limit_bytes"),
        ("jvm.memory.used", "jvm.memory.max"),
        ("db.client.connection.count", "db.client.connection.max"),
        ("queueUsedBytes", "queueMaxBytes"),
    ],
)
def test_use_and_limit_find_each_other(used: str, limit: str) -> None:
    """By their words, in any style of names; the limit itself fills nothing."""
    window = metrics(0, [series(used, 0, [30.0], unit="By"), series(limit, 0, [60.0], unit="By")])
    (found,) = fillings(window.series)
    assert (found.window.key.name, found.bound, found.falls) == (used, 60.0, False)


def test_what_has_no_bound_is_left_alone() -> None:
    """Another instance's limit, rates, and a CPU that may be busy; a share of a disk has its bound."""
    window = metrics(
        0,
        [
            series("http.requests.rate", 0, [30.0], unit="1/s"),
            series("process.memory.usage", 0, [30.0], unit="By"),
            series("process.memory.limit", 0, [60.0], unit="By", instance="other"),
            series("process.cpu.usage", 0, [30.0], unit="%"),
            series("disk.used.percent", 0, [30.0], unit="%"),
            series("node_memory_MemFree_bytes", 0, [30.0], unit="By"),
        ],
    )
    assert [(one.window.key.name, one.bound) for one in fillings(window.series)] == [
        ("disk.used.percent", 100.0)
    ]


def test_a_forecast_by_hand() -> None:
    """One a second from 0 to 29, a bound of 59: thirty seconds, surely."""
    found = forecast([float(n) for n in range(30)], [float(n) for n in range(30)], 59.0)
    assert found is not None
    assert found.seconds == pytest.approx(30.0)
    assert found.soonest == pytest.approx(30.0)
    assert found.confidence == pytest.approx(1.0)
    assert forecast([0.0, 1.0], [0.0, 1.0], 5.0) is None
    assert forecast([1.0] * 30, [float(n) for n in range(30)], 59.0) is None


def test_lengths_of_time_read_well() -> None:
    """Seconds, minutes, hours."""
    assert [duration(one) for one in (50, 2580, 9000)] == ["50 s", "43 min", "2.5 h"]
