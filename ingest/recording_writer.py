"""A sink: writes events as a recording folder that `ingest.recordings` reads.

Events are written in the order given, one JSON line each, straight into gzip files without a time stamp,
so equal content is equal bytes. `case.json` is written last, on `close`: a folder without it is a
recording that did not finish. Blocks on the disk only.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import IO, Any, cast

import orjson

from ingest.events import ChangeEvent, LogEvent, MetricPoint, Resource, SpanEvent
from ingest.flat_encode import counting_fields
from ingest.record import Nanos
from ingest.times import format_time

Recordable = LogEvent | MetricPoint | SpanEvent | ChangeEvent
_SEVERITIES = ("", "TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")


class RecordingWriter:
    """Writes one recording; raises `FileExistsError` where the folder already holds one."""

    def __init__(self, path: Path) -> None:
        if (path / "case.json").exists():
            raise FileExistsError(f"{path} already holds a recording; choose another folder")
        path.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._files: dict[str, IO[bytes]] = {}
        self._raw: list[IO[bytes]] = []
        self._counts: dict[str, int] = {}
        self._reach: tuple[Nanos, Nanos] | None = None

    def __enter__(self) -> RecordingWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close_files()

    @property
    def counts(self) -> dict[str, int]:
        """Lines written so far by signal."""
        return dict(self._counts)

    def write(self, event: Recordable) -> None:
        """Append one event to the file of its signal."""
        signal, item = _item(event)
        self._file(signal).write(orjson.dumps(item) + b"\n")
        self._counts[signal] = self._counts.get(signal, 0) + 1
        start = event.start if isinstance(event, SpanEvent) else event.time
        first, last = self._reach or (start, start)
        self._reach = (min(first, start), max(last, event.time + 1))

    def close(
        self,
        *,
        id: str,  # noqa: A002 - the field's name in case.json
        system: str,
        baseline: Iterable[tuple[Nanos, Nanos]] = (),
        incident: tuple[Nanos, Nanos] | None = None,
        notes: Iterable[str] = (),
        extra: dict[str, Any] | None = None,
    ) -> None:
        """Finish the files and write `case.json`; `baseline` (start, end) intervals hold for every signal.

        Without any, the baseline is all that was recorded outside the incident.
        """
        self._close_files()
        signals = sorted(self._counts)
        intervals = sorted(baseline) or self._around(incident)
        case: dict[str, Any] = {
            "id": id,
            "system": system,
            "signals": signals,
            "baseline": _interval(intervals[0][0], intervals[-1][1]) if intervals else None,
            "baseline_windows": [{"signals": signals, **_interval(*interval)} for interval in intervals],
            "incident": _interval(*incident) if incident else None,
            "counts": dict(sorted(self._counts.items())),
            "notes": list(notes),
            **(extra or {}),
        }
        text = json.dumps(case, indent=1, ensure_ascii=False) + "\n"
        (self._path / "case.json").write_text(text, encoding="utf-8")

    def _around(self, incident: tuple[Nanos, Nanos] | None) -> list[tuple[Nanos, Nanos]]:
        if self._reach is None:
            return []
        start, end = self._reach
        if incident is None:
            return [(start, end)]
        return [part for part in ((start, incident[0]), (incident[1], end)) if part[0] < part[1]]

    def _file(self, signal: str) -> IO[bytes]:
        found = self._files.get(signal)
        if found is None:
            raw = (self._path / f"{signal}.jsonl.gz").open("wb")
            self._raw.append(raw)
            # The name stands in the header too; an empty one keeps equal content equal.
            found = cast(IO[bytes], gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0))
            self._files[signal] = found
        return found

    def _close_files(self) -> None:
        for file in [*self._files.values(), *self._raw]:
            file.close()
        self._files.clear()
        self._raw.clear()


def _item(event: Recordable) -> tuple[str, dict[str, Any]]:
    if isinstance(event, LogEvent):
        return "logs", _log(event)
    if isinstance(event, MetricPoint):
        return "metrics", _metric(event)
    if isinstance(event, SpanEvent):
        return "spans", _span(event)
    item = {"time": format_time(event.time), **_resource(event.resource)}
    item |= {"change": event.kind, "title": event.title}
    return "changes", _with(item, attributes=dict(event.attributes))


def _log(event: LogEvent) -> dict[str, Any]:
    number = event.severity_number
    item = {"time": format_time(event.time), **_resource(event.resource)}
    if number:
        item |= {"severity_text": _SEVERITIES[(number + 3) // 4], "severity_number": number}
    item["body"] = event.body
    return _with(item, trace_id=event.trace_id, span_id=event.span_id, attributes=dict(event.attributes))


def _metric(event: MetricPoint) -> dict[str, Any]:
    item = {"time": format_time(event.time), **_resource(event.resource)}
    item |= {"name": event.name, "kind": event.kind.value, "value": event.value}
    return _with(item, unit=event.unit, **counting_fields(event), labels=dict(event.labels))


def _span(event: SpanEvent) -> dict[str, Any]:
    item: dict[str, Any] = {
        "trace_id": event.trace_id,
        "span_id": event.span_id,
        "parent_span_id": event.parent_span_id,
        **_resource(event.resource),
        "name": event.name,
        "kind": event.kind.value,
        "start": format_time(event.start),
        "end": format_time(event.end),
        "error": event.error,
    }
    return _with(item, peer=event.peer, attributes=dict(event.attributes))


def _resource(resource: Resource) -> dict[str, Any]:
    item: dict[str, Any] = {"service.name": resource.service}
    if resource.environment != "default":
        item["deployment.environment.name"] = resource.environment
    return _with(item, **{"k8s.pod.name": resource.instance, "k8s.node.name": resource.node})


def _with(item: dict[str, Any], **optional: Any) -> dict[str, Any]:
    """Add what is known."""
    return item | {name: value for name, value in optional.items() if value}


def _interval(start: Nanos, end: Nanos) -> dict[str, str]:
    return {"start": format_time(start), "end": format_time(end)}
