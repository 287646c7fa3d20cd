"""Joins spans into calls and operations, one closed window after the other; part of `ingest.collect`.

Spans of a window come sorted. A parent and its child in another service make one call, told in the
window that closes later of the two and filed with the caller. Spans are remembered for `retention` of
event time and at most `limit` of them; what is dropped by the limit is counted.

A call's latency for the caller is the parent's own duration where the parent can be the calling side
(client, producer or unknown kind); a server span that fathers another service's span has no such view.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from ingest.events import SpanEvent, SpanKind
from ingest.record import SECOND, Nanos
from ingest.sketch import Sketch, bucket
from ingest.summary import CallWindow, OperationWindow

_SpanId = tuple[str, str, str]
"""Environment, trace id, span id."""
_CALLING = frozenset({SpanKind.CLIENT, SpanKind.PRODUCER, SpanKind.UNKNOWN})
_SERVING = frozenset({SpanKind.SERVER, SpanKind.CONSUMER})


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownSpan:
    """What later windows need of a span. `told` is set when its call was filed under its `peer`."""

    environment: str
    service: str
    trace_id: str
    span_id: str
    parent_span_id: str | None
    name: str
    start: Nanos
    end: Nanos
    kind: SpanKind
    error: bool
    told: bool = False


@dataclass(slots=True)
class _Call:
    count: int = 0
    errors: int = 0
    caller: dict[int, int] = field(default_factory=dict)
    callee: dict[int, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Operation:
    count: int = 0
    errors: int = 0
    entry: int = 0
    duration: dict[int, int] = field(default_factory=dict)
    self_time: dict[int, int] = field(default_factory=dict)


@dataclass(slots=True)
class SpanWindow:
    """What one window's spans say of one service."""

    calls: dict[tuple[str, str], _Call] = field(default_factory=dict)
    operations: dict[str, _Operation] = field(default_factory=dict)

    def call_windows(self) -> tuple[CallWindow, ...]:
        return tuple(
            CallWindow(
                callee=callee,
                operation=operation,
                count=call.count,
                errors=call.errors,
                caller_latency=_sketch(call.caller),
                callee_latency=_sketch(call.callee),
            )
            for (callee, operation), call in sorted(self.calls.items())
        )

    def operation_windows(self) -> tuple[OperationWindow, ...]:
        return tuple(
            OperationWindow(
                operation=name,
                count=op.count,
                errors=op.errors,
                entry=op.entry,
                duration=_sketch(op.duration),
                self_time=_sketch(op.self_time),
            )
            for name, op in sorted(self.operations.items())
        )


class SpanJoin:
    """Remembers recent spans and tells each call and each operation once."""

    def __init__(self, *, retention: Nanos = 60 * SECOND, limit: int = 200_000) -> None:
        self._retention = retention
        self._limit = limit
        self._known: dict[_SpanId, KnownSpan] = {}
        self._order: deque[_SpanId] = deque()
        self._children: dict[_SpanId, list[_SpanId]] = {}
        self.dropped = 0
        """Spans forgotten early because of the limit."""
        self.repeated = 0
        """Spans that came again within the retention."""

    def join(self, spans: Iterable[SpanEvent], *, end: Nanos) -> dict[tuple[str, str], SpanWindow]:
        """Return what the sorted `spans` of the window that ends at `end` say, by (environment, service)."""
        windows: dict[tuple[str, str], SpanWindow] = {}
        fresh = [span for span in spans if self._remember(span)]
        self._bound(end)
        inside = {_id(span) for span in fresh}
        for span in fresh:
            key = (span.resource.environment, span.resource.service)
            window = windows.setdefault(key, SpanWindow())
            self._operation(window, span)
            self._calls(windows, span, inside)
        for span in fresh:
            self._peer(windows, span)
        return windows

    def dump(self) -> tuple[KnownSpan, ...]:
        """Return the remembered spans in the order they were learnt."""
        return tuple(self._known[key] for key in self._order)

    def load(self, spans: Iterable[KnownSpan]) -> None:
        """Replace what is remembered."""
        self._known.clear()
        self._order.clear()
        self._children.clear()
        for span in spans:
            self._learn((span.environment, span.trace_id, span.span_id), span)

    def _remember(self, span: SpanEvent) -> bool:
        key = _id(span)
        before = self._known.get(key)
        if before is not None:
            # Two services that share a span id (B3 propagation) are two operations, one of them not joined.
            self.repeated += before.service == span.resource.service
            return before.service != span.resource.service
        known = KnownSpan(
            environment=span.resource.environment,
            service=span.resource.service,
            trace_id=span.trace_id,
            span_id=span.span_id,
            parent_span_id=span.parent_span_id,
            name=span.name,
            start=span.start,
            end=span.end,
            kind=span.kind,
            error=span.error,
        )
        self._learn(key, known)
        return True

    def _learn(self, key: _SpanId, span: KnownSpan) -> None:
        self._known[key] = span
        self._order.append(key)
        if span.parent_span_id is not None:
            self._children.setdefault((key[0], key[1], span.parent_span_id), []).append(key)

    def _bound(self, end: Nanos) -> None:
        horizon = end - self._retention
        while self._order:
            span = self._known[self._order[0]]
            expired = span.end < horizon
            if not expired and len(self._order) <= self._limit:
                return
            self.dropped += not expired
            self._forget(self._order.popleft(), span)

    def _forget(self, key: _SpanId, span: KnownSpan) -> None:
        del self._known[key]
        if span.parent_span_id is None:
            return
        parent = (key[0], key[1], span.parent_span_id)
        siblings = self._children[parent]
        siblings.remove(key)
        if not siblings:
            del self._children[parent]

    def _operation(self, window: SpanWindow, span: SpanEvent) -> None:
        operation = window.operations.setdefault(span.name, _Operation())
        operation.count += 1
        operation.errors += span.error
        operation.entry += self._is_entry(span)
        _tally(operation.duration, span.end - span.start)
        if not self._waits(span):
            _tally(operation.self_time, self._self_time(span))

    def _is_entry(self, span: SpanEvent) -> bool:
        if span.parent_span_id is None or span.kind in _SERVING:
            return True
        parent = self._known.get((span.resource.environment, span.trace_id, span.parent_span_id))
        return parent is not None and parent.service != span.resource.service

    def _waits(self, span: SpanEvent) -> bool:
        """Whether the span does nothing but call another service: what is left of it is the path's time."""
        children = [self._known[key] for key in self._children.get(_id(span), ()) if key in self._known]
        remote = [child for child in children if child.service != span.resource.service]
        return bool(remote) and (span.kind is SpanKind.CLIENT or len(remote) == len(children))

    def _self_time(self, span: SpanEvent) -> Nanos:
        covered, reach = 0, span.start
        children = (self._known[key] for key in self._children.get(_id(span), ()) if key in self._known)
        for start, end in sorted((child.start, child.end) for child in children):
            start, end = max(start, reach), min(end, span.end)
            if end > start:
                covered += end - start
                reach = end
        return max(0, span.end - span.start - covered)

    def _calls(
        self, windows: dict[tuple[str, str], SpanWindow], span: SpanEvent, inside: set[_SpanId]
    ) -> None:
        """Tell the pair with the parent, and those with children of earlier windows."""
        own = self._known.get(_id(span))
        if own is None or own.service != span.resource.service:
            return
        if span.parent_span_id is not None:
            parent = self._known.get((own.environment, own.trace_id, span.parent_span_id))
            if parent is not None:
                _tell(windows, parent, own)
        for key in self._children.get(_id(span), ()):
            if key not in inside:
                _tell(windows, own, self._known[key])

    def _peer(self, windows: dict[tuple[str, str], SpanWindow], span: SpanEvent) -> None:
        """File a call under the name that the caller gives the other side, when the other side is silent."""
        key = _id(span)
        own = self._known.get(key)
        if own is None or own.service != span.resource.service or span.peer in (None, own.service):
            return
        if span.kind not in (SpanKind.CLIENT, SpanKind.UNKNOWN):
            return
        children = [self._known[child] for child in self._children.get(key, ())]
        if any(child.service != own.service for child in children):
            return
        call = _call(windows, own, str(span.peer), span.name)
        call.count += 1
        call.errors += span.error
        _tally(call.caller, span.end - span.start)
        self._known[key] = _told(own)


def _tell(windows: dict[tuple[str, str], SpanWindow], parent: KnownSpan, child: KnownSpan) -> None:
    if parent.service == child.service or parent.told:
        return
    call = _call(windows, parent, child.service, child.name)
    calling = parent.kind in _CALLING
    call.count += 1
    call.errors += child.error or (calling and parent.error)
    if calling:
        _tally(call.caller, parent.end - parent.start)
    _tally(call.callee, child.end - child.start)


def _call(
    windows: dict[tuple[str, str], SpanWindow], caller: KnownSpan, callee: str, operation: str
) -> _Call:
    window = windows.setdefault((caller.environment, caller.service), SpanWindow())
    return window.calls.setdefault((callee, operation), _Call())


def _told(span: KnownSpan) -> KnownSpan:
    return KnownSpan(
        environment=span.environment,
        service=span.service,
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_span_id=span.parent_span_id,
        name=span.name,
        start=span.start,
        end=span.end,
        kind=span.kind,
        error=span.error,
        told=True,
    )


def _id(span: SpanEvent) -> _SpanId:
    return (span.resource.environment, span.trace_id, span.span_id)


def _tally(buckets: dict[int, int], nanos: Nanos) -> None:
    index = bucket(nanos / SECOND)
    buckets[index] = buckets.get(index, 0) + 1


def _sketch(buckets: dict[int, int]) -> Sketch:
    return Sketch(buckets=dict(sorted(buckets.items())))
