"""The raw components that `faultline bench` measures against, used the plain way their own guides show.

The only place outside the rooms that own them where PyOD and Drain3 are imported: as opponents.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from drain3.drain import Drain

from ingest.masking import mask, subject


class PlainDrain:
    """One Drain3 tree a service, with the same masks before it."""

    def __init__(self, *, depth: int, similarity: float) -> None:
        self._depth, self._similarity = depth, similarity
        self._trees: dict[str, Any] = {}

    def assign(self, service: str, body: str) -> int:
        """Return the number of the body's cluster in its service's tree."""
        tree = self._trees.get(service)
        if tree is None:
            tree = self._trees[service] = Drain(
                depth=self._depth, sim_th=self._similarity, parametrize_numeric_tokens=False
            )
        cluster, _ = tree.add_log_message(mask(subject(body)))
        return int(cluster.cluster_id)


class MadLoop:
    """One PyOD MAD a series, asked one after the other. Importing PyOD takes seconds."""

    def __init__(self, histories: Sequence[Sequence[float]]) -> None:
        from pyod.models.mad import MAD

        self._new = MAD
        self._columns = [np.array(history).reshape(-1, 1) for history in histories]
        self._fitted = [MAD().fit(column) for column in self._columns]

    def fit_and_score(self, values: Sequence[float]) -> list[float]:
        """Return the score of each series' next value by a detector fitted to its history now."""
        return [
            float(self._new().fit(column).decision_function(np.array([[value]]))[0])
            for column, value in zip(self._columns, values, strict=True)
        ]

    def score(self, values: Sequence[float]) -> list[float]:
        """Return the score of each series' next value by its detector, fitted before."""
        return [
            float(detector.decision_function(np.array([[value]]))[0])
            for detector, value in zip(self._fitted, values, strict=True)
        ]
