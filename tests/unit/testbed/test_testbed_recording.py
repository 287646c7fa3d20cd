"""What the testbed adds to a recording: intervals, counts, truth, and a table for eyes."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.analysis import Mechanism
from ingest.recordings import Recording
from tests.testbed.faults import BAD_DEPLOY, FAULTS, POOL_EXHAUSTED, QUIET
from tests.testbed.look import table
from tests.testbed.recording import Times, finish_case, stamp, write_truth
from tests.testbed.shop import NEIGHBOURS, VERSIONS

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
TIMES = Times(
    start=START,
    injected=START + timedelta(minutes=8),
    healed=START + timedelta(minutes=12),
    end=START + timedelta(minutes=12),
)


def _log(minute: float, severity: str = "INFO") -> dict[str, Any]:
    time = stamp(START + timedelta(minutes=minute))
    return {"time": time, "service.name": "orders", "severity_text": severity, "body": "order booked"}


def _span(minute: float, seconds: float) -> dict[str, Any]:
    start = START + timedelta(minutes=minute)
    return {
        "trace_id": "a" * 32,
        "span_id": "b" * 16,
        "parent_span_id": None,
        "service.name": "orders",
        "name": "POST /orders",
        "start": stamp(start),
        "end": stamp(start + timedelta(seconds=seconds)),
    }


def _case(folder: Path, name: str) -> Path:
    case = folder / name
    case.mkdir()
    (case / "case.json").write_text(json.dumps({"id": "recorded", "extra": "kept"}))
    signals = {"logs": [_log(1), _log(7.99), _log(8, "ERROR")], "spans": [_span(7.99, 5), _span(9, 0.02)]}
    for signal, lines in signals.items():
        with gzip.open(case / f"{signal}.jsonl.gz", "wt", encoding="utf-8") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)
    return case


def test_fault_becomes_the_incident_interval(tmp_path: Path) -> None:
    """The incident runs from the injection to the cure; a record at the onset belongs to it."""
    case = _case(tmp_path, "bad-deploy")
    finish_case(case, BAD_DEPLOY, TIMES, notes=["n"])
    known = json.loads((case / "case.json").read_text())
    assert known["counts"]["logs"] == {"baseline": 2, "incident": 1}
    assert known["counts"]["spans"] == {"baseline": 1, "incident": 1}
    assert known["signals"] == ["logs", "spans"]
    assert known["extra"] == "kept"
    intervals = Recording(case).intervals()
    assert intervals.incident is not None
    assert intervals.incident.length == 240 * 10**9
    assert intervals.baseline["logs"][0].end == intervals.incident.start


def test_a_record_at_the_onset_counts_for_the_incident_however_it_is_written(tmp_path: Path) -> None:
    """Nine digits or three: the time of the injection is within, that of the end is not."""
    case = _case(tmp_path, "bad-deploy")
    onset, end = (stamp(when).replace("Z", "000000Z") for when in (TIMES.injected, TIMES.healed))
    lines = [{"time": when, "service.name": "orders", "change": "deploy"} for when in (onset, end)]
    with gzip.open(case / "changes.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    finish_case(case, BAD_DEPLOY, TIMES, notes=[])
    known = json.loads((case / "case.json").read_text())
    assert known["counts"]["changes"] == {"baseline": 1, "incident": 1}


def test_quiet_run_has_no_incident(tmp_path: Path) -> None:
    """Where nothing goes wrong everything is baseline, and Faultline's own reader takes it."""
    case = _case(tmp_path, "quiet")
    finish_case(case, QUIET, TIMES, notes=[])
    recording = Recording(case)
    assert recording.id == "quiet"
    assert recording.intervals().incident is None
    assert recording.intervals().baseline["logs"][0].length == 720 * 10**9
    assert json.loads((case / "case.json").read_text())["counts"]["logs"] == {"baseline": 3, "incident": 0}
    assert len(list(recording.records())) == 5


def test_truth_is_replaced_not_repeated(tmp_path: Path) -> None:
    """A second run of a fault replaces its line; lines are in the order of their ids."""
    for fault in (QUIET, POOL_EXHAUSTED, BAD_DEPLOY, POOL_EXHAUSTED):
        write_truth(tmp_path, fault.name, fault)
    lines = [json.loads(line) for line in (tmp_path / "truth.jsonl").read_text().splitlines()]
    assert [line["id"] for line in lines] == ["bad-deploy", "pool-exhausted", "quiet"]
    assert lines[0]["root_cause"]["service"] == "orders"
    assert lines[2]["root_cause"] is None


@pytest.mark.parametrize("fault", FAULTS.values(), ids=lambda fault: fault.name)
def test_truth_speaks_faultlines_words(fault: Any) -> None:
    """A fault's truth names a service of the shop, a known mechanism, and tells it in three sentences."""
    if fault.truth is None:
        assert fault.symptom is None
        return
    assert fault.truth.service in {*VERSIONS, "postgres", "redis"}
    assert fault.truth.mechanism in set(Mechanism)
    assert fault.truth.postmortem.count(". ") == 2


def test_services_start_after_those_they_call() -> None:
    """The order of starting puts callees first, and nobody calls a service that is not there."""
    started: set[str] = {"postgres", "redis", "acquirer"}
    for service in VERSIONS:
        assert set(NEIGHBOURS[service]) <= started
        started.add(service)


def test_table_marks_the_onset(tmp_path: Path) -> None:
    """The table shows the minute of the onset, errors beside lines, and the slow span's time."""
    case = _case(tmp_path, "bad-deploy")
    finish_case(case, BAD_DEPLOY, TIMES, notes=[])
    head, orders = table(case).splitlines()[1:3]
    assert ">8" in head
    assert "1/0 1 5000ms" in orders
    assert "1/1" in orders
