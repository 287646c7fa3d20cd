"""What every detector must bear: windows late, twice or with holes, and values that are no numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from detectors.metrics.exhaustion import Exhaustion
from detectors.metrics.surprise import Surprise
from detectors.outliers import Outliers
from detectors.port import Detector
from ingest.summary import WindowSummary
from tests.support.detector_scenarios import SCENARIOS, WARM, Scenario, feed, warm
from tests.support.windows import metrics, series


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
