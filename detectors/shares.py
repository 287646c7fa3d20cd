"""Detector: what always succeeded no longer always does: a success share leaves 100 %, an error share 0.

A share that was whole for all its history says more by leaving it than its size tells, which is why its own
range (`outliers`) is the wrong measure. Counted are windows, whole or not; the score is how much likelier a
change at the first of a row of windows that are not whole is than none (a likelihood ratio), so what flickers
now and then needs a longer row. A row is not learned before it ends; one that stands for half an hour is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from detectors.anomaly import Anomaly, Direction, Hit
from detectors.evidence import Finding, anomaly, node_of, series_evidence
from detectors.state import touch
from detectors.stateful import Stateful
from detectors.threshold import Runs, Threshold
from ingest.events import MetricKind
from ingest.record import SECOND
from ingest.summary import SeriesWindow, WindowSummary

NAME = "shares"
VERSION = "1"
THRESHOLD = Threshold(value=4.0, consecutive=2, extreme=math.inf)
"""In natural logarithms of a likelihood ratio."""
MAX_SERIES = 20_000

_GOOD = re.compile(r"success|availab|uptime", re.IGNORECASE)
_BAD = re.compile(r"error|fail|fault|exception|5xx", re.IGNORECASE)
_BOUNDS = {"%": 100.0, "percent": 100.0, "1": 1.0, "ratio": 1.0}
_LEAST = 0.01
"""Share by which a window must miss the whole."""
_SIZE = 0.5
_FEWEST = 6
"""Windows without which nothing can be compared."""
_FADE = 0.5 ** (1 / 360)


@dataclass(slots=True)
class _Share:
    """A series: windows seen (fading), how many of them were not whole, and the present row of such."""

    windows: float = 0.0
    broken: float = 0.0
    row: int = 0

    def score(self, missed: float) -> float:
        """Return ln of how much likelier a change where the row began is than none, more where more fail."""
        seen, whole = self.windows + self.row, self.windows - self.broken
        if self.windows < _FEWEST or not self.row:
            return 0.0
        unchanged = _likelihood(self.broken + self.row, seen - self.broken - self.row)
        surprise = max(0.0, _likelihood(self.broken, whole) - unchanged)
        usual = math.log1p(2.0 * self.broken)
        return surprise - usual + _SIZE * math.log(missed / _LEAST) if surprise > usual else 0.0

    def learn(self) -> None:
        """Learn the row that has ended."""
        for _ in range(self.row):
            self.windows, self.broken = self.windows * _FADE + 1.0, self.broken * _FADE + 1.0
        self.row = 0


@dataclass(slots=True)
class _State:
    series: dict[tuple[str, str, str], _Share] = field(default_factory=dict)
    runs: Runs = field(default_factory=lambda: Runs(gap=130 * SECOND))


class Shares(Stateful[_State]):
    """Flags shares of success or failure that leave the end at which they always were."""

    name = NAME
    version = VERSION

    def __init__(self, threshold: Threshold = THRESHOLD, max_series: int = MAX_SERIES) -> None:
        super().__init__(_State)
        self._threshold, self._max_series = threshold, max_series

    def observe(self, summary: WindowSummary) -> Sequence[Anomaly]:
        found: list[Anomaly] = []
        for window in summary.series:
            missed = missed_share(window)
            if missed is None:
                continue
            key = (summary.environment, summary.service, str(window.key))
            share = self._state.series.setdefault(key, _Share())
            touch(self._state.series, key, self._max_series)
            if missed < _LEAST:
                share.learn()
                share.windows, share.broken = share.windows * _FADE + 1.0, share.broken * _FADE
            else:
                share.row += 1
                found.extend(self._judge(summary, window, share, missed))
        return found

    def _judge(
        self, summary: WindowSummary, window: SeriesWindow, share: _Share, missed: float
    ) -> Sequence[Anomaly]:
        score = share.score(missed)
        if not self._threshold.reached(score, share.row):
            return ()
        key = (summary.environment, summary.service, str(window.key))
        run = self._state.runs.extend(key, summary.start, summary.end)
        if self._state.runs.accepted(key, summary.end):
            share.learn()
            share.windows = share.broken
            return ()
        good = bool(_GOOD.search(window.key.name))
        evidence = series_evidence(
            summary,
            window,
            expected=_BOUNDS[window.unit] if good else 0.0,
            observed=window.mean,
            score=score,
            known=round(share.windows),
        )
        finding = Finding(
            detector=NAME,
            subject=str(window.key),
            direction=Direction.DOWN if good else Direction.UP,
            hit=Hit.ERROR,
            score=score,
            threshold=self._threshold.value,
            reason=f"{window.key.name} of {summary.service} says that some fail now, which none did before.",
            evidence=(evidence,),
            instance=window.key.instance or None,
        )
        node = node_of(summary, finding.instance)
        return (anomaly(summary.environment, summary.service, run, finding, node),)


def missed_share(window: SeriesWindow) -> float | None:
    """Return the share of failures that a window tells of, 0..1; None where its series is no such share."""
    bound, name = _BOUNDS.get(window.unit), window.key.name
    good, bad = _GOOD.search(name) is not None, _BAD.search(name) is not None
    if bound is None or good == bad or window.kind is not MetricKind.GAUGE or not window.count:
        return None
    if not (window.minimum >= 0.0 and window.maximum <= bound):
        return None
    share = window.mean / bound
    return 1.0 - share if good else share


def _likelihood(hits: float, misses: float) -> float:
    """Return ln of the likelihood of so many of each at their own share, without its constant."""
    total = hits + misses
    return sum(count * math.log(count / total) for count in (hits, misses) if count > 0.0)
