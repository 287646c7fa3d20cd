"""Suspects: evidence kinds and their sum, on windows held as values."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from agent.analysis import Mechanism, Ranking
from agent.suspects import KINDS, Finding, Sides, gather_findings, rank_suspects
from agent.suspects.resources import family_of, shifted, suspicion
from detectors.anomaly import Evidence, EvidenceKind
from ingest.record import SECOND, Nanos
from ingest.summary import WindowSummary
from tests.support.shop import ONSET, windows


def sides(held: tuple[WindowSummary, ...]) -> Sides:
    return Sides.of(
        baseline=tuple(w for w in held if w.start < ONSET),
        incident=tuple(w for w in held if w.start >= ONSET),
    )


def ranking(held: tuple[WindowSummary, ...]) -> Ranking:
    both = sides(held)
    return rank_suspects(gather_findings(both), edges=both.edges(), missing=both.missing())


def test_the_broken_service_leads_its_callers() -> None:
    """The service that burns CPU and throws ranks before those that wait for it."""
    found = ranking(windows())
    assert found.suspects[0].service == "payments"
    assert found.suspects[0].mechanism in {Mechanism.CPU, Mechanism.EXCEPTION}
    assert found.confidence > 0.5


def test_every_score_is_the_sum_of_parts_that_cite_known_evidence() -> None:
    """A suspect's score is its parts' sum, and each part cites evidence that the ranking carries."""
    found = ranking(windows())
    known = {item.id for item in found.evidence}
    for suspect in found.suspects:
        assert suspect.score == pytest.approx(sum(part.value for part in suspect.parts))
        assert all(i in known for part in suspect.parts for i in part.evidence_ids)


def test_normal_times_against_themselves_accuse_nobody() -> None:
    """Two stretches of normal times give no suspect and no confidence."""
    normal = tuple(w for w in windows() if w.start < ONSET)
    middle = normal[len(normal) // 2].start
    both = Sides.of(
        baseline=tuple(w for w in normal if w.start < middle),
        incident=tuple(w for w in normal if w.start >= middle),
    )
    found = rank_suspects(gather_findings(both), edges=both.edges())
    assert found.suspects == ()
    assert found.confidence == 0.0


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_alone_or_left_out_breaks_nothing(kind: str) -> None:
    """Without one kind of evidence, and with it alone, a ranking still comes out."""
    both = sides(windows())
    assert rank_suspects(gather_findings(both, frozenset({kind})), edges=both.edges()).suspects
    alone = gather_findings(both, frozenset(set(KINDS) - {kind}))
    rank_suspects(alone, edges=both.edges())


def test_missing_telemetry_is_said_and_lowers_confidence() -> None:
    """Without spans or baseline the ranking says so and is less sure."""
    bare = tuple(dataclasses.replace(w, operations=(), calls=()) for w in windows())
    assert "no spans at all" in ranking(bare).missing
    assert ranking(bare).confidence < ranking(windows()).confidence
    only = tuple(w for w in windows() if w.start >= ONSET)
    assert any("no baseline" in said for said in sides(only).missing())
    assert ranking(()).suspects == ()


def shifted_by(window: WindowSummary, by: Nanos) -> WindowSummary:
    """Return the window with every time in it moved."""
    return dataclasses.replace(
        window,
        start=window.start + by,
        end=window.end + by,
        templates=tuple(
            structs.replace(
                t,
                first=t.first + by,
                last=t.last + by,
                lines=tuple(structs.replace(line, time=line.time + by) for line in t.lines),
            )
            for t in window.templates
        ),
        series=tuple(
            structs.replace(s, samples=tuple((time + by, value) for time, value in s.samples))
            for s in window.series
        ),
    )


@settings(max_examples=15, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(-10_000, 10_000))
def test_order_time_and_names_do_not_matter(random: object, shift: int) -> None:
    """Permuting windows, shifting all times and renaming services keep the ranking."""
    reference = [(s.service, s.score) for s in ranking(windows()).suspects]
    held = list(windows())
    random.shuffle(held)  # type: ignore[attr-defined]
    later = tuple(shifted_by(w, shift * 10 * SECOND) for w in held)
    moved = Sides.of(
        baseline=tuple(w for w in later if w.start < ONSET + shift * 10 * SECOND),
        incident=tuple(w for w in later if w.start >= ONSET + shift * 10 * SECOND),
    )
    again = rank_suspects(gather_findings(moved), edges=moved.edges())
    assert [(s.service, s.score) for s in again.suspects] == reference
    assert [(s.service, s.score) for s in ranking(tuple(held)).suspects] == reference
    names = {"frontend": "zeta", "orders": "alpha", "payments": "middle"}
    renamed = tuple(
        dataclasses.replace(
            w,
            service=names[w.service],
            calls=tuple(structs.replace(c, callee=names[c.callee]) for c in w.calls),
        )
        for w in held
    )
    assert [(s.service, s.score) for s in ranking(renamed).suspects] == [(names[n], v) for n, v in reference]


def test_an_idle_service_changes_nothing() -> None:
    """A service that does the same before and during neither appears nor moves others."""
    idle = tuple(
        dataclasses.replace(w, service="idle", calls=(), templates=w.templates[:1], operations=())
        for w in windows()
        if w.service == "frontend"
    )
    reference = [(s.service, s.score) for s in ranking(windows()).suspects]
    assert [(s.service, s.score) for s in ranking((*windows(), *idle)).suspects] == reference


def finding(service: str, part: str, value: float) -> Finding:
    evidence = Evidence(
        id=f"ev_{service}_{part}",
        kind=EvidenceKind.LOG,
        environment="prod",
        service=service,
        subject=part,
        label=part,
        statement=f"{part} of {service}",
        start=0,
        end=1,
        score=value,
    )
    return Finding(service=service, part=part, value=value, mechanism=Mechanism.EXCEPTION, evidence=evidence)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("abcd"), st.sampled_from(["cpu", "failing", "silence"]), st.floats(0.6, 9)),
        min_size=1,
        max_size=8,
        unique_by=lambda item: item[:2],
    ),
    st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("abcd")), max_size=6),
    st.sampled_from(["memory", "failing", "log errors", "own time"]),
    st.floats(0, 9),
)
def test_more_suspicion_never_lowers_a_rank(
    parts: list[tuple[str, str, float]], edges: list[tuple[str, str]], part: str, more: float
) -> None:
    """Raising any part of a service, a symptom too, never lowers its rank; cycles are no trouble."""
    before = [finding(*known) for known in parts]
    service = parts[0][0]
    raised = [*before, finding(service, part, more)]
    first = [s.service for s in rank_suspects(before, edges=edges).suspects]
    second = [s.service for s in rank_suspects(raised, edges=edges).suspects]
    if service in first:
        assert second.index(service) <= first.index(service)


def test_a_callers_symptom_is_explained_by_a_deeper_suspect() -> None:
    """Equal complaints of caller and callee count for the callee, and the caller shows why not."""
    found = rank_suspects(
        [finding("front", "failing", 4.0), finding("back", "failing", 4.0)], edges=[("front", "back")]
    )
    assert [s.service for s in found.suspects] == ["back", "front"]
    assert found.suspects[1].against == ("ev_back_failing",)


def test_metric_names_find_their_family() -> None:
    """Names read like what they measure; metrics of the machine blame no service."""
    assert family_of("container_cpu_usage") is not None
    assert family_of("NodeCpuUsageRate") is None
    pool = family_of("db.pool.in_use")
    assert pool is not None
    assert pool.name == "pool"
    assert family_of("quux") is None
    served = "http.server.request.duration"
    found = [family_of(f"{served}.{name}") for name in ("p95", "mean", "rate")]
    assert [family and family.name for family in found] == ["latency", "latency", "traffic"]


@given(
    st.lists(st.floats(0, 1e9), min_size=1, max_size=30), st.lists(st.floats(0, 1e9), min_size=1, max_size=30)
)
def test_suspicion_stays_on_its_scale(before: list[float], during: list[float]) -> None:
    """Whatever the samples, suspicion is between 0 and 10."""
    shift = shifted(before, during, "%")
    assert shift is not None
    assert 0.0 <= suspicion(shift, falls=False) <= 10.0
