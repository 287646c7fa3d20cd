"""The worker loop: takes due investigations under a lease, runs the graph, stores what it says.

One worker an incident at a time, newest state only. The lease is extended by a heartbeat thread while the
graph runs; a killed worker's investigation is taken up again from the graph's checkpoint by whoever gets
the lease next, under the same thread id. This is the worker boundary: an unforeseen error is counted,
logged with its cause, and the investigation is tried again later, at most `ATTEMPTS` times.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from agent.analysis import Analysis, Incident, InvestigationDue
from agent.investigate.graph import Investigation
from agent.investigate.state import Request
from agent.store.port import IncidentPage, IncidentQuery, Lease, OutboxEntry, StoreError
from ingest.record import SECOND, Nanos

log = structlog.get_logger(__name__)

ATTEMPTS = 3
LEAD = 60 * SECOND
"""Telemetry looked at before the onset: the first sign may precede the first anomaly."""


class WorkStore(Protocol):
    """What the worker asks of the store."""

    def lease(self, worker: str, now: Nanos, ttl: Nanos) -> Lease | None: ...

    def heartbeat(self, lease: Lease, now: Nanos, ttl: Nanos) -> bool: ...

    def finish(self, lease: Lease) -> None: ...

    def incident(self, incident_id: str) -> Incident | None: ...

    def incidents(self, query: IncidentQuery) -> IncidentPage: ...

    def save_analysis(self, analysis: Analysis, outbox: Sequence[OutboxEntry], now: Nanos) -> bool: ...


@dataclass(slots=True, kw_only=True)
class WorkCounts:
    """What `/metrics` shows of the worker."""

    investigations: int = 0
    resumed: int = 0
    failures: int = 0
    given_up: int = 0


class Worker:
    """Runs investigations until told to stop. Several may share a store, in any number of processes."""

    def __init__(
        self,
        *,
        name: str,
        store: WorkStore,
        investigation: Investigation,
        baseline: Nanos = 3600 * SECOND,
        ttl: Nanos = 60 * SECOND,
        clock: Callable[[], Nanos] = time.time_ns,
    ) -> None:
        self._name, self._store, self._investigation = name, store, investigation
        self._baseline, self._ttl, self._clock = baseline, ttl, clock
        self.counts = WorkCounts()

    def run(self, stop: threading.Event, poll_seconds: float = 0.5) -> None:
        """Work until `stop`; an investigation under way is finished first."""
        while not stop.is_set():
            try:
                if not self.step():
                    stop.wait(poll_seconds)
            except Exception as error:  # the worker boundary
                self.counts.failures += 1
                log.exception("worker.failed", cause=f"{type(error).__name__}: {error}")
                stop.wait(5.0)

    def step(self) -> bool:
        """Take one due investigation, if there is one, and see it through; False when idle."""
        lease = self._store.lease(self._name, self._clock(), self._ttl)
        if lease is None:
            return False
        if lease.attempt > ATTEMPTS:
            self.counts.given_up += 1
            log.error("worker.given_up", incident_id=lease.due.incident_id, attempts=lease.attempt - 1)
            self._investigation.forget(_thread(lease.due))
            self._store.finish(lease)
            return True
        self.counts.resumed += lease.attempt > 1
        with _Heartbeat(self._store, lease, self._ttl, self._clock):
            self._investigate(lease)
        self._store.finish(lease)
        return True

    def _investigate(self, lease: Lease) -> None:
        due = lease.due
        incident = self._store.incident(due.incident_id)
        if incident is None:
            log.error("worker.unknown_incident", incident_id=due.incident_id)
            return
        bound = log.bind(incident_id=due.incident_id, revision=due.revision)
        thread_id = _thread(due)
        analysis = self._investigation.run(self.request(incident, due), thread_id)
        self._investigation.forget(thread_id)
        self.counts.investigations += 1
        bound.info(
            "investigation.done",
            verdict=analysis.verdict,
            seconds=analysis.provenance.seconds,
            degraded=len(analysis.provenance.degraded),
        )

    def request(self, incident: Incident, due: InvestigationDue) -> Request:
        """Return what to look at: the incident so far, against the time before it less other incidents."""
        start = incident.onset - LEAD
        others = self._store.incidents(IncidentQuery(environment=incident.environment, limit=200)).incidents
        taken = [
            (other.onset - LEAD, other.resolved_at or other.last_anomaly_at)
            for other in others
            if other.id != incident.id
        ]
        # The analysis is of the revision that fell due; a newer one has, or will have, a turn of its own.
        return Request(
            incident=replace(incident, revision=due.revision),
            as_of=due.as_of,
            window=(incident.onset, max(due.as_of, incident.onset + SECOND)),
            baseline=without((start - self._baseline, start), taken),
        )


def _thread(due: InvestigationDue) -> str:
    """Return the name under which an investigation is checkpointed."""
    return f"{due.incident_id}:{due.revision}"


def without(
    interval: tuple[Nanos, Nanos], taken: Sequence[tuple[Nanos, Nanos]]
) -> tuple[tuple[Nanos, Nanos], ...]:
    """Return `interval` less the `taken` ones, in order; the whole where nothing would remain."""
    rest = [interval]
    for low, high in taken:
        rest = [
            piece
            for start, end in rest
            for piece in ((start, min(end, low)), (max(start, high), end))
            if piece[0] < piece[1]
        ]
    return tuple(sorted(set(rest))) or (interval,)


class _Heartbeat:
    """Extends a lease from its own thread while the block runs."""

    def __init__(self, store: WorkStore, lease: Lease, ttl: Nanos, clock: Callable[[], Nanos]) -> None:
        self._store, self._lease, self._ttl, self._clock = store, lease, ttl, clock
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lease-heartbeat", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._ttl / SECOND / 3):
            try:
                held = self._store.heartbeat(self._lease, self._clock(), self._ttl)
            except StoreError as error:
                log.warning("worker.heartbeat_failed", cause=str(error), next="trying again")
                continue
            if not held:
                log.warning("worker.lease_lost", incident_id=self._lease.due.incident_id)
                return
