"""One recording, played several times: the same anomalies and incidents, byte for byte."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
import pytest

from agent.app import parts
from agent.pipeline import Outcome, Pipeline
from agent.settings import Settings
from ingest.record import SECOND, Nanos, Record
from ingest.recordings import Recording

SHOP = Path(__file__).parents[1] / "recordings" / "demo"
TICK = SECOND


def pipeline() -> Pipeline:
    """Return a fresh pipeline with a fixed redaction key."""
    return parts.pipeline(Settings(), b"a fixed key for tests")()


def played(records: Iterable[tuple[Nanos, Record]], stages: Pipeline) -> bytes:
    """Return everything that came out of a replay, as bytes, in order."""
    said: list[Outcome] = []
    ticked = 0
    for at, record in records:
        if at - ticked >= TICK:
            stages.tick(at)
            said.append(stages.outcome())
            ticked = at
        stages.take(record, at)
    stages.finish()
    said.append(stages.outcome())
    return msgspec.json.encode(
        {
            "anomalies": [pair for outcome in said for pair in outcome.anomalies],
            "changes": [change for outcome in said for change in outcome.changes],
            "due": [due for outcome in said for due in outcome.due],
        }
    )


def shuffled(
    records: Iterable[tuple[Nanos, Record]], within: Nanos, seed: int
) -> Iterator[tuple[Nanos, Record]]:
    """Yield the records delayed by up to `within` each, in the order in which they then come."""
    rng = random.Random(seed)
    late = [(at + rng.randrange(within), number, record) for number, (at, record) in enumerate(records)]
    for at, _, record in sorted(late, key=lambda item: item[:2]):
        yield at, record


@pytest.fixture(scope="module")
def recording() -> Recording:
    """Return the recording of the slow dependency."""
    return Recording(SHOP / "slow-dependency")


@pytest.fixture(scope="module")
def reference(recording: Recording) -> bytes:
    """Return what one replay gives."""
    return played(recording.records(), pipeline())


def test_a_second_replay_is_byte_identical(recording: Recording, reference: bytes) -> None:
    """Anomalies, incident changes and due investigations of two replays are the same bytes."""
    assert b"anomalies" in reference
    assert len(msgspec.json.decode(reference)["changes"]) > 0
    assert played(recording.records(), pipeline()) == reference


def test_records_shuffled_within_the_lateness_give_the_same(recording: Recording, reference: bytes) -> None:
    """Records that come up to the allowed lateness out of order change no anomaly and no incident."""
    mixed = played(shuffled(recording.records(), 4 * SECOND, seed=7), pipeline())
    first, second = msgspec.json.decode(reference), msgspec.json.decode(mixed)
    assert second["anomalies"] == first["anomalies"]
    assert second["changes"] == first["changes"]


def test_state_saved_and_restored_midway_gives_the_same(recording: Recording, reference: bytes) -> None:
    """A pipeline that is dumped and loaded in the middle goes on as if nothing had happened."""
    records = list(recording.records())
    middle = len(records) * 3 // 4
    first = pipeline()
    said: list[Outcome] = []
    ticked = 0
    stages = first
    for number, (at, record) in enumerate(records):
        if number == middle:
            stages = pipeline()
            stages.load(first.dump())
        if at - ticked >= TICK:
            stages.tick(at)
            said.append(stages.outcome())
            ticked = at
        stages.take(record, at)
    stages.finish()
    said.append(stages.outcome())
    found = [pair for outcome in said for pair in outcome.anomalies]
    assert msgspec.json.decode(msgspec.json.encode(found)) == msgspec.json.decode(reference)["anomalies"]
