"""Labelled sequences as files, and a made system that writes some: three kinds of jobs, reads at random."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

_START = 1_700_000_000


def write_set(
    folder: Path,
    lines: Sequence[tuple[str, str] | tuple[str, str, float]],
    labels: Mapping[str, bool],
    *,
    field: str = "job_id",
    packed: bool = True,
) -> None:
    """Write (key, body) or (key, body, seconds) lines and the labels as `faultline eval logs` reads them."""
    events = []
    for number, line in enumerate(lines):
        at = line[2] if len(line) == 3 else float(number)
        events.append({"time": _time(at), field: line[0], "body": line[1]})
    truth = [{field: key, "anomalous": anomalous} for key, anomalous in labels.items()]
    folder.mkdir(parents=True, exist_ok=True)
    for name, items in (("events", events), ("labels", truth)):
        text = "".join(json.dumps(item) + "\n" for item in items).encode()
        path = folder / (f"{name}.jsonl.gz" if packed else f"{name}.jsonl")
        path.write_bytes(gzip.compress(text) if packed else text)


def _time(seconds: float) -> str:
    whole = int(seconds)
    hours, rest = divmod(whole + _START % 86_400, 3600)
    day, hour = divmod(hours, 24)
    fraction = f"{seconds - whole:.3f}"[1:]
    return f"2023-11-{14 + day:02d}T{hour:02d}:{rest // 60:02d}:{rest % 60:02d}{fraction}Z"


_COURSES = (
    (
        "backup {k} begins on host {h}",
        "copied part of {k} to {h}",
        "copied part of {k} to {h}",
        "backup {k} is kept",
    ),
    ("restore {k} asked for by user {h}", "reading {k} back from {h}", "restore {k} handed over"),
    ("cleanup of {k} planned", "cleanup of {k} ran on {h}", "cleanup of {k} freed {n} bytes"),
)
_READ = "status of {k} shown to user {h}"
_ODD = ("disk of {h} refused {k} with code {n}", "checksum of {k} differs on {h}")


def made(
    keys: int, *, odd_share: float = 0.03, seed: int = 1
) -> tuple[list[tuple[str, str, float]], dict[str, bool]]:
    """Return lines of so many jobs in order of time, and which jobs went wrong.

    One that goes wrong stops half way, or has a line that none should have.
    """
    rng = random.Random(seed)
    lines: list[tuple[str, str, float]] = []
    labels: dict[str, bool] = {}
    for number in range(keys):
        key, at = f"job-{seed}-{number:05d}", number * 4.0 + rng.random()
        course = list(rng.choices(_COURSES, weights=(6, 3, 1))[0])
        labels[key] = rng.random() < odd_share
        if labels[key] and rng.random() < 0.5:
            course = course[: rng.randint(1, len(course) - 1)]
        elif labels[key]:
            course.insert(rng.randint(1, len(course) - 1), rng.choice(_ODD))
        for text in course + [_READ] * (rng.randint(1, 5) if rng.random() < 0.3 else 0):
            body = text.format(k=key, h=f"node{rng.randint(1, 9)}", n=rng.randint(100, 99_999))
            lines.append((key, body, at))
            at += rng.expovariate(1.0)
    return sorted(lines, key=lambda line: line[2]), labels
