"""`faultline eval logs`: labelled sequences of lines through the service's own templates and detector.

Lines are read once, in file order and event time, with their key as sequence key and nothing else told. A key
counts as found as soon as the detector calls it odd once; labels only score. Beside it PyOD's detectors get
the count vectors of all whole sequences at once and the threshold that suits each best (`best`), which no
stream can know: they are what batch methods could reach at most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.evaluate.data import DataError, json_lines
from agent.evaluate.figures import Figures, Group
from detectors.sequences import Sequences
from ingest.decoders.times import parse_time
from ingest.events import LogEvent, Resource
from ingest.record import SECOND, Nanos, Origin
from ingest.summary import ClosedWindow
from ingest.templates import Templates
from ingest.windows import Windows

EVENTS, LABELS = "events", "labels"
_SUFFIXES = (".jsonl.gz", ".jsonl")
_ENVIRONMENT = "default"
_PROGRESS = 10_000
_AFTER: Nanos = 3600 * SECOND
"""Time that passes after the last line, so that the last keys have paused."""

Counts = Mapping[str, Mapping[str, int]]
"""Key -> template -> lines."""
Scorer = Callable[[NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sets:
    """Files of one labelled set."""

    events: Path
    labels: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What the stream found, and the whole sequences that it was made of."""

    odd: frozenset[str]
    counts: Counts


def evaluate(
    data: Path,
    only: Sequence[str] = (),
    *,
    peers: Callable[[], Mapping[str, Scorer]] = dict,
    on_case: Callable[[str], None] = lambda _: None,
) -> Figures:
    """Return precision, recall and F1 per set; those of peers in groups named `<set>/<peer>`."""
    figures: Figures = {}
    for name, files in sets(data, only).items():
        labels = _labels(files.labels)
        judged = stream(name, _events(name, files.events), on_case=on_case)
        figures[name] = scored(judged.odd, labels)
        vectors, keys = _matrix(judged.counts)
        truth = np.array([labels.get(key, False) for key in keys])
        for peer, scorer in peers().items():
            on_case(f"{name}: {peer} over {len(keys)} sequences")
            figures[f"{name}/{peer}"] = best(scorer(vectors), truth)
    return figures


def stream(name: str, events: Iterable[LogEvent], *, on_case: Callable[[str], None]) -> Judged:
    """Run lines through windows and detector as in production; return the keys that it called odd."""
    windows, detector = Windows(Templates()), Sequences()
    odd: set[str] = set()
    counts: dict[str, dict[str, int]] = {}

    def judge(closed: Iterable[ClosedWindow]) -> Nanos:
        end = 0
        for window in closed:
            for summary in window.summaries:
                detector.observe(summary)
                _tally(counts, summary.sequences)
            detector.tick(window.end)
            end = window.end
        odd.update(verdict.key for _, _, verdict in detector.take())
        return end

    for number, event in enumerate(events, start=1):
        windows.add(event, partition=(name, 0), wall=event.time)
        judge(windows.advance(event.time))
        if number % _PROGRESS == 0:
            on_case(f"{name}: {number} lines, {len(odd)} odd sequences")
    last = judge(windows.flush())
    detector.tick(last + _AFTER)
    odd.update(verdict.key for _, _, verdict in detector.take())
    return Judged(odd=frozenset(odd), counts=counts)


def scored(odd: frozenset[str], labels: Mapping[str, bool]) -> Group:
    """Return the figures of the keys found odd; keys without a label count as ordinary."""
    right = sum(labels.get(key, False) for key in odd)
    true = sum(labels.values())
    precision = right / len(odd) if odd else 0.0
    recall = right / true if true else 0.0
    both = precision + recall
    return {
        "precision": precision,
        "recall": recall,
        "f1": 2 * precision * recall / both if both else 0.0,
        "sequences": len(labels),
    }


def best(scores: NDArray[np.float64], truth: NDArray[np.bool_]) -> Group:
    """Return the figures at the threshold with the highest F1; higher scores are odder."""
    order = np.argsort(-scores, kind="stable")
    right = np.cumsum(truth[order])
    taken = np.arange(1, len(order) + 1)
    # Equal scores are taken together or not at all.
    last = np.append(np.diff(scores[order]) != 0, True)
    f1 = np.where(last, 2 * right / (taken + truth.sum()), 0.0)
    at = int(np.argmax(f1))
    return {
        "precision": float(right[at] / taken[at]),
        "recall": float(right[at] / max(1, truth.sum())),
        "f1": float(f1[at]),
        "sequences": len(truth),
    }


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


def _labels(path: Path) -> dict[str, bool]:
    labels: dict[str, bool] = {}
    for number, item in json_lines(path):
        key = _key(item, path, number)
        if not isinstance(item.get("anomalous"), bool):
            raise DataError(f"{path}:{number}: needs `anomalous`, true or false")
        labels[key] = item["anomalous"]
    if not labels:
        raise DataError(f"{path}: holds no labels")
    return labels


def _events(name: str, path: Path) -> Iterator[LogEvent]:
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


def _tally(counts: dict[str, dict[str, int]], sequences: Iterable[Any]) -> None:
    for sequence in sequences:
        known = counts.setdefault(sequence.key, {})
        for template, count in sequence.counts:
            known[template] = known.get(template, 0) + count


def _matrix(counts: Counts) -> tuple[NDArray[np.float64], list[str]]:
    keys = sorted(counts)
    templates = {
        name: at for at, name in enumerate(sorted({name for one in counts.values() for name in one}))
    }
    matrix = np.zeros((len(keys), len(templates)))
    for row, key in enumerate(keys):
        for name, count in counts[key].items():
            matrix[row, templates[name]] = count
    return matrix, keys
