"""Docker's json-file wrapper, `{"log": ..., "stream": ..., "time": ...}` around text or flat JSON."""

from __future__ import annotations

from typing import Any

from ingest.decoders.batch import UNREAD, Batch
from ingest.decoders.flat_fields import Fields
from ingest.decoders.flat_json import read_each
from ingest.decoders.shipped import Shipped, read_shipped
from ingest.decoders.times import parse_text
from ingest.events import DecodeError, Event, RejectReason
from ingest.record import Nanos

_KEYS = frozenset({"log", "stream", "time", "attrs"})


def is_wrapper(item: Any) -> bool:
    """Tell whether an object is docker's and nothing more."""
    return isinstance(item, dict) and {"log", "stream", "time"} <= item.keys() <= _KEYS


def decode(value: bytes, batch: Batch) -> None:
    """Read every wrapper that the bytes hold."""
    read_each(value, read_wrapper, batch)


def read_wrapper(item: Any, batch: Batch) -> Event:
    """Return the wrapped line; a JSON line inside keeps its own time and fields."""
    if not isinstance(item, dict) or not isinstance(item.get("log"), str):
        raise DecodeError(RejectReason.MALFORMED, "no docker wrapper: the field `log` is missing")
    attrs = item.get("attrs")
    fields = Fields(top=dict(attrs) if isinstance(attrs, dict) else {}, extras={})
    return read_shipped(Shipped(fields=fields, text=item["log"], time=_time(item, batch)), batch)


def _time(item: dict[str, Any], batch: Batch) -> Nanos | None:
    text = item.get("time")
    if not isinstance(text, str):
        return None
    time = parse_text(text)
    if time is None:
        batch.cuts[UNREAD] += 1
        return None
    return batch.valid_time(time)
