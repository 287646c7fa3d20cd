"""Recordings of any shape, written line by line, for tests of what people are shown of them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

BEGIN = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
Item = Mapping[str, Any]


def stamp(second: float) -> str:
    """Return the time so many seconds after the beginning."""
    return (BEGIN + timedelta(seconds=second)).isoformat().replace("+00:00", "Z")


def interval(start: float, end: float) -> dict[str, str]:
    """Return an interval as `case.json` writes it."""
    return {"start": stamp(start), "end": stamp(end)}


def write(folder: Path, case: Item, **signals: Iterable[Item]) -> Path:
    """Write a recording and return its folder."""
    folder.mkdir(parents=True)
    (folder / "case.json").write_text(json.dumps({"id": folder.name, **case}))
    for signal, items in signals.items():
        lines = "".join(json.dumps(item) + "\n" for item in items)
        (folder / f"{signal}.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    return folder


def log(second: float, body: str, *, service: str = "birch", severity: str = "INFO") -> Item:
    """Return a log line."""
    return {"time": stamp(second), "service.name": service, "severity_text": severity, "body": body}


def point(second: float, value: float, name: str = "cpu", *, service: str = "birch", **known: Any) -> Item:
    """Return a sample."""
    return {"time": stamp(second), "service.name": service, "name": name, "value": value, **known}


def span(second: float, length: float, *, service: str = "birch", number: int = 0, **known: Any) -> Item:
    """Return a server's span."""
    return {
        "trace_id": f"{number + 1:032x}",
        "span_id": f"{number + 1:016x}",
        "parent_span_id": None,
        "service.name": service,
        "name": "GET /",
        "kind": "server",
        "start": stamp(second),
        "end": stamp(second + length),
        **known,
    }
