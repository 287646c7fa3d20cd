"""Suspects: counts and times held against the requests that came."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.analysis import Mechanism
from agent.suspects import Sides, latency, logs, paths
from agent.suspects.edge_metrics import MetricEdge, metric_edges
from agent.suspects.finding import Finding
from agent.suspects.ratios import ratio_deviance
from agent.suspects.resources import shifted, suspicion
from agent.suspects.sides import FlowSide, ServiceSide, TemplateSide
from agent.suspects.wording import complains
from ingest.record import SECOND, Origin
from ingest.sketch import Sketch, bucket
from ingest.summary import Line, SeriesKey

COUNT = st.integers(min_value=1, max_value=5_000)


def took(seconds: float, count: int = 50) -> Sketch:
    return Sketch(buckets={bucket(seconds): count})


def flow(count: int = 50, *, entries: int = 0, outer: float = 0.01, inner: float = 0.01) -> FlowSide:
    return FlowSide(count=count, entries=entries, outer=took(outer, count), inner=took(inner, count))


def compared(before: dict[str, ServiceSide], during: dict[str, ServiceSide]) -> Sides:
    return Sides(
        environment="default",
        start=100 * SECOND,
        end=200 * SECOND,
        baseline=before,
        incident=during,
        baseline_log_windows=10,
        incident_log_windows=10,
        baseline_span_windows=10,
        incident_span_windows=10,
    )


def of(findings: list[Finding], part: str) -> dict[str, float]:
    return {found.service: found.value for found in findings if found.part == part}


@given(COUNT, COUNT, st.integers(min_value=1, max_value=9))
def test_counts_in_step_with_their_exposure_deviate_by_nothing(c0: int, a0: int, factor: int) -> None:
    """Twice the requests with twice the lines is no deviation at all."""
    assert ratio_deviance((c0, factor * c0), (a0, factor * a0)) == pytest.approx(0, abs=1e-4)


@given(COUNT, COUNT, COUNT, COUNT)
def test_the_sign_tells_more_from_less(c0: int, c1: int, a0: int, a1: int) -> None:
    """Positive means more than the exposure explains, and exchanging the sides turns the sign."""
    there, back = ratio_deviance((c0, c1), (a0, a1)), ratio_deviance((c1, c0), (a1, a0))
    assert there == pytest.approx(-back, abs=1e-6)
    if c1 * a0 > c0 * a1:
        assert there >= 0


def said(count: int, severity: int = 9, text: str = "charged card") -> TemplateSide:
    line = Line(time=100 * SECOND, origin=Origin(topic="logs", partition=0, offset=0), text=text)
    return TemplateSide(template=text, id=text, count=count, severity_number=severity, lines=[line])


def test_a_line_that_follows_its_requests_accuses_nobody() -> None:
    """Where one kind of request stops coming, the lines it led to are not missed."""
    before = ServiceSide(
        log_windows=10,
        templates={"a": said(100, text="got list"), "b": said(80, text="got order")},
        operations={"GET /list": flow(100, entries=100), "POST /order": flow(80, entries=80)},
    )
    during = ServiceSide(
        log_windows=10,
        templates={"a": said(100, text="got list")},
        operations={"GET /list": flow(100, entries=100), "POST /order": flow(0, entries=0)},
    )
    assert not list(logs.findings(compared({"shop": before}, {"shop": during})))
    during.operations["POST /order"] = flow(80, entries=80)
    found = list(logs.findings(compared({"shop": before}, {"shop": during})))
    assert [(f.service, f.part) for f in found] == [("shop", "log vanished")]


def test_complaints_about_others_weigh_little_against_their_writer() -> None:
    """A line that names another service, or tells of a failed call, points away from who wrote it."""
    assert complains(said(3, 17, "cannot reach payments"), frozenset({"payments"}))
    assert complains(said(3, 17, "500 Internal Server Error: []"), frozenset())
    assert complains(said(3, 17, "read timed out"), frozenset())
    assert not complains(said(3, 17, "KeyError: gold"), frozenset({"payments"}))


def test_work_that_requests_no_longer_lead_to_is_charged_to_its_caller() -> None:
    """The caller that stopped calling leads, the called one is a weak second, its own victims are none."""
    before = {
        "front": ServiceSide(
            operations={"GET /": flow(100, entries=100)}, calls={("stock", "GET /items"): flow(400)}
        ),
        "stock": ServiceSide(operations={"GET /items": flow(400, entries=400), "SELECT items": flow(400)}),
    }
    during = {
        "front": ServiceSide(
            operations={"GET /": flow(100, entries=100)}, calls={("stock", "GET /items"): flow(60)}
        ),
        "stock": ServiceSide(operations={"GET /items": flow(60, entries=60), "SELECT items": flow(10)}),
    }
    values = of(list(paths.findings(compared(before, during))), "work missing")
    assert values["front"] > values["stock"] > 0


def three_edges(slow: frozenset[tuple[str, str]]) -> dict[str, ServiceSide]:
    """Return a → b → c and d → b, each edge slow or not, with all the calls they make."""
    edges = (("a", "b"), ("d", "b"), ("b", "c"))
    sides = {name: ServiceSide(operations={"GET /": flow(50, entries=50, outer=0.1)}) for name in "abcd"}
    for caller, callee in edges:
        outer = 1.01 if (caller, callee) in slow else 0.012
        sides[caller].calls[callee, "GET /"] = flow(50, outer=outer, inner=0.01)
    return sides


def test_a_slow_path_is_charged_to_the_end_that_all_slow_edges_share() -> None:
    """Both edges into b are slow: b leads both callers."""
    slow = frozenset({("a", "b"), ("d", "b")})
    found = list(latency.findings(compared(three_edges(frozenset()), three_edges(slow))))
    values = of(found, "path delay")
    assert max(values, key=lambda s: values[s]) == "b"
    assert {f.mechanism for f in found if f.part == "path delay"} == {Mechanism.NETWORK}


def test_time_nobody_feels_counts_little() -> None:
    """Milliseconds in a rare statement weigh less the longer the requests take."""

    def own(requests: float) -> float:
        before = {"db": ServiceSide(operations={"SELECT": flow(10, inner=0.001, outer=0.002)})}
        during = {"db": ServiceSide(operations={"SELECT": flow(10, inner=0.02, outer=0.04)})}
        for side in (before, during):
            side["front"] = ServiceSide(operations={"GET /": flow(100, entries=100, outer=requests)})
        return of(list(latency.findings(compared(before, during))), "own time").get("db", 0.0)

    assert own(0.01) > own(10.0)


@pytest.mark.parametrize(
    ("words", "short"), [("milliseconds", "ms"), ("microseconds", "us"), ("seconds", "s")]
)
def test_a_unit_in_words_is_the_same_unit(words: str, short: str) -> None:
    """Milliseconds that a shipper spells out are not taken for seconds."""

    def edge(unit: str) -> MetricEdge:
        def side(key: SeriesKey, value: float) -> ServiceSide:
            return ServiceSide(series={key: [(at * SECOND, value) for at in range(5)]}, units={key: unit})

        outer, inner = series("latency_p50.to.pay"), series("latency_p50.from.web")
        before = {"web": side(outer, 5.0), "pay": side(inner, 4.0)}
        during = {"web": side(outer, 705.0), "pay": side(inner, 4.0)}
        (found,) = metric_edges(compared(before, during))
        return found

    assert edge(words) == edge(short)


def test_percent_in_words_has_an_end_too() -> None:
    """A share of what there is counts as near its end whether its unit is a sign or a word."""
    before, during = [20.0, 21.0, 22.0] * 5, [95.0] * 5
    sign, word = (shifted(before, during, unit) for unit in ("%", "percent"))
    assert sign is not None
    assert word is not None
    assert suspicion(sign, falls=False) == suspicion(word, falls=False) > 6


def series(name: str, labels: tuple[tuple[str, str], ...] = ()) -> SeriesKey:
    return SeriesKey(name=name, instance="", labels=labels)


@pytest.mark.parametrize(
    ("outer", "inner"),
    [
        (series("latency_p50.to.pay"), series("latency_p50.from.web")),
        (
            series("request_duration", (("destination_service_name", "pay"),)),
            series("request_duration", (("source_service_name", "web"),)),
        ),
    ],
)
def test_an_edge_that_only_metrics_tell_of_has_a_path_too(outer: SeriesKey, inner: SeriesKey) -> None:
    """Caller's and callee's latency of one edge, by name or by label, give the time between them."""

    def side(key: SeriesKey, seconds: float) -> ServiceSide:
        samples = [(at * SECOND, seconds) for at in range(5)]
        return ServiceSide(series={key: samples}, units={key: "s"})

    both = compared(
        {"web": side(outer, 0.005), "pay": side(inner, 0.004)},
        {"web": side(outer, 0.705), "pay": side(inner, 0.004)},
    )
    (edge,) = metric_edges(both)
    assert (edge.caller, edge.callee) == ("web", "pay")
    assert edge.during - edge.before == pytest.approx(0.7)
    found = list(latency.findings(both))
    assert of(found, "path delay")["pay"] > 3
    assert not any("calls)" in one.evidence.statement for one in found), "nobody has counted them"


@pytest.mark.parametrize(("asked", "sure"), [(100, True), (2, False)])
def test_a_new_complaint_that_few_requests_could_have_shown_before_counts_little(
    asked: int, sure: bool
) -> None:
    """Where its kind of request hardly came in normal times, a complaint may be an old one."""
    entry = "POST /execute"
    before = ServiceSide(
        log_windows=10,
        templates={"a": said(100, text="got list")},
        operations={entry: flow(asked, entries=asked)},
    )
    during = ServiceSide(
        log_windows=10,
        templates={"a": said(100, text="got list"), "b": said(8, 17, "status wrong")},
        operations={entry: flow(100, entries=100)},
    )
    found = of(list(logs.findings(compared({"shop": before}, {"shop": during}))), "log errors")
    assert (found.get("shop", 0.0) > 5) is sure
