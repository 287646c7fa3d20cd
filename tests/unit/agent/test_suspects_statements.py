"""Suspects: lines known again as the statements that wrote them, and lines due after others."""

from __future__ import annotations

from agent.suspects import Sides, findings_of, order
from agent.suspects.sides import ServiceSide, TemplateSide
from agent.suspects.statements import beginning, beginnings, statements
from ingest.record import SECOND
from ingest.summary import WindowSummary
from tests.support.shop import ONSET, START, WIDTH, template

FIRST, SECOND_LINE = "INFO Cart.java:12 counting items", "INFO Cart.java:19 counted items"


def said(text: str, count: int, severity: int = 9) -> TemplateSide:
    return TemplateSide(template=text, id=text, count=count, severity_number=severity)


def compared(before: ServiceSide, during: ServiceSide) -> Sides:
    return Sides(
        environment="default",
        start=100 * SECOND,
        end=200 * SECOND,
        baseline={"cart": before},
        incident={"cart": during},
        baseline_log_windows=10,
        incident_log_windows=10,
        baseline_span_windows=0,
        incident_span_windows=0,
    )


def followed(first: int, second: int) -> ServiceSide:
    """Return a service that wrote the first line so often, and the second directly after it so often."""
    return ServiceSide(
        log_windows=10,
        templates={FIRST: said(FIRST, first), SECOND_LINE: said(SECOND_LINE, second)},
        pairs={(FIRST, SECOND_LINE): second},
    )


def test_a_place_in_the_source_is_one_statement_whatever_its_parameters() -> None:
    """Templates that differ in what was counted, but not in where they were written, count together."""
    side = ServiceSide(
        templates={
            text: said(text, 10)
            for text in (
                "INFO shop.Cart#12 added gift to cart of Ann",
                "INFO shop.Cart#12 added gift to cart",
            )
        }
    )
    assert [seen.count for seen in statements(side, beginnings(side)).values()] == [20]


def test_one_place_that_writes_for_many_stays_many_statements() -> None:
    """A wrapper of a logger writes everything from one place; what it says there tells its lines apart."""
    assert beginning("INFO log.go:7 opened the shop") != beginning("INFO log.go:7 closed the shop")


def test_without_a_place_the_first_words_decide() -> None:
    """Ten words are known again; a host with a port is no place in a source."""
    begin = "connected to redis:6379 after a while of waiting for it"
    assert beginning(f"{begin} today") == beginning(f"{begin} again")
    assert beginning("lost redis:6379 and gave up") != beginning("lost redis:6379 and went on")


def test_a_line_that_is_due_after_another_and_does_not_come_is_found() -> None:
    """No mix of requests explains that the first of two lines was written and the second was not."""
    (found,) = order.findings(compared(followed(40, 40), followed(30, 2)))
    assert found.part == "log order"
    assert "2 times, about 30 expected" in found.evidence.statement


def test_fewer_of_both_lines_is_no_broken_order() -> None:
    """Less traffic takes both lines along."""
    assert not list(order.findings(compared(followed(40, 40), followed(6, 6))))


def test_a_line_that_never_surely_followed_is_not_missed() -> None:
    """Where only half of the first lines led to the second, other requests may lead to none."""
    assert not list(order.findings(compared(followed(80, 40), followed(30, 3))))


def test_a_complete_loss_weighs_more_than_a_part_of_the_same_certainty() -> None:
    """How much of a path is gone counts beside how sure the loss is."""
    whole = next(iter(order.findings(compared(followed(40, 40), followed(16, 0)))))
    part = next(iter(order.findings(compared(followed(4000, 4000), followed(1000, 720)))))
    assert part.evidence.score > whole.evidence.score
    assert whole.value > part.value


def window(start: int, second: int) -> WindowSummary:
    return WindowSummary(
        environment="prod",
        service="cart",
        start=start,
        end=start + WIDTH,
        severities={9: 4 + second},
        templates=tuple(
            template(text, count, start) for text, count in ((FIRST, 4), (SECOND_LINE, second)) if count
        ),
    )


def test_trouble_that_begins_late_in_an_incident_is_found() -> None:
    """What came before the last third counts as normal times for it: few normal times are enough."""
    during = tuple(window(ONSET + i * WIDTH, 4 if i < 12 else 0) for i in range(18))
    normal = tuple(window(START + i * WIDTH, 4) for i in range(2))
    values = {f.part: f.value for f in findings_of("logs", Sides.of(baseline=normal, incident=during))}
    assert values["log vanished"] > 2
    assert Sides.of(baseline=normal, incident=during[:11]).later is None
