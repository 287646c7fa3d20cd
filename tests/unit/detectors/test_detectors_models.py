"""The small models under the detectors: counts, novelty, presence, latency, series, thresholds."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.latency import ENOUGH, FEW, PATIENCE, LatencyModel, Pool
from detectors.rates import BurstModel, PresenceModel, RateModel
from detectors.series import RING, SeriesState, comparable, restored, smallest_scale
from detectors.state import freeze, thaw, touch
from detectors.threshold import ACCEPT_AFTER, Runs, Threshold
from detectors.warmup import widening
from ingest.events import MetricKind
from ingest.record import SECOND
from ingest.sketch import sketch
from tests.support.windows import series, start_of


def _learned(counts: list[int]) -> RateModel:
    model = RateModel()
    for count in counts:
        model.learn_one(count)
    return model


@given(counts=st.lists(st.integers(0, 10_000), min_size=8, max_size=60), extra=st.integers(1, 10_000))
def test_rate_scores_are_finite_and_rise_with_the_count(counts: list[int], extra: int) -> None:
    """Whatever was learned, more is more surprising than less."""
    model = _learned(counts)
    low, high = model.score_one(100), model.score_one(100 + extra)
    assert math.isfinite(low)
    assert low < high


def test_poisson_noise_stays_within_a_few_units() -> None:
    """Counts around the expected one score low, ten times as many high, at any level."""
    rng = np.random.default_rng(1)
    for level in (0.5, 5.0, 500.0):
        model = _learned(rng.poisson(level, 200).tolist())
        assert max(model.score_one(int(count)) for count in rng.poisson(level, 500)) < 5
        assert model.score_one(10 * level + 30) > 5


def test_exposure_explains_more() -> None:
    """Twice the calls make twice the errors no news."""
    model = RateModel()
    for _ in range(50):
        model.learn_one(10, 100)
    assert model.expected(200) == pytest.approx(20)
    assert abs(model.score_one(20, 200)) < 0.1 < model.score_one(20, 100)


def test_many_zeros_at_once_are_the_same_as_one_by_one() -> None:
    """Catching up on quiet windows gives what learning each would have given."""
    single, several = _learned([50] * 10), _learned([50] * 10)
    for _ in range(20):
        single.learn_one(0)
    several.learn_zeros(20)
    assert several.total == pytest.approx(single.total)
    assert several.windows == pytest.approx(single.windows)
    assert several.exposure == pytest.approx(single.exposure)


def test_a_burst_that_passed_is_known_afterwards() -> None:
    """A job that bursts for a window is surprising once, not every time."""
    model = BurstModel()
    scores = []
    for window in range(240):
        count = 300 if window % 60 == 59 else 0
        score = model.score_one(count)
        model.settle(count, 1.0, high=score > 8)
        if count:
            scores.append(score)
    assert scores[0] > 8
    assert max(scores[1:]) < 8


def test_a_slow_rise_shows_over_a_minute() -> None:
    """A few more every window add up in the long view before they stand out in one."""
    rng = np.random.default_rng(2)
    model = BurstModel()
    for count in rng.poisson(9.0, 200).tolist():
        model.settle(count, 1.0, high=False)
    for count in (17, 18, 17, 18, 17):
        model.pass_by(count)
    assert model.score_one(18) > model.short.score_one(18) + 1


def test_few_samples_make_every_range_wide() -> None:
    """What one in a million means needs far more deviations with a handful of samples than with a hundred."""
    widths = [widening(freedom) for freedom in (3, 5, 10, 30, 100, 10_000)]
    assert widths == sorted(widths, reverse=True)
    assert widths[0] > 5
    assert 1.0 < widths[-2] < 1.1
    assert widths[-1] == pytest.approx(1.0, abs=0.001)


def test_a_short_history_of_counts_widens_what_may_come() -> None:
    """The same jump says less after a minute than after ten."""
    young, old = _learned([10] * 8), _learned([10] * 60)
    assert 0 < young.score_one(40) < old.score_one(40)


def test_latency_needs_more_the_fewer_samples_it_has() -> None:
    """Ten times as slow is nothing sure after two samples, and plain after twenty."""
    young, old = LatencyModel(), LatencyModel()
    for number in range(20):
        old.learn_one(0.05 + 0.001 * (number % 3))
        if number < 2:
            young.learn_one(0.05 + 0.001 * (number % 3))
    assert 0 < young.score_one(0.5) < 6 < old.score_one(0.5)
    assert young.score_one(5.0) > 6


def test_absence_surprises_only_of_what_was_always_there() -> None:
    """A steady template's absence adds up; an occasional one's does not count, nor when all is quiet."""
    steady, occasional = PresenceModel(), PresenceModel()
    for window in range(100):
        steady.learn_one(10)
        occasional.learn_one(10 if window % 3 == 0 else 0)
    for _ in range(5):
        steady.learn_one(0)
    assert steady.steady()
    assert not occasional.steady()
    assert steady.score_one(1.0) > 15
    assert steady.score_one(0.0) == 0


def test_latency_is_judged_by_factors() -> None:
    """Log-normal noise scores low, ten times as long high, and a constant is not touchy."""
    rng = random.Random(3)
    model, constant = LatencyModel(), LatencyModel()
    for _ in range(90):
        model.learn_one(0.05 * rng.lognormvariate(0, 0.1))
        constant.learn_one(0.05)
    assert max(model.score_one(0.05 * rng.lognormvariate(0, 0.1)) for _ in range(200)) < 6
    assert model.score_one(0.5) > 6
    assert constant.score_one(0.052) < 1
    assert constant.usual() == pytest.approx(0.05)


def test_thin_traffic_is_pooled() -> None:
    """Enough calls make a sample at once, fewer after a minute, very few none."""
    pool = Pool()
    whole = pool.add(sketch([0.1] * ENOUGH))
    assert whole is not None
    assert whole.count == ENOUGH
    assert [pool.add(sketch([0.1] * 2)) for _ in range(PATIENCE - 1)] == [None] * (PATIENCE - 1)
    last = pool.add(sketch([0.1] * 2))
    assert last is not None
    assert last.count == 2 * PATIENCE >= FEW
    sparse = [pool.add(sketch([0.1] if number == 0 else [])) for number in range(PATIENCE)]
    assert sparse == [None] * PATIENCE


def test_counters_become_rates_and_survive_restarts() -> None:
    """Differences per second; a fall is a restart and says nothing about the time before it."""
    state = SeriesState()
    first = comparable(state, series("calls", 0, [100.0, 150.0], kind=MetricKind.CUMULATIVE))
    second = comparable(state, series("calls", 1, [200.0, 10.0], kind=MetricKind.CUMULATIVE))
    third = comparable(state, series("calls", 2, [60.0], kind=MetricKind.CUMULATIVE))
    assert first == [10.0]
    assert second == [10.0]
    assert third == [10.0]


def test_durations_are_compared_by_logarithm() -> None:
    """Seconds and milliseconds of the same length compare alike and come back unchanged."""
    seconds, millis = (
        series("latency", 0, [0.2], unit="s"),
        series("latency", 0, [200.0], unit="ms"),
    )
    (one,), (other,) = comparable(SeriesState(), seconds), comparable(SeriesState(), millis)
    assert restored(one, seconds) == pytest.approx(0.2)
    assert restored(other, millis) == pytest.approx(200.0)
    assert comparable(SeriesState(), series("latency", 0, [0.0], unit="s")) == [math.log(0.001)]


@pytest.mark.parametrize(
    ("history", "unit", "least"),
    [
        ([0.0] * 30, "%", 1.0),
        ([0.3] * 30, "1", 0.01),
        ([10.0] * 30, "", 1.0),
        ([10_000.0] * 30, "", 67.0),
        ([5e8] * 30, "By", 1e7),
        ([0.5] * 30, "", 0.01),
        ([0.0, 0.0, 0.5] * 10, "{request}", 1.0),
    ],
)
def test_constants_have_a_scale(history: list[float], unit: str, least: float) -> None:
    """Where nothing varied, level and unit say what a deviation is."""
    window = series("value", 0, [history[0]], unit=unit)
    assert smallest_scale(np.array(history), window) >= least


def test_whole_rates_are_not_taken_for_counts() -> None:
    """Five a second may be fifty in a window: counting noise is that of the fifty."""
    history = np.array([5.0] * 12)
    rate, level = (smallest_scale(history, series("v", 0, [5.0], unit=unit)) for unit in ("/s", ""))
    assert rate < 1.0 <= level


def test_history_is_a_ring() -> None:
    """Only the newest values are kept; their number in all is remembered."""
    state = SeriesState()
    for number in range(RING + 10):
        state.learn(float(number))
    assert state.full()
    assert state.seen == RING + 10
    assert state.history().tolist() == [float(number) for number in range(10, RING + 10)]


def test_a_threshold_wants_persistence_or_the_extreme() -> None:
    """Two in a row, or one of three times the value."""
    threshold = Threshold(value=5.0, consecutive=2, extreme=3.0)
    assert not threshold.reached(6.0, 1)
    assert threshold.reached(6.0, 2)
    assert threshold.reached(15.0, 1)
    assert not threshold.reached(4.9, 9)


def test_runs_keep_their_start_until_a_gap() -> None:
    """A pause longer than the gap begins a new run; half an hour makes a run the normal state."""
    runs = Runs(gap=30 * SECOND)
    key = ("shop", "orders", "errors")
    assert runs.extend(key, start_of(0), start_of(1)).since == start_of(0)
    assert runs.extend(key, start_of(3), start_of(4)).since == start_of(0)
    assert runs.ongoing(key, start_of(8)) is None
    assert runs.extend(key, start_of(8), start_of(9)).since == start_of(8)
    assert not runs.accepted(key, start_of(9))
    assert runs.accepted(key, start_of(8) + ACCEPT_AFTER)
    assert runs.open == {}


def test_state_names_its_owner() -> None:
    """Bytes of another version are refused with what to do."""
    raw = freeze("rates", "1", RateModel(total=2.0))
    assert thaw("rates", "1", RateModel, raw) == RateModel(total=2.0)
    with pytest.raises(ValueError, match="rates 1 does not fit rates 2; start it afresh"):
        thaw("rates", "2", RateModel, raw)


def test_touch_drops_the_longest_unused() -> None:
    """The limit pushes out what was not used for longest, and says how many."""
    entries = {"a": 1, "b": 2, "c": 3}
    assert touch(entries, "a", 2) == 1
    assert entries == {"c": 3, "a": 1}
