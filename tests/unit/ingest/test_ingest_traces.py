"""Stack traces that come line by line are one event, whatever the order of arrival and wherever it is cut."""

from __future__ import annotations

import random
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.events import LogEvent
from ingest.masking import subject
from ingest.record import Origin
from ingest.summary import WindowSummary
from ingest.templates import Templates
from ingest.trace_lines import abridged
from ingest.traces import MAX_CHARACTERS, MAX_LINES, Traces
from ingest.windows import Windows
from tests.support.telemetry import at, deliver, in_time, log, of, resource
from tests.support.traces import TRACES, lines_of

PODS = ("cart-1", "cart-2")


def stream(
    bodies: list[str], *, start: float = 1.0, step: float = 0.001, offset: int = 0, pod: str = "cart-1"
) -> list[LogEvent]:
    """Return lines of one pod as they are read from one partition."""
    return [
        log(
            at(start + n * step),
            body,
            offset=offset + n,
            of=resource(instance=pod),
            severity_number=level(body),
        )
        for n, body in enumerate(bodies)
    ]


def level(body: str) -> int:
    """Return what a decoder reads from the line."""
    return 17 if "ERROR" in body else 9 if "INFO" in body else 0


def continues(line: str) -> bool:
    """Say whether a line shows by itself that it goes on with another."""
    return line[0].isspace() or line.startswith("Caused by")


def joined(events: list[LogEvent]) -> list[LogEvent]:
    """Return what one window over all of them counts."""
    return Traces().join(sorted(events, key=lambda e: (e.time, e.origin)))


def counted(events: list[LogEvent], **settings_: bool) -> list[WindowSummary]:
    """Return the summaries of windows that were given the events in this order."""
    windows = Windows(Templates(), **settings_)
    for event in events:
        windows.add(event, partition=("logs", event.origin.partition), wall=at(30))
    return of(windows.flush())


@pytest.mark.parametrize("name", sorted(TRACES))
def test_a_trace_is_one_event_between_the_lines_around_it(name: str) -> None:
    """Every runtime's form, between ordinary lines; text, time and origin are the first line's."""
    lines = lines_of(name)
    events = stream(["INFO up", *lines, "INFO served 7 requests", "INFO down"])
    found = joined(events)
    assert [e.body for e in found] == ["INFO up", "\n".join(lines), "INFO served 7 requests", "INFO down"]
    assert (found[1].time, found[1].origin) == (events[1].time, events[1].origin)


@pytest.mark.parametrize("name", sorted(TRACES))
def test_a_trace_names_its_errors_however_it_came(name: str) -> None:
    """In one record or line by line it is one template, that of its first line and errors."""
    whole, types = TRACES[name]
    (apart,) = joined(stream(lines_of(name)))
    templates = Templates()
    first = templates.assign("e", "s", whole)
    assert templates.assign("e", "s", apart.body) == first
    for one in types:
        assert one in first.template
    assert "Orders.place" not in first.template


def test_other_frames_of_the_same_errors_are_the_same_template() -> None:
    """Depth and places in the code do not make another template; another cause does."""
    text, _ = TRACES["java"]
    templates = Templates()
    ids = [
        templates.assign("e", "s", body).template_id
        for body in (
            text,
            text.replace("Orders.java:42", "Orders.java:57").replace("12 more", "31 more"),
            text.replace("java.sql.SQLException", "java.net.SocketTimeoutException"),
        )
    ]
    assert ids[0] == ids[1] != ids[2]


def test_an_error_after_a_plain_line_begins_its_own_event() -> None:
    """Only a line that warns of it is taken for what logged the error."""
    trace = ["java.lang.NullPointerException: x", "\tat a.B.c(B.java:1)"]
    assert len(joined(stream(["INFO served", *trace]))) == 2
    assert len(joined(stream(["ERROR failed", *trace]))) == 1
    assert len(joined([*stream(["ERROR failed"], start=1), *stream(trace, start=4, offset=5)])) == 2


def test_indented_lines_that_are_no_trace_stay_lines() -> None:
    """Tables and continued sentences are not swallowed."""
    bodies = ["ERROR usage:", "  -v  verbose", "  at your own risk", "INFO listing", "\tname\tsize", "\ta\t7"]
    assert joined(stream(bodies)) == stream(bodies)


def test_frames_of_nothing_that_failed_are_an_event_of_their_own() -> None:
    """A line of level INFO does not get another's frames; the frames become one event."""
    found = joined(stream(["INFO served", "\tat a.B.c(B.java:1)", "\tat a.B.d(B.java:2)", "INFO served"]))
    assert [e.body.count("\n") for e in found] == [0, 1, 0]


def test_traces_of_pods_and_threads_do_not_mix() -> None:
    """Lines that come one by one from two pods, and from two threads that name themselves, are told apart."""
    lines = lines_of("java")
    both = [e for pod in PODS for e in stream(lines, offset=100 * PODS.index(pod), pod=pod)]
    assert [e.body for e in joined(both)] == ["\n".join(lines)] * 2
    threads = [
        log(at(1 + n * 0.001), line, offset=n, sequence_key=f"cart/{n % 2}", severity_number=level(line))
        for n, line in enumerate(line for line in lines for _ in range(2))
    ]
    assert [e.body for e in joined(threads)] == ["\n".join(lines)] * 2


@settings(max_examples=30, deadline=None)
@given(names=st.lists(st.sampled_from(sorted(TRACES)), min_size=1, max_size=4), seed=st.integers(0, 999))
def test_the_order_of_arrival_does_not_matter(names: list[str], seed: int) -> None:
    """Traces of two pods, shuffled, give the same windows to the last byte."""
    events = []
    for number, name in enumerate(names):
        bodies = ["INFO served", *lines_of(name), "INFO served"]
        events += stream(bodies, start=1 + number, offset=100 * number, pod=PODS[number % 2])
    shuffled = random.Random(seed).sample(events, len(events))
    assert counted(shuffled) == counted(events)
    assert sum(one.lines for one in counted(events)) == 3 * len(names)


@settings(max_examples=60, deadline=None)
@given(name=st.sampled_from(["java", "java, uncaught", "node", ".net", "ruby"]), cut=st.integers(1, 30))
def test_a_trace_cut_by_a_windows_end_is_counted_once(name: str, cut: int) -> None:
    """What falls into the next window belongs to the event of the window in which the trace began."""
    lines = lines_of(name)
    cut = min(cut, len(lines) - 1)
    if name == "java":
        cut = max(3, cut)  # that the logger's line belongs to it shows only with the first frame
    events = stream(["INFO up", *lines, "INFO down"], start=10 - 0.001 * (cut + 1))
    first, second = counted(events)
    assert (first.lines, second.lines) == (2, 1)
    assert [t.template for t in second.templates] == ["INFO down"]
    assert max(t.lines[0].text.count("\n") for t in first.templates) == cut - 1


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 999), name=st.sampled_from(["java", "node", ".net"]))
def test_lines_on_two_partitions_are_found_by_time(seed: int, name: str) -> None:
    """One reader of both puts the trace together, though each partition has only a part of it."""
    rng = random.Random(seed)
    events = [
        msgspec.structs.replace(e, origin=Origin(topic="logs", partition=rng.randrange(2), offset=n))
        for n, e in enumerate(stream(["ERROR failed", *filter(continues, lines_of(name)[1:])]))
    ]
    (summary,) = counted(rng.sample(events, len(events)))
    (template,) = summary.templates
    assert template.count == 1
    assert sorted(template.lines[0].text.split("\n")) == sorted(e.body for e in events)


def test_partial_summaries_of_pods_on_their_own_partitions_are_those_of_one_reader() -> None:
    """Where a pod's lines stay on one partition, what is merged is what one reader would have counted."""
    from ingest.merge import merge

    parts = [
        [
            msgspec.structs.replace(e, origin=Origin(topic="logs", partition=number, offset=e.origin.offset))
            for e in stream(["INFO up", *lines_of("java"), *lines_of("python")], pod=pod)
        ]
        for number, pod in enumerate(PODS)
    ]
    (first,), (second,) = (counted(part, whole=False) for part in parts)
    (both,) = counted([*parts[1], *parts[0]], whole=False)
    assert merge(first, second) == both


@settings(max_examples=30, deadline=None)
@given(stop=st.integers(0, 14))
def test_a_restored_window_goes_on_with_a_trace(stop: int) -> None:
    """A snapshot between two lines, in two windows, changes nothing."""
    events = stream(["INFO up", *lines_of("java"), "INFO down"], start=9.994)
    windows, resumed = Windows(Templates()), Windows(Templates())
    closed = deliver(windows, in_time(events[:stop]))
    resumed.load(windows.dump())
    rest = [*in_time(events[stop:]), (at(20), ("logs", 0), log(at(20), "INFO end", offset=99))]
    assert deliver(resumed, rest) == deliver(windows, rest)
    assert resumed.counts == windows.counts
    resumed.load(windows.dump())
    assert resumed.flush() == windows.flush()
    assert all(len(of([window])) <= 1 for window in closed)


def test_what_a_trace_may_hold_is_bounded_and_counted() -> None:
    """Endless frames are one event of bounded text; what causes it is kept past the number of lines."""
    lines = ["ERROR failed", "org.shop.AError: x", *(f"\tat a.B.c{n}(B.java:{n})" for n in range(1000))]
    traces = Traces()
    (event,) = traces.join(stream([*lines, "Caused by: org.shop.B: y"], step=0.0001))
    kept = event.body.split("\n")
    assert len(kept) == MAX_LINES + 2
    assert kept[-1] == "Caused by: org.shop.B: y"
    assert (traces.joined, traces.cut) == (1002, 1002 - MAX_LINES - 1)
    (event,) = traces.join(stream(["ERROR failed", *["\tat a.b(" + "x" * 5_000] * 90], start=11))
    assert len(event.body) <= MAX_CHARACTERS


def test_a_trace_lasts_five_seconds_at_most() -> None:
    """Frames without end, one a second, are not one event for ever."""
    lines = ["ERROR failed", *["\tat a.B.c(B.java:1)"] * 8]
    found = joined(stream(lines, start=0, step=1.0))
    assert all(a.time != b.time for a, b in pairwise(found))
    assert [e.body.count("\n") for e in found] == [5, 2]


def test_the_level_is_the_first_lines_own() -> None:
    """An error logged at WARN stays a warning; a first line that says none takes the worst below it."""
    (warned,) = joined(
        [log(at(1), "retrying", severity_number=13), log(at(1), "\tat a.B.c(B.java:1)", offset=1)]
    )
    assert warned.severity_number == 13
    below = log(at(1), "Caused by: a.XError", offset=1, severity_number=17)
    (unknown,) = joined([log(at(1), "a.b.FooException: x"), below])
    assert unknown.severity_number == 17


def test_evidence_of_a_long_trace_keeps_its_errors() -> None:
    """What is shown of a trace gives up deep frames, never a cause, and is of the same template."""
    frames = [f"\tat org.shop.cart.Cart.method{n}(Cart.java:{n})" for n in range(200)]
    whole = "\n".join(
        ["ERROR failed", "a.OneException: x", *frames, "Caused by: b.TwoError: y", *frames, "\t... 9 more"]
    )
    shown = abridged(whole, 2048)
    assert len(shown) <= 2048
    assert subject(shown) == subject(whole) == "ERROR failed a.OneException b.TwoError"
    assert frames[0] in shown
    (summary,) = counted(stream(whole.split("\n")))
    assert subject(summary.templates[0].lines[0].text) == subject(whole)


@settings(max_examples=100, deadline=None)
@given(text=st.text(alphabet="ab\n\t :.Error", max_size=300), limit=st.integers(1, 100))
def test_evidence_is_never_longer_than_it_may_be(text: str, limit: int) -> None:
    """Whatever the lines are; what is short enough stays as it is."""
    shown = abridged(text, limit)
    assert len(shown) <= limit
    assert shown == text or len(text) > limit


@pytest.mark.parametrize(
    "sign", ["\tat ", " ", "a.", "\t", "Caused by: ", "#1 ", "x(", "    at x ", "\tError\n", "File "]
)
def test_hostile_lines_end(sign: str) -> None:
    """Long repetitions of what traces are made of are looked at in linear time."""
    text = sign * 20_000
    joined(stream(["ERROR failed", text, f"\t{text}", f"goroutine 1 [{text}", f"\tat {text}"]))
    assert subject(f"x\n{text}") is not None
    assert len(abridged(f"x\n{text}", 2048)) <= 2048


_ANY_LINE = st.sampled_from(
    [
        "INFO up",
        "ERROR failed",
        "",
        "  ",
        "\t",
        "x\ny",
        "}",
        *(line for name in TRACES for line in lines_of(name)),
    ]
)


@settings(max_examples=150, deadline=None)
@given(
    bodies=st.lists(_ANY_LINE, max_size=40),
    gaps=st.lists(st.sampled_from([0, 1, 400, 6_000]), min_size=40, max_size=40),
    keys=st.lists(st.sampled_from([None, "a", "b"]), min_size=40, max_size=40),
    seed=st.integers(0, 99),
)
def test_no_line_is_lost_or_counted_twice(
    bodies: list[str], gaps: list[int], keys: list[str | None], seed: int
) -> None:
    """Whatever lines come in whatever order: each is an event or part of one, and events keep their order."""
    milliseconds = 0
    events = []
    for number, body in enumerate(bodies):
        milliseconds += gaps[number]
        at_time = at(milliseconds / 1000)
        events.append(
            log(at_time, body, offset=number, sequence_key=keys[number], severity_number=level(body))
        )
    traces = Traces()
    found = traces.join(list(events))
    assert len(found) + traces.joined == len(events)
    assert traces.cut == 0
    assert [e.origin for e in found] == sorted(e.origin for e in found)
    assert sorted("\n".join(e.body for e in found).split("\n")) == sorted("\n".join(bodies).split("\n"))
    shuffled = random.Random(seed).sample(events, len(events))
    assert Traces().join(sorted(shuffled, key=lambda e: (e.time, e.origin))) == found
