"""Two ingest halves and a detect half together see what one pipeline sees, whatever goes wrong between."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.halves import DetectHalf, IngestHalf
from agent.incidents import Correlator
from agent.pipeline import Outcome, Pipeline
from agent.topology import Topology
from detectors.suite import Suite
from ingest.decode import Decode
from ingest.events import TopicDefaults
from ingest.merged import MergedWindows
from ingest.minutes import Minutes
from ingest.partials import Message, encode
from ingest.record import SECOND, Nanos, Origin, Record
from ingest.redaction import Redactor
from ingest.summary import ClosedWindow
from ingest.templates import Templates
from ingest.windows import Windows
from tests.support.bench import T0, line, pipeline

TOPIC = "faultline.windows"
LAST = 12
"""Windows of the test's stream."""


class Seen(Pipeline):
    """A pipeline that keeps the windows it judged."""

    closed: list[ClosedWindow]

    def _judge(self, closed: ClosedWindow) -> None:
        self.closed.append(closed)


class SeenDetect(DetectHalf, Seen):
    """The same for the second half."""


def _ingest(owner: str, width: Nanos = 10 * SECOND) -> IngestHalf:
    return IngestHalf(
        owner=owner,
        decode=Decode({"^.*": TopicDefaults(format="json")}),
        redactor=Redactor(b"key"),
        windows=Windows(Templates(), width=width, whole=False),
    )


def _detect() -> SeenDetect:
    stages = {
        "decode": Decode({"^.*": TopicDefaults(format="json")}),
        "redactor": Redactor(b"key"),
        "suite": Suite([]),
        "correlator": Correlator(),
        "topology": Topology(),
        "minutes": Minutes(),
    }
    half = SeenDetect(merged=MergedWindows(Templates()), **stages)
    half.closed = []
    return half


class Topic:
    """The topic between the halves: what is published is read at once, in order."""

    def __init__(self, detect: DetectHalf) -> None:
        self.detect = detect
        self.offset = 0

    def publish(self, outcome: Outcome, wall: Nanos) -> None:
        for part in outcome.parts:
            self.put(Message(part=part), wall)
        for alert in outcome.alerts:
            self.put(Message(alert=alert), wall)
        if outcome.mark is not None:
            self.put(Message(mark=outcome.mark), wall)

    def put(self, message: Message, wall: Nanos) -> None:
        origin = Origin(topic=TOPIC, partition=0, offset=self.offset)
        self.offset += 1
        receipt = self.detect.take(Record(origin=origin, value=encode(message), received=wall), wall)
        assert not receipt.rejects


def _records(window: int) -> tuple[list[Record], list[Record]]:
    """Return a window's records of two partitions: lines of one service on both, and a counter's readings."""
    first = [line(window * 10 + n, window * 10 + n, ("a", 0)) for n in range(0, 10, 2)]
    second = [line(window * 10 + n, window * 10 + n, ("a", 1)) for n in range(1, 10, 2)]
    value = (
        f'{{"time": {(T0 + (window * 10 + 3) * SECOND) // SECOND}, "metric": "requests_total", '
        f'"value": {window * 7}, "type": "counter", "service.name": "shop"}}'
    )
    counter = Record(
        origin=Origin(topic="a", partition=1, offset=1_000 + window), value=value.encode(), received=T0
    )
    return first, [*second, counter]


def _take(half: Pipeline, records: Sequence[Record], window: int) -> Nanos:
    """Feed a window's records when they are due, tick, and return the time."""
    for record in records:
        half.take(record, T0 + window * 10 * SECOND)
    wall = T0 + (window + 1) * 10 * SECOND
    half.tick(wall)
    return wall


def _whole() -> list[ClosedWindow]:
    one = pipeline()
    one.__class__ = Seen
    assert isinstance(one, Seen)
    one.closed = []
    for window in range(LAST):
        first, second = _records(window)
        _take(one, [*first, *second], window)
    return one.closed


def test_two_halves_see_what_one_pipeline_sees() -> None:
    """Lines, counters and windows are those of one process that read both partitions."""
    detect = _detect()
    topic = Topic(detect)
    halves = (_ingest("i0"), _ingest("i1"))
    for window in range(LAST):
        for half, records in zip(halves, _records(window), strict=True):
            wall = _take(half, records, window)
            topic.publish(half.outcome(), wall)
        detect.tick(wall)
    whole = _whole()
    assert len(whole) > LAST - 3
    assert detect.closed == whole[: len(detect.closed)]
    assert len(detect.closed) >= len(whole) - 1
    assert any(summary.series for window in detect.closed for summary in window.summaries)


def test_a_restart_that_repeats_its_parts_changes_nothing() -> None:
    """Parts published twice, because a crash came before the transaction, count once."""
    detect = _detect()
    topic = Topic(detect)
    first, second = _ingest("i0"), _ingest("i1")
    for window in range(LAST):
        state = first.dump()
        one, two = _records(window)
        wall = _take(first, one, window)
        topic.publish(first.outcome(), wall)
        if window % 3 == 1:
            first = _ingest("i0")
            first.load(state)
            _take(first, one, window)
            topic.publish(first.outcome(), wall)
        _take(second, two, window)
        topic.publish(second.outcome(), wall)
        detect.tick(wall)
    assert detect.closed == _whole()[: len(detect.closed)]
    assert len(detect.closed) > LAST - 3


def test_what_a_life_had_not_stored_is_void_whatever_number_comes_next() -> None:
    """What was published, not stored and read elsewhere, the owner's next life takes back."""
    detect = _detect()
    topic = Topic(detect)
    first, second = _ingest("i0"), _ingest("i1")
    first.begin(1)
    for window in range(LAST):
        one, two = _records(window)
        if window == 5:
            state = first.dump()
            for record in one:
                first.take(record, T0 + 50 * SECOND)
            first.hand_over()
            topic.publish(first.outcome(), T0 + 52 * SECOND)
            first = _ingest("i0")
            first.load(state)
            first.begin(2)
            first.windows.expect([("a", 2)], wall=T0 + 52 * SECOND)
            topic.publish(first.outcome(), T0 + 52 * SECOND)
            topic.detect = restored = _detect()
            restored.load(detect.dump())
            restored.closed, detect = detect.closed, restored
        moved = window >= 5
        for half, records in ((first, [] if moved else one), (second, [*one, *two] if moved else two)):
            wall = _take(half, records, window)
            topic.publish(half.outcome(), wall)
        detect.tick(wall)
    lines = [sum(s.lines for s in window.summaries) for window in detect.closed]
    assert len(lines) > 7
    assert lines == [10] * len(lines)
    assert detect.windows.counts["late"] == 0


def test_time_waits_until_a_new_life_has_said_again_what_is_void() -> None:
    """A mark that was never stored is void too: no window closes without what its owner has yet to repeat."""
    detect = _detect()
    topic = Topic(detect)
    first, second = _ingest("i0"), _ingest("i1")
    first.begin(1)
    held: list[Record] = []
    for window in range(LAST):
        one, two = _records(window)
        if window == 5:
            state = first.dump()
        held = [*held, *one] if window >= 5 else one
        if window == 7:
            # It had published two windows more, and their marks, when it was killed.
            first = _ingest("i0")
            first.load(state)
            first.begin(2)
            first.windows.expect([("a", 0)], wall=T0 + 70 * SECOND)
            topic.publish(first.outcome(), T0 + 70 * SECOND)
            _take(second, [*_records(6)[1], *two], window)
            topic.publish(second.outcome(), T0 + 80 * SECOND)
            detect.tick(T0 + 80 * SECOND)
            wall = _take(first, held, window)
        else:
            wall = _take(first, one, window)
            if window != 6:  # the other one lags a little
                _take(second, two, window)
                topic.publish(second.outcome(), wall)
        topic.publish(first.outcome(), wall)
        detect.tick(wall)
    lines = [sum(s.lines for s in window.summaries) for window in detect.closed]
    assert len(lines) > 7
    assert lines == [10] * len(lines)


def test_what_a_fenced_life_still_says_does_not_count() -> None:
    """A process whose owner was taken over publishes once more before it knows: nothing is doubled."""
    detect = _detect()
    topic = Topic(detect)
    first, second = _ingest("i0"), _ingest("i1")
    first.begin(1)
    for window in range(LAST):
        one, two = _records(window)
        if window == 5:
            fenced, state = first, first.dump()
            first = _ingest("i0")
            first.load(state)
            first.begin(2)
        wall = _take(first, one, window)
        topic.publish(first.outcome(), wall)
        if window == 7:
            for late in (5, 6, 7):
                _take(fenced, _records(late)[0], late)
            topic.publish(fenced.outcome(), wall)
        _take(second, two, window)
        topic.publish(second.outcome(), wall)
        detect.tick(wall)
    lines = [sum(s.lines for s in window.summaries) for window in detect.closed]
    assert len(lines) > 7
    assert lines == [10] * len(lines)
    assert (detect.windows.counts["late"], detect.windows.counts["fenced"] > 0) == (0, True)


def test_a_partition_that_moves_leaves_no_hole() -> None:
    """What a process still held when it ended is published; who takes its partition over adds the rest."""
    detect = _detect()
    topic = Topic(detect)
    first, second = _ingest("i0"), _ingest("i1")
    for window in range(LAST):
        one, two = _records(window)
        if window == 5:
            for record in two[:3]:
                second.take(record, T0 + 50 * SECOND)
            second.hand_over()
            topic.publish(second.outcome(), T0 + 52 * SECOND)
            two, second = two[3:], _ingest("i2")
        for half, records in ((first, one), (second, two)):
            wall = _take(half, records, window)
            topic.publish(half.outcome(), wall)
        detect.tick(wall)
    later = T0 + (LAST + 2) * 10 * SECOND
    for half in (first, second):
        half.tick(later)
        topic.publish(half.outcome(), later)
    detect.tick(later)
    lines = [sum(s.lines for s in window.summaries) for window in detect.closed]
    assert lines[: LAST - 1] == [10] * (LAST - 1)
    assert detect.windows.counts["late"] == 0


def test_time_waits_for_a_source_until_it_is_silent() -> None:
    """A process that says nothing more holds windows back for the idle time, then is left out."""
    detect = _detect()
    topic = Topic(detect)
    first, second = _ingest("i0"), _ingest("i1")
    for half, records in zip((first, second), _records(0), strict=True):
        wall = _take(half, records, 0)
        topic.publish(half.outcome(), wall)
    for window in (1, 2, 3):
        wall = _take(first, _records(window)[0], window)
        topic.publish(first.outcome(), wall)
        detect.tick(wall)
        assert len(detect.closed) == (0 if window < 2 else len(detect.closed))
    assert detect.closed
    assert sum(summary.lines for summary in detect.closed[0].summaries) == 5


def test_parts_of_other_windows_are_refused_with_what_to_set() -> None:
    """An ingest process of another width would fill the memory with what no window here ever takes up."""
    half = _ingest("i0", width=4 * SECOND)
    _take(half, _records(0)[0], 0)
    _take(half, _records(1)[0], 1)
    parts = half.outcome().parts
    assert len(parts) > 1
    detect = _detect()
    for number, part in enumerate(parts):
        origin = Origin(topic=TOPIC, partition=0, offset=number)
        record = Record(origin=origin, value=encode(Message(part=part)), received=T0)
        (reject,) = detect.take(record, T0).rejects
        assert "windows.width" in reject.detail
    assert detect.windows.buffered == 0
    assert len(detect.outcome().refused) == len(parts)


def test_alerts_reach_the_half_that_correlates() -> None:
    """An alert that an ingest process read opens an incident where detection runs."""
    body = (
        '{"version": "4", "alerts": [{"status": "firing", "labels": {"alertname": "Down", "service": "shop"},'
        ' "annotations": {}, "startsAt": "2023-11-14T22:13:20Z", "endsAt": "0001-01-01T00:00:00Z",'
        ' "fingerprint": "f1"}]}'
    )
    half = IngestHalf(
        owner="i0",
        decode=Decode({"^.*": TopicDefaults(format="alertmanager")}),
        redactor=Redactor(b"key"),
        windows=Windows(Templates(), whole=False),
    )
    origin = Origin(topic="alerts", partition=0, offset=0)
    half.take(Record(origin=origin, value=body.encode(), received=T0), T0)
    detect = _detect()
    Topic(detect).publish(half.outcome(), T0)
    (change,) = detect.outcome().changes
    assert change.incident.services == ("shop",)


def test_the_state_of_one_role_is_refused_by_another() -> None:
    """An owner's stored state says clearly that it belongs to another role."""
    half, detect = _ingest("i0"), _detect()
    for one, other in ((half, detect), (detect, half)):
        with pytest.raises(ValueError, match="role"):
            one.load(other.dump())


@given(split=st.lists(st.booleans(), min_size=40, max_size=40), cut=st.integers(1, 39))
@settings(max_examples=25, deadline=None)
def test_any_sharing_of_records_gives_the_same_counts(split: list[bool], cut: int) -> None:
    """However lines fall to processes, and wherever detection is restored, each counts once."""
    detect = _detect()
    topic = Topic(detect)
    halves = (_ingest("i0"), _ingest("i1"))
    for number, second in enumerate(split):
        for place, half in enumerate(halves):
            if place == int(second):
                record = line(number, number * 2.5, ("a", place))
                half.take(record, T0 + round(number * 2.5 * SECOND))
        wall = T0 + round(number * 2.5 * SECOND)
        for half in halves:
            half.tick(wall)
            topic.publish(half.outcome(), wall)
        detect.tick(wall)
        if number == cut:
            again = _detect()
            again.load(detect.dump())
            again.closed = detect.closed
            detect = topic.detect = again
    for half in halves:
        half.finish()
        half.hand_over()
        topic.publish(half.outcome(), wall)
    detect.finish()
    counted = sum(s.lines + s.late for window in detect.closed for s in window.summaries)
    assert counted == len(split)


@pytest.mark.parametrize("seed", range(12))
def test_however_partitions_move_every_line_counts_once(seed: int) -> None:
    """Two partitions wander between three processes, which often have none: nothing is late or stays open."""
    chance = random.Random(seed)
    detect = _detect()
    topic = Topic(detect)
    halves = tuple(_ingest(f"i{number}") for number in range(3))
    readers = [halves[0], halves[1]]

    def step(wall: Nanos) -> None:
        for half in halves:
            half.tick(wall)
            topic.publish(half.outcome(), wall)
        detect.tick(wall)

    for number in range(60):
        wall = T0 + round(number * 2.5 * SECOND)
        partition = chance.randrange(2)
        if chance.random() < 0.15:
            # As `Stream` does it when Kafka takes a partition away.
            readers[partition].hand_over()
            topic.publish(readers[partition].outcome(), wall)
            readers[partition].windows.forget([("a", partition)])
            readers[partition] = chance.choice(halves)
            readers[partition].windows.expect([("a", partition)], wall=wall)
        readers[partition].take(line(number, number * 2.5, ("a", partition)), wall)
        step(wall)
    for second in range(60):
        step(wall + second * SECOND)
    assert sum(s.lines for window in detect.closed for s in window.summaries) == 60
    assert [one.windows.counts["late"] for one in (*halves, detect)] == [0] * 4
    assert [one.windows.buffered for one in (*halves, detect)] == [0] * 4
