"""`faultline eval metrics`: labelled series through our detector and its peers, scored by NAB's formula.

Every detector sees the same values in the same order and never a later one. Ours runs as in the service,
all series side by side; `faultline (budget)` is the same with the threshold that the service sets itself
from its alarm budget, instead of the one that is best in hindsight.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from agent.evaluate.figures import Figures, Group
from agent.evaluate.nab_data import Series, load
from agent.evaluate.nab_peers import peers, readings
from agent.evaluate.nab_plots import draw
from agent.evaluate.nab_score import Outcome, Scores, Weights, best, outcome, weights
from agent.evaluate.nab_stream import judged

OURS = "faultline"
BUDGET = "faultline (budget)"

Tell = Callable[[str], None]


def evaluate(
    data: Path,
    *,
    plots: Path | None = None,
    with_peers: bool = True,
    alarms_a_day: float,
    on_case: Tell = lambda _: None,
) -> Figures:
    """Return NAB's standard score of every detector; raises `DataError` where `data` holds no series."""
    series = load(data)
    weighed = [weights(len(one.values), one.windows) for one in series]
    scores, alarms = judged(series, alarms_a_day=alarms_a_day, on_case=on_case)
    ours = best(weighed, scores)
    figures = {OURS: _figures(ours), BUDGET: _figures(outcome(weighed, alarms, 1.0))}
    if plots is not None:
        draw(plots, series, weighed, [one >= ours.threshold for one in scores], alarms)
    if with_peers:
        for name, found in _peers(series, on_case):
            figures[name] = _figures(_best_reading(weighed, found))
    return figures


def _peers(series: Sequence[Series], tell: Tell) -> list[tuple[str, list[Scores]]]:
    tell("peers")
    found = []
    for name, peer in peers().items():
        scores = []
        for number, one in enumerate(series, start=1):
            tell(f"{name}: series {number} of {len(series)}")
            scores.append(peer(_filled(one)))
        found.append((name, scores))
    return found


def _best_reading(weighed: Sequence[Weights], found: Sequence[Scores]) -> Outcome:
    """Return the outcome of the reading of a peer's scores that is best for it over all series."""
    ways = zip(*(readings(one) for one in found), strict=True)
    return max((best(weighed, way) for way in ways), key=lambda one: one.score)


def _filled(series: Series) -> Scores:
    """Return the values with the last one in place of what is missing: the peers know no gaps."""
    values = series.values
    known = np.where(np.isnan(values), 0, np.arange(len(values)))
    return np.nan_to_num(values[np.maximum.accumulate(known)])


def _figures(one: Outcome) -> Group:
    return {
        "nab_standard": one.score,
        "found": one.found,
        "windows": one.windows,
        "false_alarms": one.false_alarms,
    }
