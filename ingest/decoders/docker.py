"""Docker's json-file wrapper, `{"log": ..., "stream": ..., "time": ...}` around text or flat JSON."""

from __future__ import annotations

from typing import Any

from ingest.decoders.batch import Batch
from ingest.decoders.flat_json import documents, read_object
from ingest.decoders.json_text import parse_json
from ingest.decoders.text import read_text
from ingest.decoders.times import parse_text
from ingest.events import DecodeError, Event, RejectReason
from ingest.record import Nanos

_KEYS = frozenset({"log", "stream", "time", "attrs"})


def is_wrapper(item: Any) -> bool:
    """Tell whether an object is docker's and nothing more."""
    return isinstance(item, dict) and {"log", "stream", "time"} <= item.keys() <= _KEYS


def decode(value: bytes, batch: Batch) -> None:
    """Read every wrapper that the bytes hold."""
    for item in documents(value, batch):
        try:
            batch.events.append(read_wrapper(item, batch))
        except DecodeError as error:
            batch.rejects.append(error.reject)


def read_wrapper(item: Any, batch: Batch) -> Event:
    """Return the wrapped line; a JSON line inside keeps its own time and fields."""
    if not isinstance(item, dict) or not isinstance(item.get("log"), str):
        raise DecodeError(RejectReason.MALFORMED, "no docker wrapper: the field `log` is missing")
    line = item["log"].rstrip("\r\n")
    time = _time(item, batch)
    inner = _inner(line)
    if inner is None:
        return read_text(line, batch, time)
    named = inner if not isinstance(item.get("attrs"), dict) else {**item["attrs"], **inner}
    try:
        return read_object({"time": item["time"], **named} if time is not None else named, batch)
    except DecodeError:  # JSON, but nothing that flat JSON knows: then it is a line of text
        return read_text(line, batch, time)


def _time(item: dict[str, Any], batch: Batch) -> Nanos | None:
    text = item.get("time")
    if not isinstance(text, str):
        return None
    time = parse_text(text)
    if time is None:
        raise DecodeError(RejectReason.TIME_INVALID, "docker's time is not RFC 3339")
    return batch.valid_time(time)


def _inner(line: str) -> dict[str, Any] | None:
    if not line.startswith("{"):
        return None
    try:
        parsed = parse_json(line.encode("utf-8", "replace"))
    except DecodeError:
        return None
    return parsed if isinstance(parsed, dict) else None
