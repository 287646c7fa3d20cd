"""JSON that only the API has: pages of incidents, lists, deliveries, problems. The rest is `deliver.shapes`.

Fields are only ever added. The OpenAPI document is made from these types.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from agent.deliver.shapes import AnalysisView, AnomalyView, EvidenceView, IncidentView, OriginView
from agent.mutes import MuteKind
from agent.store.port import DeliveryState


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentListView:
    """One page of incidents, newest onset first; `next_cursor` is null on the last."""

    incidents: tuple[IncidentView, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnomalyListView:
    """An incident's anomalies in order of their start."""

    anomalies: tuple[AnomalyView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceListView:
    """All evidence of an incident, each piece once, in order of its start."""

    evidence: tuple[EvidenceView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisListView:
    """An incident's analyses, oldest first."""

    analyses: tuple[AnalysisView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MuteView:
    """A mute or a maintenance window: what it covers, from when until when, who asked for it and why."""

    id: str
    kind: MuteKind
    active: bool
    starts: str
    ends: str
    reason: str
    author: str
    created: str
    environment: str | None
    services: tuple[str, ...]
    detector: str | None
    subject: str | None
    lifted_by: str | None
    configured: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MuteListView:
    """Mutes, soonest end first."""

    mutes: tuple[MuteView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryView:
    """One message about an incident and how far it got."""

    delivery_id: str
    channel: str
    state: DeliveryState
    attempts: int
    error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryListView:
    """Messages about an incident, oldest first."""

    deliveries: tuple[DeliveryView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedView:
    """Alerts that are stored now. `origin` is the same when the same body comes again."""

    alerts: int
    refused: int
    """Alerts of the notification that could not be read; the reasons are in the dead letter."""
    origin: OriginView


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckView:
    """One part of the service; `problem` is null when it is fine."""

    name: str
    problem: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthView:
    """Alive or ready, with the parts that were asked."""

    status: str
    checks: tuple[CheckView, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldErrorView:
    """What is wrong with one parameter."""

    where: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """An error as RFC 9457 writes it."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: tuple[FieldErrorView, ...] = field(default=())
    """Parameters that were refused (422)."""
    checks: tuple[CheckView, ...] = field(default=())
    """Parts that are not ready (503 of /readyz)."""


SHAPES: tuple[type, ...] = (
    IncidentListView,
    AnomalyListView,
    EvidenceListView,
    AnalysisListView,
    DeliveryListView,
    MuteListView,
    AcceptedView,
    HealthView,
    Problem,
)
