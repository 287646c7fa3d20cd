"""What stands beside our detector is fair: every peer finds what is plainly odd."""

from __future__ import annotations

import numpy as np
import pytest

from agent.evaluate.sequence_logs import best
from agent.evaluate.sequence_peers import count_vector_peers, rare_vector


def _vectors() -> tuple[np.ndarray, np.ndarray]:
    """Return 300 ordinary vectors of five templates, one of which never varies, and 6 plainly odd ones."""
    rng = np.random.default_rng(1)
    counts = np.column_stack([np.ones(306), *(rng.poisson(3, 306) for _ in range(3)), np.ones(306) * 3])
    truth = np.zeros(306, dtype=bool)
    truth[-6:] = True
    counts[-6:, 1:4] += 40
    counts[-6:, 4] = 9
    return counts.astype(float), truth


@pytest.mark.parametrize("name", list(count_vector_peers()))
def test_every_peer_finds_what_is_plainly_odd(name: str) -> None:
    """With the threshold that suits it best, and in finite scores."""
    if name == "rare_vector":
        vectors = np.repeat(np.eye(3), (50, 60, 1), axis=0)
        assert best(rare_vector(vectors), np.arange(111) == 110)["f1"] == 1.0
        return
    vectors, truth = _vectors()
    scores = count_vector_peers()[name](vectors)
    assert np.isfinite(scores).all()
    assert best(scores, truth)["f1"] >= 0.9


@pytest.mark.parametrize("name", list(count_vector_peers()))
def test_vectors_that_are_all_the_same_are_equally_odd(name: str) -> None:
    """Nothing to divide by is no error."""
    scores = count_vector_peers()[name](np.ones((20, 3)))
    assert len(set(scores.tolist())) == 1


@pytest.mark.parametrize("name", list(count_vector_peers()))
def test_they_come_out_the_same_again(name: str) -> None:
    """Those that draw lots draw the same ones."""
    vectors, _ = _vectors()
    assert (count_vector_peers()[name](vectors) == count_vector_peers()[name](vectors)).all()
