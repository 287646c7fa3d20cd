"""Telegraf's JSON (`data_format = "json"`): one metric with several fields, or `{"metrics": […]}` of them.

Each field is a series `name.field`. The unit of `timestamp` (s, ms, us or ns, as `json_timestamp_units`
says) is told by its size. Booleans are 0 and 1; fields that are no number are left out and counted. Telegraf
does not say which fields are counters: names that end as counters do, and fields of its own plugins known to
be ones, are.
"""

from __future__ import annotations

from typing import Any

from ingest.decoders.batch import Batch
from ingest.decoders.flat_json import documents
from ingest.decoders.samples import finite, whose
from ingest.decoders.times import parse_time
from ingest.events import DecodeError, MetricKind, MetricPoint, RejectReason

NAMES = frozenset({"fields", "name", "tags", "timestamp"})
_RISING = ("_total", "_counter", "_bucket")
_FAMILY = ("_count", "_sum")
"""Ends of counters where Telegraf passes on Prometheus' metrics; other plugins use them otherwise."""
_COUNTERS: dict[str, tuple[str, ...]] = {
    "cpu": ("time_",),
    "diskio": ("read", "write", "io_time", "weighted_io_time", "merged_"),
    "docker_container_blkio": ("io_service_bytes_", "io_serviced_"),
    "docker_container_net": ("rx_", "tx_"),
    "kernel": ("context_switches", "interrupts", "processes_forked", "disk_pages_"),
    "net": ("bytes_", "packets_", "err_", "drop_"),
    "swap": ("in", "out"),
}
"""Plugin → how the names of its counters begin."""
_LEVELS = frozenset({"mem", "disk"})
"""Plugins whose `…_total` is how much there is."""


def decode(value: bytes, batch: Batch) -> None:
    """Read every metric that the bytes hold."""
    for item in documents(value, batch):
        try:
            read_document(item, batch)
        except DecodeError as error:
            batch.rejects.append(error.reject)


def is_metric(item: Any) -> bool:
    """Say whether an object has the field names of a metric or of a batch of them, and no others."""
    return isinstance(item, dict) and (item.keys() == NAMES or item.keys() == {"metrics"})


def read_document(item: Any, batch: Batch) -> None:
    """Add a metric, or each of a batch of them; one that is none is refused alone."""
    metrics = item.get("metrics") if isinstance(item, dict) and "fields" not in item else None
    if not isinstance(metrics, list):
        _read(item, batch)
        return
    for metric in metrics:
        try:
            _read(metric, batch)
        except DecodeError as error:
            batch.rejects.append(error.reject)


def _read(item: Any, batch: Batch) -> None:
    fields = item.get("fields") if isinstance(item, dict) else None
    name = item.get("name") if isinstance(item, dict) else None
    if not isinstance(fields, dict) or not isinstance(name, str) or not name:
        raise DecodeError(RejectReason.MALFORMED, "a Telegraf metric has no name or no fields")
    time = parse_time(item.get("timestamp"))
    if time is None:
        raise DecodeError(RejectReason.TIME_INVALID, "a Telegraf metric's timestamp is not an epoch")
    time = batch.valid_time(time)
    tags = item.get("tags")
    texts = {key: tag for key, tag in tags.items() if isinstance(tag, str)} if isinstance(tags, dict) else {}
    resource, used = whose(texts, batch)
    labels = batch.labels(pair for pair in texts.items() if pair[0] not in used)
    for field, value in fields.items():
        number = None if isinstance(value, str) else finite(value)
        if number is None:
            batch.cuts["field_not_numeric"] += 1
            continue
        batch.events.append(
            MetricPoint(
                origin=batch.origin,
                resource=resource,
                time=time,
                name=batch.name(f"{name}.{field}"),
                value=number,
                kind=_kind(name, field, labelled="le" in texts),
                labels=labels,
            )
        )


def _kind(name: str, field: str, *, labelled: bool) -> MetricKind:
    rising = (
        field == "counter"
        or (name not in _LEVELS and field.endswith(_RISING[:2]))
        or (labelled and field.endswith(_RISING))
        or (name == "prometheus" and field.endswith(_FAMILY))
        or field.startswith(_COUNTERS.get(name, ("\0",)))
        or name.endswith("_total")
    )
    return MetricKind.CUMULATIVE if rising else MetricKind.GAUGE
