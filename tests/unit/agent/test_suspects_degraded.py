"""Suspects under poor telemetry: less sure, never broken, and what is missing is said."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from agent.analysis import Ranking, Verdict
from agent.suspects import Sides, gather_findings, rank_suspects
from ingest.record import SECOND
from ingest.summary import WindowSummary
from tests.support.graphs import investigation
from tests.support.shop import END, ONSET, WIDTH, Memory, request, windows

Windows = tuple[WindowSummary, ...]


def ranked(held: Windows) -> Ranking:
    both = Sides.of(
        baseline=tuple(w for w in held if w.start < ONSET),
        incident=tuple(w for w in held if ONSET <= w.start < END),
    )
    return rank_suspects(gather_findings(both), edges=both.edges(), missing=both.missing())


def no_metrics(held: Windows) -> Windows:
    return tuple(dataclasses.replace(w, series=()) for w in held)


def no_logs(held: Windows) -> Windows:
    return tuple(dataclasses.replace(w, templates=(), pairs=(), severities={}) for w in held)


def no_spans(held: Windows) -> Windows:
    return tuple(dataclasses.replace(w, calls=(), operations=()) for w in held)


def one_minute(held: Windows) -> Windows:
    return tuple(w for w in held if w.start >= ONSET - 6 * WIDTH)


def faulty_baseline(held: Windows) -> Windows:
    """Let normal times hold the incident's own trouble."""
    broken = {w.service: w for w in held if w.start >= ONSET}
    return tuple(
        dataclasses.replace(broken[w.service], start=w.start, end=w.end)
        if w.start < ONSET and (w.start // WIDTH) % 2
        else w
        for w in held
    )


def logs_eight_hours_off(held: Windows) -> Windows:
    """Let the clock of what writes logs be eight hours ahead: its windows fall behind the incident."""
    ahead = 8 * 3600 * SECOND
    logs = tuple(
        dataclasses.replace(w, start=w.start + ahead, end=w.end + ahead, series=(), calls=(), operations=())
        for w in held
    )
    return (*no_logs(held), *logs)


def silent_service(held: Windows) -> Windows:
    return tuple(w for w in held if w.service != "orders" or w.start < ONSET)


CASES: list[tuple[Callable[[Windows], Windows], str]] = [
    (no_metrics, "no metrics at all"),
    (no_logs, "no logs at all"),
    (no_spans, "no spans at all"),
    (one_minute, "only 60 s of normal times"),
    (faulty_baseline, "nearly as many error lines"),
    (logs_eight_hours_off, "no logs at all"),
    (silent_service, "nothing from orders in the incident"),
]


@pytest.mark.parametrize(("spoil", "said"), CASES, ids=[spoil.__name__ for spoil, _ in CASES])
def test_poor_telemetry_is_said_and_makes_less_sure(spoil: Callable[[Windows], Windows], said: str) -> None:
    """Whatever is missing, a ranking comes out, says so, and is less sure than with everything."""
    whole, poor = ranked(windows()), ranked(spoil(windows()))
    assert whole.missing == ()
    assert any(said in sentence for sentence in poor.missing), poor.missing
    assert poor.confidence < whole.confidence


@pytest.mark.parametrize("spoil", [no_metrics, no_logs, no_spans, one_minute], ids=lambda f: f.__name__)
def test_one_signal_less_still_finds_the_broken_service(spoil: Callable[[Windows], Windows]) -> None:
    """Each signal is replaceable: the others lead to the same service."""
    assert ranked(spoil(windows())).suspects[0].service == "payments"


@pytest.mark.parametrize(("spoil", "said"), CASES, ids=[spoil.__name__ for spoil, _ in CASES])
def test_the_analysis_tells_people_what_was_missing(spoil: Callable[[Windows], Windows], said: str) -> None:
    """Through the whole graph: what was missing stands in the analysis, which is less sure for it."""
    whole = investigation(None, []).run(request(), "whole")
    poor = investigation(None, [], reader=Memory(spoil(windows()))).run(request(), "poor")
    assert any(said in sentence for sentence in poor.missing_evidence)
    assert poor.confidence < whole.confidence


def test_an_analysis_comes_out_of_nothing() -> None:
    """Without any telemetry it is inconclusive, names nobody and says why."""
    empty = investigation(None, [], reader=Memory(())).run(request(), "empty")
    assert empty.hypotheses == ()
    assert empty.verdict is Verdict.INCONCLUSIVE
    assert any("no baseline" in sentence for sentence in empty.missing_evidence)


@pytest.mark.parametrize("late", [0, 40])
def test_whose_clock_went_wrong_is_not_called_silent(late: int) -> None:
    """Lines that came too late are said to have; nothing at all is silence."""
    held = tuple(
        dataclasses.replace(w, templates=(), severities={}, late=late)
        if w.service == "orders" and w.start >= ONSET
        else w
        for w in windows()
    )
    orders = [one for one in ranked(held).suspects if one.service == "orders"]
    silent = any(part.name == "silence" for one in orders for part in one.parts)
    assert silent is (late == 0)
    assert any("clocks may be off" in said for said in ranked(held).missing) is (late > 0)
