"""Plays a recording through the embedded service: same stages, same store, same investigation.

Time is the recording's own. Records go through the pipeline in order, checkpoints are written as in
production, then due investigations are worked off. Nothing here depends on which recording it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from agent.analysis import Analysis, Incident
from agent.investigate import Worker
from agent.pipeline import Outcome, Pipeline
from agent.store.port import Checkpoint, IncidentQuery
from agent.store.sql import SqlStore
from ingest.deadletter import DeadLetterSink
from ingest.record import SECOND, Nanos
from ingest.recordings import Recording

TICK: Nanos = SECOND
COMMIT_EVERY: Nanos = 60 * SECOND
OWNER = "replay"


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What a replay found."""

    records: int
    refused: int
    incidents: tuple[Incident, ...]
    analyses: tuple[Analysis, ...]
    """The last analysis of each incident that has one, in the incidents' order."""


@dataclass(slots=True, kw_only=True)
class Player:
    """Feeds one recording into a store through a pipeline."""

    recording: Recording
    pipeline: Pipeline
    store: SqlStore
    dead_letters: DeadLetterSink
    speed: float | None = None
    """Times real time; None is as fast as possible."""
    on_progress: Callable[[Nanos, int], None] = lambda at, records: None  # noqa: ARG005
    records: int = 0
    refused: int = 0

    def play(self) -> None:
        """Read the whole recording; on return everything found is stored."""
        restored = self.store.take_over(OWNER)
        ticked = saved = None
        started = time.monotonic()
        first = None
        for at, record in self.recording.records():
            first = at if first is None else first
            self._keep_pace(at - first, started)
            if ticked is None or at - ticked >= TICK:
                self.pipeline.tick(at)
                ticked = at
                self.on_progress(at, self.records)
            if saved is None or at - saved >= COMMIT_EVERY:
                self._commit(restored.epoch)
                saved = at
            self.pipeline.take(record, at)
            self.records += 1
        self.pipeline.finish()
        self._commit(restored.epoch)

    def _keep_pace(self, elapsed: Nanos, started: float) -> None:
        if self.speed is None:
            return
        ahead = elapsed / SECOND / self.speed - (time.monotonic() - started)
        if ahead > 0:
            time.sleep(ahead)

    def _commit(self, epoch: int) -> None:
        outcome: Outcome = self.pipeline.outcome()
        self.refused += len(outcome.refused)
        for record, rejects in outcome.refused:
            self.dead_letters.put(record, rejects)
        self.dead_letters.flush()
        newest = {change.incident.id: change.incident for change in outcome.changes}
        newest.update((incident.id, incident) for incident in outcome.incidents)
        self.store.checkpoint(
            Checkpoint(
                owner=OWNER,
                epoch=epoch,
                offsets=(),
                snapshot=b"",
                incidents=tuple(newest.values()),
                anomalies=tuple(outcome.anomalies),
                telemetry=tuple(outcome.telemetry),
                outbox=(),
                due=tuple(outcome.due),
            )
        )


def investigate_all(worker: Worker) -> int:
    """Work off everything that is due; return how many investigations that were."""
    done = 0
    while worker.step():
        done += 1
    return done


def played(store: SqlStore, player: Player) -> Played:
    """Return what the store holds after a replay."""
    incidents = store.incidents(IncidentQuery(limit=500)).incidents
    analyses = [store.analyses(incident.id) for incident in incidents]
    return Played(
        records=player.records,
        refused=player.refused,
        incidents=incidents,
        analyses=tuple(found[-1] for found in analyses if found),
    )
