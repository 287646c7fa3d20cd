"""Merging partial summaries, and the groups a minute makes of them."""

from __future__ import annotations

import itertools
from dataclasses import fields
from functools import reduce
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import ingest.merge
from ingest.events import LogEvent, SpanEvent
from ingest.merge import merge
from ingest.minutes import MINUTE, Minutes
from ingest.record import SECOND, Nanos
from ingest.summary import (
    MAX_SAMPLES,
    WindowSummary,
)
from ingest.templates import Templates
from ingest.windows import Windows
from tests.support.summaries import members, summaries
from tests.support.telemetry import Windowed, at, events, log, point


def _whole(records: list[Windowed]) -> WindowSummary | None:
    """Return the one summary of service `cart` over records forced into one window."""
    windows = Windows(Templates(), width=10_000_000 * SECOND)
    for record in records:
        windows.add(record, partition=("t", 0), wall=record.time)
    found = [s for window in windows.flush() for s in window.summaries if s.service == "cart"]
    return found[0] if found else None


def _bytes(summary: WindowSummary) -> bytes:
    return msgspec.msgpack.encode(summary)


@pytest.fixture
def few_sequences(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a window have room for four sequence keys, so that few examples go beyond it."""
    monkeypatch.setattr(ingest.merge, "MAX_SEQUENCES", 4)


@given(drawn=members())
@settings(max_examples=1, deadline=None)
def test_every_member_of_a_summary_is_drawn(drawn: dict[str, Any]) -> None:
    """A member that is added to the summary has to come into the tests of merging, too."""
    assert {"environment", "service", *drawn} == {each.name for each in fields(WindowSummary)}


@pytest.mark.usefixtures("few_sequences")
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=summaries(), second=summaries(), third=summaries())
def test_merge_is_associative_and_commutative(
    first: WindowSummary, second: WindowSummary, third: WindowSummary
) -> None:
    """Any order and grouping gives the same bytes."""
    results = {
        _bytes(merge(merge(a, b), c)) for a, b, c in itertools.permutations((first, second, third))
    } | {_bytes(merge(a, merge(b, c))) for a, b, c in itertools.permutations((first, second, third))}
    assert len(results) == 1


_BODIES = st.sampled_from(["up", "cache miss"])
_KEYED = st.lists(
    st.tuples(
        st.integers(0, 9),
        st.sampled_from("abcdefghij"),
        _BODIES,
        st.integers(0, 2),
    ),
    max_size=30,
)
"""Lines as (second, sequence key, body, the part that reads them)."""


@pytest.mark.usefixtures("few_sequences")
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=_KEYED)
def test_sequences_of_parts_are_those_of_the_whole(lines: list[tuple[int, str, str, int]]) -> None:
    """Keys whose lines went to different parts are counted together, and as many are kept of too many."""
    records = [
        log(at(time), body, offset=n, sequence_key=key) for n, (time, key, body, _) in enumerate(lines)
    ]
    parts: dict[int, list[Windowed]] = {}
    for record, line in zip(records, lines, strict=True):
        parts.setdefault(line[3], []).append(record)
    whole = _whole([*records])
    summaries = [summary for part in parts.values() if (summary := _whole(part)) is not None]
    if whole is None:
        assert summaries == []
        return
    merged = reduce(merge, summaries)
    assert (merged.sequences, merged.sequence_share) == (whole.sequences, whole.sequence_share)
    assert len(whole.sequences) <= 4


@settings(max_examples=60, deadline=None)
@given(records=events(), data=st.data())
def test_merged_parts_are_the_whole(records: list[Windowed], data: st.DataObject) -> None:
    """Logs, metrics and changes split over partitions merge into what one window over all would be.

    Lines that generalise are left out: which of them gives birth to the template depends on the part.
    """
    unkeyed: list[Windowed] = [
        msgspec.structs.replace(r, sequence_key=None) if isinstance(r, LogEvent) else r
        for r in records
        if not isinstance(r, SpanEvent) and not (isinstance(r, LogEvent) and r.body.startswith("order"))
    ]
    parts: dict[int, list[Windowed]] = {}
    for record in unkeyed:
        parts.setdefault(data.draw(st.integers(0, 2)), []).append(record)
    summaries = [summary for part in parts.values() if (summary := _whole(part)) is not None]
    merged = reduce(merge, summaries) if summaries else None
    assert merged == _whole(unkeyed)


@settings(max_examples=60, deadline=None)
@given(records=events(), data=st.data())
def test_traces_and_sequences_that_stay_together_merge_into_the_whole(
    records: list[Windowed], data: st.DataObject
) -> None:
    """Where each trace and each sequence key is in one part, calls, operations and pairs merge, too."""
    parts: dict[int, list[Windowed]] = {}
    homes: dict[str | None, int] = {}
    kept: list[Windowed] = []
    for number, record in enumerate(records):
        if isinstance(record, LogEvent) and record.body.startswith("order"):
            continue
        together: str | None = str(number)
        if isinstance(record, SpanEvent):
            together = f"trace {number % 4}"
            record = msgspec.structs.replace(record, trace_id=together)
        elif isinstance(record, LogEvent) and record.sequence_key is not None:
            together = record.sequence_key
        home = homes.get(together)
        if home is None:
            home = homes[together] = data.draw(st.integers(0, 2))
        parts.setdefault(home, []).append(record)
        kept.append(record)
    summaries = [summary for part in parts.values() if (summary := _whole(part)) is not None]
    merged = reduce(merge, summaries) if summaries else None
    assert merged == _whole(kept)


def test_many_samples_merge_into_a_sum() -> None:
    """Two halves below the limit, together above it: count, total, extremes and the last sample stay."""
    records: list[Windowed] = [point(at(i / 10), float(i), offset=i) for i in range(MAX_SAMPLES + 10)]
    whole, first, second = _whole(records), _whole(records[::2]), _whole(records[1::2])
    assert first is not None
    assert second is not None
    assert merge(first, second) == whole


def test_other_windows_do_not_merge() -> None:
    """Merging what does not belong together is a mistake and says so."""
    one = WindowSummary(environment="e", service="s", start=0, end=10)
    with pytest.raises(ValueError, match="not the same window"):
        merge(one, WindowSummary(environment="e", service="s", start=10, end=20))


def _empty(start: Nanos, service: str = "cart") -> WindowSummary:
    return WindowSummary(environment="e", service=service, start=start, end=start + 10 * SECOND)


def test_a_group_is_handed_out_whole_each_time_it_grows() -> None:
    """A row is replaced as a whole, so what was handed out before comes again with what is new."""
    minutes = Minutes()
    minutes.add([_empty(0), _empty(0, "shop")])
    assert minutes.dirty() == (("e", "cart", 0, (_empty(0),)), ("e", "shop", 0, (_empty(0, "shop"),)))
    assert minutes.dirty() == ()
    minutes.add([_empty(10 * SECOND)])
    assert minutes.dirty() == (("e", "cart", 0, (_empty(0), _empty(10 * SECOND))),)


def test_partial_summaries_of_a_window_are_merged() -> None:
    """Two parts of one window are one summary of the group."""
    one, two = (
        WindowSummary(environment="e", service="s", start=0, end=10 * SECOND, severities={9: n})
        for n in (1, 2)
    )
    minutes = Minutes()
    minutes.add([one, two])
    assert minutes.dirty()[0][3][0].severities == {9: 3}


def test_groups_are_let_go_once_over_and_handed_out() -> None:
    """Only the current minutes are held."""
    minutes = Minutes()
    minutes.add([_empty(0)])
    minutes.dirty()
    minutes.add([_empty(MINUTE)])
    assert len(minutes) == 2
    assert [group[2] for group in minutes.dirty()] == [MINUTE]
    assert len(minutes) == 1


def test_minutes_go_on_from_a_snapshot() -> None:
    """Groups and what has changed in them survive."""
    minutes, resumed = Minutes(), Minutes()
    minutes.add([_empty(0)])
    minutes.dirty()
    minutes.add([_empty(0, "shop")])
    resumed.load(minutes.dump())
    for each in (minutes, resumed):
        each.add([_empty(20 * SECOND)])
    assert resumed.dirty() == minutes.dirty()
    assert len(resumed) == len(minutes) == 2


def test_lines_of_all_parts_compete_for_the_first_places() -> None:
    """The three earliest lines stay, whichever part they came from."""
    records: list[Windowed] = [log(at(i), "same words", offset=i) for i in range(6)]
    first, second = _whole(records[3:]), _whole(records[:3])
    assert first is not None
    assert second is not None
    assert [line.time for line in merge(first, second).templates[0].lines] == [at(0), at(1), at(2)]
