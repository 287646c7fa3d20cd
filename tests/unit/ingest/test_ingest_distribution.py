"""Histograms: quantiles against the values themselves, sums and differences, buckets that do not match."""

from __future__ import annotations

import itertools
from bisect import bisect_left

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ingest.distribution import MAX_BUCKETS, Buckets, Distribution, added, fitted, grown, rebounded, rescaled
from tests.support.histograms import BOUNDS, SIGNED, VALUES, explicit, exponential, index_of, ranked

MODEST = settings(max_examples=150, deadline=None)
QUANTILES = st.sampled_from([0.0, 0.01, 0.25, 0.5, 0.9, 0.95, 0.99, 1.0])


@MODEST
@given(values=VALUES.filter(bool), q=QUANTILES)
def test_an_explicit_quantile_lies_in_the_bucket_of_the_true_one(values: list[float], q: float) -> None:
    """And never outside of what was seen."""
    found = explicit(values).quantile(q)
    assert found is not None
    assert min(values) <= found <= max(values)
    true = ranked(values, q)
    place = bisect_left(BOUNDS, true)
    low = -1.0 if place == 0 else BOUNDS[place - 1]
    high = max(values) if place == len(BOUNDS) else BOUNDS[place]
    assert low <= found <= high


@MODEST
@given(values=SIGNED.filter(bool), q=QUANTILES, scale=st.integers(-2, 6))
def test_an_exponential_quantile_is_as_near_as_its_base(values: list[float], q: float, scale: int) -> None:
    """Within a factor of the base of the true value, on either side of zero."""
    found = exponential(values, scale).quantile(q)
    assert found is not None
    assert min(values) <= found <= max(values)
    true, base = ranked(values, q), 2.0 ** (2.0**-scale)
    if true == 0:
        assert found == 0
    else:
        assert 1 / base - 1e-9 <= found / true <= base + 1e-9


def test_a_quantile_without_extremes_ends_at_the_outer_bounds() -> None:
    """As Prometheus has it: zero below the first bound, the last bound above all."""
    low = Distribution(count=4, bounds=(1.0, 2.0), counts=(4, 0, 0))
    high = Distribution(count=4, bounds=(1.0, 2.0), counts=(0, 0, 4))
    below = Distribution(count=2, bounds=(-2.0, -1.0), counts=(2, 0, 0))
    assert (low.quantile(0.5), high.quantile(0.5), below.quantile(0.5)) == (0.5, 2.0, -2.0)
    assert Distribution(count=3).quantile(0.5) is None
    assert explicit([]).quantile(0.5) is None
    assert exponential([]).quantile(0.5) is None


@MODEST
@given(parts=st.lists(SIGNED, min_size=1, max_size=4), made=st.sampled_from([explicit, exponential]))
def test_adding_is_what_one_over_all_values_is(parts: list[list[float]], made: type) -> None:
    """In any order and grouping."""
    parts = [part for part in parts if part] or [[1.0]]
    whole = made([value for part in parts for value in part])
    for order in itertools.permutations(parts):
        left = made(order[0])
        for part in order[1:]:
            left = added(left, made(part))
        right = made(order[-1])
        for part in reversed(order[:-1]):
            right = added(made(part), right)
        assert left == right == whole


@MODEST
@given(before=SIGNED, more=SIGNED, made=st.sampled_from([explicit, exponential]))
def test_what_grew_is_what_came_in_between(before: list[float], more: list[float], made: type) -> None:
    """Counts and total exactly; its extremes only bound it."""
    found = grown(made(before), made(before + more))
    expected = made(more)
    assert found is not None
    assert (found.count, found.total, found.counts) == (expected.count, expected.total, expected.counts)
    assert (found.zero, found.positive, found.negative) == (
        expected.zero,
        expected.positive,
        expected.negative,
    )


@MODEST
@given(before=VALUES.filter(bool), after=VALUES, made=st.sampled_from([explicit, exponential]))
def test_a_restart_is_seen_wherever_any_bucket_fell(
    before: list[float], after: list[float], made: type
) -> None:
    """And only there: a bucket that fell cannot belong to a running count."""
    first, second = made(before), made(after)
    fell = any(
        sum(low < value <= high for value in after) < sum(low < value <= high for value in before)
        for low, high in _buckets(first)
    )
    assert (grown(first, second) is None) == (fell or len(after) < len(before))


def _buckets(of: Distribution) -> list[tuple[float, float]]:
    """Return (low, high] of every bucket that has counted, for values from zero on."""
    if of.scale is None:
        edges = [-1.0, *of.bounds, float("inf")]
        return list(itertools.pairwise(edges))
    base = 2.0 ** (2.0**-of.scale)
    sides = range(of.positive.offset, of.positive.offset + len(of.positive.counts))
    return [(-1.0, 0.0), *((base**index * (1 + 1e-12), base ** (index + 1) * (1 + 1e-12)) for index in sides)]


@MODEST
@given(one=VALUES, two=VALUES, scales=st.tuples(st.integers(-3, 5), st.integers(-3, 5)))
def test_scales_meet_at_the_coarser(one: list[float], two: list[float], scales: tuple[int, int]) -> None:
    """As one histogram of all values at that scale has them."""
    found = added(exponential(one, scales[0]), exponential(two, scales[1]))
    expected = exponential(one + two, min(scales))
    assert (found.scale, found.positive, found.zero) == (expected.scale, expected.positive, expected.zero)


@MODEST
@given(
    one=VALUES,
    two=VALUES,
    bounds=st.tuples(*[st.sets(st.sampled_from(BOUNDS), min_size=1).map(lambda s: tuple(sorted(s)))] * 2),
)
def test_bounds_meet_in_those_that_both_have(
    one: list[float], two: list[float], bounds: tuple[tuple[float, ...], tuple[float, ...]]
) -> None:
    """Exactly, as if only these had ever been counted; with none in common the count remains."""
    found = added(explicit(one, bounds[0]), explicit(two, bounds[1]))
    shared = tuple(sorted(set(bounds[0]) & set(bounds[1])))
    expected = explicit(one + two, shared)
    assert (found.bounds, found.count) == (shared, len(one) + len(two))
    assert found.counts == (expected.counts if shared else ())


def test_forms_that_do_not_mix_keep_count_and_total() -> None:
    """An exponential and an explicit histogram share no bucket."""
    found = added(explicit([1.0, 2.0]), exponential([4.0]))
    assert found == Distribution(count=3, total=7.0, minimum=1.0, maximum=4.0)
    assert grown(explicit([1.0]), exponential([1.0, 4.0])) == Distribution(
        count=1, total=4.0, minimum=1.0, maximum=4.0
    )


@MODEST
@given(
    offsets=st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=4),
    scale=st.integers(-20, 20),
)
@example(offsets=[-(2**31), 2**31 - 1], scale=20)
def test_sides_that_lie_far_apart_stay_small(offsets: list[int], scale: int) -> None:
    """Two buckets at the ends of what can be said never become all those between; order does not matter."""
    made = [Distribution(count=1, scale=scale, positive=Buckets(offset=o, counts=(1,))) for o in offsets]
    results = set()
    for order in itertools.permutations(made):
        whole = order[0]
        for one in order[1:]:
            whole = added(whole, one)
        assert len(whole.positive.counts) <= MAX_BUCKETS
        assert sum(whole.positive.counts) == len(offsets)
        results.add((whole.scale, whole.positive))
    assert len(results) == 1


def test_too_many_buckets_become_coarser_ones() -> None:
    """Explicit bounds are thinned, scales lowered; no value is lost."""
    bounds = tuple(float(bound) for bound in range(1000))
    thin = fitted(explicit([1.5, 998.0, 2000.0], bounds))
    assert len(thin.counts) <= MAX_BUCKETS
    assert set(thin.bounds) < set(bounds)
    assert sum(thin.counts) == 3
    wide = Distribution(count=1000, scale=5, positive=Buckets(offset=-500, counts=(1,) * 1000))
    assert fitted(wide) == rescaled(wide, fitted(wide).scale or 0)
    assert sum(fitted(wide).positive.counts) == 1000


@pytest.mark.parametrize("scale", [-2, 0, 3, 7])
def test_rescaling_is_counting_at_the_lower_scale(scale: int) -> None:
    """Index i becomes i >> 1 with each step down, below zero too."""
    values = [0.001, 0.3, 1.0, 1.5, 2.0, 77.0]
    assert rescaled(exponential(values, 7), scale) == exponential(values, scale)
    assert index_of(1.0, 0) == -1
    assert rebounded(explicit(values), (0.5,)) == explicit(values, (0.5,))
