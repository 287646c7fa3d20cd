"""How sure a ranking is: a few of its features, weighed by what labelled cases of other systems taught.

Pure but for reading the parameters that come with the package. They are fitted by `faultline eval
calibrate` and named with what they were fitted on. Logistic regression on ranking features is Platt's
method (Platt, Advances in Large Margin Classifiers, 1999) with more than the score alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

import msgspec

from agent.analysis import Suspect

VERSION = 1
FEATURES = ("margin", "strength")
LACKING = 0.2
"""Log odds that each missing kind of telemetry takes away. Not fitted: systems that lack one always would
teach that lacking it helps."""
FLOOR = 0.02
MOST = math.log(0.98 / 0.02)
"""Log odds beyond which no ranking is surer: labelled cases are too few to tell."""
STRONG = 6.0
"""Score at which strength is about two thirds of the most it can be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Weights of the features and the confidences from which a verdict is given.

    Raises nothing: whatever the features, a confidence is within 0..1.
    """

    version: int
    intercept: float
    weights: Mapping[str, float]
    confirmed: float
    """From here on nearly all held-apart cases were right."""
    likely: float
    """From here on more were right than wrong."""
    fitted_on: Mapping[str, int]
    """Cases by system."""

    def confidence(self, features: Mapping[str, float], missing: int) -> float:
        """Return the chance that the first suspect is right; 0 where there is none."""
        if not features:
            return 0.0
        odds = self.intercept
        odds += sum(self.weights.get(name, 0.0) * value for name, value in features.items())
        # Bounded before what is missing is taken off: a strong case must not hide it.
        odds = min(MOST, max(-MOST, odds)) - LACKING * missing
        return round(max(FLOOR, 1 / (1 + math.exp(-odds))), 4)


def features_of(suspects: Sequence[Suspect]) -> dict[str, float]:
    """Return the features of ranked suspects, each about 0..1; none without suspects."""
    if not suspects:
        return {}
    first = suspects[0]
    second = suspects[1].score if len(suspects) > 1 else 0.0
    return {
        "margin": (first.score - second) / max(first.score, 1e-9),
        "strength": 1 - math.exp(-max(0.0, first.score) / STRONG),
    }


@cache
def shipped() -> Calibration:
    """Return the parameters that come with the package; raises ValueError on another version's."""
    text = (resources.files("agent.suspects") / "calibration.json").read_bytes()
    found = msgspec.json.decode(text, type=Calibration)
    if found.version != VERSION:
        raise ValueError(
            f"calibration.json has version {found.version}, this code reads {VERSION}; fit it anew"
        )
    return found
