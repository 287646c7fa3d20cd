"""Which spans are requests that their service was asked for, and which it asked of others.

Kinds say so where a source gives them. Where it gives none, a span that begins a trace or whose parent is
another service's is an entry, and makes its parent a call. That needs the parent, which may come later:
spans without a kind wait, at most `_HELD` of them, the oldest trace leaving first. Nothing is lost.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

from ingest.events import SpanEvent, SpanKind

_HELD = 50_000
_ASKED = frozenset({SpanKind.SERVER, SpanKind.CONSUMER})
_ASKING = frozenset({SpanKind.CLIENT, SpanKind.PRODUCER})

Told = tuple[SpanEvent, bool, str]
"""A span, whether it is an entry, and whom it calls ("" where it calls nobody that is known)."""


class Entries:
    """Tells entries from calls; spans of one trace should come near each other."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, list[SpanEvent]] = OrderedDict()
        self._held = 0

    def add(self, span: SpanEvent) -> Iterator[Told]:
        """Take a span and yield those that are decided now."""
        if span.kind in _ASKED:
            yield span, True, ""
        elif span.kind in _ASKING:
            yield span, False, span.peer or "unnamed"
        elif span.kind is SpanKind.INTERNAL:
            yield span, span.parent_span_id is None, ""
        else:
            self._waiting.setdefault(span.trace_id, []).append(span)
            self._held += 1
            while self._held > _HELD:
                _, trace = self._waiting.popitem(last=False)
                self._held -= len(trace)
                yield from _decided(trace)

    def rest(self) -> Iterator[Told]:
        """Yield all that still wait."""
        while self._waiting:
            yield from _decided(self._waiting.popitem(last=False)[1])
        self._held = 0


def _decided(trace: list[SpanEvent]) -> Iterator[Told]:
    service = {span.span_id: span.resource.service for span in trace}
    called = {
        span.parent_span_id: span.resource.service
        for span in trace
        if span.parent_span_id is not None
        and service.get(span.parent_span_id, span.resource.service) != span.resource.service
    }
    for span in trace:
        entry = service.get(span.parent_span_id or "") != span.resource.service
        yield span, entry, called.get(span.span_id, "")
