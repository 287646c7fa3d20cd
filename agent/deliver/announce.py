"""From news to outbox entries, for every channel: what the stream and the workers save with their own state.

Reads from the store what a channel was told so far; writes nothing. The entries go into the caller's
transaction. Thread-safe but for the counts, which are only ever added to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Protocol

from agent.analysis import Analysis, Incident, IncidentChange
from agent.deliver.decide import Analysed, ChannelPolicy, News, decide
from agent.deliver.notification import Notification, NotificationError, Suppressed, decode, to_entry
from agent.store.port import OutboxEntry


class History(Protocol):
    """What the announcer asks of the store."""

    def queued(self, incident_id: str, channel: str) -> tuple[OutboxEntry, ...]:
        """Return all that was put out about an incident on a channel, oldest first."""
        ...


class Announcer:
    """Asks `decide` for every channel. `counts` holds (channel, reason) for `/metrics`, silences too."""

    def __init__(self, history: History, policies: Sequence[ChannelPolicy]) -> None:
        self._history = history
        self._policies = tuple(policies)
        self.counts: Counter[tuple[str, str]] = Counter()

    def changes(self, changes: Sequence[IncidentChange]) -> tuple[OutboxEntry, ...]:
        """Return the entries for a step's changes, in order; a change sees what those before it say."""
        return self._entries(changes)

    def analysed(self, incident: Incident, analysis: Analysis) -> tuple[OutboxEntry, ...]:
        """Return the entries for one analysis."""
        return self._entries((Analysed(incident=incident, analysis=analysis),))

    def _entries(self, news: Sequence[News]) -> tuple[OutboxEntry, ...]:
        said: dict[tuple[str, str], list[Notification]] = {}
        entries = []
        for item in news:
            for policy in self._policies:
                key = (item.incident.id, policy.channel)
                if key not in said:
                    said[key] = self._said(*key, policy)
                decided = decide(item, said[key], policy)
                self.counts[(policy.channel, decided.reason.value)] += 1
                if not isinstance(decided, Suppressed):
                    said[key].append(decided)
                    entries.append(to_entry(decided))
        return tuple(entries)

    def _said(self, incident_id: str, channel: str, policy: ChannelPolicy) -> list[Notification]:
        if policy.every:
            return []
        said = []
        for entry in self._history.queued(incident_id, channel):
            try:
                said.append(decode(entry.payload))
            except NotificationError:
                # Written by another version: better to say a thing again than to stop the stream.
                self.counts[(channel, "unreadable_history")] += 1
        return said
