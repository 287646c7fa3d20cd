"""collectd's JSON, as write_kafka and write_http send it: lists of values with their data sources.

A series is named `plugin.type` (`plugin` where both are alike), with the data source's name behind it where
that is not `value`. Whether counters stand as they are or as what they grew by each second (StoreRates, the
default) is not said; but a counter is a whole number, and a rate, divided by a measured time, is none but
for 0: a counter at 0 stands still, so that 0 is right for its rate.
Values that are null had nothing to say and are counted.
"""

from __future__ import annotations

from typing import Any

from ingest.decoders.batch import Batch
from ingest.decoders.flat_json import documents
from ingest.decoders.samples import finite
from ingest.decoders.times import parse_time
from ingest.events import DecodeError, MetricKind, MetricPoint, RejectReason
from ingest.record import SECOND, Nanos

NAMES = frozenset({"values", "dstypes", "dsnames", "plugin"})
_RAW = {"derive": MetricKind.CUMULATIVE, "counter": MetricKind.CUMULATIVE, "absolute": MetricKind.DELTA}
_DAY, _USUAL = 86_400, 10 * SECOND
"""Seconds that no interval reaches; the interval where none is said."""
_INSTANCES = ("plugin_instance", "type_instance")


def decode(value: bytes, batch: Batch) -> None:
    """Read every list of values that the bytes hold."""
    for item in documents(value, batch):
        try:
            read_values(item, batch)
        except DecodeError as error:
            batch.rejects.append(error.reject)


def is_values(item: Any) -> bool:
    """Say whether an object has the field names of a list of values."""
    return isinstance(item, dict) and item.keys() >= NAMES


def read_values(item: Any, batch: Batch) -> None:
    """Add each value of one list to the batch."""
    values, types, names = _lists(item)
    time = parse_time(item.get("time"))
    if time is None:
        raise DecodeError(RejectReason.TIME_INVALID, "a list of values has no epoch for its time")
    time = batch.valid_time(time)
    host = item.get("host")
    resource, _ = batch.resource({"host": host} if isinstance(host, str) else {})
    labels = batch.labels(
        (name, item[name]) for name in _INSTANCES if isinstance(item.get(name), str) and item[name]
    )
    for value, kind, name in zip(values, types, names, strict=True):
        number = None if isinstance(value, bool | str) else finite(value)
        if number is None:
            batch.cuts["no_value"] += 1
            continue
        whole = isinstance(value, int) and (value != 0 or kind == "absolute")
        found = _RAW.get(kind) if whole else None
        batch.events.append(
            MetricPoint(
                origin=batch.origin,
                resource=resource,
                time=time,
                name=batch.name(_name(item, name)),
                value=number,
                unit="/s" if found is None and kind in _RAW else "",
                kind=found or MetricKind.GAUGE,
                labels=labels,
                start=time - _interval(item) if found is MetricKind.DELTA else 0,
            )
        )


def _lists(item: Any) -> tuple[list[Any], list[Any], list[Any]]:
    found = [item.get(name) if isinstance(item, dict) else None for name in ("values", "dstypes", "dsnames")]
    values, types, names = (part if isinstance(part, list) else [] for part in found)
    texts = all(isinstance(text, str) for text in (*types, *names))
    if not values or not texts or not len(values) == len(types) == len(names):
        raise DecodeError(RejectReason.MALFORMED, "values, dstypes and dsnames are not lists of one length")
    return values, types, names


def _name(item: dict[str, Any], source: str) -> str:
    plugin, of = item.get("plugin"), item.get("type")
    if not isinstance(plugin, str) or not plugin:
        raise DecodeError(RejectReason.MALFORMED, "a list of values names no plugin")
    parts = [plugin]
    if isinstance(of, str) and of not in {"", plugin}:
        parts.append(of)
    if source != "value":
        parts.append(source)
    return ".".join(parts)


def _interval(item: dict[str, Any]) -> Nanos:
    seconds = finite(item.get("interval"))
    return round(seconds * SECOND) if seconds is not None and 0 < seconds < _DAY else _USUAL
