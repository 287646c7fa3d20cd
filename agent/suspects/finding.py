"""What one evidence kind says about one service: a named amount of suspicion, with its evidence."""

from __future__ import annotations

from dataclasses import dataclass

from agent.analysis import Mechanism
from detectors.anomaly import Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`value` adds to the suspicion of `service`; negative values exonerate.

    Values of all parts share one scale: 1 is what ordinary variation may show, 10 is blatant.
    """

    service: str
    part: str
    value: float
    mechanism: Mechanism
    evidence: Evidence
    component: str | None = None
