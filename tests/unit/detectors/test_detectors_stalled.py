"""Series that stop moving or coming: what is told, and the many things that must stay quiet."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from detectors.anomaly import Anomaly, Direction
from detectors.metrics.course import KNOWN, Course
from detectors.metrics.stalled import Stalled
from ingest.events import ChangeEvent, MetricKind, Resource
from ingest.record import Origin
from ingest.summary import SeriesWindow, WindowSummary
from tests.support.windows import closed, logs, metrics, series, start_of, template

BEGIN, END = 120, 150
NAMES = ("cpu", "memory", "threads", "queue", "heap")
Shown = Callable[[int], Sequence[SeriesWindow]]


def moving(index: int, name: str = "cpu", *, instance: str = "orders-1") -> SeriesWindow:
    """Return a series that never repeats itself."""
    value = random.Random(f"{index} {name} {instance}").gauss(50.0, 5.0)
    return series(name, index, [value], unit="", instance=instance)


def stuck(index: int, name: str = "cpu", value: float = 50.5) -> SeriesWindow:
    """Return a series at a fixed value."""
    return series(name, index, [value], unit="")


def run(shown: Shown, *, windows: int = END, detector: Stalled | None = None) -> list[Anomaly]:
    """Return what is found in so many windows of one service."""
    model = detector or Stalled()
    found: list[Anomaly] = []
    for index in range(windows):
        found.extend(model.observe(metrics(index, shown(index))))
        found.extend(model.tick(start_of(index + 1)))
    return found


def test_a_series_that_always_moved_and_stands_still_is_told() -> None:
    """Within a minute, as one anomaly, weakly: it is one of five."""
    others = NAMES[1:]
    found = run(
        lambda index: [
            *(moving(index, name) for name in others),
            stuck(index) if index >= BEGIN else moving(index),
        ]
    )
    assert len({one.id for one in found}) == 1
    assert found[0].start == start_of(BEGIN + 1)
    assert found[0].end <= start_of(BEGIN + 6)
    assert (found[0].direction, found[0].subject) == (Direction.GONE, 'cpu{instance="orders-1"}')
    assert 1.0 <= found[-1].score < 1.5
    assert "exactly 50.5" in found[0].evidence[0].statement


def test_all_of_an_instance_standing_still_suffices_alone() -> None:
    """One finding for all of them, which opens an incident."""
    found = run(
        lambda index: [stuck(index, name) if index >= BEGIN else moving(index, name) for name in NAMES]
    )
    assert len({one.id for one in found}) == 1
    assert found[0].score >= 2.0 * found[0].threshold
    assert len(found[0].evidence) == len(NAMES)


def test_a_series_that_stays_away_is_told_while_its_service_speaks() -> None:
    """After a minute, one finding, never enough for an incident alone."""
    found = run(lambda index: [moving(index, name) for name in NAMES if name != "cpu" or index < BEGIN])
    assert len({one.id for one in found}) == 1
    assert found[0].start == start_of(BEGIN)
    assert start_of(BEGIN + 6) <= found[0].end <= start_of(BEGIN + 8)
    assert "has not been reported for 60 s" in found[0].evidence[0].statement
    assert max(one.score for one in found) < 1.3


def test_logs_are_speech_too() -> None:
    """All metrics stay away, the instance still writes lines."""
    detector = Stalled()
    found: list[Anomaly] = []
    for index in range(END):
        window = logs(index, [template("t", 5, index)])
        cpu = (moving(index),) if index < BEGIN else ()
        found.extend(detector.observe(replace(window, series=cpu, instances=("orders-1",))))
        found.extend(detector.tick(start_of(index + 1)))
    assert found
    assert found[0].evidence[0].instance == "orders-1"


def _constant(index: int) -> Sequence[SeriesWindow]:
    return [moving(index), stuck(index, "limit", 512.0)]


def _steps(index: int) -> Sequence[SeriesWindow]:
    return [moving(index), stuck(index, "size", float(index // 7))]


def _to_zero(index: int) -> Sequence[SeriesWindow]:
    return [moving(index, "memory"), stuck(index, "requests", 0.0 if index >= BEGIN else 1.0 + index)]


def _saturated(index: int) -> Sequence[SeriesWindow]:
    value = 100.0 if index >= BEGIN else 30.0 + index % 50
    return [moving(index, "memory"), series("cpu", index, [value], unit="%")]


def _total(index: int) -> Sequence[SeriesWindow]:
    value = float(min(index, BEGIN))
    return [moving(index), series("jobs", index, [value], unit="", kind=MetricKind.CUMULATIVE)]


def _sparse(index: int) -> Sequence[SeriesWindow]:
    seldom = index % 40 == 0 or random.Random(index).random() < 0.05
    return [moving(index), *([moving(index, "batch")] if seldom else [])]


def _ended(index: int) -> Sequence[SeriesWindow]:
    gone = [moving(index, name, instance="orders-2") for name in NAMES] if index < BEGIN else []
    return [*(moving(index, name) for name in NAMES), *gone]


def _idle_before(index: int) -> Sequence[SeriesWindow]:
    idle = 30 <= index < 40 or index >= BEGIN
    return [moving(index, "cpu"), stuck(index, "queue", 3.0) if idle else moving(index, "queue")]


@pytest.mark.parametrize(
    "shown",
    [_constant, _steps, _to_zero, _saturated, _total, _sparse, _ended, _idle_before],
    ids=lambda shown: shown.__name__.lstrip("_"),
)
def test_what_must_stay_quiet(shown: Shown) -> None:
    """Half an hour of constants, zeros, ends, sparse series, ended instances and known standstills."""
    assert run(shown, windows=BEGIN + 28) == []


def test_a_deploy_may_take_series_out() -> None:
    """What is missing since a change of its service is not missed."""
    change = ChangeEvent(
        origin=Origin(topic="changes", partition=0, offset=1),
        resource=Resource(environment="shop", service="orders"),
        time=start_of(BEGIN),
        kind="deploy",
        title="orders 2.0",
    )
    for changes, expected in (((), True), ((change,), False)):
        detector = Stalled()
        found: list[Anomaly] = []
        for index in range(END):
            shown = [moving(index, name) for name in NAMES if name != "cpu" or index < BEGIN]
            window = replace(metrics(index, shown), changes=changes if index == BEGIN else ())
            found.extend(detector.observe(window))
            found.extend(detector.tick(start_of(index + 1)))
        assert bool(found) is expected


def test_the_pipeline_is_none_of_a_services_faults() -> None:
    """Metrics of all of three services stop while their logs go on: nothing; of one of them: told."""
    for stopped, expected in ((("a", "b", "c"), False), (("a",), True)):
        detector = Stalled()
        found: list[Anomaly] = []
        for index in range(END):
            for service in ("a", "b", "c"):
                shown: tuple[SeriesWindow, ...] = ()
                if index < BEGIN or service not in stopped:
                    shown = tuple(moving(index, name) for name in ("cpu", "memory"))
                window: WindowSummary = logs(index, [template("t", 5, index)], service=service)
                found.extend(detector.observe(replace(window, series=shown, instances=("orders-1",))))
            found.extend(detector.tick(start_of(index + 1)))
        assert bool(found) is expected


def test_what_lasts_is_normal_and_what_moves_again_is_over() -> None:
    """After half an hour nothing is said any more; a series that moves again ends its finding at once."""
    lasting = run(lambda index: [stuck(index) if index >= BEGIN else moving(index)], windows=BEGIN + 400)
    assert lasting
    assert lasting[-1].end <= start_of(BEGIN + 182)
    ending = run(lambda index: [stuck(index) if BEGIN <= index < BEGIN + 20 else moving(index)])
    assert ending[-1].end == start_of(BEGIN + 20)


def test_the_same_standstill_again_is_told_once() -> None:
    """What happened for half an hour's twelfth is known half as long, so the next one of it is silent."""
    shown = [range(BEGIN, BEGIN + 18), range(BEGIN + 80, BEGIN + 98)]
    found = run(
        lambda index: [stuck(index) if any(index in one for one in shown) else moving(index)], windows=300
    )
    assert len({one.id for one in found}) == 1


def test_a_course_by_hand() -> None:
    """Never repeating in 98 windows: 8 decades at 2 a window are 4; one standstill of 5 asks for 15."""
    course = Course(name="cpu", instance="", unit="", last=0)
    for index in range(98):
        course.came(start_of(index), start_of(index + 1), [float(index)])
    assert course.repeated == 0
    assert course.needed() == pytest.approx(4.0)
    assert course.seen >= KNOWN
    for index in range(98, 103):
        course.came(start_of(index), start_of(index + 1), [97.0])
    assert course.run == 5
    assert course.stands()
    course.came(start_of(103), start_of(104), [1.0])
    # It was strange: half of it is learned, and it does not count as a habit.
    assert (course.repeated, course.run) == (0, 0)
    assert course.needed() == pytest.approx(3 * 2.5, rel=0.01)


def test_missing_is_measured_by_the_pauses() -> None:
    """A minute at least, four times the longest pause otherwise, and of no series that seldom comes."""
    course = Course(name="cpu", instance="", unit="", last=start_of(0))
    for index in range(0, 200, 3):
        course.came(start_of(index), start_of(index + 1), [1.0])
    last = start_of(199)
    assert course.last == last
    assert not course.missing(last + 75 * 10**9)
    assert course.missing(last + 80 * 10**9)
    seldom = Course(name="cpu", instance="", unit="", last=start_of(0))
    for index in range(0, 3000, 60):
        seldom.came(start_of(index), start_of(index + 1), [1.0])
    assert not seldom.missing(start_of(10_000))


def test_no_more_series_than_there_is_room_for() -> None:
    """The one unseen for longest gives way, and the state's size stays."""
    detector = Stalled(max_series=10)
    for index in range(5):
        window = metrics(index, [moving(index, f"m{index}_{n}") for n in range(30)])
        assert closed(index, [window]).summaries
        detector.observe(window)
        detector.tick(start_of(index + 1))
    other = Stalled(max_series=10)
    other.load(detector.dump())
    assert len(detector.dump()) < 2_000
    assert other.dump() == detector.dump()


@pytest.mark.parametrize("ago", [60, 240])
def test_a_window_that_comes_late_makes_nobody_miss_anything(ago: int) -> None:
    """A series of once a minute that an old window tells of again was there a minute ago all the same."""
    detector = Stalled()
    found: list[Anomaly] = []
    for index in range(400):
        shown = [moving(index)] if index % 6 == 0 else []
        found.extend(detector.observe(metrics(index, [moving(index, "load"), *shown])))
        if index == 302:
            found.extend(detector.observe(metrics(index - 2 - ago, [moving(index - 2 - ago)])))
        found.extend(detector.tick(start_of(index + 1)))
    assert found == []


def test_what_has_stood_for_long_does_not_take_along_what_began_to_stand_lately() -> None:
    """One series is accepted after half an hour; the others, which froze minutes before, go on being told."""

    def shown(index: int) -> Sequence[SeriesWindow]:
        froze = {"cpu": BEGIN, **dict.fromkeys(NAMES[1:], BEGIN + 160)}
        return [stuck(index, name) if index >= froze[name] else moving(index, name) for name in NAMES]

    found = run(shown, windows=BEGIN + 230)
    told = {one.end for one in found}
    assert all(start_of(index + 1) in told for index in range(BEGIN + 170, BEGIN + 230))
    assert {evidence.subject.split("{")[0] for evidence in found[-1].evidence} == set(NAMES[1:])
