"""Used by the decoders of histograms: what a sender says, checked and made a `Distribution`. Pure.

A histogram that contradicts itself is refused (malformed). Where the count and the sum of the buckets differ,
as a sender that reads them one after the other may have it, the buckets are believed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from ingest.distribution import Buckets, Distribution, fitted
from ingest.events import DecodeError, RejectReason

_SCALES = range(-20, 21)
_LARGEST = 1 << 62
_INDEX = 1 << 31
"""No count and no index is larger: what OTLP can hold, less what adding up needs."""


def explicit(
    count: Any, total: Any, extremes: Sequence[Any], bounds: Iterable[Any], counts: Iterable[Any]
) -> Distribution:
    """Return a histogram of explicit buckets; `extremes` are minimum and maximum, None where not known."""
    upper, inside = tuple(map(_number, bounds)), tuple(map(_count, counts))
    if upper and upper[-1] == math.inf:
        upper = upper[:-1]
    if len(inside) != len(upper) + 1 and (inside or upper):
        raise _malformed("a histogram needs one bucket more than it has bounds")
    if not all(map(math.isfinite, upper)) or any(a >= b for a, b in pairwise(upper)):
        raise _malformed("the bounds of a histogram do not rise")
    return fitted(
        Distribution(
            count=sum(inside) if inside else _count(count),
            total=_total(total),
            minimum=_extreme(extremes[0]),
            maximum=_extreme(extremes[1]),
            bounds=upper,
            counts=inside if upper else (),
        )
    )


def exponential(
    total: Any,
    extremes: Sequence[Any],
    *,
    scale: Any,
    zero: Any,
    positive: tuple[Any, Iterable[Any]],
    negative: tuple[Any, Iterable[Any]],
) -> Distribution:
    """Return a base-2 exponential histogram; each side is its offset and counts."""
    if not isinstance(scale, int) or scale not in _SCALES:
        raise _malformed("the scale of an exponential histogram is not within -20..20")
    above, below, middle = _side(*positive), _side(*negative), _count(zero)
    return fitted(
        Distribution(
            count=sum(above.counts) + sum(below.counts) + middle,
            total=_total(total),
            minimum=_extreme(extremes[0]),
            maximum=_extreme(extremes[1]),
            scale=scale,
            zero=middle,
            positive=above,
            negative=below,
        )
    )


def _side(offset: Any, counts: Iterable[Any]) -> Buckets:
    if not isinstance(offset, int) or not -_INDEX <= offset < _INDEX:
        raise _malformed("the offset of an exponential histogram is not a whole number")
    inside = tuple(map(_count, counts))
    return Buckets(offset=offset, counts=inside) if inside else Buckets()


def _count(value: Any) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _LARGEST:
        raise _malformed("a count of a histogram is not a whole number from zero on")
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _malformed("a bound of a histogram is not a number")
    try:
        return float(value)
    except OverflowError:
        raise _malformed("a bound of a histogram is too large") from None


def _total(value: Any) -> float | None:
    if value is None:
        return None
    total = _number(value)
    if not math.isfinite(total):
        raise DecodeError(RejectReason.NOT_FINITE, "the sum of a histogram is NaN or infinite")
    return total


def _extreme(value: Any) -> float | None:
    extreme = None if value is None else _number(value)
    return extreme if extreme is not None and math.isfinite(extreme) else None


def _malformed(detail: str) -> DecodeError:
    return DecodeError(RejectReason.MALFORMED, detail)
