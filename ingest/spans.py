"""Joins spans into calls and operations, one closed window after the other; part of `ingest.collect`.

Spans of a window come sorted. A parent and its child in another service make one call, told in the
window that closes later of the two and filed with the caller. Spans are remembered for `retention` of
event time and at most `limit` of them; what is dropped by the limit is counted.

A call's latency for the caller is the parent's own duration where the parent can be the calling side
(client, producer or unknown kind); a server span that fathers another service's span has no such view.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from ingest.events import SpanEvent, SpanKind
from ingest.record import SECOND, Nanos
from ingest.sketch import Sketch, bucket
from ingest.summary import CallWindow, OperationWindow

_SpanId = tuple[str, str, str]
"""Environment, trace id, span id."""
_CALLING = frozenset({SpanKind.CLIENT, SpanKind.PRODUCER, SpanKind.UNKNOWN})
_SERVING = frozenset({SpanKind.SERVER, SpanKind.CONSUMER})
_ASKING = frozenset({SpanKind.CLIENT, SpanKind.UNKNOWN})


class KnownSpan(msgspec.Struct, frozen=True, kw_only=True, gc=False):
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

    def call(self, callee: str, operation: str) -> _Call:
        """Return the calls of this service that are counted under both names."""
        known = self.calls.get((callee, operation))
        if known is None:
            known = self.calls[callee, operation] = _Call()
        return known

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


class _Seen(NamedTuple):
    """A span of the window beside what is remembered of it, of its parent and of its children."""

    span: SpanEvent
    own: KnownSpan | None
    """None where the limit dropped it at once; another service's where two share an id."""
    parent: KnownSpan | None
    children: Sequence[KnownSpan]


class SpanJoin:
    """Remembers recent spans and tells each call and each operation once."""

    def __init__(self, *, retention: Nanos = 60 * SECOND, limit: int = 200_000) -> None:
        self._retention = retention
        self._limit = limit
        self._known: dict[_SpanId, KnownSpan] = {}
        self._order: deque[_SpanId] = deque()
        self._children: dict[_SpanId, list[KnownSpan]] = {}
        """By their parent, in the order in which they were learnt, in which they are forgotten too."""
        self._told: set[_SpanId] = set()
        self.dropped = 0
        """Spans forgotten early because of the limit."""
        self.repeated = 0
        """Spans that came again within the retention."""

    def join(self, spans: Iterable[SpanEvent], *, end: Nanos) -> dict[tuple[str, str], SpanWindow]:
        """Return what the sorted `spans` of the window that ends at `end` say, by (environment, service)."""
        windows: dict[tuple[str, str], SpanWindow] = {}
        fresh = [(span, key) for span in spans if (key := self._remember(span)) is not None]
        self._bound(end)
        known = self._known
        inside = {id(known[key]) for _, key in fresh if key in known}
        for span, key in fresh:
            environment, service = span.resource.environment, span.resource.service
            window = windows.get((environment, service))
            if window is None:
                window = windows[environment, service] = SpanWindow()
            own, parent = known.get(key), None
            if span.parent_span_id is not None:
                parent = known.get((environment, span.trace_id, span.parent_span_id))
            seen = _Seen(span, own, parent, self._children.get(key, ()))
            _count(window, seen)
            if own is not None and own.service == service:
                self._calls(windows, seen, own, inside)
                if span.peer is not None:
                    self._peer(window, seen, key)
        return windows

    def dump(self) -> tuple[KnownSpan, ...]:
        """Return the remembered spans in the order they were learnt."""
        return tuple(
            msgspec.structs.replace(self._known[key], told=True) if key in self._told else self._known[key]
            for key in self._order
        )

    def load(self, spans: Iterable[KnownSpan]) -> None:
        """Replace what is remembered."""
        for held in (self._known, self._order, self._children, self._told):
            held.clear()
        for span in spans:
            key = (span.environment, span.trace_id, span.span_id)
            self._learn(key, span)
            if span.told:
                self._told.add(key)

    def _remember(self, span: SpanEvent) -> _SpanId | None:
        """Learn the span and return its id; None where it has been here before."""
        resource = span.resource
        key = (resource.environment, span.trace_id, span.span_id)
        before = self._known.get(key)
        if before is not None:
            # Two services that share a span id (B3 propagation) are two operations, one of them not joined.
            if before.service == resource.service:
                self.repeated += 1
                return None
            return key
        known = KnownSpan(
            environment=resource.environment,
            service=resource.service,
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
        return key

    def _learn(self, key: _SpanId, span: KnownSpan) -> None:
        self._known[key] = span
        self._order.append(key)
        if span.parent_span_id is not None:
            parent = (key[0], key[1], span.parent_span_id)
            siblings = self._children.get(parent)
            if siblings is None:
                self._children[parent] = [span]
            else:
                siblings.append(span)

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
        self._told.discard(key)
        if span.parent_span_id is None:
            return
        parent = (key[0], key[1], span.parent_span_id)
        siblings = self._children[parent]
        if len(siblings) == 1:
            del self._children[parent]
        else:
            del siblings[0]

    def _calls(
        self, windows: dict[tuple[str, str], SpanWindow], seen: _Seen, own: KnownSpan, inside: set[int]
    ) -> None:
        """Tell the pair with the parent, and those with children of earlier windows."""
        parent, service = seen.parent, own.service
        if parent is not None and parent.service != service and not self._has_told(parent):
            _tell(windows, parent, own)
        for child in seen.children:
            if child.service != service and id(child) not in inside and not self._has_told(own):
                _tell(windows, own, child)

    def _has_told(self, span: KnownSpan) -> bool:
        return bool(self._told) and (span.environment, span.trace_id, span.span_id) in self._told

    def _peer(self, window: SpanWindow, seen: _Seen, key: _SpanId) -> None:
        """File a call under the name that the caller gives the other side, when the other side is silent."""
        span, service = seen.span, seen.span.resource.service
        if span.peer is None or span.peer == service or span.kind not in _ASKING:
            return
        if any(child.service != service for child in seen.children):
            return
        call = window.call(span.peer, span.name)
        call.count += 1
        call.errors += span.error
        _tally(call.caller, bucket((span.end - span.start) / SECOND))
        self._told.add(key)


def _count(window: SpanWindow, seen: _Seen) -> None:
    """Count a span as one of its operation."""
    span = seen.span
    operation = window.operations.get(span.name)
    if operation is None:
        operation = window.operations[span.name] = _Operation()
    operation.count += 1
    operation.errors += span.error
    operation.entry += _is_entry(seen)
    index = bucket((span.end - span.start) / SECOND)
    _tally(operation.duration, index)
    if not seen.children:
        _tally(operation.self_time, index)
    elif not _waits(seen):
        _tally(operation.self_time, bucket(_self_time(seen) / SECOND))


def _is_entry(seen: _Seen) -> bool:
    span = seen.span
    if span.parent_span_id is None or span.kind in _SERVING:
        return True
    return seen.parent is not None and seen.parent.service != span.resource.service


def _waits(seen: _Seen) -> bool:
    """Whether the span does nothing but call another service: what is left of it is the path's time."""
    service = seen.span.resource.service
    remote = sum([child.service != service for child in seen.children])
    return remote > 0 and (seen.span.kind is SpanKind.CLIENT or remote == len(seen.children))


def _self_time(seen: _Seen) -> Nanos:
    """Return the time of a span that no child covers, in nanoseconds."""
    span = seen.span
    covered, reach = 0, span.start
    for start, end in sorted([(child.start, child.end) for child in seen.children]):
        start, end = max(start, reach), min(end, span.end)
        if end > start:
            covered += end - start
            reach = end
    return max(0, span.end - span.start - covered)


def _tell(windows: dict[tuple[str, str], SpanWindow], parent: KnownSpan, child: KnownSpan) -> None:
    window = windows.get((parent.environment, parent.service))
    if window is None:
        window = windows[parent.environment, parent.service] = SpanWindow()
    call = window.call(child.service, child.name)
    calling = parent.kind in _CALLING
    call.count += 1
    call.errors += child.error or (calling and parent.error)
    if calling:
        _tally(call.caller, bucket((parent.end - parent.start) / SECOND))
    _tally(call.callee, bucket((child.end - child.start) / SECOND))


def _tally(buckets: dict[int, int], index: int) -> None:
    buckets[index] = buckets.get(index, 0) + 1


def _sketch(buckets: dict[int, int]) -> Sketch:
    return Sketch(buckets=dict(sorted(buckets.items())))
