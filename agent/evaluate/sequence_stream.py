"""Labelled lines through the service's own windows and sequence detector, as in production.

Lines are taken once, in the order given and in event time, and nothing else is told. What a batch method
would be given is kept beside: what every whole sequence was made of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from detectors.sequence_model import Verdict
from detectors.sequences import Sequences
from ingest.events import LogEvent
from ingest.record import SECOND, Nanos
from ingest.summary import ClosedWindow, SequenceCount
from ingest.templates import Templates
from ingest.windows import Windows

_PROGRESS = 10_000
_AFTER: Nanos = 3600 * SECOND
"""Time that passes after the last line, so that the last keys have paused."""

Counts = Mapping[str, Mapping[str, int]]
"""Key -> template -> lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What the stream found, and the whole sequences that it was made of."""

    odd: Mapping[str, Verdict]
    """Key -> the first verdict that called it odd."""
    counts: Counts
    last: Mapping[str, Nanos]
    """Key -> end of the last window that it wrote in."""
    texts: Mapping[str, str]
    """Template -> its text."""


def stream(name: str, events: Iterable[LogEvent], *, on_case: Callable[[str], None]) -> Judged:
    """Run lines through windows and detector as in production; return the keys that it called odd."""
    windows, detector = Windows(Templates()), Sequences()
    odd: dict[str, Verdict] = {}
    counts: dict[str, dict[str, int]] = {}
    last: dict[str, Nanos] = {}
    texts: dict[str, str] = {}

    def judge(closed: Iterable[ClosedWindow]) -> None:
        for window in closed:
            for summary in window.summaries:
                detector.observe(summary)
                _tally(counts, summary.sequences)
                last.update((sequence.key, summary.end) for sequence in summary.sequences)
                texts.update((template.template_id, template.template) for template in summary.templates)
            detector.tick(window.end)
        take()

    def take() -> None:
        for _, _, verdict in detector.take():
            odd.setdefault(verdict.key, verdict)

    for number, event in enumerate(events, start=1):
        windows.add(event, partition=(name, 0), wall=event.time)
        judge(windows.advance(event.time))
        if number % _PROGRESS == 0:
            on_case(f"{name}: {number} lines, {len(odd)} odd sequences")
    judge(windows.flush())
    detector.tick(max(last.values(), default=0) + _AFTER)
    take()
    return Judged(odd=odd, counts=counts, last=last, texts=texts)


def _tally(counts: dict[str, dict[str, int]], sequences: Iterable[SequenceCount]) -> None:
    for sequence in sequences:
        known = counts.setdefault(sequence.key, {})
        for template, count in sequence.counts:
            known[template] = known.get(template, 0) + count
