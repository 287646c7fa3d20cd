"""A detector so simple that tests know what it must say, and the windows it is fed with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from detectors.anomaly import Anomaly
from detectors.port import Detector
from detectors.stateful import Stateful
from detectors.threshold import Runs
from ingest.record import SECOND
from ingest.summary import WindowSummary
from tests.support.correlation import anomaly_at
from tests.support.windows import EPOCH, closed, logs, template

WARM = 5


@dataclass(slots=True)
class _State:
    lines: dict[str, list[int]] = field(default_factory=dict)
    """Service -> windows learned, and their lines."""
    runs: Runs = field(default_factory=lambda: Runs(gap=SECOND))


class Doubling(Stateful[_State]):
    """Flags a window with twice the lines that a service wrote so far; never learns what it flags."""

    name = "doubling"
    version = "1"

    def __init__(self, factor: float = 2.0) -> None:
        super().__init__(_State)
        self._factor = factor

    def observe(self, summary: WindowSummary) -> Sequence[Anomaly]:
        if not summary.lines:
            return ()
        seen = self._state.lines.setdefault(summary.service, [0, 0])
        if seen[0] >= WARM and summary.lines > self._factor * seen[1] / seen[0]:
            at = (summary.start - EPOCH) // SECOND
            return (anomaly_at(summary.service, "lines", at, score=summary.lines / (seen[1] / seen[0])),)
        seen[0] += 1
        seen[1] += summary.lines
        return ()


def window(index: int, lines: int, services: Sequence[str] = ("orders",)) -> list[WindowSummary]:
    """Return window `index` in which each service writes so many lines of one kind."""
    return [logs(index, [template("t_ok", lines, index)], service=name) for name in services]


def feed(detector: Detector, levels: Iterable[int], begin: int = 0) -> list[Anomaly]:
    """Feed windows with these numbers of lines, from window `begin` on; return what was found."""
    found: list[Anomaly] = []
    for index, lines in enumerate(levels, begin):
        one = closed(index, window(index, lines))
        for summary in one.summaries:
            found.extend(detector.observe(summary))
        found.extend(detector.tick(one.end))
    return found
