"""What a ranking must hold on made incidents of every kind, with all evidence kinds at work."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.analysis import Ranking
from agent.suspects import KINDS, Finding, Sides, findings_of, gather_findings, rank_suspects
from agent.suspects.gaps import gaps_of, logged_gaps, measured_gaps
from agent.suspects.statements import beginnings, statements
from ingest.summary import WindowSummary
from tests.support.made_incidents import FAULTS, NAMES, OTHER_NAMES, Made, made
from tests.support.made_windows import TROUBLED, WIDTH, idle

SEEDS = st.integers(0, 100_000)
Scores = list[tuple[str, float]]


def ranked(sides: Sides, findings: Iterable[Finding] | None = None) -> Ranking:
    found = gather_findings(sides) if findings is None else tuple(findings)
    return rank_suspects(found, edges=sides.edges(), missing=sides.missing())


def scores(ranking: Ranking, names: dict[str, str] | None = None) -> Scores:
    """Return services (under other names) with their scores; equal scores have no order."""
    named = names or {}
    found = [(named.get(one.service, one.service), one.score) for one in ranking.suspects]
    return sorted(found, key=lambda one: (-one[1], one[0]))


@pytest.mark.parametrize("kind", KINDS)
def test_made_incidents_have_evidence_of_every_kind(kind: str) -> None:
    """What is held below is held with every evidence kind: each finds something in some of them."""
    assert any(findings_of(kind, made(seed).sides()) for seed in range(4 * len(FAULTS)))


def test_made_incidents_have_gaps_of_every_source_and_split_statements() -> None:
    """Spans, metrics and lines tell of edges, and one statement has several templates."""
    every = [made(seed).sides() for seed in range(2 * len(FAULTS))]
    for gaps in (gaps_of, lambda both: measured_gaps(both, ()), lambda both: logged_gaps(both, ())):
        assert any(list(gaps(both)) for both in every)
    side = every[0].baseline[NAMES[0]]
    assert len(statements(side, beginnings(side))) < len(side.templates)


@pytest.mark.parametrize("fault", FAULTS)
def test_the_broken_service_is_nearly_always_among_the_first(fault: str) -> None:
    """The made incidents are ones that a ranking can tell: of five of a kind, four are among three."""
    found = 0
    for turn in range(5):
        plan = made(FAULTS.index(fault) + turn * len(FAULTS))
        found += plan.names[plan.culprit] in [one.service for one in ranked(plan.sides()).suspects[:3]]
    assert found >= 4


@settings(max_examples=15, deadline=None)
@given(SEEDS)
def test_other_names_and_another_time_change_nothing(seed: int) -> None:
    """The same incident under other names, in another order of the alphabet, and at another time."""
    plan = made(seed)
    reference = scores(ranked(plan.sides()), dict(zip(NAMES, OTHER_NAMES, strict=True)))
    assert scores(ranked(made(seed, names=OTHER_NAMES).sides())) == reference
    later = made(seed, begin=plan.begin + 12_345 * WIDTH)
    assert scores(ranked(later.sides())) == scores(ranked(plan.sides()))


@settings(max_examples=15, deadline=None)
@given(SEEDS, st.integers(0, 1_000))
def test_the_order_of_windows_and_findings_does_not_matter(seed: int, mix: int) -> None:
    """Windows in any order give the same ranking, evidence included; findings in any order, too."""
    plan, rng = made(seed), random.Random(mix)
    reference = ranked(plan.sides())
    assert ranked(plan.sides(rng.sample(plan.windows, len(plan.windows)))) == reference
    findings = gather_findings(plan.sides())
    assert ranked(plan.sides(), rng.sample(findings, len(findings))) == reference


@settings(max_examples=15, deadline=None)
@given(SEEDS)
def test_an_idle_service_changes_nothing(seed: int) -> None:
    """A service that nobody asks, which does the same before and during, is no suspect and moves none."""
    plan = made(seed)
    assert scores(ranked(plan.sides((*plan.windows, *idle(plan.begin))))) == scores(ranked(plan.sides()))


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.sampled_from([0.01, 0.5, 3.0, 10.0]))
def test_more_of_any_finding_never_lowers_its_service(seed: int, more: float) -> None:
    """Of whatever kind a finding is, raised after attribution: its service stands no lower than it stood."""
    sides = made(seed).sides()
    findings = gather_findings(sides)
    before = [one.service for one in ranked(sides, findings).suspects]
    for place, finding in enumerate(findings):
        raised = [*findings[:place], replace(finding, value=finding.value + more), *findings[place + 1 :]]
        after = [one.service for one in ranked(sides, raised).suspects]
        if finding.service in before:
            assert after.index(finding.service) <= before.index(finding.service), finding.part


def no_metrics(plan: Made) -> Sides:
    return plan.sides([replace(one, series=()) for one in plan.windows])


def no_logs(plan: Made) -> Sides:
    return plan.sides([replace(one, templates=(), pairs=(), severities={}) for one in plan.windows])


def one_minute(plan: Made) -> Sides:
    return plan.sides([one for one in plan.windows if one.start >= plan.onset - 6 * WIDTH])


def faulty_baseline(plan: Made) -> Sides:
    """Let two of three windows of normal times be of the incident."""
    ill = {(one.service, one.start): one for one in plan.windows if one.start >= plan.onset}
    held = []
    for one in plan.windows:
        place = (one.start - plan.begin) // WIDTH
        again = ill.get((one.service, plan.onset + place % TROUBLED * WIDTH)) if place % 3 else None
        held.append(one if again is None else replace(again, start=one.start, end=one.end))
    return plan.sides(held)


def eight_hours_off(plan: Made) -> Sides:
    """Let the clock of a bystander be eight hours behind: all it sends is late, and counted as that."""
    return plan.sides(
        [
            one
            if one.service != odd_one(plan)
            else WindowSummary(
                environment=one.environment, service=one.service, start=one.start, end=one.end, late=one.lines
            )
            for one in plan.windows
        ]
    )


def a_silent_tenth(plan: Made) -> Sides:
    """Let a bystander, one of a few, say nothing any more from the onset on."""
    return plan.sides([one for one in plan.windows if one.service != odd_one(plan) or one.start < plan.onset])


def odd_one(plan: Made) -> str:
    return plan.names[-1 if plan.culprit != len(plan.names) - 1 else 1]


TURNS = 3 * len(FAULTS)
POOR: tuple[tuple[Callable[[Made], Sides], int], ...] = (
    (no_metrics, TURNS),
    (no_logs, TURNS),
    (one_minute, TURNS),
    # Said by what is written in it: of nine faults three make services complain.
    (faulty_baseline, TURNS // len(FAULTS) * 3),
    (eight_hours_off, TURNS),
    (a_silent_tenth, TURNS),
)


@pytest.mark.parametrize(("spoil", "least"), POOR, ids=[spoil.__name__ for spoil, _ in POOR])
def test_poor_telemetry_breaks_nothing_and_makes_less_sure(
    spoil: Callable[[Made], Sides], least: int
) -> None:
    """Whatever breaks: a ranking comes out, mostly less sure, and what is missing is said.

    Where a rival is what can no longer be seen, the first one stands out more clearly than with everything.
    """
    unsure, said = 0, 0
    for seed in range(TURNS):
        plan = made(seed)
        whole, poor = ranked(plan.sides()), ranked(spoil(plan))
        unsure += poor.confidence < whole.confidence
        said += poor.missing != whole.missing
    assert unsure >= 2 * TURNS / 3
    assert said >= least
