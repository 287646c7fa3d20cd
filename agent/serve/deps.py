"""What the HTTP side is given: plain callables and values, so that it knows neither settings nor stages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

from prometheus_client import Metric

from agent.mutes import Mute
from agent.store.port import DeliveryState, IncidentStore, MuteStore
from ingest.events import Receipt
from ingest.record import Nanos, Record
from ingest.summary import WindowSummary


class ReadStore(IncidentStore, Protocol):
    """What the API and the pages read; all of it may be called from any thread."""

    def telemetry(
        self, environment: str, start: Nanos, end: Nanos, services: Sequence[str] | None = None
    ) -> tuple[WindowSummary, ...]: ...

    def delivery_states(
        self, incident_id: str
    ) -> tuple[tuple[str, str, DeliveryState, int, str | None], ...]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Deps:
    """Everything `create_app` needs."""

    store: ReadStore
    submit: Callable[[Record], Future[Receipt]] | None
    """Hands a record to the stream; the future is done once it is stored. None where no stream runs.

    Raises `queue.Full` when the stream is too far behind."""
    ready: Callable[[], Mapping[str, str | None]]
    """Each part's name and what is wrong with it, None when fine."""
    metrics: Callable[[], Iterable[Metric]]
    api_key: str | None
    """None only where the server is bound to loopback."""
    public_url: str | None
    """How people reach the pages; its host name is accepted like a loopback one."""
    now: Callable[[], Nanos]
    """Wall clock."""
    mutes: MuteStore | None = None
    """Where mutes are kept; None where nobody heeds them."""
    configured: tuple[Mute, ...] = ()
    """Mutes that stand in the settings: shown, and changed only there."""
    stored_within: float = 10.0
    """Seconds that a record may take to be stored before its sender is told to come again."""
