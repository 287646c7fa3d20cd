"""What every detector must hold, whatever it looks at."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import pytest

from detectors.anomaly import Anomaly
from detectors.calls import Calls
from detectors.flow import Flow
from detectors.joint import Joint
from detectors.metrics.exhaustion import Exhaustion
from detectors.metrics.surprise import Surprise
from detectors.new_template import NewTemplate
from detectors.outliers import Outliers
from detectors.port import Detector
from detectors.saturation import Saturation
from detectors.sequences import Sequences
from detectors.severity import SeverityRise
from detectors.silence import Silence
from detectors.suite import Suite
from detectors.template_rate import TemplateRate
from ingest.record import SECOND
from ingest.summary import SequenceCount, TemplateCount, WindowSummary
from tests.support.windows import (
    call,
    closed,
    latencies,
    logs,
    metrics,
    operation,
    series,
    start_of,
    template,
    traffic,
)

WARM = 120
"""Windows that every detector has learned enough after."""


@dataclass(frozen=True)
class Scenario:
    """A detector with telemetry that is normal to it, strange to it, and far too much for it."""

    name: str
    make: Callable[[], Detector]
    normal: Callable[[int], Sequence[WindowSummary]]
    strange: Callable[[int, int], Sequence[WindowSummary]]
    """Window index and strength, 1 or more."""
    flood: Callable[[int], Sequence[WindowSummary]]


def _noise(index: int) -> random.Random:
    return random.Random(f"window {index}")


def _ordinary(index: int) -> list[TemplateCount]:
    rng = _noise(index)
    ordinary = [template("t_ok", rng.randint(40, 60), index), template("t_paid", rng.randint(5, 15), index)]
    if rng.random() < 0.3:
        ordinary.append(template("t_retry", rng.randint(1, 3), index, severity=17, text="retry <*>"))
    return ordinary


def _normal_logs(index: int) -> Sequence[WindowSummary]:
    return [logs(index, _ordinary(index))]


def _new_error(index: int, strength: int) -> Sequence[WindowSummary]:
    strange = template("t_new", 5**strength, index, severity=17, text="connection to <*> refused")
    return [logs(index, [*_ordinary(index), strange])]


def _burst(index: int, strength: int) -> Sequence[WindowSummary]:
    ordinary = [one for one in _ordinary(index) if one.template_id != "t_retry"]
    strange = template("t_retry", 200 * strength, index, severity=17, text="retry <*>")
    return [logs(index, [*ordinary, strange])]


def _normal_reports(index: int) -> Sequence[WindowSummary]:
    return [logs(index, _ordinary(index), service=name) for name in ("cart", "orders", "payments")]


def _missing(index: int, strength: int) -> Sequence[WindowSummary]:
    return [one for one in _normal_reports(index) if one.service != "orders"]


def _normal_traffic(index: int) -> Sequence[WindowSummary]:
    rng = _noise(index)
    return [traffic(index, operations=[operation("POST /order", latencies(rng, 40, 0.05))])]


def _slow(index: int, strength: int) -> Sequence[WindowSummary]:
    rng = _noise(index)
    slow = latencies(rng, 40, 0.05 * 4**strength)
    return [traffic(index, operations=[operation("POST /order", slow, errors=10 * strength)])]


def _normal_metrics(index: int) -> Sequence[WindowSummary]:
    rng = _noise(index)
    flat = series("pool.size", index, [10.0], unit="")
    return [metrics(index, [series("cpu.utilization", index, [rng.gauss(30.0, 2.0)]), flat])]


def _hot(index: int, strength: int) -> Sequence[WindowSummary]:
    flat = series("pool.size", index, [10.0], unit="")
    return [metrics(index, [series("cpu.utilization", index, [30.0 + 40.0 * strength]), flat])]


def _filling(index: int, strength: int, begun: int = WARM) -> Sequence[WindowSummary]:
    used = 20.0 + _noise(index).uniform(0.0, 0.2)
    used = min(used + 3.0 * strength * max(index - begun + 1, 0), 100.0)
    return [
        metrics(
            index,
            [series("disk.usage", index, [used], unit="By"), series("disk.size", index, [100.0], unit="By")],
        )
    ]


def _many_services(index: int) -> Sequence[WindowSummary]:
    names = range(index * 6_000, (index + 1) * 6_000)
    return [logs(index, [template("t_bad", 5, index, severity=17)], service=f"s{number}") for number in names]


SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        name="new_template",
        make=NewTemplate,
        normal=_normal_logs,
        strange=_new_error,
        flood=lambda index: [
            logs(index, [template(f"t{index}_{n}", 1, index, severity=17) for n in range(5_000)])
        ],
    ),
    Scenario(
        name="template_rate",
        make=TemplateRate,
        normal=_normal_logs,
        strange=_burst,
        flood=lambda index: [logs(index, [template(f"t{index}_{n}", 1, index) for n in range(3_000)])],
    ),
    Scenario(name="severity", make=SeverityRise, normal=_normal_logs, strange=_burst, flood=_many_services),
    Scenario(name="silence", make=Silence, normal=_normal_reports, strange=_missing, flood=_many_services),
    Scenario(
        name="calls",
        make=Calls,
        normal=_normal_traffic,
        strange=_slow,
        flood=lambda index: [
            traffic(index, operations=[operation(f"op {index} {n}", [0.1]) for n in range(1_500)])
        ],
    ),
    Scenario(
        name="outliers",
        make=lambda: Outliers(max_series=100),
        normal=_normal_metrics,
        strange=_hot,
        flood=lambda index: [
            metrics(index, [series(f"m{index}_{number}", index, [1.0]) for number in range(300)])
        ],
    ),
)


def _short_cut(index: int, strength: int) -> Sequence[WindowSummary]:
    """Let requests come in as ever, and ever fewer of them ask the stock."""
    rng = _noise(index)
    entered = operation("GET /", latencies(rng, 40, 0.05))
    asked = call("stock", "GET /stock", latencies(rng, 80 // 4**strength, 0.01))
    return [traffic(index, operations=[entered], calls=[asked])]


def _used_up(index: int, strength: int) -> Sequence[WindowSummary]:
    used = 0.2 + _noise(index).uniform(0.0, 0.05) if strength == 0 else 0.8 + 0.04 * min(strength, 5)
    return [metrics(index, [series("cpu.utilization", index, [used], unit="1")])]


def _courses(index: int, strength: int, keys: int = 20) -> Sequence[WindowSummary]:
    """Let every session be opened and closed, and ever more end with a refusal instead."""
    rng = _noise(index)
    usual = (("t_open", 1), ("t_close", 1))
    sequences = [
        SequenceCount(key=f"s{index}_{n}", counts=(*usual, ("t_serve", rng.randint(1, 9))))
        for n in range(keys)
    ]
    refused = (("t_open", 1), ("t_refuse", 1))
    sequences += [SequenceCount(key=f"r{index}_{n}", counts=refused) for n in range(2**strength)]
    ordinary = [template("t_open", 20, index), template("t_refuse", strength, index, severity=17)]
    return [replace(logs(index, ordinary), sequences=tuple(sequences[: None if strength else keys]))]


SCENARIOS += (
    Scenario(
        name="sequences",
        make=Sequences,
        normal=lambda index: _courses(index, 0),
        strange=_courses,
        flood=lambda index: _courses(index, 0, keys=10_000),
    ),
    Scenario(
        name="flow",
        make=Flow,
        normal=lambda index: _short_cut(index, 0),
        strange=_short_cut,
        flood=lambda index: [
            traffic(
                index,
                operations=[operation(f"GET /{index}/{n}", [0.1]) for n in range(50)],
                calls=[call("stock", f"op {index} {n}", [0.1]) for n in range(1_500)],
            )
        ],
    ),
    Scenario(
        name="saturation",
        make=lambda: Saturation(max_series=100),
        normal=lambda index: _used_up(index, 0),
        strange=_used_up,
        flood=lambda index: [
            metrics(index, [series(f"m{index}_{number}", index, [0.1], unit="1") for number in range(300)])
        ],
    ),
    Scenario(
        name="surprise",
        make=lambda: Surprise(max_series=100),
        normal=_normal_metrics,
        strange=_hot,
        flood=lambda index: [
            metrics(index, [series(f"m{index}_{number}", index, [1.0]) for number in range(300)])
        ],
    ),
    Scenario(
        name="exhaustion",
        make=lambda: Exhaustion(max_series=100),
        normal=lambda index: _filling(index, 0),
        strange=_filling,
        flood=lambda index: [
            metrics(index, [series(f"disk{index}_{n}.free", index, [1.0]) for n in range(300)])
        ],
    ),
)


def _busy(index: int, strength: int = 0) -> Sequence[WindowSummary]:
    """Latency and processor time follow the traffic, less and less so with growing strength."""
    rng = _noise(index)
    load = 40 + round(20 * math.sin(index / 25) + rng.gauss(0.0, 2.0))
    typical, cpu = 0.05 * 2**strength * (load / 40) ** 0.5, 0.6 * load * 1.7**strength + rng.gauss(0.0, 1.0)
    one = traffic(index, operations=[operation("POST /order", latencies(rng, load, typical))])
    return [replace(one, series=(series("cpu.utilization", index, [cpu]),))]


SCENARIOS += (
    Scenario(
        name="joint",
        make=lambda: Joint(max_services=50),
        normal=_busy,
        strange=_busy,
        flood=lambda index: [
            replace(one, service=f"s{index}_{number}") for number in range(60) for one in _busy(index)
        ],
    ),
)


@pytest.fixture(params=SCENARIOS, ids=lambda scenario: scenario.name)
def scenario(request: pytest.FixtureRequest) -> Scenario:
    """Each detector with its telemetry."""
    found: Scenario = request.param
    return found


def _feed(detector: Detector, index: int, summaries: Sequence[WindowSummary]) -> list[Anomaly]:
    found: list[Anomaly] = []
    window = closed(index, summaries)
    for summary in window.summaries:
        found.extend(detector.observe(summary))
    found.extend(detector.tick(window.end))
    return found


def _warm(scenario: Scenario, windows: int = WARM) -> Detector:
    detector = scenario.make()
    for index in range(windows):
        _feed(detector, index, scenario.normal(index))
    return detector


def _strange(
    scenario: Scenario, detector: Detector, begin: int, windows: int, strength: int = 2
) -> list[Anomaly]:
    found: list[Anomaly] = []
    for index in range(begin, begin + windows):
        found.extend(_feed(detector, index, scenario.strange(index, strength)))
    return found


def test_normal_telemetry_raises_nothing(scenario: Scenario) -> None:
    """An hour of ordinary noise brings no anomaly once the service is known."""
    detector = _warm(scenario)
    for index in range(WARM, WARM + 360):
        assert _feed(detector, index, scenario.normal(index)) == []


def test_strange_telemetry_is_found_with_evidence(scenario: Scenario) -> None:
    """What is strange is found within a minute, above the threshold, with finite numbers and evidence."""
    found = _strange(scenario, _warm(scenario), WARM, 6)
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
    detector = _warm(scenario, 1)
    found = _strange(scenario, detector, 1, 4)
    assert all(anomaly.learning for anomaly in found)
    assert scenario.name != "silence" or all(anomaly.fatal for anomaly in found)


def test_a_stronger_anomaly_scores_higher(scenario: Scenario) -> None:
    """Scores order anomalies by strength; silence has only its length."""
    short, long = (6, 12) if scenario.name == "silence" else (6, 6)
    weak = _strange(scenario, _warm(scenario), WARM, short, strength=2)
    strong = _strange(scenario, _warm(scenario), WARM, long, strength=4)
    assert max(a.score for a in strong) > max(a.score for a in weak)


def test_an_ongoing_anomaly_keeps_its_id(scenario: Scenario) -> None:
    """Consecutive windows of one subject are one anomaly: same id and start, later end."""
    found = _strange(scenario, _warm(scenario), WARM, 12)
    by_subject: dict[tuple[str, str], list[Anomaly]] = {}
    for anomaly in found:
        by_subject.setdefault((anomaly.service, anomaly.subject), []).append(anomaly)
    longest = max(by_subject.values(), key=len)
    assert len(longest) > 1
    assert {(one.id, one.start) for one in longest} == {(longest[0].id, longest[0].start)}
    assert longest[-1].end > longest[0].end


def test_state_goes_on_identically_after_a_restart(scenario: Scenario) -> None:
    """A fresh detector loaded in mid-stream finds and remembers what the old one does."""
    first = _warm(scenario)
    _strange(scenario, first, WARM, 3)
    second = scenario.make()
    second.load(first.dump())
    assert second.dump() == first.dump()
    for index in range(WARM + 3, WARM + 9):
        summaries = scenario.strange(index, 2)
        assert _feed(second, index, summaries) == _feed(first, index, summaries)
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
            found.extend(_feed(detector, index, scenario.normal(index)))
        outputs.append([*found, *_strange(scenario, detector, WARM, 6)])
    monkeypatch.undo()
    assert outputs[0] == outputs[1]
    assert first.dump() == second.dump()


def test_empty_windows_are_harmless(scenario: Scenario) -> None:
    """Windows without any telemetry, or with an empty summary, raise nothing."""
    detector = _warm(scenario)
    empty = WindowSummary(environment="shop", service="orders", start=start_of(WARM), end=start_of(WARM + 1))
    assert list(detector.observe(empty)) == []
    for index in range(WARM, WARM + 60):
        assert list(detector.tick(start_of(index + 1))) == []


def test_state_is_bounded(scenario: Scenario) -> None:
    """Ever new subjects do not make the state grow without end."""
    detector = scenario.make()
    sizes = []
    for index in range(4):
        _feed(detector, index, scenario.flood(index))
        sizes.append(len(detector.dump()))
    assert sizes[3] <= 1.1 * sizes[1]


def test_a_new_level_is_accepted_in_the_end(scenario: Scenario) -> None:
    """What has stood for well over half an hour is the normal state, and no longer reported."""
    detector = _warm(scenario)
    found = _strange(scenario, detector, WARM, 400)
    assert found
    last = start_of(WARM + 400)
    assert max(anomaly.end for anomaly in found) < last - 300 * SECOND
