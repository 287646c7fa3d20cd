"""Prometheus samples in JSON, as prometheus-kafka-adapter writes what Prometheus sends by remote write.

`{"timestamp": "…", "value": "1.5", "name": "up", "labels": {"__name__": "up", …}}`, one or several a record.
What kind a metric is stands in its name only (Prometheus' naming conventions). NaN, which Prometheus writes
where a series ended or has no value, and infinities are left out and counted.
"""

from __future__ import annotations

from typing import Any

from ingest.decoders.batch import Batch
from ingest.decoders.flat_json import documents
from ingest.decoders.samples import finite, whose
from ingest.decoders.times import parse_time
from ingest.events import DecodeError, MetricKind, MetricPoint, RejectReason

NAMES = frozenset({"timestamp", "value", "name", "labels"})
_RISING = ("_total", "_bucket", "_count", "_sum")
_UNITS = {
    "seconds": "s",
    "milliseconds": "ms",
    "bytes": "By",
    "ratio": "1",
    "percent": "%",
    "celsius": "Cel",
    "joules": "J",
    "volts": "V",
    "amperes": "A",
}


def decode(value: bytes, batch: Batch) -> None:
    """Read every sample that the bytes hold."""
    for item in documents(value, batch):
        try:
            read_sample(item, batch)
        except DecodeError as error:
            batch.rejects.append(error.reject)


def is_sample(item: Any) -> bool:
    """Say whether an object has the field names of a sample, and no others."""
    return isinstance(item, dict) and item.keys() == NAMES


def read_sample(item: Any, batch: Batch) -> None:
    """Add one sample to the batch, unless its value is none."""
    labels = item.get("labels") if isinstance(item, dict) else None
    if not isinstance(labels, dict) or not isinstance(labels.get("__name__"), str):
        raise DecodeError(RejectReason.MALFORMED, "a sample has no label `__name__`")
    texts = {name: value for name, value in labels.items() if isinstance(value, str) and value}
    name, value = texts.pop("__name__", ""), item.get("value")
    if not name or isinstance(value, bool) or not isinstance(value, str | int | float):
        raise DecodeError(RejectReason.MALFORMED, "a sample has no name or no value")
    number = finite(value)
    if number is None:
        batch.cuts["no_value"] += 1
        return
    time = parse_time(item.get("timestamp"))
    if time is None:
        raise DecodeError(RejectReason.TIME_INVALID, "a sample's timestamp is neither RFC 3339 nor an epoch")
    time = batch.valid_time(time)
    resource, used = whose(texts, batch)
    batch.events.append(
        MetricPoint(
            origin=batch.origin,
            resource=resource,
            time=time,
            name=batch.name(name),
            value=number,
            unit=unit_of(name),
            kind=kind_of(name),
            labels=batch.labels(pair for pair in texts.items() if pair[0] not in used),
        )
    )


def kind_of(name: str) -> MetricKind:
    """Return what the conventions say about a metric of this name."""
    return MetricKind.CUMULATIVE if name.endswith(_RISING) else MetricKind.GAUGE


def unit_of(name: str) -> str:
    """Return the unit that stands at the end of a metric's name, before what says its kind."""
    if name.endswith("_count"):
        return ""
    base = next((name.removesuffix(ending) for ending in _RISING if name.endswith(ending)), name)
    return _UNITS.get(base.rpartition("_")[2], "")
