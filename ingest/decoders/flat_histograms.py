"""Used by the flat JSON decoder: the histogram of a metric, as `ingest.flat_encode` and recordings have it.

`{"value": 3, "histogram": {"count": 3, "sum": 1.5, "bounds": [1.0], "counts": [1, 2]}}`, or with `scale`,
`zero` and `positive`/`negative` of `offset` and `counts` for an exponential one. Pure.
"""

from __future__ import annotations

from typing import Any

from ingest.decoders.flat_fields import Fields
from ingest.decoders.histograms import explicit, exponential
from ingest.distribution import Distribution
from ingest.events import DecodeError, RejectReason

_MARKS = ("histogram.count", "histogram.counts", "histogram.scale")


def read_histogram(fields: Fields) -> Distribution | None:
    """Return the histogram of an object, None when it has none; `DecodeError` when it contradicts itself."""
    top = fields.top
    if not any(name in top for name in _MARKS):
        return None
    total = top.get("histogram.sum")
    extremes = (top.get("histogram.min"), top.get("histogram.max"))
    if top.get("histogram.scale") is None:
        bounds, counts = _list(top.get("histogram.bounds")), _list(top.get("histogram.counts"))
        return explicit(top.get("histogram.count", 0), total, extremes, bounds, counts)
    return exponential(
        total,
        extremes,
        scale=top["histogram.scale"],
        zero=top.get("histogram.zero", 0),
        positive=_side(top, "positive"),
        negative=_side(top, "negative"),
    )


def _side(top: dict[str, Any], name: str) -> tuple[Any, list[Any]]:
    return top.get(f"histogram.{name}.offset", 0), _list(top.get(f"histogram.{name}.counts"))


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise DecodeError(RejectReason.MALFORMED, "the bounds and counts of a histogram are lists")
    return value
