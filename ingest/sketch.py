"""Quantiles that can be merged: a histogram over logarithmic buckets (DDSketch without the store limits).

Source: Masson, Rim, Lee, *DDSketch*, VLDB 2019. A quantile is within `ACCURACY` of the true value, and
merging sketches in any order or grouping gives the same sketch as one over all values.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec

ACCURACY = 0.02
_LOG_GAMMA = math.log((1 + ACCURACY) / (1 - ACCURACY))
_FLOOR = -(10**6)
"""Bucket of values that are zero or less."""


class Sketch(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Bucket index -> count. Empty is `Sketch()`."""

    buckets: dict[int, int] = msgspec.field(default_factory=dict)

    @property
    def count(self) -> int:
        return sum(self.buckets.values())

    def quantile(self, q: float) -> float | None:
        """Return the q-quantile (0..1), None when empty."""
        total = self.count
        if total == 0:
            return None
        rank = q * (total - 1)
        seen = 0
        for index in sorted(self.buckets):
            seen += self.buckets[index]
            if seen > rank:
                return _value(index)
        return _value(max(self.buckets))

    def mean(self) -> float | None:
        """Return the mean of bucket midpoints, None when empty."""
        total = self.count
        if total == 0:
            return None
        return sum(_value(index) * n for index, n in self.buckets.items()) / total


def sketch(values: Iterable[float]) -> Sketch:
    """Return the sketch of `values` (any unit; negatives count as zero)."""
    buckets: dict[int, int] = {}
    for value in values:
        index = bucket(value)
        buckets[index] = buckets.get(index, 0) + 1
    return Sketch(buckets=dict(sorted(buckets.items())))


def merged(first: Sketch, second: Sketch) -> Sketch:
    """Return the sketch of both inputs' values."""
    if not first.buckets:
        return second
    buckets = dict(first.buckets)
    for index, n in second.buckets.items():
        buckets[index] = buckets.get(index, 0) + n
    return Sketch(buckets=dict(sorted(buckets.items())))


def bucket(value: float) -> int:
    """Return the bucket index of `value`."""
    return math.ceil(math.log(value) / _LOG_GAMMA) if value > 0 else _FLOOR


def _value(index: int) -> float:
    if index == _FLOOR:
        return 0.0
    return 2 * math.exp(index * _LOG_GAMMA) / (1 + math.exp(_LOG_GAMMA))
