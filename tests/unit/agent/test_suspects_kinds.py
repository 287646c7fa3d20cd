"""Single evidence kinds: broken order of lines, complaints about others, multiplied traffic."""

from __future__ import annotations

import dataclasses

from agent.analysis import Mechanism
from agent.suspects import KINDS, Finding, Sides, findings_of
from agent.suspects.sides import TemplateSide
from agent.suspects.wording import named_in, ran_out
from ingest.record import SECOND, Nanos, Origin
from ingest.summary import Line, PairCount, TemplateCount, WindowSummary
from tests.support.shop import WIDTH, call, gauge, template

BEGIN: Nanos = 1_700_000_000 * SECOND
ONSET: Nanos = BEGIN + 20 * WIDTH
COUNT = 32


def window(service: str, start: Nanos, **fields: object) -> WindowSummary:
    known: dict[str, object] = {
        "environment": "prod", "service": service, "start": start, "end": start + WIDTH,
        "severities": {9: 20},
    }  # fmt: skip
    return WindowSummary(**{**known, **fields})  # type: ignore[arg-type]


def both(held: list[WindowSummary]) -> Sides:
    return Sides.of(
        baseline=tuple(w for w in held if w.start < ONSET),
        incident=tuple(w for w in held if w.start >= ONSET),
    )


def by_service(kind: str, sides: Sides) -> dict[str, Finding]:
    return {found.service: found for found in findings_of(kind, sides)}


def starts() -> list[Nanos]:
    return [BEGIN + n * WIDTH for n in range(COUNT)]


def begun(start: Nanos, *, second: int) -> WindowSummary:
    """Return a window in which ten requests begin and `second` of them go on to the next line."""
    return window(
        "rates",
        start,
        templates=(template("begin", 10, start), template("go on", 10, start)),
        pairs=(PairCount(first="tpl_begin", second="tpl_go on", count=second),),
    )


def test_lines_that_no_longer_follow_are_found() -> None:
    """Both lines are written as ever, but not one after the other: the request ended in between."""
    held = [begun(start, second=0 if start >= ONSET else 10) for start in starts()]
    found = by_service("order", both(held))["rates"]
    assert found.mechanism is Mechanism.EXCEPTION
    assert found.value > 3
    assert found.evidence.observed == 0


def test_lines_that_still_follow_accuse_nobody() -> None:
    """The same order before and during gives no finding."""
    assert not by_service("order", both([begun(start, second=10) for start in starts()]))


def complaint(start: Nanos, text: str) -> list[WindowSummary]:
    ill = start >= ONSET
    lines: tuple[TemplateCount, ...] = (template("charge done", 20, start),)
    if ill:
        lines = (*lines, template(text, 6, start, severity=17, text=text))
    return [
        window("shopping", start, templates=lines, calls=(call("billing", "POST /", 0.02, 0.01),)),
        window("billing", start, templates=(template("billed", 20, start),)),
    ]


def test_a_complaint_about_another_service_speaks_against_that_one() -> None:
    """A new error line that names a callee blames it, and silence on the way means the way."""
    held = [w for start in starts() for w in complaint(start, "call to billing failed: no answer in time")]
    found = by_service("blame", both(held))
    assert set(found) == {"billing"}
    assert found["billing"].mechanism is Mechanism.NETWORK
    assert found["billing"].evidence.service == "shopping"


def test_an_access_log_blames_nobody_for_asking() -> None:
    """A callee's line that names its caller is no complaint about it."""
    held = []
    for start in starts():
        first, second = complaint(start, "nothing")
        refused = template("refused a request of shopping", 6, start, severity=17)
        lines = (*second.templates, refused) if start >= ONSET else second.templates
        held += [
            dataclasses.replace(first, templates=first.templates[:1]),
            dataclasses.replace(second, templates=lines),
        ]
    assert not by_service("blame", both(held))


def test_a_caller_that_multiplies_requests_is_charged_and_its_callee_relieved() -> None:
    """The callee got twenty times more while the caller was asked as ever."""
    held = []
    for start in starts():
        asked = 60.0 if start >= ONSET else 3.0
        held += [
            window("entry", start, series=(gauge("http.server.requests", 3.0, start, "1/s"),),
                   calls=(call("stock", "GET /", 0.02, 0.01),)),
            window("stock", start, series=(gauge("http.server.requests", asked, start, "1/s"),)),
        ]  # fmt: skip
    found = by_service("traffic", both(held))
    assert found["entry"].value > 5
    assert found["entry"].mechanism is Mechanism.TRAFFIC
    assert found["stock"].value < 0


def test_words_of_common_libraries_name_what_ran_out() -> None:
    """Operating systems and databases say which resource it was."""

    def side(text: str) -> TemplateSide:
        line = Line(time=0, origin=Origin(topic="logs", partition=0, offset=0), text=text)
        return TemplateSide(template=text, lines=[line])

    assert ran_out(side("[Errno 28] No space left on device")) is Mechanism.DISK
    assert ran_out(side("java.lang.OutOfMemoryError: Java heap space")) is Mechanism.MEMORY
    assert ran_out(side("process 7 still waiting for ShareLock on relation 3")) is Mechanism.LOCK
    assert ran_out(side("FATAL: sorry, too many clients already")) is Mechanism.POOL
    assert ran_out(side("order 7 booked")) is None
    assert named_in(side("Redis answered late, cart-v2 waits"), {"redis", "cart", "an"}) == ["redis"]


def test_every_kind_stands_nothing_at_all() -> None:
    """Empty sides give no finding and no error."""
    empty = Sides.of(baseline=(), incident=())
    assert all(not findings_of(kind, empty) for kind in KINDS)
