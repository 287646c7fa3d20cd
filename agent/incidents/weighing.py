"""How much an anomaly says, alone and with others: whether somebody is woken for it. Pure.

Not independent, and so hardly more than one: what two detectors say of one subject, and what one detector
says of a service again and again. What passes before anyone notices it opens nothing alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from detectors.anomaly import Anomaly, Direction

NOTICED = 0.1
"""Seconds beyond which people notice that they wait (R. B. Miller, *Response time in man-computer
conversational transactions*, 1968)."""
_UNNOTICED = 1.4
"""What a shorter wait counts for at most, however unusual it is."""
_ROUNDED = 1.001
"""It is a bound of most histograms' buckets, and so what many waits are said to be."""
_HALF = 0.5
_MOST = 3.0
"""No anomaly counts for more, however far off it is."""
_MEASURE = re.compile(r"[._-](?:mean|avg|average|max|p?\d{2,3})(?=\{|$)", re.IGNORECASE)
"""Ends of names of measures of one distribution; labels may follow."""
_SECONDS = {"s": 1.0, "seconds": 1.0, "ms": 1e-3, "milliseconds": 1e-3, "us": 1e-6, "ns": 1e-9}


def ratio(anomaly: Anomaly) -> float:
    """Return the score as a multiple of its threshold."""
    return anomaly.score / anomaly.threshold if anomaly.threshold > 0 else anomaly.score


def standing(anomaly: Anomaly) -> float:
    """Return the ratio that counts towards opening an incident: little where nobody notices the wait."""
    return min(ratio(anomaly), _UNNOTICED) if _unnoticed(anomaly) else ratio(anomaly)


def weight(anomalies: Iterable[Anomaly], repeated: float) -> float:
    """Return what anomalies say together: each its standing less a half, more of a source `repeated` as much.

    A source is one detector at one service; of detectors that speak of one subject the loudest counts.
    Mean and percentiles of one distribution are one subject: a single slow request moves them all.
    """
    subjects: dict[tuple[str, str], Anomaly] = {}
    for one in anomalies:
        key = (one.service, _MEASURE.sub("", one.subject, count=1))
        if key not in subjects or standing(one) > standing(subjects[key]):
            subjects[key] = one
    sources: dict[tuple[str, str], list[float]] = {}
    for one in subjects.values():
        worth = max(0.0, min(standing(one), _MOST) - _HALF)
        sources.setdefault((one.service, one.detector), []).append(worth)
    return sum(max(found) + repeated * (sum(found) - max(found)) for found in sources.values())


def _unnoticed(anomaly: Anomaly) -> bool:
    """Say whether all that an anomaly rests on are waits that rose and are still too short to be noticed."""
    return (
        anomaly.direction is Direction.UP
        and bool(anomaly.evidence)
        and all(
            one.unit in _SECONDS
            and one.observed is not None
            and one.observed * _SECONDS[one.unit] <= NOTICED * _ROUNDED
            for one in anomaly.evidence
        )
    )
