"""What is said to one channel about one incident, and why: the value between deciding and sending.

It holds the incident and the analysis themselves; each channel renders them when it sends. As JSON it
waits in the outbox. Its id is the same whenever the same thing is to be said again.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import msgspec

from agent.analysis import Analysis, Incident, Stage
from agent.store.codec import from_json, to_json
from agent.store.port import OutboxEntry
from ingest.ids import digest
from ingest.record import Nanos


class Kind(StrEnum):
    """What a notification is about; the value stands in CloudEvents types and in the outbox."""

    OPENED = "opened"
    UPDATED = "updated"
    ANALYZED = "analyzed"
    RESOLVED = "resolved"
    REOPENED = "reopened"


class Reason(StrEnum):
    """Why something was sent."""

    INCIDENT_OPENED = "incident_opened"
    INCIDENT_UPDATED = "incident_updated"
    """Only on channels that want every update."""
    SEVERITY_RAISED = "severity_raised"
    """Above what was said so far, or above the channel's minimum for the first time."""
    STILL_OPEN = "still_open"
    """The repeat interval went by."""
    MERGED = "merged"
    ANALYSIS_STATISTICS = "analysis_statistics"
    ANALYSIS_EXPLAINED = "analysis_explained"
    RESOLVED = "resolved"
    REOPENED = "reopened"


class Silence(StrEnum):
    """Why something was not sent."""

    BELOW_MINIMUM_SEVERITY = "below_minimum_severity"
    INCONCLUSIVE_BELOW_CHANNEL_MINIMUM = "inconclusive_below_channel_minimum"
    SAME_CONTENT = "same_content"
    NO_NEWS = "no_news"
    """An update that changes nothing a person would act on."""
    MAINTENANCE = "maintenance"
    """All that the incident rests on was found on services under maintenance."""
    MUTED = "muted"
    """All that it rests on is muted, by one mute or several."""
    FLAPPING = "flapping"
    """It came back too often within the hour; it is said again once it stays."""
    NOTHING_WAS_SAID = "nothing_was_said"
    """The end of an incident that this channel never heard of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One message to one channel. `at` is when it became true (stream time)."""

    delivery_id: str
    channel: str
    kind: Kind
    reason: Reason
    at: Nanos
    incident: Incident
    analysis: Analysis | None = None
    content: str = ""
    """Digest of what an analysis says to people; the same for analyses that say the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppressed:
    """Nothing is said to `channel`, for this reason."""

    channel: str
    reason: Silence


class NotificationError(ValueError):
    """The bytes are no notification of this version."""


def delivery_id(channel: str, incident_id: str, kind: Kind, revision: int, stage: Stage | None) -> str:
    """Return the id that every attempt, and every repetition after a crash, carries."""
    return digest("dl", channel, incident_id, kind.value, str(revision), stage.value if stage else "")


def to_entry(notification: Notification) -> OutboxEntry:
    """Return the outbox entry that carries `notification`."""
    return OutboxEntry(
        delivery_id=notification.delivery_id,
        channel=notification.channel,
        kind=notification.kind.value,
        incident_id=notification.incident.id,
        payload=encode(notification),
        created_at=notification.at,
    )


def encode(notification: Notification) -> bytes:
    """Return the notification as JSON."""
    return to_json(notification).encode()


def decode(payload: bytes) -> Notification:
    """Return the notification that `encode` wrote. Raises `NotificationError` on anything else."""
    try:
        return from_json(payload, Notification)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NotificationError(f"the outbox holds no notification of this version: {error}") from error
