"""How `faultline decode` shows what an event holds.

Telemetry is untrusted: nothing of it reaches a terminal as anything but visible characters.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

from ingest.events import AlertEvent, ChangeEvent, Event, LogEvent, MetricPoint, SpanEvent
from ingest.explain import Shown

_LONGEST = 400
"""Characters of one telemetry text that are shown."""
_HIDING = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
"""Unicode categories that a terminal may obey, or that change how their neighbours look."""
_SEVERITIES = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")


def visible(text: str, longest: int = _LONGEST) -> str:
    r"""Return `text` on one line with every character visible: `\n`, `\x1b`, `\u202e`."""
    kept = text[:longest]
    shown = "".join(char if unicodedata.category(char) not in _HIDING else _escape(char) for char in kept)
    return shown if len(text) <= longest else f"{shown}… (+{len(text) - longest:,} characters)"


def _escape(char: str) -> str:
    return {"\n": r"\n", "\r": r"\r", "\t": r"\t"}.get(char) or (
        f"\\x{ord(char):02x}" if ord(char) < 256 else f"\\u{ord(char):04x}"
    )


def content_lines(event: Event, shown: Shown) -> Iterator[str]:
    """Yield the lines that show what an event says beside its time and whose it is."""
    if isinstance(event, LogEvent):
        yield f"severity {_severity(event.severity_number)}"
        yield f"body     {visible(event.body)}{'   (redacted)' if shown.redacted else ''}"
        yield f"template {visible(shown.template or '')}"
        if event.trace_id:
            yield f"trace    {visible(event.trace_id)}  span {visible(event.span_id or '–')}"
        elif event.sequence_key:
            yield f"sequence {visible(event.sequence_key)}"
        yield from _labels("attributes", event.attributes)
    elif isinstance(event, MetricPoint):
        unit = f" {visible(event.unit)}" if event.unit else ""
        yield f"series   {visible(event.name)} = {event.value:g}{unit}  ({event.kind})"
        if event.distribution is not None:
            spread = event.distribution
            explicit = spread.scale is None
            shape = f"{len(spread.counts)} buckets" if explicit else f"exponential, scale {spread.scale}"
            yield f"values   {spread.count:,}, total {spread.total}, {shape}"
        yield from _labels("labels", event.labels)
    elif isinstance(event, SpanEvent):
        took = f"{(event.end - event.start) / 1e6:,.3f} ms{'  ERROR' if event.error else ''}"
        yield f"span     {visible(event.name)}  {event.kind}  {took}"
        parent = f"  parent {visible(event.parent_span_id)}" if event.parent_span_id else "  root"
        yield f"trace    {visible(event.trace_id)}  span {visible(event.span_id)}{parent}"
        if event.peer:
            yield f"peer     {visible(event.peer)}"
        yield from _labels("attributes", event.attributes)
    elif isinstance(event, ChangeEvent):
        yield f"change   {visible(event.kind)}: {visible(event.title)}"
        yield from _labels("attributes", event.attributes)
    elif isinstance(event, AlertEvent):
        state = "firing" if event.firing else "resolved"
        yield f"alert    {visible(event.fingerprint)}  {state}"
        yield from _labels("labels", event.labels)
        yield from _labels("annotations", event.annotations)


def _labels(word: str, labels: tuple[tuple[str, str], ...]) -> Iterator[str]:
    if labels:
        yield f"{word} " + "  ".join(f"{visible(name)}={visible(value, 80)}" for name, value in labels)


def _severity(number: int) -> str:
    if not number:
        return "none found"
    rank, more = divmod(number - 1, 4)
    return f"{_SEVERITIES[rank]}{more + 1 if more else ''} ({number})"
