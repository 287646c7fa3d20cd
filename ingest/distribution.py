"""What a histogram says, and how two of them add up and differ. Pure.

Explicit buckets are those of OpenTelemetry and Prometheus; exponential ones those of OpenTelemetry's base-2
histogram (data model, *ExponentialHistogram*). Counts are whole numbers, so adding is exact in any order and
grouping; only `total`, a sum of floats, is equal up to rounding. Histograms of different buckets meet in
the finest buckets that both know exactly: the bounds they share, the coarser of two scales. Where they share
none, count and total remain.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable

import msgspec

MAX_BUCKETS = 160
"""Buckets kept of one histogram (of either side of an exponential one), as many as OpenTelemetry's SDKs."""
_TOP = 1023.0
"""Powers of two beyond it are no floats."""


class Buckets(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One side of an exponential histogram: `counts[i]` values in (base**(offset+i), base**(offset+i+1)]."""

    offset: int = 0
    counts: tuple[int, ...] = ()


class Distribution(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How many values fell where. Exponential where `scale` is given, with base 2**(2**-scale).

    Explicit: `bounds` rise and `counts` has one more, of which the i-th is for (bounds[i-1], bounds[i]].
    No bounds: only how many values there were. `minimum` and `maximum` bound the values, as far as known.
    """

    count: int
    total: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    bounds: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()
    scale: int | None = None
    zero: int = 0
    positive: Buckets = Buckets()
    negative: Buckets = Buckets()

    def mean(self) -> float | None:
        """Return the mean value, None when there is none or the sender kept no total."""
        return self.total / self.count if self.count and self.total is not None else None

    def quantile(self, q: float) -> float | None:
        """Return the q-quantile (0..1), None when there are no values or no buckets.

        It lies in the bucket that holds the value of rank ceil(q * count): linear in it where bounds are
        explicit (as Prometheus' histogram_quantile does), geometric where they are exponential.
        """
        spans = _exponential_spans(self) if self.scale is not None else _explicit_spans(self)
        inside = [span for span in spans if span[2]]
        known = sum(count for _, _, count in inside)
        if not known:
            return None
        rank, seen = q * known, 0
        place = 0
        while seen + inside[place][2] < rank:
            seen += inside[place][2]
            place += 1
        low, high, count = inside[place]
        share = (rank - seen) / count
        return _clipped(self, _between(low, high, share, geometric=self.scale is not None))


def added(first: Distribution, second: Distribution) -> Distribution:
    """Return the distribution of both inputs' values."""
    one, two = aligned(first, second)
    return msgspec.structs.replace(
        fitted(_combined(one, two, 1)),
        total=None if first.total is None or second.total is None else first.total + second.total,
        minimum=_extreme(min, first.minimum, second.minimum),
        maximum=_extreme(max, first.maximum, second.maximum),
    )


def grown(earlier: Distribution, later: Distribution) -> Distribution | None:
    """Return what came in between two readings of one running histogram; None when it began anew.

    Its extremes are the later reading's, which bound what came without being reached by it.
    """
    one, two = aligned(earlier, later)
    found = _combined(two, one, -1)
    sides = (found.counts, found.positive.counts, found.negative.counts, (found.count, found.zero))
    if any(count < 0 for counts in sides for count in counts):
        return None
    both = earlier.total is not None and later.total is not None
    return msgspec.structs.replace(
        trimmed(found),
        total=(later.total or 0.0) - (earlier.total or 0.0) if both else None,
        minimum=later.minimum,
        maximum=later.maximum,
    )


def aligned(first: Distribution, second: Distribution) -> tuple[Distribution, Distribution]:
    """Return both in the finest buckets that they share."""
    if first.scale is not None and second.scale is not None:
        return _rescaled_together(trimmed(first), trimmed(second), min(first.scale, second.scale))
    if first.scale is None and second.scale is None:
        if first.bounds == second.bounds:
            return first, second
        shared = tuple(sorted(set(first.bounds) & set(second.bounds)))
        return rebounded(first, shared), rebounded(second, shared)
    return rebounded(first, ()), rebounded(second, ())


def _rescaled_together(
    first: Distribution, second: Distribution, scale: int
) -> tuple[Distribution, Distribution]:
    """Coarsen both before they meet, so far that together they fit: their ends may be far apart."""
    one, two = rescaled(first, scale), rescaled(second, scale)
    sides = ((one.positive, two.positive), (one.negative, two.negative))
    ends = [
        (min(side.offset for side in pair), max(side.offset + len(side.counts) for side in pair) - 1)
        for pair in (tuple(side for side in pair if side.counts) for pair in sides)
        if pair
    ]
    shift = 0
    while any((last >> shift) - (start >> shift) >= MAX_BUCKETS for start, last in ends):
        shift += 1
    return rescaled(one, scale - shift), rescaled(two, scale - shift)


def rebounded(of: Distribution, bounds: tuple[float, ...]) -> Distribution:
    """Return it with a part of its bounds only; with none, only the count remains."""
    counts = [0] * (len(bounds) + 1) if bounds else []
    place = 0
    for bound, count in zip((*of.bounds, math.inf), of.counts if bounds else (), strict=bool(bounds)):
        while place < len(bounds) and bound > bounds[place]:
            place += 1
        counts[place] += count
    return Distribution(
        count=of.count,
        total=of.total,
        minimum=of.minimum,
        maximum=of.maximum,
        bounds=bounds,
        counts=tuple(counts),
    )


def rescaled(of: Distribution, scale: int) -> Distribution:
    """Return an exponential histogram at a scale that is not above its own."""
    if of.scale is None or scale >= of.scale:
        return of
    shift = of.scale - scale
    return msgspec.structs.replace(
        of, scale=scale, positive=_shifted(of.positive, shift), negative=_shifted(of.negative, shift)
    )


def fitted(of: Distribution) -> Distribution:
    """Return it with at most `MAX_BUCKETS` buckets, coarser where it has more."""
    of = trimmed(of)
    while of.scale is not None and max(len(of.positive.counts), len(of.negative.counts)) > MAX_BUCKETS:
        of = trimmed(rescaled(of, of.scale - 1))
    while len(of.counts) > MAX_BUCKETS:
        of = rebounded(of, of.bounds[1::2])
    return of


def trimmed(of: Distribution) -> Distribution:
    """Return it without empty buckets at the ends of its exponential sides: equal content, equal value."""
    if of.scale is None:
        return of
    positive, negative = _trimmed(of.positive), _trimmed(of.negative)
    if positive is of.positive and negative is of.negative:
        return of
    return msgspec.structs.replace(of, positive=positive, negative=negative)


def _combined(one: Distribution, two: Distribution, sign: int) -> Distribution:
    return msgspec.structs.replace(
        one,
        count=one.count + sign * two.count,
        counts=tuple(a + sign * b for a, b in zip(one.counts, two.counts, strict=True)),
        zero=one.zero + sign * two.zero,
        positive=_summed(one.positive, two.positive, sign),
        negative=_summed(one.negative, two.negative, sign),
    )


def _summed(one: Buckets, two: Buckets, sign: int) -> Buckets:
    if not two.counts:
        return one
    if not one.counts:
        return Buckets(offset=two.offset, counts=tuple(sign * count for count in two.counts))
    start = min(one.offset, two.offset)
    end = max(one.offset + len(one.counts), two.offset + len(two.counts))
    counts = [0] * (end - start)
    for place, count in enumerate(one.counts, one.offset - start):
        counts[place] += count
    for place, count in enumerate(two.counts, two.offset - start):
        counts[place] += sign * count
    return Buckets(offset=start, counts=tuple(counts))


def _shifted(side: Buckets, shift: int) -> Buckets:
    """Halve the resolution `shift` times: index i becomes i >> shift."""
    if not side.counts:
        return side
    start = side.offset >> shift
    counts = [0] * (((side.offset + len(side.counts) - 1) >> shift) - start + 1)
    for index, count in enumerate(side.counts, side.offset):
        counts[(index >> shift) - start] += count
    return Buckets(offset=start, counts=tuple(counts))


def _trimmed(side: Buckets) -> Buckets:
    counts = side.counts
    if counts and counts[0] and counts[-1]:
        return side
    filled = [place for place, count in enumerate(counts) if count]
    if not filled:
        return side if not counts and not side.offset else Buckets()
    return Buckets(offset=side.offset + filled[0], counts=counts[filled[0] : filled[-1] + 1])


def _extreme(pick: Callable[[float, float], float], one: float | None, two: float | None) -> float | None:
    return None if one is None or two is None else pick(one, two)


_Span = tuple[float, float, int]
"""Low end, high end, count of a bucket."""


def _explicit_spans(of: Distribution) -> Iterable[_Span]:
    """Yield the buckets in order; open ends close at the extremes, else at zero and at the last bound."""
    if not of.bounds:
        return ()
    first, last = of.bounds[0], of.bounds[-1]
    bottom = of.minimum if of.minimum is not None and of.minimum < first else min(0.0, first)
    top = of.maximum if of.maximum is not None and of.maximum > last else last
    return zip((bottom, *of.bounds), (*of.bounds, top), of.counts, strict=True)


def _exponential_spans(of: Distribution) -> Iterable[_Span]:
    """Yield the buckets from the most negative to the largest."""
    scale = of.scale or 0
    below = [
        (-_power(index + 1, scale), -_power(index, scale), count)
        for index, count in enumerate(of.negative.counts, of.negative.offset)
    ]
    above = (
        (_power(index, scale), _power(index + 1, scale), count)
        for index, count in enumerate(of.positive.counts, of.positive.offset)
    )
    return itertools.chain(reversed(below), [(0.0, 0.0, of.zero)], above)


def _power(index: int, scale: int) -> float:
    return math.pow(2.0, max(-_TOP, min(_TOP, math.ldexp(index, -scale))))


def _between(low: float, high: float, share: float, *, geometric: bool) -> float:
    if geometric and low * high > 0:
        return math.copysign(math.pow(abs(low), 1 - share) * math.pow(abs(high), share), low)
    return low + (high - low) * share


def _clipped(of: Distribution, value: float) -> float:
    if of.minimum is not None:
        value = max(value, of.minimum)
    return value if of.maximum is None else min(value, of.maximum)
