"""Scores of all series at once are those of one PyOD MAD a series, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.metrics.mad import Mads


def by_hand(history: list[float], value: float) -> float:
    """Return the modified z-score as it is defined."""
    center = np.median(history)
    spread = np.median(np.abs(np.array(history) - center))
    with np.errstate(all="ignore"):
        return float(np.nan_to_num(0.6745 * np.abs(value - center) / spread))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.lists(
            st.sampled_from([0.0, 0.1, 1.0, 2.5, -3.0, 7.0, 1e9]) | st.floats(-5, 5), min_size=3, max_size=3
        ),
        min_size=1,
        max_size=40,
    )
)
def test_every_step_is_as_defined(steps: list[list[float]]) -> None:
    """With any values, repeated ones too, before and after the oldest begin to give way."""
    mads = Mads(3, 9)
    histories: list[list[float]] = [[], [], []]
    for values in steps:
        if histories[0]:
            scores = mads.score(np.array(values))
            for history, value, score in zip(histories, values, scores, strict=True):
                assert score == by_hand(history[-9:], value)
        mads.learn(np.array(values))
        for history, value in zip(histories, values, strict=True):
            history.append(value)


def test_as_pyod_says() -> None:
    """The same numbers as PyOD's own detector, fitted to each history."""
    from pyod.models.mad import MAD

    rng = np.random.default_rng(5)
    histories = rng.normal(100.0, 7.0, (40, 120))
    histories[0] = 3.0
    histories[1, :100] = 3.0
    values = rng.normal(100.0, 20.0, 40)
    mads = Mads(40, 120)
    mads.fit(histories)
    with np.errstate(all="ignore"):
        theirs = [
            MAD().fit(history.reshape(-1, 1)).decision_function(np.array([[value]]))[0]
            for history, value in zip(histories, values, strict=True)
        ]
    assert mads.score(values).tolist() == theirs


@pytest.mark.parametrize("length", [1, 2, 7, 8])
def test_a_short_history_will_do(length: int) -> None:
    """Fitted with fewer values than are kept, odd or even."""
    rng = np.random.default_rng(length)
    histories = rng.normal(0.0, 1.0, (5, length))
    mads = Mads(5, 8)
    mads.fit(histories)
    values = rng.normal(0.0, 3.0, 5)
    expected = [by_hand(list(history), value) for history, value in zip(histories, values, strict=True)]
    assert mads.score(values).tolist() == expected
