"""What every detector must bear: windows late, twice or with holes, and values that are no numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
from msgspec import structs

from detectors.metrics.exhaustion import Exhaustion
from detectors.metrics.surprise import Surprise
from detectors.outliers import Outliers
from detectors.port import Detector
from ingest.summary import SeriesWindow, WindowSummary
from tests.support.detector_scenarios import SCENARIOS, WARM, Scenario, feed, warm
from tests.support.windows import WIDTH, metrics, series, start_of


@pytest.fixture(params=SCENARIOS, ids=lambda scenario: scenario.name)
def scenario(request: pytest.FixtureRequest) -> Scenario:
    """Each detector with its telemetry."""
    found: Scenario = request.param
    return found


def test_late_and_repeated_windows_change_nothing_that_matters(scenario: Scenario) -> None:
    """An old window and the same one twice raise nothing, and what is ordinary after them neither."""
    detector = warm(scenario)
    for index in (WARM - 60, WARM - 1, WARM - 1):
        for summary in scenario.normal(index):
            list(detector.observe(summary))
    found = [one for index in range(WARM, WARM + 30) for one in feed(detector, index, scenario.normal(index))]
    assert found == []


def test_state_with_late_windows_goes_on_identically(scenario: Scenario) -> None:
    """Saved between an old window and the next, it continues as if it had not been."""
    first = warm(scenario)
    for summary in scenario.normal(WARM - 40):
        list(first.observe(summary))
    second = scenario.make()
    second.load(first.dump())
    for index in range(WARM, WARM + 4):
        summaries = scenario.strange(index, 2)
        assert feed(second, index, summaries) == feed(first, index, summaries)


def test_the_order_of_services_in_a_window_does_not_matter(scenario: Scenario) -> None:
    """Whichever service of a window comes first: the same findings, with the same scores."""
    first, second = scenario.make(), scenario.make()
    found: list[tuple[str, str, int, int, float]] = []
    for index in range(WARM + 6):
        summaries = scenario.normal(index) if index < WARM else scenario.strange(index, 2)
        other = [replace(summary, service=f"{summary.service}-too") for summary in summaries]
        found = _unordered(first, index, [*summaries, *other])
        assert _unordered(second, index, [*reversed(other), *reversed(summaries)]) == found
    assert found


def _unordered(
    detector: Detector, index: int, summaries: Sequence[WindowSummary]
) -> list[tuple[str, str, int, int, float]]:
    found = [anomaly for summary in summaries for anomaly in detector.observe(summary)]
    found.extend(detector.tick(start_of(index + 1)))
    return sorted((one.service, one.subject, one.start, one.end, one.score) for one in found)


def _spoiled(summaries: Sequence[WindowSummary]) -> list[WindowSummary]:
    """Return the windows with values in every series that are no numbers, and a series of nothing else."""
    return [
        replace(
            summary,
            series=(
                *(_with_no_numbers(one) for one in summary.series),
                series("zero.usage", round((summary.start - start_of(0)) / WIDTH), [math.nan, -math.inf]),
            ),
        )
        for summary in summaries
    ]


def _with_no_numbers(window: SeriesWindow) -> SeriesWindow:
    last = window.samples[-1][0]
    return structs.replace(window, samples=(*window.samples, (last, math.nan), (last, math.inf)))


def test_values_that_are_no_numbers_raise_nothing_and_hide_nothing(scenario: Scenario) -> None:
    """Beside them what is normal stays so, what is strange is found with finite numbers; it can be saved."""
    detector, found = scenario.make(), []
    for index in range(WARM):
        found = feed(detector, index, _spoiled(scenario.normal(index)))
        assert index < WARM // 2 or found == []
    detector.load(detector.dump())
    for index in range(WARM, WARM + 6):
        found.extend(feed(detector, index, _spoiled(scenario.strange(index, 2))))
    assert found
    assert all(math.isfinite(one.score) and one.evidence for one in found)


def _odd(index: int, values: Sequence[float]) -> WindowSummary:
    windows = [
        series("disk.usage", index, values, unit="By"),
        series("disk.size", index, [100.0], unit="By"),
        series("load", index, values, unit=""),
    ]
    return metrics(index, windows)


@pytest.mark.parametrize("make", [Surprise, Exhaustion])
def test_values_that_are_no_numbers_are_left_out(make: type[Surprise] | type[Exhaustion]) -> None:
    """A detector fed NaN and infinities beside the values says the same as without them."""
    plain, fed = make(), make()
    for index in range(WARM + 20):
        level = 20.0 + (index % 7) * 0.1 + max(index - WARM, 0) * 3.0
        odd = math.nan if index % 3 else math.inf
        expected = feed(plain, index, [_odd(index, [level])])
        found = feed(fed, index, [_odd(index, [level, odd] if index % 2 else [level])])
        assert [(one.subject, one.score) for one in found] == [(one.subject, one.score) for one in expected]


@pytest.mark.parametrize("make", [Surprise, Exhaustion, Outliers])
def test_gaps_are_no_findings(make: type[Detector]) -> None:
    """Hours without a window, then the same level again."""
    detector = make()
    for index in [*range(WARM), *range(WARM + 2_000, WARM + 2_060)]:
        assert feed(detector, index, [_odd(index, [20.0 + (index * 7 % 11) * 0.05])]) == []
