"""A look at a recording: per service and minute, how much there is and how bad it was.

Cells are `log lines/errors` and `spans p95 ms`; the minute of the onset is marked. Below stands what was done
to the shop, harmless or not. For eyes, not for scores.
"""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.testbed.recording import read_lines, time_of

BAD = ("ERROR", "FATAL", "CRITICAL")


def _minute(record: dict[str, Any], zero: datetime) -> int:
    return int((datetime.fromisoformat(time_of(record)) - zero).total_seconds() // 60)


def _p95(values: list[float]) -> float:
    return sorted(values)[int(0.95 * (len(values) - 1))]


def table(case: Path) -> str:
    """Return the recording as a text table."""
    known = json.loads((case / "case.json").read_text(encoding="utf-8"))
    zero = datetime.fromisoformat(known["baseline"]["start"])
    lines: dict[tuple[str, int], list[int]] = defaultdict(lambda: [0, 0])
    spans: dict[tuple[str, int], list[float]] = defaultdict(list)
    for record in read_lines(case, "logs"):
        cell = lines[record["service.name"], _minute(record, zero)]
        cell[0] += 1
        cell[1] += record.get("severity_text", "") in BAD
    for record in read_lines(case, "spans"):
        took = datetime.fromisoformat(record["end"]) - datetime.fromisoformat(record["start"])
        spans[record["service.name"], _minute(record, zero)].append(took.total_seconds() * 1000)
    points: dict[str, int] = defaultdict(int)
    for record in read_lines(case, "metrics"):
        points[record["service.name"]] += 1
    return "\n".join(_render(known, zero, lines, spans, points))


def _render(
    known: dict[str, Any],
    zero: datetime,
    lines: dict[tuple[str, int], list[int]],
    spans: dict[tuple[str, int], list[float]],
    points: dict[str, int],
) -> list[str]:
    minutes = sorted({minute for _, minute in [*lines, *spans]})
    onset = _minute({"time": known["incident"]["start"]}, zero) if known["incident"] else None
    head = "".join(f"{('>' if minute == onset else '') + str(minute):>18}" for minute in minutes)
    rows = [f"{known['id']}: {known['counts']}", f"{'minute':12}{head}"]
    for service in sorted({service for service, _ in [*lines, *spans]} | set(points)):
        cells = []
        for minute in minutes:
            count, bad = lines.get((service, minute), [0, 0])
            taken = spans.get((service, minute))
            speed = f"{len(taken)} {_p95(taken):.0f}ms" if taken else "-"
            cells.append(f"{f'{count}/{bad} {speed}':>18}")
        rows.append(f"{service:12}{''.join(cells)}  {points[service]} points")
    for mark in known.get("marks", []):
        done = (datetime.fromisoformat(mark["time"]) - zero).total_seconds() / 60
        rows.append(f"{done:12.1f}  {mark['what']} {mark.get('title', '')}".rstrip())
    return rows
