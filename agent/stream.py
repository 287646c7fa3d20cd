"""The stream thread: polls the source, feeds the pipeline, commits in three numbered steps.

1. Dead letters, and from an ingest process the parts of windows, are produced and flushed. 2. One SQL
transaction holds incidents, anomalies, outbox, telemetry, due investigations, snapshot and offsets, fenced
by the owner's epoch. 3. The source commits.
A kill between any two steps repeats work and loses nothing: ids are deterministic and step 2 decides
where to start again. This is the consumer boundary: what the loop cannot foresee is counted, logged
with its cause and ends the thread, so that the supervisor restarts it from the last checkpoint.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import structlog

from agent.analysis import IncidentChange
from agent.journal import Snapshot
from agent.mutes import Mute
from agent.pipeline import Outcome, Pipeline
from agent.store.port import Checkpoint, FencedError, OutboxEntry, Restored, StreamStore
from detectors.manifest import Status
from ingest.deadletter import DeadLetterSink
from ingest.events import Receipt
from ingest.partials import PartSink
from ingest.record import SECOND, Nanos, Record
from ingest.sources.port import Rebalanced, Source

log = structlog.get_logger(__name__)

Announce = Callable[[Sequence[IncidentChange]], Sequence[OutboxEntry]]
"""Turns changes into the messages they call for."""
PAUSE = 4
"""Who waits for a checkpoint gets one at once, but all of them together take a fifth of the time at most."""
MUTE_MEMORY: Nanos = 600 * SECOND
UNREAD: Nanos = 5 * SECOND
"""A partition that nothing was taken from for so long, and that has records, is behind rather than idle."""


class StreamStoppedError(Exception):
    """The stream has ended before a checkpoint held the record: hand it in again after the next start."""


class PartitionsLost(Exception):  # noqa: N818 - reads as a condition, not as a bug
    """What was read since the last checkpoint may be read by another owner too: start from the store."""


@dataclass(slots=True, kw_only=True)
class StreamCounts:
    """What `/metrics` shows of the loop."""

    checkpoints: int = 0
    failures: int = 0
    fenced: int = 0
    states_lost: int = 0
    """Snapshots that this version could not read."""


class Stream:
    """Runs a pipeline over a source. One instance an owner; `run` belongs to one thread."""

    def __init__(
        self,
        *,
        owner: str,
        pipeline: Callable[[], Pipeline],
        source: Source,
        store: StreamStore,
        dead_letters: DeadLetterSink,
        announce: Announce,
        parts: PartSink | None = None,
        mutes: Sequence[Mute] = (),
        checkpoint_every: Nanos = 5 * SECOND,
        clock: Callable[[], Nanos] = time.time_ns,
        on_step: Callable[[int], None] = lambda _: None,
        restart_after: float = 2.0,
    ) -> None:
        self._owner, self._build, self._source, self._store = owner, pipeline, source, store
        self._dead_letters, self._announce, self._clock = dead_letters, announce, clock
        self._parts, self._mutes = parts, tuple(mutes)
        self._every, self._on_step, self._restart_after = checkpoint_every, on_step, restart_after
        self._inbox: queue.Queue[tuple[Record, Future[Receipt]]] = queue.Queue(maxsize=1000)
        self._waiting: list[tuple[Future[Receipt], Receipt]] = []
        self._pause: Nanos = 0
        self._leaders: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
        self._positions: dict[tuple[str, int], int] = {}
        self._taken: dict[tuple[str, int], Nanos] = {}
        self._epoch = 0
        self._statuses: dict[tuple[str, int], Status] = {}
        self.counts = StreamCounts()
        self.pipeline = pipeline()
        self.ready = threading.Event()
        self.failure: str | None = None

    def submit(self, record: Record) -> Future[Receipt]:
        """Hand in a record that came over HTTP; the future is done once a checkpoint holds it.

        It tells what was taken of the record. Raises `queue.Full` when the stream is too far behind: the
        sender should come again.
        """
        done: Future[Receipt] = Future()
        self._inbox.put_nowait((record, done))
        return done

    def lead(self, incident_id: str, service: str) -> None:
        """Say who leads an incident's suspects; callable from any thread, heard at the next step."""
        self._leaders.put((incident_id, service))

    def positions(self, partitions: Sequence[tuple[str, int]]) -> dict[tuple[str, int], int]:
        """Return where to read on, for partitions that this stream, or since then another, has been at.

        Another owner's offset counts where it is further: what lies before it stands in that owner's state.
        """
        found = {part: self._positions[part] for part in partitions if part in self._positions}
        for part, offset in self._store.read_up_to(partitions).items():
            found[part] = max(offset, found.get(part, 0))
        return found

    def run(self, stop: threading.Event) -> None:
        """Run until `stop`, then finish the step, commit and close the source."""
        while not stop.is_set():
            try:
                self._restore()
                self._loop(stop)
            except FencedError as error:
                self.counts.fenced += 1
                self.failure = f"fenced: {error}"
                log.warning("stream.fenced", owner=self._owner, next="another process has this owner; ending")
                # Everything that shares this stop ends: two processes must not do one owner's work.
                stop.set()
            except PartitionsLost as error:
                log.warning(
                    "stream.partitions_lost", cause=str(error), next="starting from the last checkpoint"
                )
                self._fail_waiting(error)
            except Exception as error:  # the consumer boundary
                self.counts.failures += 1
                self.failure = f"{type(error).__name__}: {error}"
                log.error(
                    "stream.failed", cause=self.failure, exc_info=True, restart_after=self._restart_after
                )
                self._fail_waiting(error)
                stop.wait(self._restart_after)
            self.ready.clear()
        self._fail_waiting(StreamStoppedError(self.failure or "the stream has stopped"))
        self._source.close()

    def _restore(self) -> None:
        restored: Restored = self._store.take_over(self._owner)
        self._epoch = restored.epoch
        self._positions = {(topic, part): offset for topic, part, offset in restored.offsets}
        self._taken = {}
        self.pipeline = self._build()
        if restored.snapshot is not None:
            self._load(Snapshot(recent=restored.snapshot, base=restored.base, windows=restored.windows))
        self.pipeline.begin(self._epoch)
        self.pipeline.models.follow(restored.models)
        self._statuses = {(one.detector, one.number): one.status for one in restored.models}
        self.pipeline.heed_mutes((*self._mutes, *self._store.mutes(self._past())))
        self._source.start(self._positions)
        log.info("stream.restored", owner=self._owner, epoch=self._epoch, partitions=len(self._positions))

    def _past(self) -> Nanos:
        """Return the time before which no mute's end matters: stream time may be behind the clock."""
        now = self._clock()
        return min(now, self.pipeline.windows.stream_time(now)) - MUTE_MEMORY

    def _load(self, snapshot: Snapshot) -> None:
        """Take the state up. One that an upgrade made unreadable must not keep the service down for ever."""
        try:
            self.pipeline.restore(snapshot)
        except ValueError as error:
            self.counts.states_lost += 1
            log.warning(
                "stream.state_unreadable", cause=str(error), next="learning afresh; incidents are kept"
            )
            self.pipeline = self._build()

    def _loop(self, stop: threading.Event) -> None:
        saved = self._clock()
        self.ready.set()
        self.failure = None
        while not stop.is_set():
            self._read(stop)
            now = self._clock()
            self._wait_for_unread(now)
            self.pipeline.tick(now)
            if now - saved >= (self._pause if self._waiting or self.pipeline.hurried else self._every):
                self.commit()
                saved, begun = self._clock(), now
                self._pause = min(self._every, PAUSE * (saved - begun))
        self.pipeline.hand_over()
        self.commit(last=True)

    def _read(self, stop: threading.Event) -> None:
        for item in self._source.poll(0.2):
            if isinstance(item, Rebalanced):
                self._rebalance(item)
                continue
            if stop.is_set():
                # The rest of the batch is in no position yet: the next start reads it again.
                return
            partition, now = (item.origin.topic, item.origin.partition), self._clock()
            self.pipeline.take(item, now)
            self._positions[partition] = item.origin.offset + 1
            self._taken[partition] = now
        while not self._leaders.empty():
            self.pipeline.lead(*self._leaders.get())
        while True:
            try:
                record, done = self._inbox.get_nowait()
            except queue.Empty:
                return
            self._waiting.append((done, self.pipeline.take(record, self._clock())))

    def _wait_for_unread(self, now: Nanos) -> None:
        """Have time wait for a partition that lags because we have not come to it: what it says is unread.

        One that we do read and that still says nothing holds only what is refused, and must not stop time.
        """
        unread = [
            partition
            for partition, records in self._source.lag().items()
            if records and now - self._taken.get(partition, 0) >= UNREAD
        ]
        self.pipeline.windows.expect(unread, wall=now)

    def _rebalance(self, item: Rebalanced) -> None:
        """Checkpoint before partitions go elsewhere; read on where they came from.

        Positions of revoked partitions are kept: in an eager rebalance the same ones come back at once.
        """
        log.info("stream.rebalanced", assigned=len(item.assigned), revoked=len(item.revoked), lost=item.lost)
        if item.lost:
            raise PartitionsLost(f"{len(item.revoked)} partitions have another owner already")
        if item.revoked:
            # Without them time may stand still here, and detection would wait for what is open.
            self.pipeline.hand_over()
            self.commit()
            self.pipeline.windows.forget(item.revoked)
        if item.assigned:
            self._positions.update(item.positions)
            self.pipeline.windows.expect(item.assigned, wall=self._clock())

    def commit(self, *, last: bool = False) -> None:
        """Write everything since the last commit, in the three steps; the `last` so that a start is quick."""
        # Until step 2 holds the answer a request stays open: whoever restores does it again.
        self.pipeline.heed_mutes((*self._mutes, *self._store.mutes(self._past())))
        requests = self._store.model_requests(self._owner)
        answers = tuple((request.seq, self.pipeline.heed(request)) for request in requests)
        outcome = self.pipeline.outcome()
        for record, rejects in outcome.refused:
            self._dead_letters.put(record, rejects)
        if self._parts is not None:
            self._parts.publish(outcome.parts, outcome.alerts, outcome.mark)
        self._dead_letters.flush()
        self._on_step(1)
        checkpoint = self._checkpoint(outcome, answers, last=last)
        self._store.checkpoint(checkpoint)
        self._on_step(2)
        self._tell_models(checkpoint)
        failure = self._source.commit(self._positions)
        if failure is not None:
            log.warning(
                "stream.commit_failed", cause=failure, next="nothing is lost; a start reads the store"
            )
        self._on_step(3)
        self.counts.checkpoints += 1
        waiting, self._waiting = self._waiting, []
        for done, taken in waiting:
            done.set_result(taken)

    def _checkpoint(
        self, outcome: Outcome, answers: tuple[tuple[int, str], ...], *, last: bool
    ) -> Checkpoint:
        newest = {change.incident.id: change.incident for change in outcome.changes}
        newest.update((incident.id, incident) for incident in outcome.incidents)
        snapshot = self.pipeline.snapshot(whole=last)
        # After the dump: live versions tell the checksum of the state that goes with them.
        live = [(version, None) for version in self.pipeline.models.live()]
        return Checkpoint(
            owner=self._owner,
            epoch=self._epoch,
            offsets=tuple((topic, part, offset) for (topic, part), offset in sorted(self._positions.items())),
            snapshot=snapshot.recent,
            base=snapshot.base,
            windows=snapshot.windows,
            incidents=tuple(newest.values()),
            anomalies=tuple(outcome.anomalies),
            telemetry=tuple(outcome.telemetry),
            outbox=tuple(self._announce(outcome.changes)),
            due=tuple(outcome.due),
            models=(*outcome.retired, *live),
            answers=answers,
        )

    def _tell_models(self, checkpoint: Checkpoint) -> None:
        """Log which versions of detectors' models began, took over or ended with this commit."""
        for seq, answer in checkpoint.answers:
            log.info("detectors.asked", request=seq, answer=answer)
        for version, _ in checkpoint.models:
            key = (version.detector, version.number)
            if self._statuses.get(key) is version.status:
                continue
            log.info(
                "detectors.version",
                status=version.status.value,
                detector=version.detector,
                version=version.number,
                why=version.retired_why or version.why,
                drift=round(version.drift, 3),
                windows=version.learned.windows,
            )
            self._statuses[key] = version.status

    def _fail_waiting(self, error: Exception) -> None:
        """Tell whoever waits for a checkpoint that it failed; what is still in the inbox too once we end."""
        waiting, self._waiting = [done for done, _ in self._waiting], []
        while isinstance(error, StreamStoppedError) and not self._inbox.empty():
            waiting.append(self._inbox.get_nowait()[1])
        for done in waiting:
            done.set_exception(error)
