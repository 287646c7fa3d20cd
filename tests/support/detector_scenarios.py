"""Every shipped detector with its telemetry, and how one is fed with it."""

from __future__ import annotations

from collections.abc import Sequence

from detectors.anomaly import Anomaly
from detectors.port import Detector
from ingest.summary import WindowSummary
from tests.support.log_scenarios import LOGS
from tests.support.metric_scenarios import METRICS
from tests.support.scenario import WARM, Scenario
from tests.support.traffic_scenarios import TRAFFIC
from tests.support.windows import closed

__all__ = ["SCENARIOS", "WARM", "Scenario", "feed", "strange", "warm"]

SCENARIOS: tuple[Scenario, ...] = (*LOGS, *TRAFFIC, *METRICS)


def feed(detector: Detector, index: int, summaries: Sequence[WindowSummary]) -> list[Anomaly]:
    """Give a detector one window and return what it found."""
    found: list[Anomaly] = []
    window = closed(index, summaries)
    for summary in window.summaries:
        found.extend(detector.observe(summary))
    found.extend(detector.tick(window.end))
    return found


def warm(scenario: Scenario, windows: int = WARM) -> Detector:
    """Return the detector after so many normal windows."""
    detector = scenario.make()
    for index in range(windows):
        feed(detector, index, scenario.normal(index))
    return detector


def strange(
    scenario: Scenario, detector: Detector, begin: int, windows: int, strength: int = 2
) -> list[Anomaly]:
    """Return what the detector finds in so many strange windows."""
    found: list[Anomaly] = []
    for index in range(begin, begin + windows):
        found.extend(feed(detector, index, scenario.strange(index, strength)))
    return found
