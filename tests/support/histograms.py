"""Histograms made from known values, so that what is said of one can be checked against the values."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence

from hypothesis import strategies as st

from ingest.distribution import Buckets, Distribution, trimmed

BOUNDS = (0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0)
VALUES = st.lists(st.integers(0, 800).map(lambda n: n / 64), max_size=30)
"""Exact in binary, so that sums are; some beyond the last bound."""
SIGNED = st.lists(st.integers(-800, 800).map(lambda n: n / 64), max_size=30)


def explicit(values: Sequence[float], bounds: Sequence[float] = BOUNDS) -> Distribution:
    """Return the histogram of `values` with explicit bounds."""
    places = Counter(bisect_left(bounds, value) for value in values)
    return Distribution(
        count=len(values),
        total=math.fsum(values),
        minimum=min(values, default=None),
        maximum=max(values, default=None),
        bounds=tuple(bounds),
        counts=tuple(places[place] for place in range(len(bounds) + 1)),
    )


def index_of(value: float, scale: int) -> int:
    """Return the bucket of a positive value: the index i with base**i < value <= base**(i+1)."""
    return math.ceil(math.ldexp(math.log2(value), scale)) - 1


def exponential(values: Sequence[float], scale: int = 3) -> Distribution:
    """Return the base-2 exponential histogram of `values`."""
    sides = []
    for sign in (1, -1):
        places = Counter(index_of(abs(value), scale) for value in values if value * sign > 0)
        low, high = min(places, default=0), max(places, default=-1)
        sides.append(Buckets(offset=low, counts=tuple(places[i] for i in range(low, high + 1))))
    return trimmed(
        Distribution(
            count=len(values),
            total=math.fsum(values),
            minimum=min(values, default=None),
            maximum=max(values, default=None),
            scale=scale,
            zero=sum(value == 0 for value in values),
            positive=sides[0],
            negative=sides[1],
        )
    )


def ranked(values: Sequence[float], q: float) -> float:
    """Return the value of rank ceil(q * count), counted from one."""
    return sorted(values)[max(1, math.ceil(q * len(values))) - 1]
