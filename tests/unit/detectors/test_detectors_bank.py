"""The model of single series: what is strange, what is known, what a budget makes of it, and its state."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.metrics.bank import Bank
from detectors.metrics.columns import Column, Columns, Values
from detectors.threshold import Budget
from ingest.record import SECOND

STEP = 300 * SECOND
START = 1_700_000_000 * SECOND


def scored(columns: Values, bank: Bank | None = None, first: int = 0) -> Values:
    """Return the scores of values [sample, series], one sample every five minutes."""
    model = bank or Bank()
    rows = np.arange(columns.shape[1])
    model.grow(columns.shape[1])
    scores = np.zeros(columns.shape)
    for place, values in enumerate(columns):
        times = np.full(len(rows), START + (first + place) * STEP)
        look = model.score(rows, times, values)
        scores[place] = look.scores
        model.learn(look, np.zeros(len(rows), dtype=np.bool_))
    return scores


def noise(samples: int, series: int = 1, seed: int = 3) -> Values:
    """Return ordinary noise around 100."""
    return np.random.default_rng(seed).normal(100.0, 5.0, (samples, series))


def test_a_spike_and_a_shift_stand_out() -> None:
    """Each scores more than anything that the noise before it did."""
    values = noise(700, 2)
    values[600, 0] += 80.0
    values[600:, 1] += 60.0
    scores = scored(values)
    for series in (0, 1):
        assert scores[600, series] > 1.5 * scores[100:600, series].max()


def test_it_is_said_once() -> None:
    """What stands out is not said again while it lasts."""
    values = noise(800)
    values[600:, 0] += 60.0
    scores = scored(values)
    assert scores[612:, 0].max() < 0.3 * scores[600, 0]


def test_a_spike_that_returns_is_known() -> None:
    """The tenth of a row of equal spikes says much less than the first."""
    values = noise(2600)
    spikes = range(300, 2600, 230)
    for row in spikes:
        values[row, 0] += 90.0
    scores = scored(values)
    assert scores[2370, 0] < 0.4 * scores[300, 0]


def test_the_time_of_day_counts() -> None:
    """After days, a usual value at an unusual time is strange; the same at its usual time is not."""
    day = 288
    hours = np.arange(7 * day) % day
    values = noise(7 * day)
    values[:, 0] += 200.0 * np.sin(hours / day * 2 * np.pi)
    quiet = scored(values)
    # At its lowest hour as high as at its highest.
    values[6 * day + 216 : 6 * day + 219, 0] += 400.0
    odd = scored(values)
    assert odd[6 * day + 216, 0] > 2.0
    assert quiet[5 * day :, 0].max() < 0.5 * odd[6 * day + 216, 0]


def test_series_do_not_touch_each_other() -> None:
    """Side by side or alone, a series scores the same."""
    values = noise(300, 5)
    together = scored(values)
    for series in range(5):
        assert scored(values[:, [series]])[:, 0].tolist() == together[:, series].tolist()


def test_the_future_does_not_matter() -> None:
    """A score depends on what came before it only."""
    values = noise(400, 2)
    changed = values.copy()
    changed[250:] *= 3.0
    assert scored(values)[:250].tolist() == scored(changed)[:250].tolist()


def test_state_goes_on_where_it_was() -> None:
    """Bytes in the middle of days, and the same scores after; a forgotten row begins afresh."""
    values = noise(900, 3)
    first = Bank()
    scored(values[:700], first)
    second = Bank()
    second.load(first.dump())
    assert second.dump() == first.dump()
    rest = scored(values[700:], first, 700)
    assert scored(values[700:], second, 700).tolist() == rest.tolist()
    first.reset(1)
    afresh = scored(values[:200], first, 900)
    assert afresh[:, 1].tolist() == scored(values[:200], None, 900)[:, 1].tolist()
    with pytest.raises(ValueError, match="start afresh"):
        second.load(b"\x93\x01")


def test_values_of_any_size_are_finite() -> None:
    """Constants, zeros, huge and tiny values, steps between them."""
    values = noise(400, 6)
    values[:, 0], values[:, 1], values[:, 2] = 0.0, 1e15, 1e-12
    values[300:, 0], values[300:, 1], values[300:, 2] = 1.0, -1e15, 1e12
    values[:, 3] = np.where(np.arange(400) % 50 == 0, 1e9, 0.0)
    with np.errstate(all="raise", under="ignore"):
        scores = scored(values)
    assert np.isfinite(scores).all()
    assert (scores >= 0).all()


def test_a_budget_is_kept() -> None:
    """On noise of any scale about as many alarms come as asked for; twice the budget, more of them."""
    rng = np.random.default_rng(11)
    for scale in (0.2, 1.0):
        counts = {}
        for alarms in (0.5, 8.0):
            budget, reached = Budget(alarms_a_day=alarms), 0
            for sample in range(288 * 60):
                score = float(rng.exponential(scale))
                reached += budget.reached(score)
                budget.learn((score,), START + sample * STEP)
            counts[alarms] = reached / 60
        assert 0.1 < counts[0.5] < 1.5
        assert 4.0 < counts[8.0] < 14.0


def test_an_anomaly_does_not_raise_the_bar_for_the_next() -> None:
    """One enormous score moves the limit as little as one just beyond it."""
    calm, shaken = Budget(alarms_a_day=1.0), Budget(alarms_a_day=1.0)
    rng = np.random.default_rng(12)
    for sample in range(2_000):
        score = (float(rng.exponential(0.5)),)
        calm.learn(score, START + sample * STEP)
        shaken.learn(score, START + sample * STEP)
    shaken.learn((1e6,), START + 2_000 * STEP)
    assert shaken.limit() < 1.1 * calm.limit()


def test_time_that_stands_or_goes_back_is_harmless() -> None:
    """Late windows neither shorten nor lengthen what the budget has seen."""
    budget = Budget(alarms_a_day=1.0)
    budget.learn((0.1,), START + 10 * STEP)
    budget.learn((0.1,), START)
    budget.learn((0.1,), START + 10 * STEP)
    assert budget.days == 0.0
    assert np.isfinite(budget.limit())


@settings(max_examples=50, deadline=None)
@given(
    st.integers(0, 5),
    st.lists(st.floats(width=32), min_size=15, max_size=15),
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=5, max_size=5),
)
def test_columns_come_back_to_the_bit(rows: int, floats: list[float], integers: list[int]) -> None:
    """Any values, NaN and infinities too, through packed bytes; equal content is equal bytes."""
    plan = {"a": Column(dtype="<f4", shape=(3,)), "b": Column(dtype="<i8")}
    first, second = Columns(plan), Columns(plan)
    first.grow(rows)
    first.at["a"][:rows] = np.array(floats, dtype=np.float32).reshape(5, 3)[:rows]
    first.at["b"][:rows] = np.array(integers, dtype=np.int64)[:rows]
    raw = first.dump()
    second.load(raw)
    assert second.size == rows
    for name in plan:
        assert second.at[name].tobytes() == first.at[name][:rows].tobytes()
    assert second.dump() == raw
    second.grow(rows + 1)
    assert second.at["b"][rows] == 0


def test_damaged_columns_are_refused() -> None:
    """Another plan's, cut, or not packed at all: start afresh."""
    columns = Columns({"a": Column(dtype="<f4", shape=(3,))})
    columns.grow(2)
    other = Columns({"a": Column(dtype="<f4", shape=(4,))})
    with pytest.raises(ValueError, match="array a of the series is cut"):
        other.load(columns.dump())
    with pytest.raises(ValueError, match="array a of the series is cut"):
        columns.load(msgspec.msgpack.encode((2, {"a": b"\0" * 24})))


def test_a_snapshot_takes_little_room() -> None:
    """Of 14 kB of arrays a third where all is noise, and little of what hardly moves."""
    for values, most in ((noise(400, 40), 5_000), (np.round(noise(400, 40) / 50.0), 1_000)):
        bank = Bank()
        scored(values, bank)
        assert len(bank.dump()) / 40 < most
