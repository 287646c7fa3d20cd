"""Event in, event without secrets and personal data out; fails closed.

A secret becomes `<secret:kind:9f2c>`, a keyed hash that tells two secrets apart and gives neither back.
Personal data becomes `<pii:kind:ab12cd34>`, the same for the same person under the same key. Redacting
twice is redacting once. The work is linear in the length of the text. Where the package was built with a C
compiler, texts in which no rule can find anything are let through at a glance.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import chain

from msgspec import structs

from ingest.events import AlertEvent, ChangeEvent, Event, Labels, LogEvent, MetricPoint, SpanEvent
from ingest.redaction.pairs import find_pairs, secret_name
from ingest.redaction.personal import find_personal
from ingest.redaction.span import Span
from ingest.redaction.tokens import find_tokens

_PLACEHOLDER = re.compile(r"(<(?:secret:[a-z_]{1,24}:[0-9a-f]{4}|pii:[a-z_]{1,24}:[0-9a-f]{8})>)")
_ROUNDS = 8
"""A replacement may free a neighbour to match; in practice the second round finds nothing."""
_REMEMBERED, _SETS = 20_000, 4_096
"""Labels and names are short and repeat endlessly; so many results are kept before starting over."""


class RedactionError(Exception):
    """The event could not be redacted and must not go on. The message holds no telemetry."""


class Redactor:
    """Redacts with a key of 1..64 bytes: the same key gives the same pseudonyms. Not for several threads."""

    def __init__(self, key: bytes, *, compiled: bool = True) -> None:
        if not 1 <= len(key) <= hashlib.blake2b.MAX_KEY_SIZE:
            raise ValueError("the redaction key must have 1 to 64 bytes")
        self._key = key
        screens = compiled_screens() if compiled else None
        self._harmless = screens[0] if screens else None
        self._harmless_line = screens[1] if screens else None
        self._labels: dict[Labels, Labels] = {}
        self._pairs: dict[tuple[str, str], tuple[str, str]] = {}
        self._names: dict[str, str] = {}

    def redact(self, event: Event) -> Event:
        """Return the event without secrets and personal data; `RedactionError` when that fails."""
        if self._harmless_line is not None and self._harmless_line(event):
            return event
        if type(event) is MetricPoint and not event.labels:
            return event
        try:
            return self._redact(event)
        except (ValueError, RecursionError, MemoryError, re.error) as error:
            raise RedactionError(f"redaction failed with {type(error).__name__}") from None

    def redact_text(self, text: str) -> str:
        """Return `text` without secrets and personal data; `RedactionError` when it does not come to rest."""
        if self._harmless is not None and self._harmless(text):
            return text
        for _ in range(_ROUNDS):
            redacted = self._once(text)
            if redacted == text:
                return text
            text = redacted
        raise RedactionError("redaction does not come to rest on this text")

    def _redact(self, event: Event) -> Event:
        if isinstance(event, LogEvent):
            return self._log(event)
        if isinstance(event, MetricPoint):
            labels = self._repeated_labels(event.labels)
            return event if labels == event.labels else structs.replace(event, labels=labels)
        if isinstance(event, SpanEvent):
            return self._span(event)
        if isinstance(event, ChangeEvent):
            title = self.redact_text(event.title)
            return structs.replace(event, title=title, attributes=self._known_labels(event.attributes))
        if isinstance(event, AlertEvent):
            annotations = self._known_labels(event.annotations)
            return structs.replace(event, labels=self._known_labels(event.labels), annotations=annotations)
        raise RedactionError(f"no rule for a {type(event).__name__}")

    def _log(self, event: LogEvent) -> LogEvent:
        body = self.redact_text(event.body)
        attributes = self._known_labels(event.attributes)
        key = event.sequence_key
        if key is not None and key != event.trace_id:
            key = self._known_name(key)
        if body == event.body and attributes == event.attributes and key == event.sequence_key:
            return event
        return structs.replace(event, body=body, attributes=attributes, sequence_key=key)

    def _span(self, event: SpanEvent) -> SpanEvent:
        name = self._known_name(event.name)
        peer = None if event.peer is None else self._known_name(event.peer)
        attributes = self._repeated_labels(event.attributes)
        if name == event.name and peer == event.peer and attributes == event.attributes:
            return event
        return structs.replace(event, name=name, peer=peer, attributes=attributes)

    def _known_name(self, name: str) -> str:
        known = self._names.get(name)
        if known is None:
            if len(self._names) >= _REMEMBERED:
                self._names.clear()
            known = self._names[name] = self.redact_text(name)
        return known

    def _repeated_labels(self, labels: Labels) -> Labels:
        """Return labels that come again as a whole, as those of a series do."""
        if not labels:
            return labels
        known = self._labels.get(labels)
        if known is None:
            if len(self._labels) >= _SETS:
                self._labels.clear()
            known = self._labels[labels] = self._known_labels(labels)
        return known

    def _known_labels(self, labels: Labels) -> Labels:
        known = self._pairs
        if len(known) >= _REMEMBERED:
            known.clear()
        return tuple([known.get(pair) or self._label(pair) for pair in labels])

    def _label(self, pair: tuple[str, str]) -> tuple[str, str]:
        known = self._pairs[pair] = self._redacted_label(*pair)
        return known

    def _redacted_label(self, name: str, value: str) -> tuple[str, str]:
        kind = secret_name(name) if value else None
        if kind is not None and _PLACEHOLDER.fullmatch(value) is None:
            return self.redact_text(name), self._secret(kind, value)
        return self.redact_text(name), self.redact_text(value)

    def _once(self, text: str) -> str:
        if "<" not in text or _PLACEHOLDER.search(text) is None:
            return self._piece(text)
        parts = _PLACEHOLDER.split(text)
        return "".join(part if place % 2 else self._piece(part) for place, part in enumerate(parts))

    def _piece(self, text: str) -> str:
        spans = list(_merged(chain(find_tokens(text), find_pairs(text), find_personal(text))))
        if not spans:
            return text
        parts: list[str] = []
        done = 0
        for span in spans:
            found = text[span.start : span.end]
            put = (
                self._personal(span.kind, span.value or found)
                if span.personal
                else self._secret(span.kind, found)
            )
            parts += (text[done : span.start], put)
            done = span.end
        return "".join((*parts, text[done:]))

    def _secret(self, kind: str, value: str) -> str:
        return f"<secret:{kind}:{self._digest(kind, value, 2)}>"

    def _personal(self, kind: str, value: str) -> str:
        return f"<pii:{kind}:{self._digest(kind, value, 4)}>"

    def _digest(self, kind: str, value: str, size: int) -> str:
        person = kind.encode()[: hashlib.blake2b.PERSON_SIZE]
        raw = value.encode("utf-8", "surrogatepass")
        return hashlib.blake2b(raw, digest_size=size, key=self._key, person=person).hexdigest()


def compiled_screens() -> tuple[Callable[[str], bool], Callable[[Event], bool]] | None:
    """Return what lets harmless texts and log lines through, None where it was not built."""
    try:
        from ingest.redaction._screen import harmless, harmless_line
    except ImportError:
        return None
    return harmless, harmless_line


def _merged(spans: Iterable[Span]) -> Iterator[Span]:
    """Yield disjoint spans in order; overlapping ones as their union, under the kind of the highest rank."""
    current: Span | None = None
    for span in sorted(spans, key=lambda span: (span.start, -span.end, -span.rank, span.kind)):
        if current is None:
            current = span
        elif span.start >= current.end:
            yield current
            current = span
        else:
            best = span if span.rank > current.rank else current
            end = max(span.end, current.end)
            same = (best.start, best.end) == (current.start, end)
            current = replace(best, start=current.start, end=end, value=best.value if same else None)
    if current is not None:
        yield current
