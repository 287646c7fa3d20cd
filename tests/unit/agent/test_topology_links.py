"""Who calls whom: from spans, metrics, order of log lines and a given list, with how sure each is."""

from __future__ import annotations

from msgspec import structs

from agent.topology.links import BELIEVED, Link, Source, hops, links_of
from ingest.record import SECOND, Nanos, Origin
from ingest.summary import Line, SeriesKey, TemplateCount, WindowSummary
from tests.support.shop import WIDTH, call, gauge

BEGIN: Nanos = 1_700_000_000 * SECOND


def lines(service: str, times: dict[str, float], start: Nanos) -> WindowSummary:
    """Return a window with one line per trace, at seconds after `start`."""
    kept = tuple(
        Line(
            time=start + round(after * SECOND),
            origin=Origin(topic=service, partition=0, offset=number),
            text="line",
            trace_id=trace,
        )
        for number, (trace, after) in enumerate(times.items())
    )
    template = TemplateCount(
        template_id=f"tpl_{service}", template="line", count=len(kept), severity_number=9,
        first=start, last=start, lines=kept,
    )  # fmt: skip
    return window(service, templates=(template,), severities={9: len(kept)})


def window(service: str, **fields: object) -> WindowSummary:
    known: dict[str, object] = {
        "environment": "prod",
        "service": service,
        "start": BEGIN,
        "end": BEGIN + WIDTH,
    }
    return WindowSummary(**{**known, **fields})  # type: ignore[arg-type]


def found(links: tuple[Link, ...]) -> dict[tuple[str, str], Source]:
    return {(link.caller, link.callee): link.source for link in links if link.confidence >= BELIEVED}


def test_each_source_tells_of_its_edges() -> None:
    """Spans name callees, metrics name either end, a given list is believed."""
    named = gauge("latency.to.stock", 0.1, BEGIN, "s")
    labelled = gauge("requests", 1.0, BEGIN)
    labelled_key = SeriesKey(name="requests", labels=(("source_workload", "front"),))
    held = (
        window("front", calls=(call("orders", "GET /", 0.1, 0.1),)),
        window("orders", series=(named,)),
        window("stock", series=(structs.replace(labelled, key=labelled_key),)),
    )
    assert found(links_of(held, [("a", "b")])) == {
        ("a", "b"): Source.GIVEN,
        ("front", "orders"): Source.SPANS,
        ("front", "stock"): Source.METRICS,
        ("orders", "stock"): Source.METRICS,
    }


def test_lines_of_many_traces_tell_the_order_and_the_time_between() -> None:
    """A service's first line follows its caller's; a few traces are not believed, many are."""
    traces = [f"t{n}" for n in range(20)]
    many = (
        lines("front", dict.fromkeys(traces, 1.0), BEGIN),
        lines("back", dict.fromkeys(traces, 1.5), BEGIN),
    )
    assert found(links_of(many)) == {("front", "back"): Source.LOGS}
    assert list(hops(many)) == [("front", "back", 0.5)] * 20
    few = (lines("front", {"t": 1.0}, BEGIN), lines("back", {"t": 1.5}, BEGIN))
    assert not found(links_of(few))
    assert links_of(few)[0].confidence < BELIEVED


def test_two_directions_are_weighed_against_each_other() -> None:
    """Where either of two services is first about as often, neither is believed to call the other."""
    first, second = {}, {}
    for number in range(20):
        first[f"t{number}"] = 1.0 + number % 2
        second[f"t{number}"] = 2.0 - number % 2
    assert not found(links_of((lines("a", first, BEGIN), lines("b", second, BEGIN))))


def test_order_of_windows_does_not_matter_and_cycles_are_kept() -> None:
    """Links come sorted whatever the order, both directions of a cycle included, none to itself."""
    held = (
        window("a", calls=(call("b", "x", 0.1, 0.1), call("a", "x", 0.1, 0.1))),
        window("b", calls=(call("a", "x", 0.1, 0.1),)),
    )
    assert links_of(held) == links_of(tuple(reversed(held)))
    assert set(found(links_of(held))) == {("a", "b"), ("b", "a")}
