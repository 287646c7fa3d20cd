"""Metric detectors with series that are normal to them, strange to them, and far too many for them."""

from __future__ import annotations

from collections.abc import Sequence

from detectors.metrics.exhaustion import Exhaustion
from detectors.metrics.stalled import Stalled
from detectors.metrics.surprise import Surprise
from detectors.outliers import Outliers
from detectors.saturation import Saturation
from detectors.shares import Shares
from ingest.summary import WindowSummary
from tests.support.scenario import WARM, Scenario, noise
from tests.support.windows import metrics, series


def _normal_metrics(index: int) -> Sequence[WindowSummary]:
    rng = noise(index)
    flat = series("pool.size", index, [10.0], unit="")
    return [metrics(index, [series("cpu.utilization", index, [rng.gauss(30.0, 2.0)]), flat])]


def _hot(index: int, strength: int) -> Sequence[WindowSummary]:
    flat = series("pool.size", index, [10.0], unit="")
    return [metrics(index, [series("cpu.utilization", index, [30.0 + 40.0 * strength]), flat])]


def _filling(index: int, strength: int, begun: int = WARM) -> Sequence[WindowSummary]:
    used = 20.0 + noise(index).uniform(0.0, 0.2)
    used = min(used + 3.0 * strength * max(index - begun + 1, 0), 100.0)
    return [
        metrics(
            index,
            [series("disk.usage", index, [used], unit="By"), series("disk.size", index, [100.0], unit="By")],
        )
    ]


def _refused(index: int, strength: int) -> Sequence[WindowSummary]:
    return [metrics(index, [series("success.rate", index, [100.0 - 2.0 * strength], unit="%")])]


def _used_up(index: int, strength: int) -> Sequence[WindowSummary]:
    used = 0.2 + noise(index).uniform(0.0, 0.05) if strength == 0 else 0.8 + 0.04 * min(strength, 5)
    return [metrics(index, [series("cpu.utilization", index, [used], unit="1")])]


def _frozen(index: int, strength: int) -> Sequence[WindowSummary]:
    """Let eight series move, but for so many pairs of them that stand still."""
    rng = noise(index)
    moving = [rng.gauss(50.0, 5.0) for _ in range(8)]
    shown = [50.5 if number < 2 * strength else value for number, value in enumerate(moving)]
    return [metrics(index, [series(f"m{number}", index, [value]) for number, value in enumerate(shown)])]


METRICS: tuple[Scenario, ...] = (
    Scenario(
        name="outliers",
        make=lambda: Outliers(max_series=100),
        normal=_normal_metrics,
        strange=_hot,
        flood=lambda index: [
            metrics(index, [series(f"m{index}_{number}", index, [1.0]) for number in range(300)])
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
    Scenario(
        name="stalled",
        make=lambda: Stalled(max_series=100),
        normal=lambda index: _frozen(index, 0),
        strange=_frozen,
        flood=lambda index: [
            metrics(index, [series(f"m{index}_{number}", index, [0.1]) for number in range(300)])
        ],
    ),
)
