"""Figures, each checked against a value worked out by hand or against its own bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.evaluate.figures import accuracy, auroc, brier, expected_calibration_error, folded, share

confidences = st.floats(0, 1, allow_nan=False)
answers = st.lists(st.tuples(confidences, st.booleans()), min_size=1, max_size=60)


def test_folding_drops_repeats_and_keeps_the_order() -> None:
    """A database counts as its service, once, at the better of its places."""
    ranking = ["cart-db", "pay", "cart", "pay", "shop"]
    assert folded(ranking, {"cart-db": "cart"}) == ["cart", "pay", "shop"]
    assert folded([], {"cart-db": "cart"}) == []


def test_accuracy_by_hand() -> None:
    """First, third, sixth and no place: AC@1 1/4, AC@3 and AC@5 2/4, Avg@5 the mean of all five."""
    assert accuracy([1, 3, 6, None]) == {"ac1": 0.25, "ac3": 0.5, "ac5": 0.5, "avg5": 0.4}
    assert accuracy([]) == {"ac1": 0.0, "ac3": 0.0, "ac5": 0.0, "avg5": 0.0}


@given(st.lists(st.one_of(st.none(), st.integers(1, 12)), max_size=40))
def test_accuracy_grows_with_k(places: list[int | None]) -> None:
    """More places looked at never find fewer, and the average lies between the ends."""
    found = accuracy(places)
    assert 0 <= found["ac1"] <= found["ac3"] <= found["ac5"] <= 1
    assert found["ac1"] - 1e-12 <= found["avg5"] <= found["ac5"] + 1e-12


def test_calibration_error_by_hand() -> None:
    """Two bins of two: |.15 - 0| and |.85 - .5|, each half of the cases."""
    error = expected_calibration_error([0.9, 0.1, 0.8, 0.2], [True, False, False, False], bins=2)
    assert error == pytest.approx(0.5 * 0.15 + 0.5 * 0.35)


def test_calibration_error_of_the_sure_and_right() -> None:
    """Certainty that holds has no error, certainty that fails the greatest."""
    assert expected_calibration_error([1.0] * 10, [True] * 10) == 0.0
    assert expected_calibration_error([1.0] * 10, [False] * 10) == 1.0
    assert expected_calibration_error([], []) == 0.0


def test_bins_have_equal_mass() -> None:
    """Seven cases in five bins: each case is in exactly one, whatever the confidences are."""
    assert expected_calibration_error([0.5] * 7, [False] * 7) == pytest.approx(0.5)


@given(answers)
def test_figures_of_confidence_stay_in_bounds(cases: list[tuple[float, bool]]) -> None:
    """All are shares; inverting confidence mirrors AUROC around a half."""
    sure, right = [c for c, _ in cases], [r for _, r in cases]
    for figure in (expected_calibration_error(sure, right), brier(sure, right), auroc(sure, right)):
        assert 0 <= figure <= 1
    assert auroc([-one for one in sure], right) == pytest.approx(1 - auroc(sure, right))


@given(answers)
def test_calibration_error_does_not_exceed_the_mean_distance(cases: list[tuple[float, bool]]) -> None:
    """Averaging inside a bin can only cancel errors."""
    sure, right = [c for c, _ in cases], [r for _, r in cases]
    distance = sum(abs(c - r) for c, r in cases) / len(cases)
    assert expected_calibration_error(sure, right) <= distance + 1e-9


def test_auroc_edges() -> None:
    """Perfect order 1, reversed 0, ties a half, one kind only a half, none at all a half."""
    assert auroc([0.9, 0.8, 0.1], [True, True, False]) == 1.0
    assert auroc([0.1, 0.9], [True, False]) == 0.0
    assert auroc([0.5, 0.5], [True, False]) == 0.5
    assert auroc([0.5, 0.7], [True, True]) == 0.5
    assert auroc([], []) == 0.5


def test_brier_and_share_by_hand() -> None:
    """Squared distances averaged; a share of nothing is nothing."""
    assert brier([1.0, 0.5], [False, True]) == pytest.approx(0.625)
    assert brier([], []) == 0.0
    assert share([True, False, True, True]) == 0.75
    assert share([]) == 0.0
