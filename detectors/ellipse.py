"""Which numbers go together, by PyOD's MCD: distances under the minimum covariance determinant.

The model of `detectors.joint` for one service (P. J. Rousseeuw and K. Van Driessen, *A Fast Algorithm for
the Minimum Covariance Determinant Estimator*, 1999): outliers among the rows it is fitted to do not widen
it. Pure and deterministic: the same rows make the same model. The one place of the service that loads PyOD,
and only at the first fit, since that takes seconds.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.vectors import kind_of, sets_the_rest, wanders

Values = NDArray[np.float64]
Mask = NDArray[np.bool_]

_PRESENT = 0.8
"""Share of the rows that must have a dimension."""
_ROWS_EACH = 4
"""Rows a dimension, at the least."""
_WANDERED = 1.5
_MOVES = 0.2
"""What moves less, in units of the least that means anything, is a constant: others watch those."""
_DITHER = 0.5
"""Of the least deviation that means anything: so much may differ, however closely all kept together."""
_SEED = 7_919
_SUPPORT = 0.9
"""Share of the rows that are surely ordinary: what was flagged is not among them."""
_NORMAL = 1.4826


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How far a vector is off, and the dimension whose expected value would explain most of that."""

    distance: float
    column: int
    expected: float
    observed: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ellipse:
    """A fitted model of some columns; `center` and `scale` make them comparable."""

    columns: NDArray[np.intp]
    traffic: Mask
    kinds: NDArray[np.intp]
    """Dimensions of one kind rise together: p50 and p95 of one latency."""
    center: Values
    scale: Values
    mcd: Any

    def judge(self, row: Values) -> Verdict | None:
        """Judge a row of all columns, given its traffic; None where too little of it is there."""
        point = (row[self.columns] - self.center) / self.scale
        missing = ~np.isfinite(point)
        others = sorted(set(self.kinds[~missing & ~self.traffic].tolist()))
        if 2 * missing.sum() > len(point) or not others or (~missing).sum() < 2:
            return None
        point = self._expected(point, missing)
        usual = [self._expected(point, self.kinds == kind) for kind in others]
        distances = self._distances(np.stack([point, self._expected(point, ~self.traffic | missing), *usual]))
        place = int(np.argmin(distances[2:]))
        worst = int(np.argmax(np.abs(point - usual[place])))
        return Verdict(
            # Squares add up: the whole is the traffic's own strangeness and that of the rest given it.
            distance=float(np.sqrt(max(distances[0] ** 2 - distances[1] ** 2, 0.0))),
            column=int(self.columns[worst]),
            expected=float(usual[place][worst] * self.scale[worst] + self.center[worst]),
            observed=float(point[worst] * self.scale[worst] + self.center[worst]),
        )

    def _distances(self, points: Values) -> Values:
        """Return PyOD's scores as distances: MCD gives their squares."""
        roots: Values = np.sqrt(np.maximum(self.mcd.decision_function(points), 0.0))
        return roots

    def _expected(self, point: Values, unknown: Mask) -> Values:
        """Return the point with what is `unknown` replaced by its expectation given the rest."""
        mean, spread = self.mcd.location_, self.mcd.covariance_
        known = ~unknown
        filled: Values = np.where(unknown, mean, point)
        if known.any() and unknown.any():
            weights = np.linalg.solve(spread[np.ix_(known, known)], (point - mean)[known])
            filled[unknown] = mean[unknown] + spread[np.ix_(unknown, known)] @ weights
        return filled


def fit(rows: Values, names: Sequence[str], least: Sequence[float]) -> Ellipse | None:
    """Return the model of rows (windows, columns), NaN where missing; None where fewer than two move.

    `names` and `least` are of the first columns; the latter the smallest deviations that mean anything.
    """
    usable = [place for place, name in enumerate(names) if _usable(rows[:, place], name, least[place])]
    columns = np.array(usable[: max(len(rows) // _ROWS_EACH, 0)], dtype=np.intp)
    if len(columns) < 2:
        return None
    kept = rows[:, columns]
    center = np.nanmedian(kept, axis=0)
    smallest = np.array(least)[columns]
    scale = np.maximum(_NORMAL * np.nanmedian(np.abs(kept - center), axis=0), smallest)
    # A missing number is put at the median: it neither widens nor narrows what is ordinary much.
    points = np.nan_to_num((kept - center) / scale, nan=0.0)
    kinds = [kind_of(names[place]) for place in columns]
    return Ellipse(
        columns=columns,
        kinds=np.array([kinds.index(kind) for kind in kinds], dtype=np.intp),
        traffic=np.array([sets_the_rest(names[place]) for place in columns]),
        center=center,
        scale=scale,
        mcd=_mcd(points, _DITHER * smallest / scale),
    )


def _mcd(points: Values, dither: Values) -> Any:
    # PyOD takes seconds and 160 MB to load; a service without such vectors never needs it.
    from pyod.models.mcd import MCD

    blurred = points + dither * np.random.default_rng(_SEED).standard_normal(points.shape)
    with warnings.catch_warnings():
        # It warns of subsets whose determinant grew; the best one counts.
        warnings.simplefilter("ignore")
        return MCD(random_state=_SEED, support_fraction=_SUPPORT).fit(blurred)


def _usable(values: Values, name: str, least: float) -> bool:
    known = values[np.isfinite(values)]
    if len(known) < max(_PRESENT * len(values), 3) or known.std() < _MOVES * least:
        return False
    third = len(known) // 3
    spread = max(_NORMAL * float(np.median(np.abs(known - np.median(known)))), least)
    moved = abs(float(np.median(known[-third:]) - np.median(known[:third])))
    return not (wanders(name) and moved > _WANDERED * spread)
