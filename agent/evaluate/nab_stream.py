"""Labelled series through our own detector, all side by side as in the service, in the order of their rows.

Each series is a world of its own here: it has its own alarm budget, and nothing is learned across series.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from agent.evaluate.nab_data import Series
from agent.evaluate.nab_score import Scores
from detectors.metrics.bank import Bank
from detectors.threshold import Budget

_TELL_EVERY = 500


def judged(
    series: Sequence[Series], *, alarms_a_day: float, on_case: Callable[[str], None]
) -> tuple[list[Scores], list[Scores]]:
    """Return the detector's scores and its own alarms (1 or 0) of every row; rows without a value have 0."""
    scores = [np.zeros(len(one.values)) for one in series]
    alarms = [np.zeros(len(one.values)) for one in series]
    bank, budgets = Bank(), [Budget(alarms_a_day=alarms_a_day) for _ in series]
    bank.grow(len(series))
    times = [np.array(one.times, dtype=np.int64) for one in series]
    longest = max(len(one.values) for one in series)
    for row in range(longest):
        if row % _TELL_EVERY == 0:
            on_case(f"faultline: row {row} of {longest}, {len(series)} series side by side")
        live = [n for n, one in enumerate(series) if row < len(one.values) and np.isfinite(one.values[row])]
        if not live:
            continue
        look = bank.score(
            np.array(live),
            np.array([times[n][row] for n in live]),
            np.array([series[n].values[row] for n in live]),
        )
        flagged = np.zeros(len(live), dtype=bool)
        for place, n in enumerate(live):
            score = float(look.scores[place])
            scores[n][row] = score
            flagged[place] = budgets[n].reached(score)
            budgets[n].learn((score,), int(times[n][row]))
        bank.learn(look, flagged)
        for place, n in enumerate(live):
            alarms[n][row] = float(flagged[place])
    return scores, alarms
