"""Confidence from held-apart cases: what a ranking's features say about its being right.

Fitting is a penalised logistic regression whose weights cannot be negative: more margin, strength or
agreement never makes less sure. Each case is learned from with everything known and with one kind of
telemetry hidden. The honest figure fits on other systems than the one it judges; what ships is fitted on all
of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from agent.suspects.calibration import FEATURES, LACKING, VERSION, Calibration

PENALTY = 0.5
STEP, STEPS = 0.02, 4000
CONFIRMED_RIGHT = 0.95
"""Share of held-apart cases above the threshold that must have been right to call one confirmed."""
LEAST_CONFIRMED = 0.8
FEWEST = 10
"""Cases that a threshold must rest on."""


class Known(Protocol):
    """A judged case: what its ranking looked like, and whether its first suspect was right."""

    @property
    def system(self) -> str:
        """The system it is of."""

    @property
    def place(self) -> int | None:
        """Where the truth was ranked."""

    @property
    def features(self) -> Mapping[str, float]:
        """What `agent.suspects.calibration.features_of` returned."""

    @property
    def lacking(self) -> int:
        """How many kinds of telemetry were missing."""

    @property
    def poorer(self) -> Sequence[Known]:
        """The same case with one kind of telemetry hidden, each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A held-apart confidence and what came of it."""

    confidence: float
    right: bool


def fit(cases: Sequence[Known]) -> Calibration:
    """Return parameters fitted on `cases`, with thresholds yet at their defaults.

    Targets are smoothed as Platt did, so that a set without a wrong case does not become certain.
    """
    known = [one for case in cases for one in (case, *case.poorer) if one.features]
    rows = np.array([[case.features[name] for name in FEATURES] for case in known]).reshape(-1, len(FEATURES))
    offset = np.array([-LACKING * case.lacking for case in known])
    right = np.array([case.place == 1 for case in known], dtype=float)
    high = (right.sum() + 1) / (right.sum() + 2)
    low = 1 / ((1 - right).sum() + 2)
    target = np.where(right > 0, high, low)
    weights, intercept = np.zeros(len(FEATURES)), 0.0
    for _ in range(STEPS if known else 0):
        chance = 1 / (1 + np.exp(-(intercept + rows @ weights + offset)))
        slope = chance - target
        weights = np.maximum(0.0, weights - STEP * (rows.T @ slope + PENALTY * weights))
        intercept -= STEP * float(slope.sum())
    counts: dict[str, int] = {}
    for case in cases:
        counts[case.system] = counts.get(case.system, 0) + 1
    return Calibration(
        version=VERSION,
        intercept=round(intercept, 4),
        weights={name: round(float(w), 4) for name, w in zip(FEATURES, weights, strict=True)},
        confirmed=0.9,
        likely=0.5,
        fitted_on=dict(sorted(counts.items())),
    )


def held_apart(cases: Sequence[Known]) -> list[Judged]:
    """Return each case's confidence by parameters of the other systems' cases; none for a single system."""
    systems = sorted({case.system for case in cases})
    judged: list[Judged] = []
    for system in systems if len(systems) > 1 else ():
        learned = fit([case for case in cases if case.system != system])
        judged += [
            Judged(confidence=learned.confidence(case.features, case.lacking), right=case.place == 1)
            for case in cases
            if case.system == system
        ]
    return judged


def with_thresholds(learned: Calibration, judged: Sequence[Judged]) -> Calibration:
    """Return the parameters with the confidences from which held-apart cases deserved a verdict.

    Likely means more likely right than wrong, which a calibrated confidence says by itself.
    """
    return Calibration(
        version=learned.version,
        intercept=learned.intercept,
        weights=learned.weights,
        confirmed=_confirmed(judged, learned.confirmed),
        likely=learned.likely,
        fitted_on=learned.fitted_on,
    )


def _confirmed(judged: Sequence[Judged], otherwise: float) -> float:
    """Return the least confidence from which on nearly all were right, `otherwise` where none is known."""
    ordered = sorted(judged, key=lambda j: -j.confidence)
    best = None
    for count in range(FEWEST, len(ordered) + 1):
        above = ordered[:count]
        if count < len(ordered) and ordered[count].confidence == above[-1].confidence:
            continue  # cases of one confidence stand or fall together
        if sum(j.right for j in above) / count >= CONFIRMED_RIGHT:
            best = above[-1].confidence
    return otherwise if best is None else round(max(LEAST_CONFIRMED, best), 3)


def write(calibration: Calibration, path: Path) -> None:
    """Write the parameters as JSON."""
    fields = {
        "version": calibration.version,
        "intercept": calibration.intercept,
        "weights": dict(calibration.weights),
        "confirmed": calibration.confirmed,
        "likely": calibration.likely,
        "fitted_on": dict(calibration.fitted_on),
    }
    path.write_text(json.dumps(fields, indent=1) + "\n", encoding="utf-8")
