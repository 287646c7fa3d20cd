"""What `faultline eval logs` shows beside our detector: PyOD's on the count vectors of whole sequences.

Each is fitted to all vectors at once and scores the same ones: more than any stream can know. Those that
depend on the scale get the standardised logarithms of the counts too. `rare_vector` is the plainest of all,
how few sequences have the same counts.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SCALED = ("pyod_knn", "pyod_pca")
_VARIANCE = 0.99
_NEIGHBOURS = 0.05

Scorer = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Count vectors (one a row) in, their scores out, higher is odder."""


def count_vector_peers() -> Mapping[str, Scorer]:
    """Return PyOD's usual detectors for count vectors, each fitted to all of them at once. Takes seconds.

    Names that end in `_log` see the logarithms of the counts, standardised.
    """
    from pyod.models.copod import COPOD
    from pyod.models.ecod import ECOD
    from pyod.models.iforest import IForest
    from pyod.models.knn import KNN
    from pyod.models.pca import PCA

    kinds: Mapping[str, Callable[[int], Any]] = {
        "pyod_ecod": lambda _: ECOD(),
        "pyod_copod": lambda _: COPOD(),
        "pyod_iforest": lambda _: IForest(random_state=1),
        # What goes wrong in one way lies together: its neighbours must be more than there are of it.
        "pyod_knn": lambda rows: KNN(n_neighbors=max(5, int(_NEIGHBOURS * rows))),
        # Some templates always come together: what is left of them divides by nothing.
        "pyod_pca": lambda _: PCA(n_components=_VARIANCE, random_state=1),
    }
    peers: dict[str, Scorer] = {"rare_vector": rare_vector}
    for name, kind in kinds.items():
        peers[name] = _fitted(kind, np.asarray)
        if name in _SCALED:
            peers[f"{name}_log"] = _fitted(kind, _standardised_logarithms)
    return peers


def rare_vector(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the negative number of sequences with exactly the same counts."""
    _, at, number = np.unique(vectors, axis=0, return_inverse=True, return_counts=True)
    return -number[at.ravel()].astype(np.float64)


def _fitted(
    kind: Callable[[int], Any], prepare: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> Scorer:
    def score(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
        # Columns without any spread say nothing, and some of the detectors divide by it.
        varied = prepare(vectors[:, vectors.std(axis=0) > 0])
        if not varied.shape[1]:
            return np.zeros(len(vectors))
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            scores: NDArray[np.float64] = kind(len(varied)).fit(varied).decision_scores_
        return np.nan_to_num(scores, nan=0.0, posinf=1e300, neginf=-1e300)

    return score


def _standardised_logarithms(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    logarithms = np.log1p(vectors)
    standardised: NDArray[np.float64] = (logarithms - logarithms.mean(axis=0)) / logarithms.std(axis=0)
    return standardised
