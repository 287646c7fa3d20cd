"""What `faultline eval logs` shows beside our detector: PyOD's on the count vectors of whole sequences.

Each is fitted to all vectors at once and scores the same ones: more than any stream can know.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Scorer = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def count_vector_peers() -> Mapping[str, Scorer]:
    """Return PyOD's usual detectors for count vectors, each fitted to all of them at once. Takes seconds."""
    from pyod.models.copod import COPOD
    from pyod.models.ecod import ECOD
    from pyod.models.hbos import HBOS
    from pyod.models.iforest import IForest
    from pyod.models.knn import KNN

    kinds: Mapping[str, Callable[[], Any]] = {
        "pyod_ecod": ECOD,
        "pyod_copod": COPOD,
        "pyod_hbos": HBOS,
        "pyod_iforest": lambda: IForest(random_state=1),
        "pyod_knn": KNN,
    }
    return {name: _fitted(kind) for name, kind in kinds.items()}


def _fitted(kind: Callable[[], Any]) -> Scorer:
    def score(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
        # Columns without any spread say nothing, and some of the detectors divide by it.
        varied = vectors[:, vectors.std(axis=0) > 0]
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            scores: NDArray[np.float64] = kind().fit(varied).decision_scores_
        return np.nan_to_num(scores, nan=0.0, posinf=1e300, neginf=-1e300)

    return score
