"""Both ways through a window's lines, the reference and the compiled one, count the same."""

from __future__ import annotations

import gc
import sys
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.events import LogEvent, Resource
from ingest.record import Origin
from ingest.shapes import reference_shape
from ingest.tallying import Loops, compiled_loops, reference_loops
from ingest.templates import Templates
from ingest.trace_lines import CONTINUES

_RESOURCES = [Resource(environment="e", service="cart", instance=name) for name in (None, "a", "b")]
_LINES = st.builds(
    lambda time, body, severity, key, resource: LogEvent(
        origin=Origin(topic="t", partition=0, offset=time),
        resource=_RESOURCES[resource],
        time=time,
        body=body,
        severity_number=severity,
        sequence_key=key,
    ),
    st.integers(0, 1000),
    st.sampled_from(["at Some.java(1)", "\tat x", " é", "é", "", "took 3 ms", "took 4 ms", "Caused by: x"]),
    st.integers(0, 24),
    st.sampled_from([None, "k1", "k2", "k3", "k4", "k5", ""]),
    st.integers(0, 2),
)
_NAMED_LINES = st.lists(st.tuples(st.sampled_from("abc"), _LINES), max_size=30)


def compiled() -> Loops:
    """Return the compiled loops; the package is built with them wherever tests run."""
    fast = compiled_loops()
    assert fast is not None, "run `python .ci/build_decoder.py` to compile the extensions"
    return fast


@pytest.fixture(params=["reference", "compiled"])
def loops(request: pytest.FixtureRequest) -> Loops:
    """Return each way in turn."""
    return reference_loops() if request.param == "reference" else compiled()


@settings(max_examples=300, deadline=None)
@given(_NAMED_LINES)
def test_both_ways_count_the_same(lines: list[tuple[str, LogEvent]]) -> None:
    """Groups, sequences, pairs, beginnings and services are equal, whatever the lines."""
    names, events = [name for name, _ in lines], [event for _, event in lines]
    one, other = reference_loops(), compiled()
    assert one.beginning(events, CONTINUES) == other.beginning(events, CONTINUES)
    assert one.grouped(names, events, 3) == other.grouped(names, events, 3)
    heads, found, pairs = one.followed(names, events)
    assert other.followed(names, events) == (heads, found, pairs)
    keys = sorted(heads)
    assert one.sequences(keys, heads, found) == other.sequences(keys, heads, found)
    parted: list[dict[Resource, list[LogEvent]]] = [{}, {}]
    for way, held in zip((one, other), parted, strict=True):
        way.gathered(events, lambda resource, held=held: held.setdefault(resource, []))  # type: ignore[misc]
    assert parted[0] == parted[1]


@given(_NAMED_LINES)
def test_nothing_is_lost_or_counted_twice(lines: list[tuple[str, LogEvent]]) -> None:
    """Every line is in its group and its sequence, and every line but each stream's first ends a pair."""
    names, events = [name for name, _ in lines], [event for _, event in lines]
    groups = reference_loops().grouped(names, events, 3)
    assert {name: group[0] for name, group in groups.items()} == Counter(names)
    assert all(len(group[2]) == min(3, group[0]) for group in groups.values())
    heads, found, pairs = reference_loops().followed(names, events)
    keyed = [event for event in events if event.sequence_key is not None]
    told = reference_loops().sequences(sorted(heads), heads, found)
    assert sum(count for one in told for _, count in one.counts) == len(keyed)
    streams = {(event.resource.instance, event.sequence_key) for event in keyed}
    assert sum(pairs.values()) == len(keyed) - len(streams)


@settings(max_examples=100, deadline=None)
@given(st.lists(_LINES, min_size=1, max_size=30))
def test_many_lines_have_the_templates_that_each_would_have(lines: list[LogEvent]) -> None:
    """What is assigned at once is what is assigned line by line, and what is learned is the same."""
    once, compiled_, single = Templates(), Templates(), Templates()
    expected = [single.of("e", "cart").assign(line.body).template_id for line in lines]
    assert once.of("e", "cart").ids(lines, reference_loops()) == expected
    assert compiled_.of("e", "cart").ids(lines, compiled()) == expected
    assert once.dump() == compiled_.dump() == single.dump()


def test_what_nobody_remembers_is_assigned_anew(loops: Loops) -> None:
    """A text that came to nothing yet, or to the overflow, goes to `assign`."""
    event = LogEvent(
        origin=Origin(topic="t", partition=0, offset=1), resource=_RESOURCES[0], time=1, body="took 3 ms"
    )
    miner = Templates(limit=1).of("e", "cart")
    first = miner.ids([event], loops)
    assert miner.ids([event, event], loops) == first * 2
    other = LogEvent(
        origin=event.origin, resource=event.resource, time=2, body="quite another line of seven words"
    )
    assert miner.ids([other, other], loops) == [miner.variants.overflow.template_id] * 2
    assert miner.overflowed == 2
    assert reference_shape(event.body) == "took 0 ms"


def test_counting_leaves_nothing_behind(loops: Loops) -> None:
    """Counting the same lines again and again leaves as many objects as there were."""
    events = [
        LogEvent(
            origin=Origin(topic="t", partition=0, offset=n),
            resource=_RESOURCES[n % 3],
            time=n,
            body=f"took {n} ms",
            sequence_key=f"k{n // 2}",
        )
        for n in range(60)
    ]
    names = ["a" if n % 3 else "b" for n in range(60)]

    def left(rounds: int) -> int:
        for _ in range(rounds):
            loops.grouped(names, events, 3)
            heads, found, _ = loops.followed(names, events)
            assert len(loops.sequences(sorted(heads), heads, found)) == 30
            loops.beginning(events, CONTINUES)
        gc.collect()
        return sys.getallocatedblocks()

    before = left(3)
    assert left(30) - before < 100


def test_every_line_has_one_name(loops: Loops) -> None:
    """Lists of different lengths are an error, never a guess."""
    with pytest.raises(ValueError, match=r"every event has one name|zip"):
        loops.grouped(["a"], [], 3)
    with pytest.raises(ValueError, match=r"every event has one name|zip"):
        loops.followed(["a"], [])
