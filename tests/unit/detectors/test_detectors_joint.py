"""Numbers that are ordinary one by one and strange together."""

from __future__ import annotations

import math
import random
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from detectors.anomaly import Anomaly, Direction, EvidenceKind, Hit
from detectors.calls import Calls
from detectors.ellipse import fit
from detectors.joint import Joint
from detectors.outliers import Outliers
from detectors.port import Detector
from detectors.vectors import REQUESTS, Scale, dimensions
from ingest.summary import WindowSummary
from tests.support.windows import latencies, metrics, operation, series, traffic

WARM = 200


def _day(index: int) -> float:
    """Return how busy it is, 0.5 to 1.5, up and down within half an hour."""
    return 1.0 + 0.5 * math.sin(index / 28)


def _shop(index: int, busy: float, *, fits: float | None = None) -> WindowSummary:
    """Return a window with traffic of `busy`, latency and processor time as if it were `fits`."""
    rng = random.Random(f"shop {index}")
    level = busy if fits is None else fits
    took = latencies(rng, round(60 * busy + rng.gauss(0.0, 2.0)), 0.04 * level**2)
    cpu = series("cpu.utilization", index, [30.0 * level + rng.gauss(0.0, 0.6)])
    memory = series("memory.usage", index, [5e8 + rng.gauss(0.0, 1e6)], unit="By")
    window = traffic(index, operations=[operation("GET /", took)])
    return replace(window, series=(cpu, memory))


def _run(detector: Detector, windows: Sequence[WindowSummary]) -> list[Anomaly]:
    return [anomaly for window in windows for anomaly in detector.observe(window)]


def _learned(detector: Detector) -> Detector:
    assert _run(detector, [_shop(index, _day(index)) for index in range(WARM)]) == []
    return detector


def _quiet_but_slow() -> list[WindowSummary]:
    """As slow and hot as at noon, which is ordinary, with the traffic of the night, which is too."""
    return [_shop(index, 0.55, fits=1.3) for index in range(WARM, WARM + 9)]


def test_what_no_single_number_shows_is_found() -> None:
    """Latency and processor time of a busy hour in a quiet one: only the whole is strange."""
    assert _run(_learned(Calls()), _quiet_but_slow()) == []
    assert _run(_learned(Outliers()), _quiet_but_slow()) == []
    found = _run(_learned(Joint()), _quiet_but_slow())
    assert found
    assert {(one.detector, one.service, one.direction) for one in found} == {
        ("joint", "orders", Direction.UP)
    }
    assert len({one.id for one in found}) == 1


def test_evidence_points_at_what_deviates_and_says_what_would_fit() -> None:
    """The series that the rest does not explain, with the value that it would have otherwise."""
    hot = [
        replace(_shop(index, 0.6), series=(series("cpu.utilization", index, [36.0]),))
        for index in range(WARM, WARM + 9)
    ]
    found = _run(_learned(Joint()), hot)
    evidence = found[-1].evidence[0]
    assert evidence.kind is EvidenceKind.METRIC
    assert evidence.subject == str(hot[0].series[0].key)
    assert evidence.observed == pytest.approx(36.0, rel=0.05)
    assert evidence.expected == pytest.approx(18.0, rel=0.2)
    assert found[-1].hit is Hit.SATURATION


def test_evidence_of_latency_points_at_an_operation_of_the_window() -> None:
    """Slow for its traffic alone: the operation is named, and it hits what fails or takes long."""
    slow = [
        replace(_shop(index, 0.6, fits=1.3), series=_shop(index, 0.6).series)
        for index in range(WARM, WARM + 9)
    ]
    found = _run(_learned(Joint()), slow)
    assert {(one.evidence[0].kind, one.evidence[0].subject) for one in found} == {
        (EvidenceKind.OPERATION, "GET /")
    }
    assert found[-1].hit is Hit.ERROR


def test_traffic_that_is_strange_alone_is_none_of_its_business() -> None:
    """Twice as much traffic as ever, with the rest as it follows from that."""
    rush = [_shop(index, 2.0) for index in range(WARM, WARM + 12)]
    assert _run(_learned(Joint()), rush) == []


def test_what_is_missing_is_neither_strange_nor_needed() -> None:
    """Without metrics, or without spans, nothing is said; what is left is still judged."""
    detector = _learned(Joint())
    bare = [replace(_shop(index, _day(index)), series=()) for index in range(WARM, WARM + 6)]
    assert _run(detector, bare) == []
    alone = [replace(_shop(index, _day(index)), operations=()) for index in range(WARM + 6, WARM + 12)]
    assert _run(detector, alone) == []
    slow = [replace(_shop(index, 0.55, fits=1.5), series=()) for index in range(WARM + 12, WARM + 24)]
    assert _run(detector, slow)


def test_flagged_windows_are_not_learned() -> None:
    """Ten minutes of it are as strange at the end as at the beginning."""
    detector = _learned(Joint())
    found = _run(detector, [_shop(index, 0.55, fits=1.3) for index in range(WARM, WARM + 60)])
    assert len(found) >= 50
    assert found[-1].score > 0.7 * found[5].score


def test_no_more_services_than_there_is_room_for() -> None:
    """Newcomers wait while others speak, and take the place of one that has been silent for an hour."""
    detector = Joint(max_services=2)
    for index in range(3):
        for name in ("a", "b", "c"):
            detector.observe(replace(_shop(index, 1.0), service=name))
    size = len(detector.dump())
    detector.observe(replace(_shop(400, 1.0), service="c"))
    assert len(detector.dump()) <= size
    for index in range(401, 401 + WARM):
        detector.observe(replace(_shop(index, _day(index)), service="c"))
    assert _run(detector, [replace(_shop(601 + n, 0.55, fits=1.6), service="c") for n in range(9)])


def test_values_that_are_no_numbers_are_left_out() -> None:
    """Infinite and undefined levels are as if they were not there."""
    odd = metrics(0, [series("cpu", 0, [math.nan]), series("memory", 0, [math.inf], unit="By")])
    assert dimensions(odd) == []


def test_metrics_stand_in_for_spans() -> None:
    """Where a service sends no spans, its own rate and latency metrics tell traffic and latency."""
    window = metrics(
        0,
        [
            series("http.server.requests", 0, [12.0], unit="request/s"),
            series("http.server.latency", 0, [0.2], unit="s"),
            series("cpu.limit", 0, [4.0], unit=""),
        ],
    )
    assert [one.name for one in dimensions(window)] == ["http.server.latency", "http.server.requests"]
    with_spans = replace(window, operations=(operation("GET /", [0.1]),))
    assert dimensions(with_spans)[0].name == REQUESTS
    assert "http.server.latency" not in {one.name for one in dimensions(with_spans)}


@pytest.mark.parametrize("scale", list(Scale))
@pytest.mark.parametrize("plain", [0.001, 0.2, 0.9])
def test_scales_lead_back(scale: Scale, plain: float) -> None:
    """What is compared can be said in the unit that people know."""
    assert scale.plain(scale.compared(plain)) == pytest.approx(plain)


def test_constants_and_creeping_memory_are_no_part_of_a_model() -> None:
    """What does not move relates to nothing, and what only creeps relates to the clock."""
    rng = np.random.default_rng(3)
    rows = rng.normal(0.0, 1.0, (90, 4))
    rows[:, 2] = 7.0
    rows[:, 3] = np.linspace(0.0, 20.0, 90)
    model = fit(rows, ["requests", "p50 latency", "threads", "memory"], [0.1] * 4)
    assert model is not None
    assert model.columns.tolist() == [0, 1]
    assert fit(rows[:, 1:], ["p50 latency", "threads", "memory"], [0.1] * 3) is None


def test_pyod_is_loaded_only_when_there_is_something_to_fit() -> None:
    """The service starts without it."""
    code = "import sys, detectors.suite; detectors.suite.Suite(); assert 'pyod' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
