"""The recordings that are kept: whole, labelled, small, and free of the machine they were made on."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest

from ingest.record import SECOND
from ingest.recordings import Recording
from tests.testbed.faults import FAULTS
from tests.testbed.recording import SIGNALS

SHOP = Path(__file__).resolve().parents[2] / "recordings" / "shop"
MACHINE = re.compile(
    rb"/(?:home|root|tmp|usr|var|work|opt|Users)/|site-packages|[a-z0-9.+-]+@[a-z0-9-]+\.[a-z]"
)
LARGEST = 10_000_000


def _text(case: Path) -> bytes:
    return b"".join(gzip.decompress(path.read_bytes()) for path in sorted(case.glob("*.gz")))


def _cases() -> list[Path]:
    return [SHOP / name for name in FAULTS]


def test_every_fault_has_its_recording_and_its_truth() -> None:
    """Each fault was recorded once, and the labels agree with what the testbed says today."""
    truths = {line["id"]: line for line in map(json.loads, (SHOP / "truth.jsonl").read_text().splitlines())}
    assert sorted(path.name for path in SHOP.iterdir() if path.is_dir()) == sorted(FAULTS)
    assert set(truths) == set(FAULTS)
    for name, fault in FAULTS.items():
        cause = truths[name]["root_cause"]
        assert (cause and cause["service"]) == (fault.truth and fault.truth.service)


def test_recordings_are_small() -> None:
    """A clone stays quick."""
    assert sum(path.stat().st_size for path in SHOP.rglob("*") if path.is_file()) < LARGEST


@pytest.mark.parametrize("case", _cases(), ids=lambda path: path.name)
def test_recording_is_long_enough_to_learn_from(case: Path) -> None:
    """Eight minutes without, three or more with the fault, and every signal on both sides."""
    recording = Recording(case)
    intervals = recording.intervals()
    assert {"logs", "metrics", "spans"} <= set(recording.signals) <= set(SIGNALS)
    assert all(part[0].length >= 479 * SECOND for part in intervals.baseline.values())
    if FAULTS[case.name].truth is None:
        assert intervals.incident is None
        return
    assert intervals.incident is not None
    assert intervals.incident.length >= 180 * SECOND
    counts = recording.case["counts"]
    assert all(counts[signal][side] > 0 for signal in ("logs", "metrics", "spans") for side in counts[signal])


@pytest.mark.parametrize("case", _cases(), ids=lambda path: path.name)
def test_recording_tells_nothing_of_the_machine(case: Path) -> None:
    """No folder, no e-mail address that redaction should have taken, and pods instead of host names."""
    text = _text(case)
    found = MACHINE.search(text)
    assert found is None, text[max(0, found.start() - 80) : found.end() + 80]
    instances = set(re.findall(rb'"k8s\.pod\.name": ?"([^"]+)"', text))
    assert len(instances) >= 9
    assert all(re.fullmatch(rb"[a-z]+-[a-z0-9]{9}-[a-z0-9]{5}", instance) for instance in instances)
    assert set(re.findall(rb"host=([0-9a-z.]+)", text)) <= {b"127.0.0.1"}


def test_new_release_is_announced_where_one_was_rolled_out() -> None:
    """The deploys of the bad release and of the harmless one stand among the changes."""
    for name, service in (("bad-deploy", "orders"), ("quiet", "catalog")):
        (change,) = gzip.decompress((SHOP / name / "changes.jsonl.gz").read_bytes()).splitlines()
        assert json.loads(change)["service.name"] == service
