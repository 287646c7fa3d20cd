"""What every detector must hold, whatever it looks at."""

from __future__ import annotations

import ast
import math
import time
from pathlib import Path

import pytest

import detectors
from detectors.anomaly import Anomaly, Direction
from detectors.suite import Suite, default_detectors
from ingest.record import SECOND
from ingest.summary import WindowSummary
from tests.support.detector_scenarios import SCENARIOS, WARM, Scenario, feed, strange, warm
from tests.support.windows import closed, start_of


@pytest.fixture(params=SCENARIOS, ids=lambda scenario: scenario.name)
def scenario(request: pytest.FixtureRequest) -> Scenario:
    """Each detector with its telemetry."""
    found: Scenario = request.param
    return found


def test_every_shipped_detector_is_held_to_this() -> None:
    """What `default_detectors` returns has its scenario under its own name, and each is there once."""
    shipped = [detector.name for detector in default_detectors()]
    assert sorted(scenario.name for scenario in SCENARIOS) == sorted(shipped)
    assert [scenario.make().name for scenario in SCENARIOS] == [scenario.name for scenario in SCENARIOS]


def test_normal_telemetry_raises_nothing(scenario: Scenario) -> None:
    """An hour of ordinary noise brings no anomaly once the service is known."""
    detector = warm(scenario)
    for index in range(WARM, WARM + 360):
        assert feed(detector, index, scenario.normal(index)) == []


def test_strange_telemetry_is_found_with_evidence(scenario: Scenario) -> None:
    """What is strange is found within a minute, above the threshold, with finite numbers and evidence."""
    found = strange(scenario, warm(scenario), WARM, 6)
    assert found
    for anomaly in found:
        assert anomaly.detector == scenario.name
        assert anomaly.score >= anomaly.threshold > 0
        assert math.isfinite(anomaly.score)
        assert anomaly.evidence
        assert not anomaly.learning
        for evidence in anomaly.evidence:
            assert evidence.service == anomaly.service
            assert any(character.isdigit() for character in evidence.statement)
            assert evidence.start < evidence.end
            numbers = (evidence.score, evidence.expected, evidence.observed)
            assert all(value is None or math.isfinite(value) for value in numbers)


_DIRECTIONS = {
    "new_template": Direction.NEW,
    "silence": Direction.GONE,
    "absence": Direction.GONE,
    "stalled": Direction.GONE,
    "flow": Direction.DOWN,
    "shares": Direction.DOWN,
}
"""What happens to the subject in the scenario of a detector; of all others it rises."""


def test_an_anomaly_says_which_way_it_went(scenario: Scenario) -> None:
    """What rises is told as a rise, what falls as a fall, and what is new or gone as that."""
    found = strange(scenario, warm(scenario), WARM, 6)
    assert {one.direction for one in found} == {_DIRECTIONS.get(scenario.name, Direction.UP)}


def test_what_is_blatant_suffices_for_an_incident(scenario: Scenario) -> None:
    """All detectors together make two anomalies of it, or one of twice the threshold, within two minutes."""
    suite = Suite()
    for index in range(WARM):
        suite.observe(closed(index, scenario.normal(index)))
    found: list[Anomaly] = []
    for index in range(WARM, WARM + 12):
        found.extend(suite.observe(closed(index, scenario.strange(index, 3))))
    subjects = {(anomaly.service, anomaly.subject) for anomaly in found}
    assert max(anomaly.score / anomaly.threshold for anomaly in found) >= 2 or len(subjects) >= 2


def test_what_is_found_during_warm_up_is_marked(scenario: Scenario) -> None:
    """Before a service is known, findings say that they are of the warm-up."""
    detector = warm(scenario, 1)
    found = strange(scenario, detector, 1, 4)
    assert all(anomaly.learning for anomaly in found)
    assert scenario.name != "silence" or all(anomaly.fatal for anomaly in found)


def test_a_stronger_anomaly_scores_higher(scenario: Scenario) -> None:
    """Scores order anomalies by strength; silence has only its length."""
    short, long = (6, 12) if scenario.name == "silence" else (6, 6)
    weak = strange(scenario, warm(scenario), WARM, short, strength=2)
    strong = strange(scenario, warm(scenario), WARM, long, strength=4)
    assert max(a.score for a in strong) > max(a.score for a in weak)


def test_an_ongoing_anomaly_keeps_its_id(scenario: Scenario) -> None:
    """Consecutive windows of one subject are one anomaly: same id and start, later end."""
    found = strange(scenario, warm(scenario), WARM, 12)
    by_subject: dict[tuple[str, str], list[Anomaly]] = {}
    for anomaly in found:
        by_subject.setdefault((anomaly.service, anomaly.subject), []).append(anomaly)
    longest = max(by_subject.values(), key=len)
    assert len(longest) > 1
    assert {(one.id, one.start) for one in longest} == {(longest[0].id, longest[0].start)}
    assert longest[-1].end > longest[0].end


def test_state_goes_on_identically_after_a_restart(scenario: Scenario) -> None:
    """A fresh detector loaded in mid-stream finds and remembers what the old one does."""
    first = warm(scenario)
    strange(scenario, first, WARM, 3)
    second = scenario.make()
    second.load(first.dump())
    assert second.dump() == first.dump()
    for index in range(WARM + 3, WARM + 9):
        summaries = scenario.strange(index, 2)
        assert feed(second, index, summaries) == feed(first, index, summaries)
    assert second.dump() == first.dump()


def test_foreign_and_damaged_state_is_refused(scenario: Scenario) -> None:
    """Bytes that are not this detector's raise ValueError and name the detector."""
    detector = scenario.make()
    other = next(one for one in SCENARIOS if one.name != scenario.name).make()
    for raw in (other.dump(), b"\x93", b"", detector.dump()[:-1]):
        with pytest.raises(ValueError, match=scenario.name):
            detector.load(raw)


def test_it_is_deterministic_and_reads_no_clock(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two detectors on the same windows agree to the byte, and neither asks what time it is."""
    first, second = scenario.make(), scenario.make()

    def refuse() -> float:
        raise AssertionError("a detector read the wall clock")

    for name in ("time", "time_ns", "monotonic", "perf_counter"):
        monkeypatch.setattr(time, name, refuse)
    outputs = []
    for detector in (first, second):
        found = []
        for index in range(WARM):
            found.extend(feed(detector, index, scenario.normal(index)))
        outputs.append([*found, *strange(scenario, detector, WARM, 6)])
    monkeypatch.undo()
    assert outputs[0] == outputs[1]
    assert first.dump() == second.dump()


def test_empty_windows_are_harmless(scenario: Scenario) -> None:
    """Windows without any telemetry, or with an empty summary, raise nothing."""
    detector = warm(scenario)
    empty = WindowSummary(environment="shop", service="orders", start=start_of(WARM), end=start_of(WARM + 1))
    assert list(detector.observe(empty)) == []
    for index in range(WARM, WARM + 60):
        assert list(detector.tick(start_of(index + 1))) == []


def test_state_is_bounded(scenario: Scenario) -> None:
    """Ever new subjects do not make the state grow without end."""
    detector = scenario.make()
    sizes = []
    for index in range(4):
        feed(detector, index, scenario.flood(index))
        sizes.append(len(detector.dump()))
    assert sizes[3] <= 1.1 * sizes[1]


def test_an_anomaly_is_not_eaten_while_it_lasts(scenario: Scenario) -> None:
    """After ten minutes it is still reported, hardly weaker than at its beginning: nothing was learned of it.

    What fills up is full by then, and there is nothing left to foresee.
    """
    detector = warm(scenario)
    first = strange(scenario, detector, WARM, 12)
    strange(scenario, detector, WARM + 12, 42)
    last = strange(scenario, detector, WARM + 54, 6)
    if scenario.name == "exhaustion":
        assert first
        return
    assert {one.id for one in last} <= {one.id for one in first}
    assert max(one.score for one in last) >= 0.5 * max(one.score for one in first)


def test_no_detector_can_read_a_clock_or_draw_at_random() -> None:
    """No module of the room imports what would make two runs on the same windows differ."""
    room = Path(detectors.__file__).parent
    for path in sorted(room.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {"time", "datetime", "random", "secrets", "uuid"}.intersection(names), path


def test_a_new_level_is_accepted_in_the_end(scenario: Scenario) -> None:
    """What has stood for well over half an hour is the normal state, and no longer reported."""
    detector = warm(scenario)
    found = strange(scenario, detector, WARM, 400)
    assert found
    last = start_of(WARM + 400)
    assert max(anomaly.end for anomaly in found) < last - 300 * SECOND
