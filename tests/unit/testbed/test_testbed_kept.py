"""The recordings that are kept: whole, labelled, small, and free of the machine they were made on."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest

from ingest.decoders.times import parse_time
from ingest.record import SECOND
from ingest.recordings import Recording
from tests.testbed.background import DEPLOY, INJECT
from tests.testbed.faults import FAULTS
from tests.testbed.recording import SIGNALS

KEPT = Path(__file__).resolve().parents[2] / "recordings"
SHOP, DEMO = KEPT / "shop", KEPT / "demo"
RUNS = 3
MACHINE = (rb"/(?:home|root|tmp|usr|var|work|opt|Users)/", rb"site-packages", rb"@[a-z0-9-]+\.[a-z]")
"""Each begins with something rare, so that it is found fast."""
LARGEST = 40_000_000


def _truths(system: Path) -> dict[str, dict[str, Any]]:
    lines = (system / "truth.jsonl").read_text(encoding="utf-8").splitlines()
    return {line["id"]: line for line in map(json.loads, lines)}


def _fault(name: str) -> str:
    return re.sub(r"-\d\Z", "", name)


def _cases(*systems: Path) -> list[Path]:
    return sorted(path for system in systems for path in system.iterdir() if path.is_dir())


def test_every_fault_was_recorded_three_times_and_its_truth_stands() -> None:
    """The labels agree with what the testbed says today, and the day without a fault is there."""
    wanted = {f"{name}-{run}" for name in FAULTS for run in range(1, RUNS + 1)}
    truths = _truths(SHOP)
    assert {path.name for path in _cases(SHOP)} == wanted == set(truths)
    for name, line in truths.items():
        truth, cause = FAULTS[_fault(name)].truth, line["root_cause"]
        assert (cause and cause["service"]) == (truth and truth.service)


def test_recordings_are_small() -> None:
    """A clone stays quick."""
    assert sum(path.stat().st_size for path in KEPT.rglob("*") if path.is_file()) < LARGEST


@pytest.mark.parametrize("case", _cases(SHOP, DEMO), ids=lambda path: f"{path.parent.name}-{path.name}")
def test_recording_is_long_enough_to_learn_from(case: Path) -> None:
    """Some minutes without, three with the fault, and every signal on both sides."""
    recording = Recording(case)
    intervals = recording.intervals()
    assert {"logs", "metrics", "spans"} <= set(recording.signals) <= set(SIGNALS)
    assert all(part[0].length >= 400 * SECOND for part in intervals.baseline.values())
    if FAULTS[_fault(case.name)].truth is None:
        assert intervals.incident is None
        return
    assert intervals.incident is not None
    assert intervals.incident.length >= 170 * SECOND
    counts = recording.case["counts"]
    assert all(counts[signal][side] > 0 for signal in ("logs", "metrics", "spans") for side in counts[signal])


def _seconds(case: Path, label: dict[str, Any]) -> tuple[float, float]:
    """Return how long a recording is, and how much of it may be looked at."""
    intervals = Recording(case).intervals()
    (baseline,) = intervals.baseline["logs"]
    end = intervals.incident.end if intervals.incident else baseline.end
    looked_at = baseline.start if label["held_out"] else parse_time(label.get("held_out_from")) or end
    return (end - baseline.start) / SECOND, (looked_at - baseline.start) / SECOND


def test_at_most_a_third_may_be_looked_at() -> None:
    """The first run of each fault and of the first third of a quiet day; the rest is held out."""
    truths = _truths(SHOP)
    assert {name for name, line in truths.items() if line["held_out"]} == {
        name for name in truths if name.endswith(("-2", "-3"))
    }
    lengths = [_seconds(case, truths[case.name]) for case in _cases(SHOP)]
    assert sum(looked_at for _, looked_at in lengths) <= sum(whole for whole, _ in lengths) / 3 * 1.001


@pytest.mark.parametrize("case", _cases(SHOP), ids=lambda path: path.name)
def test_what_was_harmless_is_marked_and_never_on_what_was_broken(case: Path) -> None:
    """The fault's mark says only when; each harmless release stands among the changes."""
    marks, cause = Recording(case).case["marks"], _truths(SHOP)[case.name]["root_cause"]
    harmless = [mark for mark in marks if mark["harmless"]]
    assert [(mark["what"], set(mark)) for mark in marks if not mark["harmless"]] == (
        [(INJECT, {"time", "what", "harmless"})] if cause else []
    )
    assert len(harmless) <= 2 if cause else len(harmless) >= 3
    assert cause is None or cause["service"] not in {mark["service.name"] for mark in harmless}
    path = case / "changes.jsonl.gz"
    lines = gzip.decompress(path.read_bytes()).splitlines() if path.exists() else []
    released = {mark["title"] for mark in harmless if mark["what"] == DEPLOY}
    assert released <= {json.loads(line)["title"] for line in lines}


def test_held_out_hours_without_a_fault_are_two() -> None:
    """Both halves of a squeezed day, and a third of it that may be looked at."""
    parts = {
        name: Recording(SHOP / name).intervals().baseline["metrics"][0].length / SECOND
        for name in ("quiet-1", "quiet-2", "quiet-3")
    }
    assert parts["quiet-2"] + parts["quiet-3"] >= 7_190
    assert parts["quiet-1"] >= 2_390


@pytest.mark.parametrize("case", _cases(SHOP, DEMO), ids=lambda path: f"{path.parent.name}-{path.name}")
def test_recording_tells_nothing_of_the_machine(case: Path) -> None:
    """No folder, no e-mail address that redaction should have taken, and pods instead of host names."""
    instances: set[bytes] = set()
    for path in sorted(case.glob("*.gz")):
        text = gzip.decompress(path.read_bytes())
        for pattern in MACHINE:
            found = re.search(pattern, text)
            assert found is None, text[max(0, found.start() - 80) : found.end() + 80]
        instances |= set(re.findall(rb'"k8s\.pod\.name": ?"([^"]+)"', text))
        assert set(re.findall(rb"host=([0-9a-z.]+)", text)) <= {b"127.0.0.1"}
    assert len(instances) >= 9
    assert all(re.fullmatch(rb"[a-z]+-[a-z0-9]{9}-[a-z0-9]{5}", instance) for instance in instances)


def test_bad_release_is_announced() -> None:
    """The deploy of the bad release stands among the changes of its recordings."""
    for case in (DEMO / "bad-deploy", *(SHOP / f"bad-deploy-{run}" for run in range(1, RUNS + 1))):
        lines = gzip.decompress((case / "changes.jsonl.gz").read_bytes()).splitlines()
        assert any(json.loads(line).get("service.name") == "orders" for line in lines)
