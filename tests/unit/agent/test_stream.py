"""The stream loop with a scripted source: commit order, rebalances, and what happens when something fails."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import pytest
from structlog.testing import capture_logs

from agent.analysis import IncidentChange
from agent.incidents import Correlator
from agent.pipeline import Pipeline
from agent.store.port import Checkpoint, FencedError, OutboxEntry, Restored
from agent.stream import Stream, StreamStoppedError
from agent.topology import Topology
from detectors.suite import Suite
from ingest.decode import Decode
from ingest.events import Reject, TopicDefaults
from ingest.minutes import Minutes
from ingest.record import SECOND, Nanos, Origin, Record
from ingest.redaction import Redactor
from ingest.sources.port import Item, Partition, Positions, Rebalanced, SourceCounters
from ingest.templates import Templates
from ingest.times import format_time
from ingest.windows import Windows

T0: Nanos = 1_700_000_000 * SECOND
A: Partition = ("a", 0)
B: Partition = ("b", 0)
Batch = Sequence[Item] | Exception | Callable[[], Sequence[Item]]


def line(offset: int, seconds: float = 0, partition: Partition = A) -> Record:
    """Return a log line of the time `seconds` after T0."""
    time = format_time(T0 + round(seconds * SECOND))
    return record(offset, f'{{"time": "{time}", "message": "order paid", "service.name": "shop"}}', partition)


def record(offset: int, text: str, partition: Partition = A) -> Record:
    return Record(
        origin=Origin(topic=partition[0], partition=partition[1], offset=offset),
        value=text.encode(),
        received=T0,
    )


def pipeline() -> Pipeline:
    return Pipeline(
        decode=Decode({"^.*": TopicDefaults(format="json")}),
        redactor=Redactor(b"key"),
        windows=Windows(Templates()),
        suite=Suite([]),
        correlator=Correlator(),
        topology=Topology({"default": ()}),
        minutes=Minutes(),
    )


@dataclass
class Bench:
    """All that a stream meets, in memory: the source's script, the store, the dead letters and the clock.

    After the script the stream is told to stop. `trace` holds what was called, in order.
    """

    script: list[Batch] = field(default_factory=list)
    trace: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)
    clock: Nanos = T0
    stored: list[Checkpoint] = field(default_factory=list)
    started: list[dict[Partition, int]] = field(default_factory=list)
    committed: list[dict[Partition, int]] = field(default_factory=list)
    letters: list[Record] = field(default_factory=list)
    behind: dict[Partition, int] = field(default_factory=dict)
    failing: dict[str, list[Exception]] = field(default_factory=dict)
    commit_failure: str | None = None
    epoch: int = 0
    exhausted: bool = False
    counters: SourceCounters = field(default_factory=SourceCounters)

    # The source

    def start(self, positions: Positions) -> None:
        self._called("start")
        self.started.append(dict(positions))

    def poll(self, timeout_s: float) -> Sequence[Item]:
        self.trace.append("poll")
        if not self.script:
            self.stop.set()
            return ()
        batch = self.script.pop(0)
        if isinstance(batch, Exception):
            raise batch
        return batch() if callable(batch) else batch

    def commit(self, positions: Positions) -> str | None:
        self._called("commit")
        self.committed.append(dict(positions))
        return self.commit_failure

    def assignment(self) -> frozenset[Partition]:
        return frozenset()

    def lag(self) -> Mapping[Partition, int]:
        return self.behind

    def close(self) -> None:
        self.trace.append("close")

    # The store

    def take_over(self, owner: str) -> Restored:
        self._called("take_over")
        self.epoch += 1
        last = self.stored[-1] if self.stored else None
        return Restored(
            epoch=self.epoch,
            offsets=last.offsets if last else (),
            snapshot=last.snapshot if last else None,
        )

    def checkpoint(self, checkpoint: Checkpoint) -> None:
        self._called("checkpoint")
        self.stored.append(checkpoint)

    def _called(self, name: str) -> None:
        self.trace.append(name)
        if self.failing.get(name):
            raise self.failing[name].pop(0)

    def stream(self, **settings: object) -> Stream:
        known: dict[str, object] = {
            "owner": "stream-0",
            "pipeline": pipeline,
            "source": self,
            "store": self,
            "dead_letters": Letters(self),
            "announce": said_nothing,
            "clock": lambda: self.clock,
            "on_step": lambda step: self.trace.append(f"step {step}"),
            "restart_after": 0.0,
        }
        return Stream(**{**known, **settings})  # type: ignore[arg-type]


@dataclass
class Letters:
    """A dead-letter sink that keeps what it gets."""

    bench: Bench

    def put(self, record: Record, rejects: Sequence[Reject]) -> None:
        self.bench.trace.append("put")
        self.bench.letters.append(record)

    def flush(self) -> None:
        self.bench._called("flush")

    def close(self) -> None:
        """Have nothing to close."""


def said_nothing(changes: Sequence[IncidentChange]) -> Sequence[OutboxEntry]:
    return ()


def since(trace: list[str], name: str) -> list[str]:
    """Return the trace after the last `name`."""
    return trace[len(trace) - trace[::-1].index(name) :]


def then(action: Callable[[], None], items: Sequence[Item] = ()) -> Callable[[], Sequence[Item]]:
    """Return a poll that does something and then gives `items`."""

    def poll() -> Sequence[Item]:
        action()
        return items

    return poll


def test_a_commit_is_dead_letters_then_the_store_then_the_source() -> None:
    """The three steps come in their order, and all of them know the same positions."""
    bench = Bench(script=[[line(0), record(1, "no json"), line(2)]])
    bench.stream().run(bench.stop)
    assert since(bench.trace, "poll") == [
        *["put", "flush", "step 1"],
        *["checkpoint", "step 2"],
        *["commit", "step 3", "close"],
    ]
    assert [letter.origin.offset for letter in bench.letters] == [1]
    assert bench.stored[-1].offsets == (("a", 0, 3),)
    assert bench.stored[-1].epoch == 1
    assert bench.committed == [{A: 3}]


def test_commits_come_after_their_time_and_at_the_end() -> None:
    """Between two commits lies the configured time; what is left is committed at the stop."""
    bench = Bench()

    def later() -> Sequence[Item]:
        bench.clock += 5 * SECOND
        return [line(1)]

    bench.script = [[line(0)], later, [line(2)]]
    stream = bench.stream(checkpoint_every=5 * SECOND)
    stream.run(bench.stop)
    assert bench.committed == [{A: 2}, {A: 3}]
    assert stream.counts.checkpoints == 2


@pytest.mark.parametrize(
    ("step", "done"),
    [("flush", ["put", "flush"]), ("checkpoint", ["put", "flush", "step 1", "checkpoint"])],
)
def test_a_step_that_fails_stops_those_after_it(step: str, done: list[str]) -> None:
    """Nothing is committed that the store has not; the stream starts over and reads the records again."""
    bad = record(0, "no json")
    bench = Bench(script=[[bad], [bad]], failing={step: [OSError("the disk is full")]})
    stream = bench.stream(checkpoint_every=0)
    with capture_logs() as logs:
        stream.run(bench.stop)
    first_life = bench.trace[: bench.trace.index("take_over", 1)]
    assert first_life == ["take_over", "start", "poll", *done]
    assert bench.started == [{}, {}]
    assert stream.counts.failures == 1
    assert [entry["cause"] for entry in logs if entry["event"] == "stream.failed"] == [
        "OSError: the disk is full"
    ]
    assert bench.committed[-1] == {A: 1}


def test_after_an_unforeseen_error_it_goes_on_from_the_last_checkpoint() -> None:
    """What was read since is forgotten and read again: the state is the stored one, not the memory's."""
    bench = Bench(script=[[line(0)], [line(1), line(2)], RuntimeError("unforeseen"), [line(1), line(2)]])
    stream = bench.stream()
    bench.script[1] = then(stream.commit, [line(1), line(2)])
    with capture_logs() as logs:
        stream.run(bench.stop)
    assert bench.started == [{}, {A: 1}]
    assert stream.pipeline.windows.buffered == 3
    assert stream.counts.failures == 1
    assert stream.failure is None
    failed = [entry for entry in logs if entry["event"] == "stream.failed"]
    assert [(entry["cause"], entry["log_level"]) for entry in failed] == [
        ("RuntimeError: unforeseen", "error")
    ]


def test_a_store_that_is_away_at_the_start_is_tried_again() -> None:
    """The stream is not ready before its state is restored."""
    bench = Bench(script=[[line(0)]], failing={"take_over": [OSError("away"), OSError("away")]})
    stream = bench.stream()
    seen: list[bool] = [stream.ready.is_set()]
    bench.script.append(then(lambda: seen.append(stream.ready.is_set())))
    stream.run(bench.stop)
    assert stream.counts.failures == 2
    assert seen == [False, True]
    assert not stream.ready.is_set()
    assert bench.committed == [{A: 1}]


def test_a_fenced_stream_ends_without_committing() -> None:
    """Another process holds the owner now: nothing more is told to the source, and it is left."""
    bench = Bench(script=[[line(0)], [line(1)]], failing={"checkpoint": [FencedError("epoch 2 is newer")]})
    stream = bench.stream(checkpoint_every=0)
    waiting = stream.submit(line(7))
    stream.run(bench.stop)
    assert (stream.counts.fenced, stream.counts.failures) == (1, 0)
    assert bench.committed == []
    assert bench.trace[-1] == "close"
    assert stream.failure is not None
    assert isinstance(waiting.exception(timeout=0), StreamStoppedError)


def test_a_submitted_record_is_answered_once_the_store_has_it() -> None:
    """The future is open through steps 1 and 2, and done after a commit that came at once."""
    states: list[tuple[int, bool]] = []
    waiting: list[Future[None]] = []
    bench = Bench(script=[[]])
    stream = bench.stream(on_step=lambda step: states.append((step, waiting[0].done())))
    waiting.append(stream.submit(line(0, partition=B)))
    stream.run(bench.stop)
    assert states[:2] == [(1, False), (2, False)]
    assert waiting[0].result(timeout=0) is None
    assert stream.counts.checkpoints == 2
    assert bench.stored[0].offsets == ()


def test_a_submitted_record_is_refused_when_its_checkpoint_fails() -> None:
    """Whoever waits is told the cause, and nobody who comes later pays for it."""
    bench = Bench(script=[[], []], failing={"checkpoint": [OSError("the disk is full")]})
    stream = bench.stream()
    lost = stream.submit(line(0, partition=B))
    kept: list[Future[None]] = []
    bench.script[1] = then(lambda: kept.append(stream.submit(line(1, partition=B))))
    stream.run(bench.stop)
    assert isinstance(lost.exception(timeout=0), OSError)
    assert kept[0].result(timeout=0) is None


def test_records_nobody_came_to_are_refused_at_the_end() -> None:
    """A stream that has ended leaves nobody waiting for ever, and a full inbox says so at once."""
    bench = Bench()
    bench.stop.set()
    stream = bench.stream()
    waiting = [stream.submit(line(number)) for number in range(1000)]
    with pytest.raises(queue.Full):
        stream.submit(line(1000))
    stream.run(bench.stop)
    assert all(isinstance(future.exception(timeout=0), StreamStoppedError) for future in waiting)


def test_a_checkpoint_is_written_before_partitions_are_given_away() -> None:
    """Revoked partitions are in the commit before the next poll, and are waited for no longer."""
    bench = Bench(
        script=[
            [Rebalanced(assigned=(A, B), positions={A: 5, B: 7})],
            [line(5, 0), line(6, 30)],
            [Rebalanced(revoked=(B,))],
            [line(7, 31)],
        ]
    )
    stream = bench.stream()
    stream.run(bench.stop)
    revoked = bench.trace.index("checkpoint")
    assert bench.trace[:revoked].count("poll") == 3
    assert bench.trace[revoked : revoked + 5] == ["checkpoint", "step 2", "commit", "step 3", "poll"]
    assert bench.stored[0].offsets == (("a", 0, 7), ("b", 0, 7))
    assert stream.pipeline.windows.stream_time(bench.clock) == T0 + 31 * SECOND


def test_partitions_lost_are_not_committed_and_the_store_decides() -> None:
    """Their new owner may have read on already: the stream starts from its last checkpoint."""
    bench = Bench(script=[[line(0)], [Rebalanced(revoked=(A,), lost=True)], []])
    stream = bench.stream()
    stream.run(bench.stop)
    lives = "|".join(bench.trace).split("take_over")
    assert "commit" not in lives[1]
    assert bench.started == [{}, {}]
    assert (stream.counts.failures, stream.counts.fenced) == (0, 0)


def test_time_waits_for_partitions_that_were_assigned_but_not_read_yet() -> None:
    """One partition that is read first does not make the other's records late."""
    bench = Bench(
        script=[
            [Rebalanced(assigned=(A, B))],
            [line(n, n) for n in range(60)],
            [line(n, n, B) for n in range(60)],
        ]
    )
    stream = bench.stream()
    stream.run(bench.stop)
    assert stream.pipeline.windows.counts["late"] == 0
    assert stream.pipeline.counts.windows > 0


def slow(bench: Bench, items: Sequence[Item], seconds: float) -> Callable[[], Sequence[Item]]:
    def poll() -> Sequence[Item]:
        bench.clock += round(seconds * SECOND)
        return items

    return poll


def test_time_waits_for_a_partition_whose_records_we_have_not_come_to() -> None:
    """A minute of work on one partition is not a minute of silence on the other."""
    bench = Bench(behind={B: 60})
    bench.script = [
        [Rebalanced(assigned=(A, B))],
        slow(bench, [line(n, n) for n in range(30)], 30),
        slow(bench, [line(n, n) for n in range(30, 60)], 30),
        [line(n, n, B) for n in range(60)],
    ]
    stream = bench.stream()
    stream.run(bench.stop)
    assert stream.pipeline.windows.counts["late"] == 0


def test_a_partition_of_nothing_but_poison_does_not_hold_time() -> None:
    """Read and still behind, it has had its turn: the others' windows close."""
    bench = Bench(behind={B: 60})
    bench.script = [[Rebalanced(assigned=(A, B))]]
    for second in range(0, 60, 2):
        poison = record(second, "no json", B)
        bench.script.append(slow(bench, [line(second, second), poison], 2))
    stream = bench.stream()
    stream.run(bench.stop)
    assert stream.pipeline.counts.windows > 0


def test_a_stop_within_a_batch_leaves_the_rest_for_the_next_start() -> None:
    """Records that were not taken are in no position, so that the next start reads them."""
    bench = Bench()
    bench.script = [then(bench.stop.set, [line(0), line(1)])]
    bench.stream().run(bench.stop)
    assert bench.stored[-1].offsets == ()
    bench = Bench(script=[[line(0), line(1)]])
    bench.stream().run(bench.stop)
    assert bench.stored[-1].offsets == (("a", 0, 2),)


def test_a_commit_that_the_source_could_not_send_is_logged_and_harms_nothing() -> None:
    """The store has the positions; the log says why Kafka has not."""
    bench = Bench(script=[[line(0)]], commit_failure="the broker is away")
    stream = bench.stream()
    with capture_logs() as logs:
        stream.run(bench.stop)
    assert stream.counts.failures == 0
    failures = [entry for entry in logs if entry["event"] == "stream.commit_failed"]
    assert [entry["cause"] for entry in failures] == ["the broker is away"]
