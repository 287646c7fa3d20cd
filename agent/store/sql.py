"""`SqlStore`: every protocol of `port.py` on SQLite or PostgreSQL. One method is one transaction.

Which statements make up a method lives in the module named after its subject; here only the transactions
and the order within them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from agent.analysis import Analysis, Incident
from agent.mutes import Mute
from agent.store import incidents, investigations, models, mutes, outbox, retention, streams, telemetry
from agent.store.database import Database
from agent.store.migrate import upgrade
from agent.store.outbox import put
from agent.store.port import (
    Checkpoint,
    Delivery,
    DeliveryState,
    IncidentPage,
    IncidentQuery,
    Lease,
    ModelAction,
    ModelRequest,
    OutboxEntry,
    Restored,
    StoredModel,
)
from detectors.anomaly import Anomaly
from ingest.record import Nanos
from ingest.summary import WindowSummary


class SqlStore:
    """A migrated store at a `sqlite:///path` or `postgresql://…` URL. Raises `StoreError`."""

    def __init__(self, url: str, *, busy_timeout_s: float = 30.0, pool_size: int = 10) -> None:
        self._database = Database(url, busy_timeout_s=busy_timeout_s, pool_size=pool_size)
        upgrade(self._database)

    def close(self) -> None:
        """Close all connections. Not to be used afterwards."""
        self._database.close()

    def take_over(self, owner: str) -> Restored:
        """Raise the owner's epoch and return where the stream stands."""
        with self._database.write() as connection:
            restored = streams.take_over(connection, owner)
            return replace(
                restored, models=tuple(stored.version for stored in models.load(connection, owner))
            )

    def read_up_to(self, partitions: Sequence[tuple[str, int]]) -> Mapping[tuple[str, int], int]:
        """Return the furthest next offset that any owner has stored."""
        with self._database.read() as connection:
            return streams.read_up_to(connection, partitions)

    def checkpoint(self, checkpoint: Checkpoint) -> None:
        """Write all of it or nothing. Raises `FencedError` when the epoch is not the newest."""
        with self._database.write() as connection:
            streams.fence(connection, checkpoint.owner, checkpoint.epoch)
            # Anomalies first: an incident that was merged moves its anomalies along.
            incidents.save_anomalies(connection, checkpoint.anomalies)
            incidents.save_incidents(connection, checkpoint.incidents)
            telemetry.save(connection, checkpoint.telemetry)
            investigations.save_due(connection, checkpoint.due)
            outbox.put(connection, checkpoint.outbox)
            models.save(connection, checkpoint.owner, checkpoint.models)
            models.answer(connection, checkpoint.owner, checkpoint.answers)
            streams.save(connection, checkpoint)

    def models(self, owner: str) -> tuple[StoredModel, ...]:
        """Return the versions of an owner's detectors, newest first each."""
        with self._database.read() as connection:
            return models.load(connection, owner)

    def model_requests(self, owner: str) -> tuple[ModelRequest, ...]:
        """Return what was asked of the owner's detectors and is not answered, oldest first."""
        with self._database.read() as connection:
            return models.requests(connection, owner)

    def ask_model(
        self, owner: str, detector: str, action: ModelAction, number: int | None, now: Nanos
    ) -> int:
        """Put a request for the owner's stream and return its number."""
        with self._database.write() as connection:
            return models.ask(connection, owner, detector, action, number, now)

    def model_answer(self, seq: int) -> str | None:
        """Return what became of a request, None while nothing has."""
        with self._database.read() as connection:
            return models.answered(connection, seq)

    def save_mute(self, mute: Mute) -> None:
        """Store a mute; one of the same id is replaced."""
        with self._database.write() as connection:
            mutes.save(connection, mute)

    def mute(self, mute_id: str) -> Mute | None:
        """Return a mute, None when there is none of that id."""
        with self._database.read() as connection:
            return mutes.find(connection, mute_id)

    def mutes(self, ended_after: Nanos) -> tuple[Mute, ...]:
        """Return the mutes that end after a time, soonest end first."""
        with self._database.read() as connection:
            return mutes.since(connection, ended_after)

    def lease(self, worker: str, now: Nanos, ttl: Nanos) -> Lease | None:
        """Take the oldest due investigation nobody holds (or whose lease ran out), else None."""
        with self._database.write() as connection:
            return investigations.lease(connection, worker, now, ttl)

    def heartbeat(self, lease: Lease, now: Nanos, ttl: Nanos) -> bool:
        """Extend the lease; False when it was lost."""
        with self._database.write() as connection:
            return investigations.heartbeat(connection, lease, now, ttl)

    def save_analysis(self, analysis: Analysis, outbox: Sequence[OutboxEntry], now: Nanos) -> bool:
        """Store an analysis and its messages together; False (and no messages) when it was there already."""
        with self._database.write() as connection:
            new = incidents.save_analysis(connection, analysis, now)
            if new:
                put(connection, outbox)
            return new

    def finish(self, lease: Lease) -> None:
        """End the investigation; it stays due if a newer revision came meanwhile."""
        with self._database.write() as connection:
            investigations.finish(connection, lease)

    def telemetry(
        self, environment: str, start: Nanos, end: Nanos, services: Sequence[str] | None = None
    ) -> tuple[WindowSummary, ...]:
        """Return the windows that start in [start, end), in the order (start, service)."""
        with self._database.read() as connection:
            return telemetry.load(connection, environment, start, end, services)

    def incidents(self, query: IncidentQuery) -> IncidentPage:
        """Return one page, newest onset first. Raises `CursorError` on a cursor that no page gave."""
        with self._database.read() as connection:
            return incidents.page(connection, query)

    def incident(self, incident_id: str) -> Incident | None:
        """Return the incident, None when there is none of that id."""
        with self._database.read() as connection:
            return incidents.incident(connection, incident_id)

    def anomalies(self, incident_id: str) -> tuple[Anomaly, ...]:
        """Return an incident's anomalies by (start, id)."""
        with self._database.read() as connection:
            return incidents.anomalies_of(connection, incident_id)

    def analyses(self, incident_id: str) -> tuple[Analysis, ...]:
        """Return an incident's analyses, oldest first."""
        with self._database.read() as connection:
            return incidents.analyses_of(connection, incident_id)

    def claim(self, now: Nanos, limit: int, ttl: Nanos, channel: str | None = None) -> tuple[Delivery, ...]:
        """Claim entries that are due (of `channel`, if given), oldest first, one per (channel, incident)."""
        with self._database.write() as connection:
            return outbox.claim(connection, now, limit, ttl, channel)

    def sent(self, delivery_id: str, now: Nanos, receipt: str | None = None) -> None:
        """Note that a channel took the entry."""
        with self._database.write() as connection:
            outbox.sent(connection, delivery_id, now, receipt)

    def failed(self, delivery_id: str, error: str, retry_at: Nanos | None) -> None:
        """Put an entry back for `retry_at`, or to the dead ones when None."""
        with self._database.write() as connection:
            outbox.failed(connection, delivery_id, error, retry_at)

    def delivery_states(
        self, incident_id: str
    ) -> tuple[tuple[str, str, DeliveryState, int, str | None], ...]:
        """Return (delivery id, channel, state, attempts, last error) in order of writing."""
        with self._database.read() as connection:
            return outbox.states(connection, incident_id)

    def queued(self, incident_id: str, channel: str) -> tuple[OutboxEntry, ...]:
        """Return all that was put out about an incident on a channel, oldest first."""
        with self._database.read() as connection:
            return outbox.queued(connection, incident_id, channel)

    def prune(self, now: Nanos) -> int:
        """Delete telemetry and loose anomalies that are too old at stream time `now`."""
        with self._database.write() as connection:
            return retention.prune(connection, now)

    def prune_deliveries(self, now: Nanos) -> int:
        """Delete deliveries sent or given up 30 days before wall time `now`."""
        with self._database.write() as connection:
            return retention.prune_deliveries(connection, now)

    def stats(self) -> Mapping[str, int]:
        """Return gauges: incidents_open, investigations_due, outbox_waiting, outbox_dead."""
        with self._database.read() as connection:
            return retention.stats(connection)
