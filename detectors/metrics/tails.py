"""How rare a residual is: its p-value among the last thousands of its series.

Per series and residual only the largest values are kept, exactly, with their ages. Below the threshold of
the upper 3 % a p-value is conformal (its rank among what was seen); above it the excesses are taken as
exponential (peaks over threshold with shape 0; Pickands, *Annals of Statistics* 1975; Siffer et al.,
*Anomaly Detection in Streams with Extreme Value Theory*, KDD 2017), so that a value far beyond all others
is rarer than one just beyond them. Scores are -log10 of the p-value.
"""

from __future__ import annotations

import math

import numpy as np

from detectors.metrics.columns import Column, Columns, Rows, Values

KEPT = 121
WINDOW = 4000
"""Values after which one is forgotten; 3 % of them are kept."""
FEWEST = 50
"""Values known before anything is scored."""
_SHARE = 0.03
_BEYOND = -math.log10(_SHARE)
_LN10 = math.log(10.0)
_FARTHEST = 60.0
_EMPTY = -1.0
"""Residuals are not negative."""


class Tails:
    """Tails of `kinds` residuals of every series."""

    def __init__(self, kinds: int) -> None:
        self.columns = Columns(
            {
                "top": Column(dtype="<f4", shape=(kinds, KEPT), fresh=_EMPTY),
                "born": Column(dtype="<i4", shape=(kinds, KEPT)),
                "seen": Column(dtype="<i4", shape=(kinds,)),
                "kept": Column(dtype="<i2", shape=(kinds,)),
                "least": Column(dtype="<f4", shape=(kinds,), fresh=_EMPTY),
                "limit": Column(dtype="<f4", shape=(kinds,)),
                "excess": Column(dtype="<f4", shape=(kinds,), fresh=1.0),
            }
        )

    def score(self, kind: int, rows: Rows, residuals: Values) -> Values:
        """Return -log10 of each residual's p-value; 0 where it is NaN or too little is known."""
        at = self.columns.at
        seen = np.minimum(at["seen"][rows, kind], WINDOW)
        kept, least = at["kept"][rows, kind], at["least"][rows, kind].astype(np.float64)
        limit, excess = at["limit"][rows, kind], at["excess"][rows, kind]
        scores = np.zeros(len(rows))
        known = (seen >= FEWEST) & np.isfinite(residuals)
        beyond = known & (residuals > limit)
        away = np.minimum((residuals[beyond] - limit[beyond]) / excess[beyond], _FARTHEST)
        # What an exponential tail predicts when its mean is known from so few values only.
        number = np.maximum(_SHARE * seen[beyond], 1.0)
        scores[beyond] = _BEYOND + number * np.log1p(away / number) / _LN10
        ranked = known & ~beyond & (residuals >= least)
        if ranked.any():
            higher = (at["top"][rows[ranked], kind] >= residuals[ranked, None]).sum(axis=1)
            scores[ranked] = -np.log10((higher + 1.0) / (seen[ranked] + 1.0))
        below = known & ~beyond & ~ranked
        share = residuals[below] / np.maximum(least[below], 1e-30)
        scores[below] = -np.log10((kept[below] + 1.0) / (seen[below] + 1.0)) * share
        return np.maximum(scores, 0.0)

    def learn(self, kind: int, rows: Rows, residuals: Values) -> None:
        """Learn one residual of each row; NaN is none."""
        at = self.columns.at
        finite = np.isfinite(residuals)
        rows, residuals = rows[finite], residuals[finite].astype(np.float32)
        at["seen"][rows, kind] += 1
        high = (at["kept"][rows, kind] < KEPT) | (residuals > at["least"][rows, kind])
        rows, residuals = rows[high], residuals[high]
        if not len(rows):
            return
        top, born = at["top"][rows, kind], at["born"][rows, kind]
        seen = at["seen"][rows, kind]
        top[born < (seen - WINDOW)[:, None]] = _EMPTY
        lines, places = np.arange(len(rows)), top.argmin(axis=1)
        top[lines, places], born[lines, places] = residuals, seen
        at["top"][rows, kind], at["born"][rows, kind] = top, born
        self._fit(kind, rows, top)

    def _fit(self, kind: int, rows: Rows, top: Values) -> None:
        at = self.columns.at
        ordered = np.sort(top, axis=1)[:, ::-1].astype(np.float64)
        kept = (ordered >= 0).sum(axis=1)
        seen = np.minimum(at["seen"][rows, kind], WINDOW)
        number = np.minimum((_SHARE * seen).astype(np.intp) + 1, kept)
        lines = np.arange(len(rows))
        limit = ordered[lines, number - 1]
        sums = np.cumsum(np.maximum(ordered, 0.0), axis=1)[lines, number - 1]
        excess = (sums - number * limit) / np.maximum(number - 1, 1)
        # Where the upper 3 % are all alike nothing is known of what may lie beyond them.
        flat = np.maximum(np.maximum(0.01 * limit, 0.05 * ordered[:, 0]), 1e-9)
        at["kept"][rows, kind], at["limit"][rows, kind] = kept, limit
        at["excess"][rows, kind] = np.where(excess > 1e-6 * limit, np.maximum(excess, 1e-30), flat)
        at["least"][rows, kind] = np.where(kept >= KEPT, ordered[:, -1], _EMPTY)
