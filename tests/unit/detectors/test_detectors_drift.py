"""How far inputs have moved: distances, what is compared with what, and bounds."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors import drift
from detectors.drift import EVERYTHING, LEAST, Drift, Input, Inputs, records
from ingest.events import MetricKind
from ingest.summary import WindowSummary
from tests.support.windows import call, logs, metrics, operation, series, template, traffic

LOGS = frozenset({Input.LOGS})
Make = Callable[[int, random.Random], WindowSummary]


def _steady(index: int, rng: random.Random) -> WindowSummary:
    errors = [template("t_bad", 1, index, severity=17)] if rng.random() < 0.1 else []
    return logs(index, [template("t_ok", rng.randint(40, 60), index), *errors])


def _busy(index: int, rng: random.Random) -> WindowSummary:
    return logs(index, [template("t_ok", rng.randint(120, 180), index)])


def _span(inputs: Inputs, make: Make, seed: int, windows: int = 360) -> Drift:
    rng = random.Random(seed)
    for index in range(windows):
        inputs.add(make(index, rng), EVERYTHING)
    return inputs.measure(0.4)


def test_the_same_again_has_not_moved() -> None:
    """Chance alone stays far from the limit, on every input."""
    inputs = Inputs()
    _span(inputs, _steady, 1)
    inputs.end_span()
    found = _span(inputs, _steady, 2)
    assert (found.compared, found.moved, found.share, found.worst) == (3, 0, 0.0, ())


def test_what_moved_is_named_with_its_distance() -> None:
    """Three times the lines: that input moved wholly, the others did not."""
    inputs = Inputs()
    _span(inputs, _steady, 1)
    inputs.end_span()
    found = _span(inputs, _busy, 2)
    assert (found.compared, found.moved) == (3, 1)
    assert found.worst == ((("shop", "orders", "lines"), 1.0),)
    assert str(found) == "1 of 3 inputs moved, farthest orders lines (1.00)"


def test_nothing_is_compared_before_there_is_a_reference() -> None:
    """The first span is the reference; a young span or one nearly empty is not compared either."""
    inputs = Inputs()
    assert _span(inputs, _steady, 1).compared == 0
    inputs.end_span()
    assert _span(inputs, _busy, 2, LEAST - 1).compared == 0
    assert _span(inputs, _busy, 2, 1).compared == 3


def test_a_thin_reference_grows_over_spans() -> None:
    """A service that says little is compared once enough of it is known."""
    inputs = Inputs()
    for seed in range(3):
        _span(inputs, _steady, seed, 25)
        inputs.end_span()
    assert _span(inputs, _busy, 9).moved == 1


def test_an_input_that_fell_silent_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tracks are bounded: what is over the limit waits until something was silent for a span."""
    monkeypatch.setattr(drift, "MAX_TRACKS", 3)
    inputs = Inputs()
    inputs.add(_steady(0, random.Random(1)), LOGS)
    other = logs(0, [template("t_ok", 5, 0)], service="cart")
    inputs.add(other, LOGS)
    assert {service for _, service, _ in inputs.tracks} == {"orders"}
    inputs.end_span()
    inputs.end_span()
    inputs.add(other, LOGS)
    assert {service for _, service, _ in inputs.tracks} == {"cart"}


def test_calls_and_metrics_are_inputs_too() -> None:
    """Of spans how many, how many failed and how long; of metrics the level; running totals have none."""
    spans = traffic(0, operations=[operation("op", [0.1] * 9)], calls=[call("db", "q", [0.2], errors=1)])
    total = series("bytes", 0, [9e9], kind=MetricKind.CUMULATIVE)
    samples = metrics(0, [series("cpu", 0, [10.0, 20.0]), total])
    inputs = Inputs()
    inputs.add(spans, EVERYTHING)
    inputs.add(samples, EVERYTHING)
    assert [name for _, _, name in inputs.tracks] == ["spans", "failed share", "duration", "cpu"]
    assert (records(spans, EVERYTHING), records(samples, EVERYTHING)) == (10, 3)
    assert (records(spans, LOGS), records(samples, LOGS)) == (0, 0)


def test_a_detector_drifts_only_by_what_it_reads() -> None:
    """A metric does not make a log detector learn anew."""
    inputs = Inputs()
    inputs.add(metrics(0, [series("cpu", 0, [10.0])]), LOGS)
    assert inputs.tracks == {}


@pytest.mark.parametrize("level", [0.0, 1e-9, 0.013, 50.0, 1e15, -273.15])
def test_noise_within_a_bin_is_no_drift(level: float) -> None:
    """A level that wanders by a tenth of a percent has not moved, wherever a bin ends."""
    assert _moved([level] * 100, [level * 1.001] * 100) < 0.05


@pytest.mark.parametrize("level", [0.013, 50.0, -273.15])
def test_a_fifth_more_is_a_move(level: float) -> None:
    """A constant that is another constant now has moved wholly."""
    assert _moved([level] * 100, [level * 1.2] * 100) > 0.9


@given(
    st.lists(st.floats(allow_nan=True), min_size=LEAST, max_size=LEAST + 20),
    st.lists(st.floats(allow_nan=True), min_size=LEAST, max_size=LEAST + 20),
)
def test_distances_are_shares(first: Sequence[float], second: Sequence[float]) -> None:
    """Whatever the numbers: 0 to 1, the same both ways, and 0 to oneself."""
    distance = _moved(first, second)
    assert 0.0 <= distance <= 1.0 + 1e-9
    assert math.isclose(distance, _moved(second, first), abs_tol=1e-9)
    assert _moved(first, first) == 0.0


def _moved(first: Sequence[float], second: Sequence[float]) -> float:
    histograms: list[dict[int, float]] = [{}, {}]
    for histogram, values in zip(histograms, (first, second), strict=True):
        for value in values:
            drift._count(histogram, value)
        drift._count(histogram, 1.0)
    return drift._distance(*histograms)
