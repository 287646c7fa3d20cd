"""What a service no longer does for its requests, and what only looks like it."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from detectors.absence import Absence
from detectors.anomaly import Anomaly, Direction, EvidenceKind
from ingest.summary import OperationWindow, TemplateCount, WindowSummary
from tests.support.windows import call, operation, template, traffic

KNOWN = 30
"""Windows that are learned; five requests of each kind in each."""


def _window(index: int, *, orders: int = 5, templates: Sequence[TemplateCount] = ()) -> WindowSummary:
    """Return a window in which five customers look around and some order."""
    entered: list[OperationWindow] = [operation("GET /", [0.01] * 5)]
    if orders:
        entered.append(operation("POST /order", [0.01] * orders))
    return replace(traffic(index, operations=entered), templates=tuple(templates))


def _told(windows: Callable[[int], WindowSummary], until: int = KNOWN + 30) -> list[tuple[int, Anomaly]]:
    detector = Absence()
    return [(index, one) for index in range(until) for one in detector.observe(windows(index))]


def _line(
    name: str, count: int, index: int, *, severity: int = 9, text: str = "order <*> taken"
) -> TemplateCount:
    return template(name, count, index, severity=severity, text=text)


def test_a_line_that_no_longer_comes_with_its_requests_is_found() -> None:
    """A line for each order, then none though orders go on: told within a minute, strongly after two."""
    found = _told(
        lambda index: _window(index, templates=[_line("t_order", 5, index)] if index < KNOWN else [])
    )
    first, one = found[0]
    assert KNOWN + 2 <= first <= KNOWN + 5
    assert one.subject == "log|t_order"
    assert one.direction is Direction.GONE
    assert one.evidence[0].kind is EvidenceKind.LOG
    assert "due" in one.evidence[0].statement
    assert any(each.score >= 2 * each.threshold for index, each in found if index < KNOWN + 12)


def test_a_line_whose_kind_of_request_stops_is_not_missed() -> None:
    """Nobody orders any more, others go on looking around: nothing is missing."""
    assert not _told(
        lambda index: (
            _window(index, templates=[_line("t_order", 5, index)])
            if index < KNOWN
            else _window(index, orders=0)
        )
    )


def test_a_line_in_other_words_is_the_same_line() -> None:
    """What comes in its place says that nothing is missing; a complaint in its place does not."""

    def with_successor(text: str, severity: int) -> list[tuple[int, Anomaly]]:
        def window(index: int) -> WindowSummary:
            later = _line("t_new", 5, index, severity=severity, text=text)
            return _window(index, templates=[_line("t_order", 5, index) if index < KNOWN else later])

        return _told(window)

    assert not with_successor("order taken: <*>", 9)
    assert with_successor("order <*> failed", 17)


def test_complaints_may_cease() -> None:
    """Errors that no longer come are good news."""
    assert not _told(
        lambda index: _window(
            index, templates=[_line("t_bad", 5, index, severity=17)] if index < KNOWN else []
        )
    )


def test_pauses_that_ended_by_themselves_are_usual() -> None:
    """A line that comes in every fifth window is not missed after four, nor soon after that."""
    assert not _told(
        lambda index: _window(index, templates=[_line("t_batch", 25, index)] if index % 5 == 0 else []),
        until=120,
    )


def test_bunches_tell_less_than_even_traffic() -> None:
    """Where customers that want the same come together, as long an absence weighs less."""

    def score(counts: Sequence[int]) -> float:
        def window(index: int) -> WindowSummary:
            here = [_line("t_order", counts[index % len(counts)], index)] if index < KNOWN else []
            return _window(index, templates=[one for one in here if one.count])

        return max((one.score for _, one in _told(window, KNOWN + 15)), default=0.0)

    assert score([5, 5, 5, 5, 5, 5]) > 1.5 * score([10, 10, 1, 1, 8, 0])


def test_calls_and_inner_spans_are_missed_too_but_not_what_enters() -> None:
    """A call that no longer follows is named; an operation that customers enter by is theirs to stop."""

    def window(index: int) -> WindowSummary:
        entered = [operation("GET /", [0.01] * 5)]
        if index >= KNOWN:
            return traffic(index, operations=entered)
        ordered = [operation("POST /order", [0.01] * 5)] if index % 2 else []
        inner = operation("render", [0.01] * 5, entry=False)
        asked = [call("stock", "GET /stock", [0.01] * 5)]
        return traffic(index, operations=[*entered, *ordered, inner], calls=asked)

    assert {one.subject for _, one in _told(window)} == {"call|stock|GET /stock", "operation|render"}


@pytest.mark.parametrize("seed", range(5))
def test_random_mixes_of_customers_bring_nothing(seed: int) -> None:
    """An hour of customers who order by chance, in hours of more and of fewer, misses nothing strongly."""
    rng = random.Random(seed)
    detector = Absence()
    for index in range(360):
        orders = sum(rng.random() < 0.15 for _ in range(12))
        lines = [_line("t_order", orders, index)] if orders else []
        paid = sum(rng.random() < 0.5 for _ in range(orders))
        lines += [_line("t_paid", paid, index, text="paid <*>")] if paid else []
        for one in detector.observe(_window(index, orders=orders, templates=lines)):
            assert one.score < 1.5 * one.threshold


def test_what_stays_away_for_half_an_hour_is_normal() -> None:
    """Then it is forgotten, and nothing is told any more."""
    found = _told(
        lambda index: _window(index, templates=[_line("t_order", 5, index)] if index < KNOWN else []),
        until=KNOWN + 260,
    )
    assert KNOWN + 178 <= max(index for index, _ in found) <= KNOWN + 190
