"""Labelled metric series laid out as `metrics/nab/<category>/<name>.csv` beside a `windows.json`.

Any folder of that shape will do: names and categories mean nothing here. Times without a zone are UTC.
"""

from __future__ import annotations

import csv
import json
import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.evaluate.data import DataError
from agent.evaluate.nab_score import Window
from ingest.record import SECOND, Nanos

WINDOWS = "windows.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One labelled series: samples by time, and the rows of its labelled anomalies."""

    name: str
    times: tuple[Nanos, ...]
    values: NDArray[np.float64]
    windows: tuple[Window, ...]


def load(data: Path) -> list[Series]:
    """Return the labelled series below `data`, by name; raises `DataError` saying what is amiss where."""
    bases = (data, data / "metrics" / "nab", data / "nab")
    base = next((one for one in bases if (one / WINDOWS).is_file()), None)
    if base is None:
        raise DataError(f"{data}: no {WINDOWS} here or in metrics/nab; give --data the folder that holds it")
    try:
        labels = json.loads((base / WINDOWS).read_bytes())
    except (OSError, ValueError) as error:
        raise DataError(f"{base / WINDOWS}: cannot be read ({error})") from error
    if not isinstance(labels, dict) or not labels:
        raise DataError(f"{base / WINDOWS}: needs an object of <category>/<name>.csv with their windows")
    return [_series(base, name, labels[name]) for name in sorted(labels)]


def _series(base: Path, name: str, labels: Any) -> Series:
    times, values = _samples(base / name)
    windows: list[Window] = []
    try:
        spans = sorted((_time(first), _time(last)) for first, last in labels)
    except (TypeError, ValueError) as error:
        raise DataError(f"{base / WINDOWS}: {name} needs pairs of times ({error})") from error
    for first, last in spans:
        left, right = bisect_left(times, first), bisect_right(times, last) - 1
        if left <= right:
            windows.append((left, right))
    return Series(name=name, times=tuple(times), values=np.array(values), windows=tuple(windows))


def _samples(path: Path) -> tuple[list[Nanos], Sequence[float]]:
    times: list[Nanos] = []
    values: list[float] = []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for number, row in enumerate(csv.reader(file), start=1):
                if number > 1 and row:
                    times.append(_time(row[0]))
                    values.append(float(row[1]) if row[1].strip() else math.nan)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    except (ValueError, IndexError) as error:
        raise DataError(f"{path}:{number}: needs `timestamp,value` ({error})") from error
    if not times:
        raise DataError(f"{path}: holds no samples")
    order = sorted(range(len(times)), key=times.__getitem__)
    return [times[row] for row in order], [values[row] for row in order]


def _time(text: str) -> Nanos:
    time = datetime.fromisoformat(text)
    whole = (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    return round(whole * 1000) * (SECOND // 1000)
