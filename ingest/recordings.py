"""A source: one folder of recorded telemetry, read as records in the order of event time.

The folder holds `case.json` and any of `logs`, `metrics`, `spans`, `changes` as `.jsonl` or `.jsonl.gz`.
Where its baseline lies elsewhere in time, its intervals are laid end to end, signal by signal, so that they
end at `incident.start`: those recorded before the incident nearest to it, those recorded after it farthest.
Order: event time, then topic, then line; the same on every reading. Nothing is dropped: a line that cannot
be read is an error that names file and line. A recording is held in memory while it is read. Where the
package was built with a C compiler, the times of plain lines are found and rewritten where they stand.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from ingest.decoders.flat_json import compiled_times
from ingest.decoders.times import parse_time
from ingest.record import Nanos, Origin, Record
from ingest.times import format_time

SIGNALS = ("logs", "metrics", "spans", "changes")
_Line = tuple[Nanos, str, int, bytes]
"""Event time, topic, line number, JSON."""


class RecordingError(Exception):
    """A recording that cannot be read; the message names the file (and line) and what is expected."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Interval:
    """A stretch of time [start, end)."""

    start: Nanos
    end: Nanos

    @property
    def length(self) -> Nanos:
        return self.end - self.start

    def distance(self, time: Nanos) -> Nanos:
        """Return how far `time` is from the interval, 0 inside."""
        return max(self.start - time, time - self.end, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Intervals:
    """What a recording says of itself: baseline per signal as recorded, and the incident, if any."""

    baseline: Mapping[str, tuple[Interval, ...]]
    incident: Interval | None


class Recording:
    """One recorded case; opening it reads `case.json` only. `compiled=False` keeps to the reference."""

    def __init__(self, path: Path, *, compiled: bool = True) -> None:
        self.path = path
        self.case = _object(path / "case.json", required=True)
        self.truth = _object(path / "truth.json")
        self.topology = _object(path / "topology.json")
        self._files = {signal: _find(path, signal) for signal in SIGNALS}
        self._intervals = _intervals(self.case, path / "case.json")
        self._moves = {signal: self._lay(signal) for signal in SIGNALS}
        self._times = compiled_times() if compiled else None

    @property
    def id(self) -> str:
        """Name of the case: what `case.json` says, else that of the folder."""
        return str(self.case.get("id") or self.path.name)

    @property
    def signals(self) -> tuple[str, ...]:
        """Signals that have a file."""
        return tuple(signal for signal in SIGNALS if self._files[signal] is not None)

    def intervals(self) -> Intervals:
        """Return baseline and incident in the recording's own time."""
        return self._intervals

    def shifted_baseline(self) -> dict[str, Interval]:
        """Return, per signal, where its baseline lies in the replay: without gaps before the incident.

        A signal without listed baseline is left out; without an incident nothing is shifted.
        """
        found: dict[str, Interval] = {}
        for signal, moves in self._moves.items():
            if moves:
                start = min(interval.start + shift for interval, shift in moves)
                found[signal] = Interval(start=start, end=max(i.end + shift for i, shift in moves))
        return found

    def records(self, *, shift: bool = True) -> Iterator[tuple[Nanos, Record]]:
        """Yield (event time, record) in order; with `shift` the baseline's times are rewritten as above."""
        lines = [line for signal in self.signals for line in self._read(signal, shift=shift)]
        lines.sort()
        for time, topic, number, value in lines:
            origin = Origin(topic=topic, partition=0, offset=number)
            yield time, Record(origin=origin, value=value, received=time)

    def _lay(self, signal: str) -> tuple[tuple[Interval, Nanos], ...]:
        """Return the signal's baseline intervals with the shift of each."""
        incident = self._intervals.incident
        intervals = self._intervals.baseline.get(signal, ())
        if incident is None:
            return tuple((interval, 0) for interval in intervals)
        later_first = sorted(intervals, key=lambda i: (i.start < incident.start, i.start))
        end, laid = incident.start, []
        for interval in reversed(later_first):
            laid.append((interval, end - interval.end))
            end -= interval.length
        return tuple(reversed(laid))

    def _read(self, signal: str, *, shift: bool) -> list[_Line]:
        path = self._files[signal]
        if path is None:
            return []
        topic = f"recording.{signal}"
        found: list[_Line] = []
        for number, line in enumerate(_lines(path), start=1):
            if line.strip():
                time, value = self._line(signal, line.rstrip(b"\r\n"), path, number, shift=shift)
                found.append((time, topic, number, value))
        return found

    def _line(self, signal: str, line: bytes, path: Path, number: int, *, shift: bool) -> tuple[Nanos, bytes]:
        fields = (b"start", b"end") if signal == "spans" else (b"time",)
        found = None if self._times is None else self._times(line, fields)
        if found is None:
            return self._parsed(signal, line, path, number, shift=shift)
        move = self._shift(signal, found[0][0]) if shift else 0
        if move:
            for time, start, end in sorted(found, key=lambda one: -one[1]):
                line = line[:start] + format_time(time + move).encode() + line[end:]
        return found[-1][0] + move, line

    def _parsed(
        self, signal: str, line: bytes, path: Path, number: int, *, shift: bool
    ) -> tuple[Nanos, bytes]:
        try:
            item = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise RecordingError(
                f"{path}:{number}: not JSON ({error}); the file is cut or damaged"
            ) from error
        fields = ("start", "end") if signal == "spans" else ("time",)
        times = [_time(item, name, path, number) for name in fields]
        move = self._shift(signal, times[0]) if shift else 0
        if move:
            for name, time in zip(fields, times, strict=True):
                item[name] = format_time(time + move)
            line = orjson.dumps(item)
        return times[-1] + move, line

    def _shift(self, signal: str, time: Nanos) -> Nanos:
        """Return how far a record of this (start) time moves: with the baseline interval nearest to it."""
        incident = self._intervals.incident
        if incident is None or incident.start <= time < incident.end:
            return 0
        moves = self._moves[signal]
        if len(moves) < 2:
            return moves[0][1] if moves else 0
        return min(moves, key=lambda move: move[0].distance(time))[1]


def _intervals(case: Mapping[str, Any], path: Path) -> Intervals:
    incident = _interval(case["incident"], path, "incident") if case.get("incident") else None
    listed = [
        (_interval(window, path, "baseline_windows"), _signals(window, path))
        for window in case.get("baseline_windows") or ()
    ]
    if not listed and case.get("baseline"):
        listed = [(_interval(case["baseline"], path, "baseline"), SIGNALS)]
    baseline: dict[str, tuple[Interval, ...]] = {}
    for signal in SIGNALS:
        mine = [interval for interval, signals in listed if signal in signals]
        if mine:
            baseline[signal] = _without(_union(mine), incident)
    return Intervals(baseline=baseline, incident=incident)


def _signals(window: Mapping[str, Any], path: Path) -> tuple[str, ...]:
    signals = window.get("signals")
    if not isinstance(signals, list):
        raise RecordingError(f"{path}: `baseline_windows` needs `signals`, a list of {', '.join(SIGNALS)}")
    return tuple(signal for signal in SIGNALS if signal in signals)


def _union(intervals: list[Interval]) -> list[Interval]:
    united: list[Interval] = []
    for interval in sorted(intervals):
        if united and interval.start <= united[-1].end:
            united[-1] = Interval(start=united[-1].start, end=max(united[-1].end, interval.end))
        else:
            united.append(interval)
    return united


def _without(intervals: list[Interval], incident: Interval | None) -> tuple[Interval, ...]:
    """Cut the incident out: what lies in it is not baseline."""
    if incident is None:
        return tuple(intervals)
    kept: list[Interval] = []
    for interval in intervals:
        before = Interval(start=interval.start, end=min(interval.end, incident.start))
        after = Interval(start=max(interval.start, incident.end), end=interval.end)
        kept.extend(part for part in (before, after) if part.length > 0)
    return tuple(kept)


def _interval(value: Any, path: Path, name: str) -> Interval:
    try:
        start, end = parse_time(value["start"]), parse_time(value["end"])
    except (KeyError, TypeError) as error:
        raise RecordingError(f"{path}: `{name}` needs `start` and `end` as RFC 3339") from error
    if start is None or end is None or end < start:
        raise RecordingError(f"{path}: `{name}` needs `start` before `end`, both RFC 3339")
    return Interval(start=start, end=end)


def _time(item: Any, name: str, path: Path, number: int) -> Nanos:
    time = parse_time(item.get(name)) if isinstance(item, dict) else None
    if time is None:
        raise RecordingError(f"{path}:{number}: needs an object with `{name}` as RFC 3339")
    return time


def _object(path: Path, *, required: bool = False) -> dict[str, Any]:
    if not path.is_file():
        if required:
            raise RecordingError(f"{path}: missing; a recording is a folder with a `case.json`")
        return {}
    try:
        value = json.loads(path.read_bytes())
    except ValueError as error:
        raise RecordingError(f"{path}: not JSON ({error})") from error
    if not isinstance(value, dict):
        raise RecordingError(f"{path}: must be a JSON object")
    return value


def _find(folder: Path, signal: str) -> Path | None:
    return next(
        (path for suffix in ("jsonl.gz", "jsonl") if (path := folder / f"{signal}.{suffix}").is_file()), None
    )


def _lines(path: Path) -> list[bytes]:
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError) as error:
        raise RecordingError(f"{path}: not readable as gzip ({error}); record it again") from error
    return data.split(b"\n")
