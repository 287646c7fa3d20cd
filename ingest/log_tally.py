"""Counts the log lines of one service in one window; part of `ingest.collect`, which gives them in order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from ingest.events import LogEvent
from ingest.merge import kept_share, line_order
from ingest.summary import MAX_LINES, Line, PairCount, SequenceCount, TemplateCount, sequence_rank
from ingest.tallying import Loops, loops
from ingest.trace_lines import abridged

MAX_LINE_TEXT = 2048
"""Characters of a line that are kept as evidence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """What lines of one sequence key have in common; `share` of the keys is told of."""

    pairs: tuple[PairCount, ...]
    """Templates that follow each other on one instance and key."""
    sequences: tuple[SequenceCount, ...]
    share: float


@dataclass(slots=True)
class LogTally:
    """Lines by template and severity, and which template follows which.

    Lines and their templates are only noted one by one: counting all at once costs a fraction of it.
    """

    loops: Loops = field(default_factory=loops)
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
        groups = self.loops.grouped(self.ids, self.events, MAX_LINES)
        found: list[TemplateCount] = []
        for name in sorted(groups):
            count, severity, first, last = groups[name]
            found.append(
                TemplateCount(
                    template_id=name,
                    template=text(name),
                    count=count,
                    severity_number=severity,
                    first=first[0].time,
                    last=last.time,
                    lines=_lines(first),
                )
            )
        return tuple(found)

    def follow(self) -> Followed:
        """Return what follows what under one sequence key, and what was written under each."""
        heads, found, pairs = self.loops.followed(self.ids, self.events)
        share = kept_share(heads)
        keys = sorted(heads if share >= 1.0 else [key for key in heads if sequence_rank(key) < share])
        return Followed(
            pairs=tuple([PairCount(first=a, second=b, count=n) for (a, b), n in sorted(pairs.items())]),
            sequences=tuple(self.loops.sequences(keys, heads, found)),
            share=share,
        )


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
