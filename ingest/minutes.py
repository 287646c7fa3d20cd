"""Between closed windows and the telemetry memory: summaries in groups of one service and minute.

A store row holds a whole group, so a group is handed out whole each time it has grown. It is let go
once its minute is over and it has been handed out: save the snapshot (`dump`) and the rows in the same
transaction, and a restart continues where the rows stand. Pure; time is that of the summaries.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import msgspec

from ingest.merge import merge
from ingest.record import SECOND, Nanos
from ingest.summary import WindowSummary

MINUTE: Nanos = 60 * SECOND
Group = tuple[str, str, Nanos, tuple[WindowSummary, ...]]
"""Environment, service, start of the minute, its summaries in time order."""
_Key = tuple[str, str, Nanos]


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    summaries: tuple[WindowSummary, ...]
    changed: tuple[_Key, ...]
    newest: Nanos


class Minutes:
    """Collects summaries until their minute is over and written."""

    def __init__(self) -> None:
        self._groups: dict[_Key, dict[Nanos, WindowSummary]] = {}
        self._changed: set[_Key] = set()
        self._newest: Nanos = 0

    def __len__(self) -> int:
        return len(self._groups)

    def add(self, summaries: Iterable[WindowSummary]) -> None:
        """Take summaries; a second one of the same window and service is merged into the first."""
        for whole in summaries:
            # Sequences are for detectors; keys by the thousand would only fill the memory.
            summary = replace(whole, sequences=(), sequence_share=1.0) if whole.sequences else whole
            key = (summary.environment, summary.service, summary.start - summary.start % MINUTE)
            group = self._groups.setdefault(key, {})
            before = group.get(summary.start)
            group[summary.start] = summary if before is None else merge(before, summary)
            self._changed.add(key)
            self._newest = max(self._newest, summary.end)

    def dirty(self) -> tuple[Group, ...]:
        """Return every group that has grown since the last call, whole, and let go of those that are over."""
        found = tuple(
            (*key, tuple(summary for _, summary in sorted(self._groups[key].items())))
            for key in sorted(self._changed)
        )
        self._changed.clear()
        self._groups = {key: group for key, group in self._groups.items() if key[2] + MINUTE >= self._newest}
        return found

    def dump(self) -> bytes:
        """Return everything held."""
        summaries = tuple(s for _, group in sorted(self._groups.items()) for _, s in sorted(group.items()))
        state = _State(summaries=summaries, changed=tuple(sorted(self._changed)), newest=self._newest)
        return msgspec.msgpack.encode(state)

    def load(self, state: bytes) -> None:
        """Replace everything by a `dump`."""
        saved = msgspec.msgpack.decode(state, type=_State)
        self._groups.clear()
        self.add(saved.summaries)
        self._changed = set(saved.changed)
        self._newest = saved.newest
