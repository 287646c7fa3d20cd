"""Between sorting and templates: lines of one stack trace that came one by one become one event. Pure.

Promises: the same lines give the same events in whatever order they came, because whole windows of sorted
events are looked at. A trace is the event of the line that began it, with its time, origin and severity; its
text is cut to `MAX_LINES` and `MAX_CHARACTERS`, and what is cut is counted. Lines belong together by service,
instance and sequence key, in the order of their partition, within `SPAN` of event time; those whose beginning
lies on another partition find it by time, where one reader has both. What of a trace falls into the next
window is not counted there again. Without suspicious lines it costs one look at how each begins.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from ingest.events import LogEvent, Resource
from ingest.record import SECOND, Nanos
from ingest.tallying import loops
from ingest.trace_lines import CONTINUES, Part, is_final, is_go_line, part_of, tells

SPAN: Nanos = 5 * SECOND
MAX_LINES = 256
MAX_CHARACTERS = 16_384
_OVERLAP: Nanos = SECOND
"""How much of a window is remembered for what goes on in the next one."""
_REMEMBERED = 2_000
"""Lines of that, at most."""
_NEAR: Nanos = SECOND
"""How soon an error's own line follows the one that logged it."""
_WARN = 13
_FRAMES = frozenset({Part.FRAME, Part.CHAINED})

_Key = tuple[Resource, str, int]
_Rank = tuple[Nanos, str, int, int]


@dataclass(slots=True, eq=False)
class _Trace:
    """A line, and what has been found to go on with it."""

    head: LogEvent
    part: Part
    before: _Trace | None
    """The one before it in its stream."""
    lines: list[LogEvent] = field(default_factory=list)
    framed: bool = False
    python: bool = False
    go: bool = False
    ended: bool = False
    """Python's last line has been seen: only another error of the same trace may follow."""
    complains: bool = False
    """Something went wrong, as far as its first line says."""


@dataclass(slots=True)
class _Stream:
    last: _Trace | None = None
    by_key: dict[str, _Trace] = field(default_factory=dict)


class Traces:
    """Joins traces window by window; holds the end of the last one."""

    def __init__(self, *, compiled: bool = True) -> None:
        self._loops = loops(compiled=compiled)
        self.joined = 0
        """Lines that became part of another line's event."""
        self.cut = 0
        """Lines of these whose text is left out."""
        self._before: list[LogEvent] = []

    def join(self, events: list[LogEvent]) -> list[LogEvent]:
        """Return a window's sorted events with each trace as one."""
        before, self._before = self._before, _tail(events)
        streams = self._suspicious(events)
        if before:
            streams |= self._suspicious(before)
        if not streams:
            return events
        seen = [event for event in (*before, *events) if event.resource in streams]
        found = _adopted(_traces(sorted(seen, key=_place)))
        old = {id(event) for event in before}
        gone: set[int] = set()
        whole: dict[int, LogEvent] = {}
        for trace in found:
            fresh = [line for line in trace.lines if id(line) not in old]
            self.joined += len(fresh)
            gone.update(map(id, fresh))
            if trace.lines and id(trace.head) not in old:
                whole[id(trace.head)] = self._whole(trace)
        return [whole.get(id(event), event) for event in events if id(event) not in gone]

    def dump(self) -> tuple[LogEvent, ...]:
        """Return what the next window needs of this one."""
        return tuple(self._before)

    def load(self, state: Iterable[LogEvent]) -> None:
        """Take what `dump` gave."""
        self._before = list(state)

    def _suspicious(self, events: list[LogEvent]) -> set[Resource]:
        odd = self._loops.beginning(events, CONTINUES)
        return {event.resource for event in odd if part_of(event.body) in _FRAMES}

    def _whole(self, trace: _Trace) -> LogEvent:
        texts, size = [trace.head.body], len(trace.head.body)
        for number, line in enumerate(trace.lines):
            room = number < MAX_LINES or part_of(line.body) is Part.CHAINED
            if room and size + len(line.body) < MAX_CHARACTERS:
                texts.append(line.body)
                size += len(line.body) + 1
            else:
                self.cut += 1
        severity = trace.head.severity_number or max(line.severity_number for line in trace.lines)
        return msgspec.structs.replace(trace.head, body="\n".join(texts), severity_number=severity)


def _tail(events: list[LogEvent]) -> list[LogEvent]:
    if not events:
        return []
    first = bisect_left(events, events[-1].time - _OVERLAP, key=_time)
    return events[max(first, len(events) - _REMEMBERED) :]


def _traces(events: Iterable[LogEvent]) -> list[_Trace]:
    """Return every line that begins something, with what follows it, of events in order of their place."""
    streams: dict[_Key, _Stream] = {}
    found: dict[int, _Trace] = {}
    for event in events:
        stream = streams.setdefault((event.resource, event.origin.topic, event.origin.partition), _Stream())
        part = part_of(event.body)
        key = event.sequence_key
        trace = stream.last if key is None else stream.by_key.get(key)
        if trace is not None and _goes_on(trace, event, part):
            trace = _logged(trace, part, found)
            _take(trace, event, part)
        else:
            trace = _begun(event, part, trace)
            found[id(trace)] = trace
        stream.last = trace
        if key is not None:
            stream.by_key[key] = trace
    return list(found.values())


def _begun(event: LogEvent, part: Part, before: _Trace | None) -> _Trace:
    trace = _Trace(event, part, before)
    if before is not None:
        before.before = None  # no chain of all lines ever read
    trace.framed = part in _FRAMES
    trace.python = part is Part.HEADING
    trace.go = part is Part.GOROUTINE or event.body.startswith(("panic: ", "fatal error: "))
    trace.complains = not 0 < event.severity_number < _WARN or tells(event.body)
    return trace


def _goes_on(trace: _Trace, event: LogEvent, part: Part) -> bool:
    """Say whether a line goes on with the trace before it in its stream."""
    if abs(event.time - trace.head.time) > SPAN:
        return False
    if trace.ended:
        return part is Part.CHAINED
    if part in _FRAMES:
        return trace.complains or trace.framed
    if part is Part.INDENTED:
        return trace.framed or trace.part is Part.BARE
    if part is Part.HEADING:
        chained = bool(trace.lines) and part_of(trace.lines[-1].body) is Part.CHAINED
        return chained or (not trace.framed and _has_logged(trace, event))
    if trace.go:
        return part is Part.GOROUTINE or is_go_line(event.body)
    return trace.python and trace.framed and is_final(event.body)


def _has_logged(trace: _Trace, event: LogEvent) -> bool:
    """Say whether the trace's one line is what a logger wrote about the error that begins with `event`."""
    return (
        not trace.lines
        and trace.part is Part.OTHER
        and trace.head.severity_number >= _WARN
        and abs(event.time - trace.head.time) <= _NEAR
    )


def _logged(trace: _Trace, part: Part, found: dict[int, _Trace]) -> _Trace:
    """Return the trace of the line that logged this error, once a frame shows that it was logged so."""
    before = trace.before
    if trace.part is not Part.BARE or trace.framed or part is not Part.FRAME or before is None:
        return trace
    if not _has_logged(before, trace.head):
        return trace
    del found[id(trace)]
    before.lines += [trace.head, *trace.lines]
    return before


def _take(trace: _Trace, event: LogEvent, part: Part) -> None:
    trace.ended = trace.python and trace.framed and part in {Part.OTHER, Part.BARE}
    trace.framed = trace.framed or part in _FRAMES
    trace.python = trace.python or part is Part.HEADING
    trace.go = trace.go or part is Part.GOROUTINE
    trace.lines.append(event)


def _adopted(traces: list[_Trace]) -> list[_Trace]:
    """Give frames without a beginning to the one that was written last before them, on any partition."""
    orphans = [trace for trace in traces if trace.part in _FRAMES]
    if not orphans:
        return traces
    begun: dict[Resource, list[_Trace]] = {}
    for trace in traces:
        if trace.part not in _FRAMES and trace.complains:
            begun.setdefault(trace.head.resource, []).append(trace)
    for heads in begun.values():
        heads.sort(key=lambda trace: _order(trace.head))
    left = set()
    for orphan in sorted(orphans, key=lambda trace: _order(trace.head)):
        heads = begun.get(orphan.head.resource, [])
        at = bisect_left(heads, _order(orphan.head), key=lambda trace: _order(trace.head))
        if at and orphan.head.time - heads[at - 1].head.time <= SPAN:
            heads[at - 1].lines += [orphan.head, *orphan.lines]
            left.add(id(orphan))
    return [trace for trace in traces if id(trace) not in left]


def _time(event: LogEvent) -> Nanos:
    return event.time


def _place(event: LogEvent) -> tuple[str, int, int]:
    return (event.origin.topic, event.origin.partition, event.origin.offset)


def _order(event: LogEvent) -> _Rank:
    return (event.time, *_place(event))
