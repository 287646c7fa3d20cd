"""How strongly a track changed, and where its curve stands in a drawing."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.evaluate.inspection.changes import NOTABLE, change
from agent.evaluate.inspection.drawing import Frame, Line, plot
from agent.evaluate.inspection.shape import layout
from agent.evaluate.inspection.tracks import Track
from ingest.record import SECOND

_CELLS = 60
_STARTS = np.arange(_CELLS, dtype=np.int64) * 10 * SECOND
_DURING = np.arange(_CELLS) >= 40
_NOISE = np.random.default_rng(3).normal(0, 1, _CELLS)


def _track(values: np.ndarray[tuple[int], np.dtype[np.float64]], **known: float) -> Track:
    return Track(name="p95", label="p95", unit="s", values=values, worse=1, floor=known.get("floor", 0.0))


def test_a_rise_is_told_with_both_levels() -> None:
    """What rises in the incident scores by its ordinary variation and reads as a person would say it."""
    found = change(_track(np.where(_DURING, 4.0, 0.05) + _NOISE * 1e-3), ~_DURING, _DURING, _STARTS)
    assert found.score > 20
    assert found.words.startswith("p95 49.8 ms")
    assert "→ 4" in found.words
    assert found.harm == found.score


def test_noise_is_no_change() -> None:
    """The same distribution on both sides stays below what is told."""
    assert abs(change(_track(10 + _NOISE), ~_DURING, _DURING, _STARTS).score) < NOTABLE


def test_a_part_of_the_incident_is_told_as_such() -> None:
    """Where less than half of the incident is affected, the level is an upper one."""
    late = np.arange(_CELLS) >= 52
    found = change(_track(np.where(late, 9.0, 1.0) + _NOISE * 0.02), ~_DURING, _DURING, _STARTS)
    assert found.partly
    assert "up to" in found.words


def test_better_counts_less_than_worse() -> None:
    """Latency that falls is told, but is no harm like latency that rises."""
    found = change(_track(np.where(_DURING, 0.5, 5.0) + _NOISE * 0.01), ~_DURING, _DURING, _STARTS)
    assert found.score < 0
    assert found.harm < abs(found.score) / 2


def test_a_floor_keeps_tiny_numbers_quiet() -> None:
    """From nothing to almost nothing is nothing, however often it multiplied."""
    values = np.where(_DURING, 1e-3, 1e-5)
    assert abs(change(_track(values, floor=2e-2), ~_DURING, _DURING, _STARTS).score) < 1


@pytest.mark.parametrize("during", [None, _DURING])
def test_nothing_known_gives_no_score(during: np.ndarray[tuple[int], np.dtype[np.bool_]] | None) -> None:
    """A side without any value cannot be compared, and never makes a number that is none."""
    empty = np.full(_CELLS, np.nan)
    assert change(_track(empty), ~_DURING, during, _STARTS).score == 0
    half = np.where(_DURING, 5.0, np.nan)
    assert change(_track(half), ~_DURING, _DURING, _STARTS).score == 0


def test_without_an_incident_the_strangest_moment_is_told() -> None:
    """Three cells that agree are something; a single one is not."""
    everywhere = np.ones(_CELLS, dtype=np.bool_)
    long = 10 + _NOISE * 0.1 + np.where((np.arange(_CELLS) >= 20) & (np.arange(_CELLS) < 26), 30, 0)
    found = change(_track(long), everywhere, None, _STARTS)
    assert found.score > NOTABLE
    assert found.at is not None
    assert 200 * SECOND <= found.at < 260 * SECOND
    lone = 10 + _NOISE * 0.1 + np.where(np.arange(_CELLS) == 20, 300, 0)
    assert abs(change(_track(lone), everywhere, None, _STARTS).score) < NOTABLE


_levels = st.lists(
    st.floats(allow_infinity=False, min_value=-1e12, max_value=1e12) | st.just(math.nan),
    min_size=_CELLS,
    max_size=_CELLS,
)


@given(_levels, st.booleans(), st.none() | st.floats(1e-6, 1e9), st.sampled_from(["", "s", "By", "%"]))
def test_drawings_hold_finite_places_only(
    levels: list[float], stacked: bool, capacity: float | None, unit: str
) -> None:
    """Whatever the values, nothing in a plot is NaN or infinite: a browser would draw nothing at all."""
    values = np.array(levels)
    if stacked:
        values = np.abs(values)
    line = Line(label="x", css="c1", times=_STARTS, values=values, interval=10 * SECOND)
    frame = Frame(layout=layout([(0, 600 * SECOND)], None), incident=(400 * SECOND, 600 * SECOND), marks=())
    made = plot(
        [line, line], frame, unit=unit, normal=[(0, 400 * SECOND)], capacity=capacity, stacked=stacked
    )
    drawn = " ".join(stroke.path for stroke in made.strokes) + repr(made.bars) + repr(made.y_ticks)
    assert "nan" not in drawn
    assert "inf" not in drawn
