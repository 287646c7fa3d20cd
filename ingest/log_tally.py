"""Counts the log lines of one service in one window; part of `ingest.collect`, which gives them in order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from ingest.events import LogEvent
from ingest.merge import kept_share, line_order
from ingest.summary import MAX_LINES, Line, PairCount, SequenceCount, TemplateCount, sequence_rank
from ingest.trace_lines import abridged

MAX_LINE_TEXT = 2048
"""Characters of a line that are kept as evidence."""


@dataclass(slots=True)
class LogTally:
    """Lines by template and severity, and which template follows which.

    Lines and their templates are only noted one by one: counting all at once costs a fraction of it.
    """

    events: list[LogEvent] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    """The template of each event."""

    def unite(self, canonical: Callable[[str], str]) -> None:
        """Count what became an alias while the window was read with what it is an alias of."""
        names = {name: canonical(name) for name in set(self.ids)}
        self.ids = [names[name] for name in self.ids]

    def severities(self) -> dict[int, int]:
        """Return the lines of each severity, in order."""
        return dict(sorted(Counter([event.severity_number for event in self.events]).items()))

    def template_counts(self, text: Callable[[str], str]) -> tuple[TemplateCount, ...]:
        """Return the templates by id."""
        counts = Counter(self.ids)
        last = dict(zip(self.ids, self.events, strict=True))
        kept: dict[str, list[LogEvent]] = {}
        highest: dict[str, int] = {}
        for name, event in zip(self.ids, self.events, strict=True):
            held = kept.get(name)
            if held is None:
                kept[name] = [event]
                highest[name] = event.severity_number
                continue
            if len(held) < MAX_LINES:
                held.append(event)
            if event.severity_number > highest[name]:
                highest[name] = event.severity_number
        return tuple(
            TemplateCount(
                template_id=name,
                template=text(name),
                count=counts[name],
                severity_number=highest[name],
                first=kept[name][0].time,
                last=last[name].time,
                lines=_lines(kept[name]),
            )
            for name in sorted(kept)
        )

    def pair_counts(self) -> tuple[PairCount, ...]:
        """Return the pairs of templates that follow each other on one instance and sequence key, in order."""
        pairs: dict[tuple[str, str], int] = {}
        instances: dict[str | None, dict[str, str]] = {}
        resource, last = None, {}
        for name, event in zip(self.ids, self.events, strict=True):
            key = event.sequence_key
            if key is None:
                continue
            if event.resource is not resource:
                resource = event.resource
                last = instances.setdefault(resource.instance, {})
            before = last.get(key)
            last[key] = name
            if before is not None:
                pair = before, name
                pairs[pair] = pairs.get(pair, 0) + 1
        return tuple([PairCount(first=a, second=b, count=n) for (a, b), n in sorted(pairs.items())])

    def sequence_counts(self) -> tuple[tuple[SequenceCount, ...], float]:
        """Return what was written under each sequence key, and the share of keys that is counted."""
        found: dict[str, str | dict[str, int]] = {}
        for name, event in zip(self.ids, self.events, strict=True):
            key = event.sequence_key
            if key is None:
                continue
            held = found.get(key)
            if held is None:
                # Most keys have one line in a window: a dictionary for each would be most of the work.
                found[key] = name
            elif isinstance(held, dict):
                held[name] = held.get(name, 0) + 1
            else:
                found[key] = {held: 1, name: 1} if held != name else {name: 2}
        share = kept_share(found)
        return tuple(_sequences(found, share)), share


def _sequences(found: dict[str, str | dict[str, int]], share: float) -> Iterable[SequenceCount]:
    alone = {name: ((name, 1),) for name in {held for held in found.values() if isinstance(held, str)}}
    for key in sorted(found if share >= 1.0 else [key for key in found if sequence_rank(key) < share]):
        held = found[key]
        counts = tuple(sorted(held.items())) if isinstance(held, dict) else alone[held]
        yield SequenceCount(key=key, counts=counts)


def _lines(events: list[LogEvent]) -> tuple[Line, ...]:
    lines = [
        Line(
            time=event.time,
            origin=event.origin,
            text=abridged(event.body, MAX_LINE_TEXT),
            instance=event.resource.instance,
            trace_id=event.trace_id,
        )
        for event in events
    ]
    if len(lines) > 1:
        lines.sort(key=line_order)
    return tuple(lines)
