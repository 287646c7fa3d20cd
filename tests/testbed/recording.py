"""The recording of a run: `faultline record` in the background, then what only the testbed knows.

The recorder writes the telemetry; the intervals, the counts on either side of the onset and the truth are
added here, in the format of Faultline's recordings.
"""

from __future__ import annotations

import fcntl
import gzip
import json
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ingest.decoders.times import parse_time
from ingest.record import Nanos
from tests.testbed.background import Mark
from tests.testbed.faults import Fault
from tests.testbed.processes import Child, ProcessError, start
from tests.testbed.services.telemetry import TOPICS

SIGNALS = ("logs", "metrics", "spans", "changes")
READY_S = 60.0
CLEAN_BASELINE = "just before the incident"
QUIET_BASELINE = "nothing was wrong"


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """When a run's parts began and ended. Without a fault `injected` and `healed` are its end."""

    start: datetime
    injected: datetime
    healed: datetime
    end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """What of a recording nobody looks at while tuning: all of it, or what comes `after` some time."""

    whole: bool = False
    after: datetime | None = None


def stamp(when: datetime) -> str:
    """Return RFC 3339 in UTC with milliseconds."""
    return when.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def start_recorder(bootstrap: str, case: Path, console: Path) -> Child:
    """Start `faultline record` on the shop's topics and return once it reads. Raises ProcessError."""
    faultline = str(Path(sys.executable).with_name("faultline"))
    topics = [part for topic in TOPICS for part in ("--topic", topic)]
    recorder = start(
        "recorder",
        [faultline, "record", "--bootstrap", bootstrap, "--out", str(case.resolve()), *topics],
        console=console,
    )
    deadline = time.monotonic() + READY_S
    while not recorder.tail().startswith("recording") and "\nrecording" not in recorder.tail():
        recorder.require()
        if time.monotonic() > deadline:
            raise ProcessError(f"the recorder does not read after {READY_S:g}s:\n{recorder.tail()}")
        time.sleep(0.5)
    return recorder


def stop_recorder(recorder: Child, case: Path) -> None:
    """Let it write its last records. Raises ProcessError when there is no recording afterwards."""
    recorder.stop(timeout_s=60)
    if not (case / "case.json").exists():
        raise ProcessError(f"the recorder wrote no recording:\n{recorder.tail()}")


def read_lines(case: Path, signal: str) -> Iterator[dict[str, Any]]:
    """Yield the records of one signal; nothing when the recording has none."""
    path = case / f"{signal}.jsonl.gz"
    if path.exists():
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            yield from map(json.loads, lines)


def time_of(record: dict[str, Any]) -> str:
    """Return a record's time as it stands: that of a span is its start."""
    return str(record.get("time") or record["start"])


def finish_case(
    case: Path, fault: Fault, times: Times, *, notes: list[str], marks: Iterable[Mark] = ()
) -> None:
    """Write what the run knows into `case.json`, and press its files."""
    onset, end = (times.injected, times.healed) if fault.truth else (times.end, times.end)
    for signal in SIGNALS:
        _press(case / f"{signal}.jsonl.gz", signal)
    counts = count(case, stamp(onset), stamp(end))
    path = case / "case.json"
    known = json.loads(path.read_text(encoding="utf-8"))
    known.update(
        {
            "id": case.name,
            "system": "testbed shop",
            "source": "python -m tests.testbed",
            "license": "Apache-2.0",
            "signals": [signal for signal in SIGNALS if sum(counts[signal].values())],
            "baseline": {"start": stamp(times.start), "end": stamp(onset)},
            "baseline_windows": [
                {
                    "signals": list(SIGNALS),
                    "start": stamp(times.start),
                    "end": stamp(onset),
                    "kind": CLEAN_BASELINE if fault.truth else QUIET_BASELINE,
                }
            ],
            "incident": {"start": stamp(onset), "end": stamp(end)} if fault.truth else None,
            "symptom": fault.symptom,
            "counts": counts,
            "notes": notes,
            "marks": [_mark(mark) for mark in sorted(marks, key=lambda mark: mark.time)],
        }
    )
    path.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")


def _mark(mark: Mark) -> dict[str, Any]:
    """Return what was done and when; on what only where it was harmless: the rest is the truth's."""
    known = {"time": stamp(mark.time), "what": mark.what, "harmless": mark.harmless}
    about = {"service.name": mark.service, "title": mark.title}
    return {**known, **{name: value for name, value in about.items() if value}}


def _press(path: Path, signal: str) -> None:
    """Compress a file as far as gzip goes; equal content stays equal bytes.

    Metrics are laid pod by pod: gzip sees 32 KiB, less than one round of all pods, and whoever reads a
    recording sorts it by time.
    """
    if not path.exists():
        return
    lines = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
    if signal == "metrics":
        lines.sort(key=lambda line: _pod(json.loads(line)))
    path.write_bytes(gzip.compress(b"".join(lines), compresslevel=9, mtime=0))


def _pod(record: dict[str, Any]) -> tuple[str, str, str]:
    return record["service.name"], record.get("k8s.pod.name", ""), record["time"]


def count(case: Path, onset: str, end: str) -> dict[str, dict[str, int]]:
    """Return, per signal, how many records lie within the incident and how many do not."""
    first, last = _nanos(onset), _nanos(end)
    counts = {signal: {"baseline": 0, "incident": 0} for signal in SIGNALS}
    for signal in SIGNALS:
        for record in read_lines(case, signal):
            # As numbers: equal times may be written with more digits or fewer.
            counts[signal]["incident" if first <= _nanos(time_of(record)) < last else "baseline"] += 1
    return counts


def _nanos(text: str) -> Nanos:
    found = parse_time(text)
    if found is None:
        raise ValueError(f"{text!r} is no time")
    return found


def write_truth(dataset: Path, case: str, fault: Fault, held_out: HeldOut | None = None) -> None:
    """Put the case's line into the dataset's `truth.jsonl`, in place of an older one. Blocks for others."""
    with (dataset / "truth.jsonl").open("a+", encoding="utf-8") as file:
        # Several shops may finish at the same time.
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        kept = [old for old in map(json.loads, file.read().splitlines()) if old["id"] != case]
        ordered = sorted([*kept, _label(case, fault, held_out or HeldOut())], key=lambda one: str(one["id"]))
        file.truncate(0)
        file.write("".join(json.dumps(one) + "\n" for one in ordered))


def _label(case: str, fault: Fault, held_out: HeldOut) -> dict[str, Any]:
    truth = fault.truth
    cause = truth and {
        "service": truth.service,
        "fault": truth.fault,
        "metric_or_code": truth.metric_or_code,
        "mechanism": truth.mechanism,
    }
    line: dict[str, Any] = {"id": case, "root_cause": cause}
    line |= {"postmortem": truth.postmortem if truth else None, "held_out": held_out.whole}
    if held_out.after is not None:
        line["held_out_from"] = stamp(held_out.after)
    return line


def is_whole(dataset: Path, case: str) -> bool:
    """Say whether a case is there, labelled, and every file of it readable to its end."""
    path, truth = dataset / case / "case.json", dataset / "truth.jsonl"
    if not path.exists() or not truth.exists():
        return False
    known = json.loads(path.read_text(encoding="utf-8"))
    labelled = any(json.loads(line)["id"] == case for line in truth.read_text(encoding="utf-8").splitlines())
    return labelled and all(_is_readable(dataset / case / f"{name}.jsonl.gz") for name in known["signals"])


def _is_readable(path: Path) -> bool:
    try:
        return bool(gzip.decompress(path.read_bytes()))
    except (OSError, EOFError):
        return False
