"""The stream loop with a scripted source: commit order, rebalances, and what happens when something fails."""

from __future__ import annotations

import dataclasses
import queue
from collections.abc import Sequence
from concurrent.futures import Future

import pytest
from structlog.testing import capture_logs

from agent.halves import IngestHalf
from agent.store.port import FencedError
from agent.stream import StreamStoppedError
from ingest.decode import Decode
from ingest.events import AlertEvent, Receipt, TopicDefaults
from ingest.partials import Mark, Part
from ingest.record import SECOND
from ingest.redaction import Redactor
from ingest.sources.port import Item, Rebalanced
from ingest.templates import Templates
from ingest.windows import Windows
from tests.support.bench import T0, A, B, Bench, line, record, since, slow, then


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
    waiting: list[Future[Receipt]] = []
    bench = Bench(script=[[]])
    stream = bench.stream(on_step=lambda step: states.append((step, waiting[0].done())))
    waiting.append(stream.submit(line(0, partition=B)))
    stream.run(bench.stop)
    assert states[:2] == [(1, False), (2, False)]
    assert waiting[0].result(timeout=0).events == 1
    assert stream.counts.checkpoints == 2
    assert bench.stored[0].offsets == ()


def test_a_submitted_record_is_refused_when_its_checkpoint_fails() -> None:
    """Whoever waits is told the cause, and nobody who comes later pays for it."""
    bench = Bench(script=[[], []], failing={"checkpoint": [OSError("the disk is full")]})
    stream = bench.stream()
    lost = stream.submit(line(0, partition=B))
    kept: list[Future[Receipt]] = []
    bench.script[1] = then(lambda: kept.append(stream.submit(line(1, partition=B))))
    stream.run(bench.stop)
    assert isinstance(lost.exception(timeout=0), OSError)
    assert kept[0].result(timeout=0).events == 1


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


def test_a_partition_that_another_owner_read_on_is_begun_where_that_one_stands() -> None:
    """Coming back, a partition is read from the furthest stored offset: nothing twice, nothing left out."""
    bench = Bench(script=[[line(0), line(1)]], elsewhere={A: 40, B: 7})
    stream = bench.stream()
    stream.run(bench.stop)
    assert stream.positions([A, B]) == {A: 40, B: 7}
    bench.elsewhere = {A: 1}
    assert stream.positions([A, B]) == {A: 2}


def test_parts_of_windows_are_published_before_the_store_and_with_the_last_word() -> None:
    """An ingest process flushes what it made in step 1, and hands over at the end what is still open."""
    bench = Bench(script=[[line(0), line(1, 3)]])
    published: list[int] = []

    class Sink:
        def publish(self, parts: Sequence[Part], alerts: Sequence[AlertEvent], mark: Mark | None) -> None:
            bench.trace.append("publish")
            published.extend(summary.lines for part in parts for summary in part.summaries)

    def half() -> IngestHalf:
        return IngestHalf(
            owner="i0",
            decode=Decode({"^.*": TopicDefaults(format="json")}),
            redactor=Redactor(b"key"),
            windows=Windows(Templates(), whole=False),
        )

    bench.stream(pipeline=half, parts=Sink()).run(bench.stop)
    assert since(bench.trace, "poll")[:4] == ["publish", "flush", "step 1", "checkpoint"]
    assert published == [2]


def test_partitions_that_go_elsewhere_leave_nothing_open_behind() -> None:
    """What an ingest process read of a window is published before the revocation: its own time may stop."""
    bench = Bench(script=[[line(0), line(1, 3)], [Rebalanced(revoked=(A,))], [], []])
    told: list[tuple[int, Mark | None]] = []

    class Sink:
        def publish(self, parts: Sequence[Part], alerts: Sequence[AlertEvent], mark: Mark | None) -> None:
            told.append((sum(summary.lines for part in parts for summary in part.summaries), mark))

    def half() -> IngestHalf:
        return IngestHalf(
            owner="i0",
            decode=Decode({"^.*": TopicDefaults(format="json")}),
            redactor=Redactor(b"key"),
            windows=Windows(Templates(), whole=False),
        )

    bench.stream(pipeline=half, parts=Sink()).run(bench.stop)
    assert sum(lines for lines, _ in told) == 2
    assert told[-1] == (0, None)
    given_away = next(at for at, (lines, _) in enumerate(told) if lines)
    assert len(told) > given_away + 1


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


def test_a_state_of_another_version_is_left_behind_not_tripped_over() -> None:
    """A snapshot that cannot be read is logged and counted; reading goes on where the store says."""
    bench = Bench(script=[[line(0)]])
    bench.stream().run(bench.stop)
    kept = bench.stored[-1]
    bench.stored.append(dataclasses.replace(kept, snapshot=b"of another version"))
    again = Bench(script=[[line(1)]], stored=bench.stored, epoch=bench.epoch)
    stream = again.stream()
    with capture_logs() as logs:
        stream.run(again.stop)
    assert stream.counts.states_lost == 1
    assert stream.counts.failures == 0
    assert [entry["event"] for entry in logs].count("stream.state_unreadable") == 1
    assert again.started == [{A: 1}]
    assert again.committed[-1] == {A: 2}
