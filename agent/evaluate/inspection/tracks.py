"""One service's signals as tracks on a common grid of cells: what overview and comparisons are made of.

Pure. Requests, latency and failures come from spans; a service without any gets them from metrics that seem
to mean the same. Where a signal was recorded but a service had nothing to say, its count is zero; elsewhere
it is unknown (NaN).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from agent.evaluate.inspection import meaning
from agent.evaluate.inspection.samples import Series, Times, Values
from agent.evaluate.inspection.tallies import Flow, ServiceTally
from ingest.record import SECOND, Nanos
from ingest.sketch import Sketch


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """A signal's values on the grid. `worse` is 1 where rising is the harm, -1 falling, 0 both."""

    name: str
    label: str
    unit: str
    values: Values
    worse: int = 1
    floor: float = 0.0
    """A change smaller than this means nothing."""
    series: Series | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Cells of equal length; `spans` and `logs` say in which the whole system sent any."""

    starts: Times
    cell: Nanos
    spans: frozenset[int]
    logs: frozenset[int]
    failures: bool
    """Whether any span says that it failed: where none does, sources often just do not tell."""

    def number(self, index: int) -> int:
        """Return the bin that a cell is."""
        return int(self.starts[index]) // self.cell

    def each(self, known: frozenset[int], value: Callable[[int], float]) -> Values:
        """Return `value` of every bin in `known`, NaN elsewhere."""
        numbers = (self.number(index) for index in range(len(self.starts)))
        return np.array([value(n) if n in known else np.nan for n in numbers], dtype=np.float64)

    def sampled(self, series: Series) -> Values:
        """Return the series' mean in each cell; a sample stands until the next is due."""
        places = np.searchsorted(self.starts, series.times, side="right") - 1
        inside = (places >= 0) & (series.times < self.starts[places] + self.cell)
        places, kept = places[inside], series.values[inside]
        sums = np.bincount(places, kept, len(self.starts))
        counts = np.bincount(places, minlength=len(self.starts))
        with np.errstate(invalid="ignore"):
            values = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
        before = np.searchsorted(series.times, self.starts, side="right") - 1
        fresh = (before >= 0) & (self.starts - series.times[before] <= 1.5 * series.interval)
        return np.where(np.isnan(values) & fresh, series.values[before], values)


def tracks_of(tally: ServiceTally, series: Sequence[Series], grid: Grid) -> dict[str, Track]:
    """Return the tracks by name: requests, p50, p95, failed, complaints, lines, and resources."""
    found = _from_spans(tally, grid) if tally.requests else _from_metrics(series, grid)
    found |= _from_logs(tally, grid)
    return found


def _from_spans(tally: ServiceTally, grid: Grid) -> dict[str, Track]:
    none = Flow()
    seconds = grid.cell / SECOND

    def flow(number: int) -> Flow:
        return tally.requests.get(number, none)

    def latency(q: float) -> Values:
        return grid.each(grid.spans, lambda n: _quantile(flow(n), q))

    made = {
        "requests": Track(
            name="requests",
            label="requests",
            unit="/s",
            values=grid.each(grid.spans, lambda n: flow(n).count / seconds),
            worse=0,
            floor=2 * np.sqrt(np.median([f.count for f in tally.requests.values()])) / seconds,
        ),
        "p50": Track(name="p50", label="p50", unit="s", values=latency(0.5), floor=1e-3),
        "p95": Track(name="p95", label="p95", unit="s", values=latency(0.95), floor=2e-3),
    }
    if grid.failures:
        made["failed"] = Track(
            name="failed",
            label="failed",
            unit="%",
            values=grid.each(grid.spans, lambda n: _failed(flow(n))),
            floor=2.0,
        )
    return made


def _quantile(flow: Flow, q: float) -> float:
    value = Sketch(buckets=flow.buckets).quantile(q) if flow.count else None
    return np.nan if value is None else value


def _failed(flow: Flow) -> float:
    return 100 * flow.errors / flow.count if flow.count else np.nan


def _from_logs(tally: ServiceTally, grid: Grid) -> dict[str, Track]:
    if not tally.lines:
        return {}
    minutes = grid.cell / (60 * SECOND)
    none = [0, 0, 0]

    def rate(first: int) -> Values:
        return grid.each(grid.logs, lambda n: sum(tally.lines.get(n, none)[first:]) / minutes)

    usual = float(np.median([sum(counts) for counts in tally.lines.values()]))
    noise = 2 * np.sqrt(usual) / minutes
    return {
        "complaints": Track(
            name="complaints",
            label="warn/error lines",
            unit="/min",
            values=rate(1),
            floor=max(1.0, 0.02 * usual) / minutes,
        ),
        "lines": Track(name="lines", label="log lines", unit="/min", values=rate(0), worse=0, floor=noise),
    }


def _from_metrics(series: Sequence[Series], grid: Grid) -> dict[str, Track]:
    made: dict[str, Track] = {}
    asked = [one for one in series if meaning.is_requests(one)]
    if asked:
        name = min((one.id.name for one in asked), key=lambda n: ("server" not in n, len(n), n))
        mine = [one for one in asked if one.id.name == name]
        total = _sum(mine, grid)
        made["requests"] = Track(
            name="requests",
            label=name,
            unit="/s",
            values=total,
            worse=0,
            floor=2 * np.sqrt(max(float(np.nanmedian(total)), 1e-9) / (grid.cell / SECOND))
            if np.isfinite(total).any()
            else 0.0,
        )
        failing = [one for one in mine if meaning.is_failing(one)]
        if failing:
            with np.errstate(invalid="ignore", divide="ignore"):
                share = np.where(total > 0, 100 * np.nan_to_num(_sum(failing, grid)) / total, np.nan)
            made["failed"] = Track(name="failed", label="failed", unit="%", values=share, floor=2.0)
    succeeded = next((one for one in series if meaning.is_success_share(one)), None)
    if "failed" not in made and succeeded is not None:
        failed = 100 - grid.sampled(succeeded)
        made["failed"] = Track(name="failed", label="failed", unit="%", values=failed, floor=1.0)
    return made | _latency(series, grid)


def _latency(series: Sequence[Series], grid: Grid) -> dict[str, Track]:
    """Return the medians and the slowest few as metrics tell them, the server's side first."""
    known = [(one, scale) for one in series if (scale := meaning.seconds(one)) is not None]
    known.sort(key=lambda item: _preference(item[0]))
    made: dict[str, Track] = {}
    for name, wanted in (("p50", (50, None)), ("p95", (95, 90, 99, None))):
        for quantile in wanted:
            found = next((item for item in known if meaning.quantile(item[0]) == quantile), None)
            if found is not None:
                one, scale = found
                label = f"p{quantile}" if quantile else "mean latency"
                values = grid.sampled(one) * scale
                made[name] = Track(name=name, label=label, unit="s", values=values, floor=2e-3)
                break
    if "p50" in made and "p95" in made and made["p50"].label == made["p95"].label:
        del made["p50"]
    return made


def _preference(series: Series) -> tuple[bool, bool, int, str]:
    name = series.id.name.lower()
    return ("client" in name or ".to." in name, "server" not in name, len(name), name)


def _sum(series: Sequence[Series], grid: Grid) -> Values:
    rows = np.array([grid.sampled(one) for one in series])
    known = ~np.isnan(rows).all(axis=0)
    return np.where(known, np.nansum(rows, axis=0), np.nan)
