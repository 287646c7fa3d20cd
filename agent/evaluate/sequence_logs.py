"""`faultline eval logs`: how well odd sequences of log lines are found, beside methods that see everything.

A key counts as found as soon as the detector calls it odd once; labels only score. PyOD's detectors get the
count vectors of all whole sequences at once and the threshold that suits each best (`best`), which no stream
can know: they are what batch methods could reach at most.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agent.evaluate.figures import Figures, Group
from agent.evaluate.sequence_data import read_events, read_labels, sets
from agent.evaluate.sequence_plots import draw
from agent.evaluate.sequence_stream import Counts, stream

Scorer = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def evaluate(
    data: Path,
    only: Sequence[str] = (),
    *,
    peers: Callable[[], Mapping[str, Scorer]] = dict,
    plots: Path | None = None,
    on_case: Callable[[str], None] = lambda _: None,
) -> Figures:
    """Return precision, recall and F1 per set; those of peers in groups named `<set>/<peer>`.

    Draws what was found where into the folder `plots`, one SVG a set.
    """
    figures: Figures = {}
    for name, files in sets(data, only).items():
        labels = read_labels(files.labels)
        judged = stream(name, read_events(name, files.events), on_case=on_case)
        figures[name] = scored(judged.odd, labels)
        if plots is not None:
            draw(plots, name, judged, labels)
        vectors, keys = _matrix(judged.counts)
        truth = np.array([labels.get(key, False) for key in keys])
        for peer, scorer in peers().items():
            on_case(f"{name}: {peer} over {len(keys)} sequences")
            figures[f"{name}/{peer}"] = best(scorer(vectors), truth)
    return figures


def scored(odd: Collection[str], labels: Mapping[str, bool]) -> Group:
    """Return the figures of the keys found odd; keys without a label count as ordinary."""
    right = sum(labels.get(key, False) for key in odd)
    true = sum(labels.values())
    precision = right / len(odd) if odd else 0.0
    recall = right / true if true else 0.0
    both = precision + recall
    return {
        "precision": precision,
        "recall": recall,
        "f1": 2 * precision * recall / both if both else 0.0,
        "sequences": len(labels),
    }


def best(scores: NDArray[np.float64], truth: NDArray[np.bool_]) -> Group:
    """Return the figures at the threshold with the highest F1; higher scores are odder."""
    order = np.argsort(-scores, kind="stable")
    right = np.cumsum(truth[order])
    taken = np.arange(1, len(order) + 1)
    # Equal scores are taken together or not at all.
    last = np.append(np.diff(scores[order]) != 0, True)
    f1 = np.where(last, 2 * right / (taken + truth.sum()), 0.0)
    at = int(np.argmax(f1))
    return {
        "precision": float(right[at] / taken[at]),
        "recall": float(right[at] / max(1, truth.sum())),
        "f1": float(f1[at]),
        "sequences": len(truth),
    }


def _matrix(counts: Counts) -> tuple[NDArray[np.float64], list[str]]:
    keys = sorted(counts)
    templates = {
        name: at for at, name in enumerate(sorted({name for one in counts.values() for name in one}))
    }
    matrix = np.zeros((len(keys), len(templates)))
    for row, key in enumerate(keys):
        for name, count in counts[key].items():
            matrix[row, templates[name]] = count
    return matrix, keys
