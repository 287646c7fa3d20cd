"""What `faultline eval metrics` measures our detector against, each streamed over the same series.

Windowed Gaussian and KNN-CAD are written from their descriptions; the others are PyOD's, fitted on a
trailing history again and again and asked about the samples that follow. Where a peer looks at a block of
samples at once, that can only help it. Scores are higher the stranger; rows that a peer says nothing about
have 0.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.evaluate.nab_score import Scores, probation

Peer = Callable[[NDArray[np.float64]], Scores]
"""Scores every value of a series from those before it."""

_GAUSSIAN_WINDOW, _GAUSSIAN_STEP = 6400, 100
_HISTORY, _BLOCK = 2000, 100
"""Values that a PyOD detector is fitted on, and how many it then scores."""
_TREES_BLOCK = 500
"""IForest takes its time."""
_DIMENSION, _NEIGHBOURS = 19, 27
_SALIENT, _SALIENT_FIRST = 256, 64
_SENSELESS = 1e300
_STRANGE, _PAUSE = 0.9965, 0.5


def peers() -> Mapping[str, Peer]:
    """Return the peers by name; importing PyOD takes seconds."""
    from pyod.models.ecod import ECOD
    from pyod.models.iforest import IForest
    from pyod.models.mad import MAD

    return {
        "windowed_gaussian": windowed_gaussian,
        "knn_cad": knn_cad,
        "pyod_mad": lambda values: _fitted(MAD, values, _BLOCK, lagged=False),
        "pyod_ecod": lambda values: _fitted(ECOD, values, _BLOCK, lagged=True),
        "pyod_iforest": lambda values: _fitted(
            lambda: IForest(random_state=1), values, _TREES_BLOCK, lagged=True
        ),
        "pyod_spectral_residual": spectral_residual,
    }


def windowed_gaussian(values: NDArray[np.float64]) -> Scores:
    """Return how far each value lies in the tail of a normal distribution of those before it.

    As in the benchmark: 6,400 values, replaced 100 at a time.
    """
    scores = np.zeros(len(values))
    window: list[float] = []
    mean, deviation = 0.0, 1.0
    waiting: list[float] = []
    for row, value in enumerate(values.tolist()):
        if window:
            scores[row] = 1.0 - 0.5 * math.erfc(abs(value - mean) / deviation / math.sqrt(2.0))
        if len(window) < _GAUSSIAN_WINDOW:
            window.append(value)
        else:
            waiting.append(value)
            if len(waiting) < _GAUSSIAN_STEP:
                continue
            window, waiting = window[_GAUSSIAN_STEP:] + waiting, []
        mean, deviation = float(np.mean(window)), float(np.std(window)) or 1e-6
    return scores


def knn_cad(values: NDArray[np.float64]) -> Scores:
    """Return conformal scores of 19 values in a row by the distance to their 27 nearest neighbours.

    Burnaev and Ishimtsev, *Conformalized density- and distance-based anomaly detection in time-series
    data*, 2016: Mahalanobis distance, training and calibration sets as long as the probation, and after a
    detection a pause of a fifth of that.
    """
    scores = np.zeros(len(values))
    size = probation(len(values))
    if size < _DIMENSION + _NEIGHBOURS:
        return scores
    items = np.lib.stride_tricks.sliding_window_view(values, _DIMENSION)
    training = items[: size - _DIMENSION + 1]
    whiten: NDArray[np.float64] = np.eye(_DIMENSION)
    known = np.array([_neighbours(training, one, whiten, itself=1) for one in training])
    calibration = list(known)
    first, pause = 0, 0
    for row in range(size, len(values)):
        if row % size in (0, size // 2):
            whiten = _whitening(training, whiten)
        item = items[row - _DIMENSION + 1]
        distance = _neighbours(training, item, whiten)
        share = float(np.mean(np.array(calibration) < distance))
        if row >= 2 * size:
            first += 1
            training = items[first : first + size - _DIMENSION + 1]
        del calibration[0]
        calibration.append(distance)
        if pause:
            pause -= 1
            scores[row] = _PAUSE
        else:
            scores[row] = share
            pause = size // 5 if share >= _STRANGE else 0
    return scores


def _neighbours(
    training: NDArray[np.float64], item: NDArray[np.float64], whiten: NDArray[np.float64], itself: int = 0
) -> float:
    away = training - item
    distances = np.einsum("ij,ij->i", away @ whiten, away)
    return float(np.partition(distances, _NEIGHBOURS + itself - 1)[: _NEIGHBOURS + itself].sum())


def _whitening(training: NDArray[np.float64], otherwise: NDArray[np.float64]) -> NDArray[np.float64]:
    try:
        inverse: NDArray[np.float64] = np.linalg.inv(training.T @ training).astype(np.float64)
    except np.linalg.LinAlgError:
        return otherwise
    return inverse


def _fitted(make: Callable[[], Any], values: NDArray[np.float64], block: int, *, lagged: bool) -> Scores:
    """Return a PyOD detector's scores, fitted on up to `_HISTORY` rows before every `block`.

    Where `lagged`, a row is the value with its change; PyOD's MAD takes one column only.
    """
    scores = np.zeros(len(values))
    change = np.diff(values, prepend=values[:1])
    rows = np.column_stack([values, change]) if lagged else values.reshape(-1, 1)
    for begin in range(block, len(values), block):
        history = rows[max(0, begin - _HISTORY) : begin]
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = make().fit(history).decision_function(rows[begin : begin + block])
        # Where the history has no spread, PyOD's MAD divides by it: it says nothing then.
        scores[begin : begin + block] = np.where(found < _SENSELESS, np.nan_to_num(found), 0.0)
    return scores


def spectral_residual(values: NDArray[np.float64]) -> Scores:
    """Return PyOD's saliency of each value among the 256 values up to it, over their mean saliency.

    PyOD scores a window as a whole; only the score of its last value is free of the future. The ratio is the
    rule of Ren et al., *Time-Series Anomaly Detection Service at Microsoft*, KDD 2019.
    """
    from pyod.models.ts_spectral_residual import SpectralResidual

    detector = SpectralResidual()
    scores = np.zeros(len(values))
    if len(values) <= _SALIENT_FIRST:
        return scores
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        detector.fit(values[:_SALIENT_FIRST].reshape(-1, 1))
        for row in range(_SALIENT_FIRST, len(values)):
            window = values[max(0, row + 1 - _SALIENT) : row + 1].reshape(-1, 1)
            saliency = detector.decision_function(window)
            scores[row] = saliency[-1] / max(float(saliency.mean()), 1e-12)
    return np.nan_to_num(scores, nan=0.0, posinf=1e6)
