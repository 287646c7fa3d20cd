"""What `faultline eval metrics` measures our detector against, each streamed over the same series.

Windowed Gaussian and KNN-CAD are written from their descriptions; the others are PyOD's, fitted on a
trailing history again and again and asked about the samples that follow. Where a peer looks at a block of
samples at once, that can only help it. Scores are higher the stranger; rows that a peer says nothing about
have 0.

Two things are done for the peers, without which some of them score 0: what PyOD says is put on the scale of
its own history (`rarity`), since one threshold holds for series of any size, and every peer may be silent
for a while after what it said (`readings`), since each repetition outside a window costs.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
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
_STRANGE, _PAUSE = 0.9965, 0.5
_SILENT = (0.0, 0.1, 0.2, 0.4)
"""Pauses that are tried, as shares of the probation."""


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


def readings(values: Scores) -> Sequence[Scores]:
    """Return the ways to read the scores of a peer: as they are, and with pauses of several lengths."""
    size = probation(len(values))
    return [told_once(values, math.floor(share * size)) for share in _SILENT]


def told_once(scores: Scores, rows: int) -> Scores:
    """Return the scores without those that are not above what was said in the `rows` before."""
    told = np.zeros(len(scores))
    said, since = -math.inf, -rows - 1
    for row, score in enumerate(scores.tolist()):
        if row - since > rows or score > said:
            told[row], said, since = score, score, row
    return told


def rarity(scores: Scores, history: Scores) -> Scores:
    """Return -log10 of the share of `history` that reaches each score, as conformal p-values count it."""
    ordered = np.sort(history)
    reached = len(ordered) - np.searchsorted(ordered, scores, side="left")
    shares: Scores = -np.log10((reached + 1.0) / (len(ordered) + 1.0))
    return shares


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
    """Return the rarity of a PyOD detector's scores, fitted on up to `_HISTORY` rows before every `block`.

    Where `lagged`, a row is the value with its change; PyOD's MAD takes one column only.
    """
    scores = np.zeros(len(values))
    change = np.diff(values, prepend=values[:1])
    rows = np.column_stack([values, change]) if lagged else values.reshape(-1, 1)
    for begin in range(block, len(values), block):
        history = rows[max(0, begin - _HISTORY) : begin]
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            detector = make().fit(history)
            found = np.nan_to_num(detector.decision_function(rows[begin : begin + block]))
        scores[begin : begin + block] = rarity(found, np.nan_to_num(detector.decision_scores_))
    return scores


def spectral_residual(values: NDArray[np.float64]) -> Scores:
    """Return the rarity of PyOD's saliency of each value among the 256 up to it, over their mean saliency.

    PyOD scores a window as a whole; only the score of its last value is free of the future. The ratio is the
    rule of Ren et al., *Time-Series Anomaly Detection Service at Microsoft*, KDD 2019.
    """
    from pyod.models.ts_spectral_residual import SpectralResidual

    detector = SpectralResidual()
    ratios, scores = np.zeros(len(values)), np.zeros(len(values))
    if len(values) <= _SALIENT_FIRST:
        return scores
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        detector.fit(values[:_SALIENT_FIRST].reshape(-1, 1))
        for row in range(_SALIENT_FIRST, len(values)):
            window = values[max(0, row + 1 - _SALIENT) : row + 1].reshape(-1, 1)
            saliency = np.nan_to_num(detector.decision_function(window))
            ratios[row] = saliency[-1] / max(float(saliency.mean()), 1e-12)
            history = ratios[max(_SALIENT_FIRST, row - _HISTORY) : row]
            scores[row] = rarity(ratios[row : row + 1], history)[0]
    return scores
