"""What the rest of `agent` asks of a store. Held by `tests/contract/test_store*.py` on both databases.

Every method is one transaction. Wall-clock times (`now`) are arguments. Methods may be called from any
thread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from agent.analysis import Analysis, Incident, IncidentState, InvestigationDue, Severity
from agent.mutes import Mute
from detectors.anomaly import Anomaly
from detectors.manifest import ModelVersion
from ingest.record import Nanos
from ingest.summary import WindowSummary


class StoreError(Exception):
    """The database cannot be used as it is, or refused. The message holds no telemetry."""


class CursorError(ValueError):
    """A page cursor that this store never gave."""


class FencedError(Exception):
    """Another owner took over this stream: stop, do not commit, start again from the store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxEntry:
    """One message to one channel. `delivery_id` is the same on every attempt and unique."""

    delivery_id: str
    channel: str
    """`kafka`, `webhook:<name>`, `slack:<name>`, ..."""
    kind: str
    """`opened`, `updated`, `analyzed`, `resolved`, `reopened`."""
    incident_id: str
    payload: bytes
    """The channel-neutral notification as JSON; the channel renders it when it sends."""
    created_at: Nanos


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """An outbox entry that a sender has claimed. `attempt` counts from 1."""

    entry: OutboxEntry
    attempt: int


class DeliveryState(StrEnum):
    """Where an outbox entry stands."""

    WAITING = "waiting"
    SENT = "sent"
    DEAD = "dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetryRow:
    """Up to 60 s of one service: the windows whose start lies in [minute, minute + 60 s)."""

    environment: str
    service: str
    minute: Nanos
    windows: tuple[WindowSummary, ...]


class ModelAction(StrEnum):
    """What a person may ask of a detector's versions."""

    RETRAIN = "retrain"
    ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """What was asked of an owner's stream. A rollback brings the version meant and its state, if kept."""

    seq: int
    detector: str
    action: ModelAction
    number: int | None = None
    version: ModelVersion | None = None
    state: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredModel:
    """A version as the store has it. `kept` says whether it can be rolled back to."""

    version: ModelVersion
    kept: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What step 2 of a commit writes in one transaction. Saving the same one again changes nothing."""

    owner: str
    epoch: int
    offsets: tuple[tuple[str, int, int], ...]
    """(topic, partition, next offset to read)."""
    snapshot: bytes
    base: bytes | None = None
    """What the snapshot builds on, with the numbered windows; None: what was stored last still stands."""
    windows: tuple[tuple[int, bytes], ...] = ()
    """Windows since the base that were not stored yet."""
    incidents: tuple[Incident, ...]
    anomalies: tuple[tuple[str, Anomaly], ...]
    """(incident id, anomaly); an anomaly without an incident has the empty id."""
    telemetry: tuple[TelemetryRow, ...]
    outbox: tuple[OutboxEntry, ...]
    due: tuple[InvestigationDue, ...]
    models: tuple[tuple[ModelVersion, bytes | None], ...] = ()
    """Live versions of detectors' models, and with their state those that ended since the last commit."""
    answers: tuple[tuple[int, str], ...] = ()
    """What became of requests, by their number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """Where a stream stood. `snapshot` is None before the first checkpoint."""

    epoch: int
    offsets: tuple[tuple[str, int, int], ...]
    snapshot: bytes | None
    base: bytes | None = None
    windows: tuple[tuple[int, bytes], ...] = ()
    models: tuple[ModelVersion, ...] = ()
    """All versions that are known, whatever became of the snapshot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """One worker's right to investigate one incident until `expires_at` (wall clock)."""

    due: InvestigationDue
    worker: str
    attempt: int
    expires_at: Nanos


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentQuery:
    """Filters of the incident list; None means any. Newest onset first; `cursor` from the last page."""

    environment: str | None = None
    state: IncidentState | None = None
    severity: Severity | None = None
    service: str | None = None
    cursor: str | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentPage:
    """One page; `next_cursor` is None on the last."""

    incidents: tuple[Incident, ...]
    next_cursor: str | None


class StreamStore(Protocol):
    """The stream's side: numbered commit step 2, and where to start."""

    def take_over(self, owner: str) -> Restored:
        """Raise the owner's epoch (fencing every earlier holder) and return where the stream stands."""
        ...

    def read_up_to(self, partitions: Sequence[tuple[str, int]]) -> Mapping[tuple[str, int], int]:
        """Return the furthest next offset that any owner has stored, of those partitions that have one."""
        ...

    def checkpoint(self, checkpoint: Checkpoint) -> None:
        """Write all of it or nothing. Raises `FencedError` when the epoch is not the newest."""
        ...

    def model_requests(self, owner: str) -> tuple[ModelRequest, ...]:
        """Return what was asked of the owner's detectors and is not answered, oldest first."""
        ...

    def mutes(self, ended_after: Nanos) -> tuple[Mute, ...]:
        """Return the mutes that end after a time, soonest end first."""
        ...


class ModelStore(Protocol):
    """The side of those who look at detectors' models and ask for others."""

    def models(self, owner: str) -> tuple[StoredModel, ...]:
        """Return an owner's versions by detector, newest first."""
        ...

    def model_requests(self, owner: str) -> tuple[ModelRequest, ...]:
        """Return what is not answered, oldest first."""
        ...

    def ask_model(
        self, owner: str, detector: str, action: ModelAction, number: int | None, now: Nanos
    ) -> int:
        """Put a request; the owner's stream carries it out with a commit. Return its number."""
        ...

    def model_answer(self, seq: int) -> str | None:
        """Return what became of a request, None while nothing has."""
        ...


class MuteStore(Protocol):
    """The side of those who ask for quiet, and of the stream, which heeds them."""

    def save_mute(self, mute: Mute) -> None:
        """Store a mute; one of the same id is replaced."""
        ...

    def mute(self, mute_id: str) -> Mute | None: ...

    def mutes(self, ended_after: Nanos) -> tuple[Mute, ...]:
        """Return the mutes that end after a time, soonest end first."""
        ...


class InvestigationStore(Protocol):
    """The worker's side."""

    def lease(self, worker: str, now: Nanos, ttl: Nanos) -> Lease | None:
        """Take the oldest due investigation that nobody else holds (or whose lease ran out), else None.

        One thread a worker name: what `worker` itself holds was left by a killed process, and is taken again.
        """
        ...

    def heartbeat(self, lease: Lease, now: Nanos, ttl: Nanos) -> bool:
        """Extend the lease; False when it was lost."""
        ...

    def save_analysis(self, analysis: Analysis, outbox: Sequence[OutboxEntry], now: Nanos) -> bool:
        """Store an analysis and its messages together; False (and no messages) when it was there already."""
        ...

    def finish(self, lease: Lease) -> None:
        """End the investigation; it stays due if a newer revision came meanwhile."""
        ...

    def telemetry(
        self, environment: str, start: Nanos, end: Nanos, services: Sequence[str] | None = None
    ) -> tuple[WindowSummary, ...]:
        """Return the windows that start in [start, end), in the order (start, service)."""
        ...


class IncidentStore(Protocol):
    """The reader's side: API, pages, deliveries."""

    def incidents(self, query: IncidentQuery) -> IncidentPage: ...

    def incident(self, incident_id: str) -> Incident | None: ...

    def anomalies(self, incident_id: str) -> tuple[Anomaly, ...]: ...

    def analyses(self, incident_id: str) -> tuple[Analysis, ...]:
        """Oldest first."""
        ...


class OutboxStore(Protocol):
    """The sender's side. At least once: a claim that is neither sent nor failed comes back after `ttl`."""

    def claim(self, now: Nanos, limit: int, ttl: Nanos, channel: str | None = None) -> tuple[Delivery, ...]:
        """Claim entries that are due (of `channel`, if given), oldest first, one per (channel, incident)."""
        ...

    def sent(self, delivery_id: str, now: Nanos, receipt: str | None = None) -> None: ...

    def failed(self, delivery_id: str, error: str, retry_at: Nanos | None) -> None:
        """Put it back for `retry_at`, or to the dead ones when None. One that was sent stays sent."""
        ...

    def queued(self, incident_id: str, channel: str) -> tuple[OutboxEntry, ...]:
        """Return all that was put out about an incident on a channel, oldest first, for `decide`."""
        ...

    def delivery_states(
        self, incident_id: str
    ) -> tuple[tuple[str, str, DeliveryState, int, str | None], ...]:
        """Return (delivery id, channel, state, attempts, last error) for the page."""
        ...


class RetentionStore(Protocol):
    """The housekeeper's side."""

    def prune(self, now: Nanos) -> int:
        """Delete telemetry and loose anomalies that are too old at stream time `now`; return rows deleted.

        Kept are 48 h, and 30 days where an incident refers to it.
        """
        ...

    def prune_deliveries(self, now: Nanos) -> int:
        """Delete deliveries sent or given up 30 days before wall time `now`; return how many."""
        ...

    def stats(self) -> Mapping[str, int]:
        """Return gauges for `/metrics`: incidents_open, investigations_due, outbox_waiting, outbox_dead."""
        ...


class Store(
    StreamStore,
    ModelStore,
    MuteStore,
    InvestigationStore,
    IncidentStore,
    OutboxStore,
    RetentionStore,
    Protocol,
):
    """All sides at once, as the composition root holds it."""

    def close(self) -> None:
        """Close all connections. Not to be used afterwards."""
        ...
