"""Every shipped detector with telemetry that is normal to it, strange to it, and far too much for it."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from detectors.absence import Absence
from detectors.anomaly import Anomaly
from detectors.calls import Calls
from detectors.flow import Flow
from detectors.joint import Joint
from detectors.metrics.exhaustion import Exhaustion
from detectors.metrics.stalled import Stalled
from detectors.metrics.surprise import Surprise
from detectors.new_template import NewTemplate
from detectors.outliers import Outliers
from detectors.port import Detector
from detectors.saturation import Saturation
from detectors.sequences import Sequences
from detectors.severity import SeverityRise
from detectors.shares import Shares
from detectors.silence import Silence
from detectors.template_rate import TemplateRate
from ingest.summary import SequenceCount, TemplateCount, WindowSummary
from tests.support.windows import (
    call,
    closed,
    latencies,
    logs,
    metrics,
    operation,
    series,
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


def _early_return(index: int, strength: int) -> Sequence[WindowSummary]:
    """Let requests come in, ever more of them, of which none asks the stock any more."""
    rng = _noise(index)
    entered = operation("GET /", latencies(rng, 10 * max(strength, 1), 0.05))
    asked = call("stock", "GET /stock", latencies(rng, 10, 0.01))
    return [traffic(index, operations=[entered], calls=[] if strength else [asked])]


def _refused(index: int, strength: int) -> Sequence[WindowSummary]:
    return [metrics(index, [series("success.rate", index, [100.0 - 2.0 * strength], unit="%")])]


def _used_up(index: int, strength: int) -> Sequence[WindowSummary]:
    used = 0.2 + _noise(index).uniform(0.0, 0.05) if strength == 0 else 0.8 + 0.04 * min(strength, 5)
    return [metrics(index, [series("cpu.utilization", index, [used], unit="1")])]


def _frozen(index: int, strength: int) -> Sequence[WindowSummary]:
    """Let eight series move, but for so many pairs of them that stand still."""
    rng = _noise(index)
    moving = [rng.gauss(50.0, 5.0) for _ in range(8)]
    shown = [50.5 if number < 2 * strength else value for number, value in enumerate(moving)]
    return [metrics(index, [series(f"m{number}", index, [value]) for number, value in enumerate(shown)])]


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
        name="absence",
        make=Absence,
        normal=lambda index: _early_return(index, 0),
        strange=_early_return,
        flood=lambda index: [
            traffic(
                index,
                operations=[operation(f"GET /{index}/{n}", [0.1]) for n in range(50)],
                calls=[call("stock", f"op {index} {n}", [0.1]) for n in range(1_500)],
            )
        ],
    ),
    Scenario(
        name="shares",
        make=lambda: Shares(max_series=100),
        normal=lambda index: _refused(index, 0),
        strange=_refused,
        flood=lambda index: [
            metrics(index, [series(f"success{index}_{n}", index, [1.0], unit="1") for n in range(300)])
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
        name="stalled",
        make=lambda: Stalled(max_series=100),
        normal=lambda index: _frozen(index, 0),
        strange=_frozen,
        flood=lambda index: [
            metrics(index, [series(f"m{index}_{number}", index, [0.1]) for number in range(300)])
        ],
    ),
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
