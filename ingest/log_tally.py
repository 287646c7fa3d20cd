"""Counts the log lines of one service in one window; part of `ingest.collect`, which gives them in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ingest.events import LogEvent
from ingest.merge import kept_sequences, line_order
from ingest.record import Nanos
from ingest.summary import MAX_LINES, Line, PairCount, SequenceCount, TemplateCount
from ingest.trace_lines import abridged

MAX_LINE_TEXT = 2048
"""Characters of a line that are kept as evidence."""


@dataclass(slots=True)
class _Template:
    severity_number: int
    first: Nanos
    last: Nanos
    count: int = 0
    lines: list[Line] = field(default_factory=list)

    def add(self, other: _Template) -> None:
        """Count another's lines as one's own, of which the first stay."""
        self.severity_number = max(self.severity_number, other.severity_number)
        self.first, self.last = min(self.first, other.first), max(self.last, other.last)
        self.count += other.count
        self.lines = sorted([*self.lines, *other.lines], key=line_order)[:MAX_LINES]


@dataclass(slots=True)
class LogTally:
    """Lines by template and severity, and which template follows which."""

    templates: dict[str, _Template] = field(default_factory=dict)
    pairs: dict[tuple[str, str], int] = field(default_factory=dict)
    severities: dict[int, int] = field(default_factory=dict)
    sequences: dict[str, dict[str, int]] = field(default_factory=dict)
    """Lines by sequence key and template."""
    _previous: dict[str | None, dict[str, str]] = field(default_factory=dict)
    """Last template by instance and sequence key."""

    def count(self, event: LogEvent, template_id: str) -> None:
        """Count a line of a template."""
        severity = event.severity_number
        self.severities[severity] = self.severities.get(severity, 0) + 1
        template = self.templates.get(template_id)
        if template is None:
            template = _Template(severity_number=severity, first=event.time, last=event.time)
            self.templates[template_id] = template
        template.count += 1
        template.last = event.time
        if severity > template.severity_number:
            template.severity_number = severity
        if len(template.lines) < MAX_LINES:
            template.lines.append(_line(event))
        if event.sequence_key is not None:
            previous = self._previous.get(event.resource.instance)
            if previous is None:
                previous = self._previous[event.resource.instance] = {}
            before = previous.get(event.sequence_key)
            if before is not None:
                self.pairs[before, template_id] = self.pairs.get((before, template_id), 0) + 1
            previous[event.sequence_key] = template_id
            sequence = self.sequences.get(event.sequence_key)
            if sequence is None:
                sequence = self.sequences[event.sequence_key] = {}
            sequence[template_id] = sequence.get(template_id, 0) + 1

    def unite(self, canonical: Callable[[str], str]) -> None:
        """Count what became an alias while the window was read with what it is an alias of."""
        templates: dict[str, _Template] = {}
        for name, counted in self.templates.items():
            known = templates.setdefault(canonical(name), counted)
            if known is not counted:
                known.add(counted)
        pairs: dict[tuple[str, str], int] = {}
        for (first, second), count in self.pairs.items():
            pair = canonical(first), canonical(second)
            pairs[pair] = pairs.get(pair, 0) + count
        for sequence in self.sequences.values():
            for name in [name for name in sequence if canonical(name) != name]:
                sequence[canonical(name)] = sequence.get(canonical(name), 0) + sequence.pop(name)
        self.templates, self.pairs = templates, pairs

    def template_counts(self, text: Callable[[str], str]) -> tuple[TemplateCount, ...]:
        """Return the templates by id."""
        return tuple(
            _template_count(name, text(name), self.templates[name]) for name in sorted(self.templates)
        )

    def pair_counts(self) -> tuple[PairCount, ...]:
        """Return the pairs in order."""
        return tuple(PairCount(first=a, second=b, count=n) for (a, b), n in sorted(self.pairs.items()))

    def sequence_counts(self) -> tuple[tuple[SequenceCount, ...], float]:
        """Return what was written under each sequence key, and the share of keys that is counted."""
        return kept_sequences(
            [
                SequenceCount(key=key, counts=tuple(sorted(counts.items())))
                for key, counts in sorted(self.sequences.items())
            ]
        )


def _line(event: LogEvent) -> Line:
    return Line(
        time=event.time,
        origin=event.origin,
        text=abridged(event.body, MAX_LINE_TEXT),
        instance=event.resource.instance,
        trace_id=event.trace_id,
    )


def _template_count(template_id: str, text: str, template: _Template) -> TemplateCount:
    return TemplateCount(
        template_id=template_id,
        template=text,
        count=template.count,
        severity_number=template.severity_number,
        first=template.first,
        last=template.last,
        lines=tuple(sorted(template.lines, key=line_order)),
    )
