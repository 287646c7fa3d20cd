"""The labelled data folder: which systems it holds, and what each case's label says.

Reads any folder laid out like the reference data: `<data>/<system>/truth.jsonl` beside one folder per case.
Nothing depends on a system's name. Reads labels only; recordings are opened by who needs them.

A label may hold a case out of tuning (`held_out`), or a quiet recording from some time on
(`held_out_from`): evaluations then say beside their figures over all cases what both parts gave.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ingest.decoders.times import parse_time
from ingest.record import Nanos

TRUTH = "truth.jsonl"


class DataError(Exception):
    """The data folder does not hold what the evaluation needs; the message says what it looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What was broken. `fold` maps services to the one they count as; `mechanism` is "" where unlabelled."""

    id: str
    service: str
    fault: str
    mechanism: str = ""
    metric: str = ""
    """The series that shows it best, "" where the label names none."""
    fold: Mapping[str, str] = field(default_factory=dict)
    held_out: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Quiet:
    """A recording in which nothing was wrong, held out as a whole or from a time on."""

    id: str
    held_out: bool = False
    held_out_from: Nanos | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """A system's labels in file order: cases with a root cause, and quiet recordings."""

    truths: tuple[Truth, ...]
    quiet: tuple[Quiet, ...]


def systems(data: Path, only: Sequence[str] = ()) -> list[Path]:
    """Return the folders with a `truth.jsonl`: `data` itself, its children, or those of its `rca` folder."""
    found: list[Path] = []
    for base in (data, data / "rca"):
        if (base / TRUTH).is_file():
            found.append(base)
        if base.is_dir():
            found += sorted(path.parent for path in base.glob(f"*/{TRUTH}"))
        if found:
            break
    missing = sorted(set(only) - {path.name for path in found})
    if missing or not found:
        wanted = f" named {', '.join(missing)}" if missing else ""
        there = f" (there: {', '.join(path.name for path in found)})" if found else ""
        raise DataError(f"{data}: no folder{wanted} with a {TRUTH}{there}; give --data the recordings")
    return [path for path in found if not only or path.name in only]


def labels(system: Path) -> Labels:
    """Return what the system's `truth.jsonl` says; raises `DataError` naming the line."""
    truths: list[Truth] = []
    quiet: list[Quiet] = []
    for number, item in json_lines(system / TRUTH):
        try:
            cause = item.get("root_cause")
            if cause is None:
                quiet.append(_quiet(item))
            else:
                truths.append(_truth(item, cause))
        except (KeyError, AttributeError, TypeError, ValueError) as error:
            needs = "needs `id`, and `root_cause` null or with a `service`"
            raise DataError(f"{system / TRUTH}:{number}: {needs} ({error!r})") from error
    return Labels(truths=tuple(truths), quiet=tuple(quiet))


def _truth(item: Mapping[str, Any], cause: Mapping[str, Any]) -> Truth:
    return Truth(
        id=str(item["id"]),
        service=str(cause["service"]),
        fault=str(cause.get("fault", "")),
        mechanism=str(cause.get("mechanism", "")),
        metric=str(cause.get("metric_or_code", "")),
        fold=item.get("fold") or {},
        held_out=_held_out(item),
    )


def _quiet(item: Mapping[str, Any]) -> Quiet:
    text = item.get("held_out_from")
    since = None if text is None else parse_time(text)
    if text is not None and since is None:
        raise ValueError(f"held_out_from {text!r} is no RFC 3339 time")
    return Quiet(id=str(item["id"]), held_out=_held_out(item), held_out_from=since)


def _held_out(item: Mapping[str, Any]) -> bool:
    value = item.get("held_out", False)
    if not isinstance(value, bool):
        raise TypeError(f"held_out {value!r} is neither true nor false")
    return value


def json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number, object) of a file of JSON lines, gzip where its name ends so."""
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    for number, line in enumerate(raw.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            item = json.loads(line)
        except ValueError as error:
            raise DataError(f"{path}:{number}: not JSON ({error})") from error
        if not isinstance(item, dict):
            raise DataError(f"{path}:{number}: needs one JSON object a line")
        yield number, item
