"""Loops over a window's log lines, compiled or in Python with the same result; part of `ingest.log_tally`.

Pure. Names and events are lists of one length: the name is that of the event's template.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from ingest.events import LogEvent, Resource
from ingest.shapes import Shape
from ingest.summary import SequenceCount

Group = tuple[int, int, list[LogEvent], LogEvent]
"""How many events, their highest severity, the first of them, and the last."""
Following = tuple[dict[str, str], dict[str, dict[str, int]], dict[tuple[str, str], int]]
"""A name of each sequence key; the counts by name of keys with several events; the counts of pairs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loops:
    """One way through a window's lines."""

    beginning: Callable[[list[LogEvent], tuple[str, ...]], list[LogEvent]]
    grouped: Callable[[list[str], list[LogEvent], int], dict[str, Group]]
    followed: Callable[[list[str], list[LogEvent]], Following]
    sequences: Callable[[list[str], dict[str, str], dict[str, dict[str, int]]], list[SequenceCount]]
    gathered: Callable[[list[LogEvent], Callable[[Resource], list[LogEvent]]], None]
    named: Callable[[list[LogEvent], dict[str, Any], Shape, object, Callable[[str], Any]], list[str]]


def loops(*, compiled: bool = True) -> Loops:
    """Return the compiled loops, or those in Python where they were not built."""
    return (compiled_loops() if compiled else None) or reference_loops()


def reference_loops() -> Loops:
    """Return the loops that say what the compiled ones must give."""
    return Loops(
        beginning=_beginning,
        gathered=_gathered,
        grouped=_grouped,
        followed=_followed,
        sequences=_sequences,
        named=_named,
    )


def compiled_loops() -> Loops | None:
    """Return the compiled loops, None where they were not built."""
    try:
        tally = import_module("ingest._tally")
    except ImportError:
        return None
    return Loops(
        beginning=tally.beginning,
        gathered=tally.gathered,
        grouped=tally.grouped,
        followed=tally.followed,
        sequences=tally.sequences,
        named=tally.named,
    )


def _beginning(events: list[LogEvent], beginnings: tuple[str, ...]) -> list[LogEvent]:
    """Return the events whose body begins with one of `beginnings`."""
    return [event for event in events if event.body.startswith(beginnings)]


def _gathered(events: list[LogEvent], meet: Callable[[Resource], list[LogEvent]]) -> None:
    """Append each event to the list that `meet` gives for its resource; it is asked once for each."""
    known: dict[Resource, list[LogEvent]] = {}
    for event in events:
        held = known.get(event.resource)
        if held is None:
            held = known[event.resource] = meet(event.resource)
        held.append(event)


def _grouped(names: list[str], events: list[LogEvent], most: int) -> dict[str, Group]:
    """Return the events by name, the first `most` of each."""
    counts, last = Counter(names), dict(zip(names, events, strict=True))
    first: dict[str, list[LogEvent]] = {}
    highest: dict[str, int] = {}
    for name, event in zip(names, events, strict=True):
        held = first.get(name)
        if held is None:
            first[name] = [event]
            highest[name] = event.severity_number
            continue
        if len(held) < most:
            held.append(event)
        if event.severity_number > highest[name]:
            highest[name] = event.severity_number
    return {name: (counts[name], highest[name], first[name], last[name]) for name in first}


def _followed(names: list[str], events: list[LogEvent]) -> Following:
    """Return what was written under each sequence key, and what follows what on one instance and key."""
    keys = [event.sequence_key for event in events]
    repeated = {key for key, count in Counter(keys).items() if count > 1 and key is not None}
    heads: dict[str, str] = {}
    found: dict[str, dict[str, int]] = {key: {} for key in repeated}
    pairs: dict[tuple[str, str], int] = {}
    before: dict[tuple[str | None, str], str] = {}
    for key, name, event in zip(keys, names, events, strict=True):
        if key is None:
            continue
        heads.setdefault(key, name)
        # Most keys have one line in a window.
        if key not in repeated:
            continue
        counts = found[key]
        counts[name] = counts.get(name, 0) + 1
        place = event.resource.instance, key
        last = before.get(place)
        before[place] = name
        if last is not None:
            pairs[last, name] = pairs.get((last, name), 0) + 1
    return heads, found, pairs


def _sequences(
    keys: list[str], heads: dict[str, str], found: dict[str, dict[str, int]]
) -> list[SequenceCount]:
    """Return what was written under each of `keys`: as `found` has it, else one line named by `heads`."""
    # Most keys have one line in a window, and they share what is said of it.
    alone = {name: ((name, 1),) for name in set(heads.values())}
    return [
        SequenceCount(
            key=key, counts=tuple(sorted(found[key].items())) if key in found else alone[heads[key]]
        )
        for key in keys
    ]


def _named(
    events: list[LogEvent],
    known: dict[str, Any],
    shape: Shape,
    overflow: object,
    assign: Callable[[str], Any],
) -> list[str]:
    """Return each body's template id: that of its shape where `known` has one, else what `assign` gives."""
    found: list[str] = []
    for event in events:
        body = event.body
        text = known.get(shape(body))
        template = None if text is None else text.template
        if template is None or template is overflow:
            found.append(assign(body).template_id)
        else:
            found.append(template.assigned.template_id)
    return found
