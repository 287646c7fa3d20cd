"""Curves: each kind of evidence is drawn from what it names, and from nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest
from msgspec import structs

from agent.serve.curves import MOST, curves_of, level_of, unit_of
from detectors.anomaly import Evidence, EvidenceKind
from ingest.events import MetricKind
from ingest.record import SECOND
from ingest.summary import SeriesKey, SeriesWindow
from tests.support import samples, served

WINDOWS = tuple(served.window(number) for number in range(-6, 3))
METRIC, CALL = served.more_evidence()


def test_log_evidence_counts_lines_per_window() -> None:
    """The bars are the template's counts, nothing where it did not occur."""
    quiet = [replace(window, templates=()) for window in WINDOWS[:3]]
    (curve,) = curves_of(samples.evidence(), [*quiet, *WINDOWS[3:]])
    assert curve.bars == 10 * SECOND
    assert [point.value for point in curve.points] == [0, 0, 0, 1, 1, 1, 40, 41, 42]
    assert level_of(samples.evidence(), (curve,)) is None


def test_metric_evidence_shows_samples() -> None:
    """Samples of exactly that series, with what was expected."""
    (curve,) = curves_of(METRIC, WINDOWS)
    assert [point.value for point in curve.points][-3:] == [100.0, 100.0, 100.0]
    assert level_of(METRIC, (curve,)) == 42.0
    assert curves_of(replace(METRIC, subject="pool.used"), WINDOWS) == ()


def test_counter_shows_rate_and_forgives_restart() -> None:
    """A cumulative series is drawn per second; a fall is a restart, not a negative rate."""
    key = SeriesKey(name="requests")
    values = [10.0, 30.0, 50.0, 5.0, 25.0, 45.0]
    made = [
        replace(
            WINDOWS[n],
            series=(
                SeriesWindow(
                    key=key,
                    kind=MetricKind.CUMULATIVE,
                    unit="",
                    samples=((WINDOWS[n].start, value),),
                    count=1,
                    total=value,
                    minimum=value,
                    maximum=value,
                ),
            ),
        )
        for n, value in enumerate(values)
    ]
    (curve,) = curves_of(replace(METRIC, subject="requests"), made)
    assert [point.value for point in curve.points] == [2.0, 2.0, 2.0, 2.0]


def test_call_evidence_shows_both_sides() -> None:
    """The caller's and the callee's median stand beside each other."""
    caller, callee = curves_of(CALL, WINDOWS)
    assert caller.points[-1].value == pytest.approx(2.0, rel=0.03)
    assert callee.points[0].value == pytest.approx(0.02, rel=0.03)
    assert unit_of(CALL) == "s"
    assert level_of(CALL, (caller, callee)) is None


def test_failing_calls_are_a_share() -> None:
    """Evidence about errors is drawn in percent of the calls."""
    failing = replace(CALL, unit="", expected=0.1)
    bad = [replace(window, calls=(structs.replace(window.calls[0], errors=2),)) for window in WINDOWS]
    (curve,) = curves_of(failing, bad)
    assert {point.value for point in curve.points} == {40.0}
    assert unit_of(failing) == "%"
    assert level_of(failing, (curve,)) == pytest.approx(10.0)


@pytest.mark.parametrize("kind", [EvidenceKind.ALERT, EvidenceKind.CHANGE])
def test_events_have_no_curve(kind: EvidenceKind) -> None:
    """Alerts and changes stand on the timeline, not in a plot."""
    assert curves_of(replace(METRIC, kind=kind), WINDOWS) == ()


def test_other_services_do_not_mix_in() -> None:
    """Windows of another service with the same names are left out."""
    foreign = [replace(window, service="other") for window in WINDOWS]
    assert curves_of(METRIC, foreign) == ()


def test_silence_shows_what_still_came() -> None:
    """A silent service is drawn by its lines and spans."""
    evidence: Evidence = replace(METRIC, kind=EvidenceKind.SILENCE, subject="cart")
    (curve,) = curves_of(evidence, WINDOWS)
    assert curve.points[-1].value == 42.0


def test_long_series_is_thinned() -> None:
    """More points than a screen shows are averaged."""
    long = tuple((WINDOWS[0].start + n * SECOND, 5.0) for n in range(3 * MOST))
    series = structs.replace(WINDOWS[0].series[0], samples=long)
    (curve,) = curves_of(METRIC, [replace(WINDOWS[0], series=(series,))])
    assert len(curve.points) == MOST
    assert {point.value for point in curve.points} == {5.0}
