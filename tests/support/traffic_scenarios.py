"""Detectors of calls and operations with telemetry that is normal, strange, and far too much."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from detectors.absence import Absence
from detectors.calls import Calls
from detectors.flow import Flow
from detectors.joint import Joint
from ingest.summary import WindowSummary
from tests.support.scenario import Scenario, noise
from tests.support.windows import call, latencies, operation, series, traffic


def _normal_traffic(index: int) -> Sequence[WindowSummary]:
    rng = noise(index)
    return [traffic(index, operations=[operation("POST /order", latencies(rng, 40, 0.05))])]


def _slow(index: int, strength: int) -> Sequence[WindowSummary]:
    rng = noise(index)
    slow = latencies(rng, 40, 0.05 * 4**strength)
    return [traffic(index, operations=[operation("POST /order", slow, errors=10 * strength)])]


def _short_cut(index: int, strength: int) -> Sequence[WindowSummary]:
    """Let requests come in as ever, and ever fewer of them ask the stock."""
    rng = noise(index)
    entered = operation("GET /", latencies(rng, 40, 0.05))
    asked = call("stock", "GET /stock", latencies(rng, 80 // 4**strength, 0.01))
    return [traffic(index, operations=[entered], calls=[asked])]


def _early_return(index: int, strength: int) -> Sequence[WindowSummary]:
    """Let requests come in, ever more of them, of which none asks the stock any more."""
    rng = noise(index)
    entered = operation("GET /", latencies(rng, 10 * max(strength, 1), 0.05))
    asked = call("stock", "GET /stock", latencies(rng, 10, 0.01))
    return [traffic(index, operations=[entered], calls=[] if strength else [asked])]


def _busy(index: int, strength: int = 0) -> Sequence[WindowSummary]:
    """Latency and processor time follow the traffic, less and less so with growing strength."""
    rng = noise(index)
    load = 40 + round(20 * math.sin(index / 25) + rng.gauss(0.0, 2.0))
    typical, cpu = 0.05 * 2**strength * (load / 40) ** 0.5, 0.6 * load * 1.7**strength + rng.gauss(0.0, 1.0)
    one = traffic(index, operations=[operation("POST /order", latencies(rng, load, typical))])
    return [replace(one, series=(series("cpu.utilization", index, [cpu]),))]


TRAFFIC: tuple[Scenario, ...] = (
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
        name="joint",
        make=lambda: Joint(max_services=50),
        normal=_busy,
        strange=_busy,
        flood=lambda index: [
            replace(one, service=f"s{index}_{number}") for number in range(60) for one in _busy(index)
        ],
    ),
)
