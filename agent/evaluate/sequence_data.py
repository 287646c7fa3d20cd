"""Labelled sequences of log lines as files: `logs/<set>/events.jsonl[.gz]` and `labels.jsonl[.gz]`.

A line has `time`, `body` and one field whose name ends in `_id`, the sequence's; a label has that field and
`anomalous`. Raises DataError that names the file and line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.evaluate.data import DataError, json_lines
from ingest.decoders.times import parse_time
from ingest.events import LogEvent, Resource
from ingest.record import Origin

EVENTS, LABELS = "events", "labels"
_SUFFIXES = (".jsonl.gz", ".jsonl")
_ENVIRONMENT = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sets:
    """Files of one labelled set."""

    events: Path
    labels: Path


def sets(data: Path, only: Sequence[str] = ()) -> dict[str, Sets]:
    """Return the labelled sets by folder name: `data` itself, its children, or those of its `logs` folder."""
    for base in (data / "logs", data):
        found: dict[str, Sets] = {}
        for folder in (base, *sorted(path for path in base.glob("*") if path.is_dir())):
            events, labels = _find(folder, EVENTS), _find(folder, LABELS)
            if events is not None and labels is not None and (not only or folder.name in only):
                found[folder.name] = Sets(events=events, labels=labels)
        if found:
            return found
    wanted = f" of {', '.join(only)}" if only else ""
    raise DataError(
        f"{data}: no labelled sequences{wanted} (logs/<set>/{EVENTS}.jsonl[.gz] and {LABELS}.jsonl[.gz])"
    )


def _find(folder: Path, name: str) -> Path | None:
    return next((path for suffix in _SUFFIXES if (path := folder / f"{name}{suffix}").is_file()), None)


def read_labels(path: Path) -> dict[str, bool]:
    """Return key -> whether it is labelled anomalous."""
    labels: dict[str, bool] = {}
    for number, item in json_lines(path):
        key = _key(item, path, number)
        if not isinstance(item.get("anomalous"), bool):
            raise DataError(f"{path}:{number}: needs `anomalous`, true or false")
        labels[key] = item["anomalous"]
    if not labels:
        raise DataError(f"{path}: holds no labels")
    return labels


def read_events(name: str, path: Path) -> Iterator[LogEvent]:
    """Yield the lines in file order as events of a service `name`, each with its sequence key."""
    resource = Resource(environment=_ENVIRONMENT, service=name)
    for number, item in json_lines(path):
        time = parse_time(item.get("time"))
        if time is None or "body" not in item:
            raise DataError(f"{path}:{number}: needs `time` in RFC 3339 and `body`")
        yield LogEvent(
            origin=Origin(topic=name, partition=0, offset=number),
            resource=resource,
            time=time,
            body=str(item["body"]),
            sequence_key=_key(item, path, number),
        )


def _key(item: Mapping[str, Any], path: Path, number: int) -> str:
    """Return what names the sequence: the field whose name ends in `_id`."""
    names = sorted(field for field in item if field.endswith("_id"))
    if len(names) != 1:
        raise DataError(f"{path}:{number}: needs one field whose name ends in `_id`, the sequence's")
    return str(item[names[0]])
