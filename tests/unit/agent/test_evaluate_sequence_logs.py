"""Figures of labelled sequences by hand, and the whole way over a made system with three kinds of jobs."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.evaluate.sequence_data import read_events
from agent.evaluate.sequence_logs import best, evaluate, scored
from agent.evaluate.sequence_stream import Judged, stream
from tests.support.sequences import made, write_set

_KEYS = 900


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the lines of so many jobs, three of a hundred gone wrong."""
    path = tmp_path_factory.mktemp("made")
    lines, labels = made(_KEYS)
    write_set(path / "logs" / "okapi", lines, labels)
    return path


@pytest.fixture(scope="module")
def judged(folder: Path) -> Judged:
    """Stream them once."""
    return _streamed(folder)


def _streamed(folder: Path) -> Judged:
    events = read_events("okapi", folder / "logs" / "okapi" / "events.jsonl.gz")
    return stream("okapi", events, on_case=lambda _: None)


def test_figures_by_hand() -> None:
    """Two of three found were right, two of four were found; a key without a label is ordinary."""
    labels = {"a": True, "b": True, "c": True, "d": True, "e": False}
    found = scored({"a", "b", "x"}, labels)
    assert found["precision"] == pytest.approx(2 / 3)
    assert found["recall"] == pytest.approx(2 / 4)
    assert found["f1"] == pytest.approx(2 * 2 / (3 + 4))
    assert scored(set(), labels)["f1"] == 0.0
    assert scored({"e"}, {"e": False})["f1"] == 0.0


def test_the_best_threshold_takes_equal_scores_together() -> None:
    """Of scores 3 2 2 1 with the first and third labelled, three taken are best: two of them right."""
    found = best(np.array([3.0, 2.0, 2.0, 1.0]), np.array([True, False, True, False]))
    assert found["precision"] == pytest.approx(2 / 3)
    assert found["recall"] == 1.0
    assert found["f1"] == pytest.approx(4 / 5)


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=40))
def test_no_threshold_is_better_than_the_best(pairs: list[tuple[int, bool]]) -> None:
    """Every cut between scores gives an F1 that is no higher."""
    labels = {str(number): anomalous for number, (_, anomalous) in enumerate(pairs)}
    top = best(np.array([float(score) for score, _ in pairs]), np.array([one for _, one in pairs]))
    for cut in range(6):
        taken = {str(number) for number, (score, _) in enumerate(pairs) if score >= cut}
        assert scored(taken, labels)["f1"] <= top["f1"] + 1e-9


def test_jobs_that_went_wrong_are_found(folder: Path) -> None:
    """Streaming and without labels, among jobs of three kinds, on a set of any name."""
    told: list[str] = []
    figures = evaluate(folder, on_case=told.append)
    assert list(figures) == ["okapi"]
    assert figures["okapi"]["precision"] >= 0.95
    assert figures["okapi"]["recall"] >= 0.8
    assert figures["okapi"]["sequences"] == _KEYS


def test_lines_of_one_second_may_come_in_any_order(folder: Path, judged: Judged) -> None:
    """What is found depends on the windows and not on the order within them."""
    events = list(read_events("okapi", folder / "logs" / "okapi" / "events.jsonl.gz"))
    rng = random.Random(3)
    shuffled = sorted(events, key=lambda event: (event.time // 3_000_000_000, rng.random()))
    assert shuffled != events
    again = stream("okapi", shuffled, on_case=lambda _: None)
    assert set(again.odd) == set(judged.odd)
    assert again.counts == judged.counts


def test_what_whole_sequences_were_made_of_is_kept_for_the_peers(folder: Path, judged: Judged) -> None:
    """Every line is counted once under its key."""
    lines, labels = made(_KEYS)
    assert set(judged.counts) == set(labels) == set(judged.last)
    assert sum(sum(counts.values()) for counts in judged.counts.values()) == len(lines)
    assert {name for counts in judged.counts.values() for name in counts} <= set(judged.texts)


def test_peers_are_given_whole_sequences_and_scored_beside(folder: Path) -> None:
    """One row a sequence, in an order that fits the labels."""
    shapes: list[tuple[int, ...]] = []
    _, labels = made(_KEYS)
    truth = np.array([float(labels[key]) for key in sorted(labels)])

    def knows(vectors: np.ndarray) -> np.ndarray:
        shapes.append(vectors.shape)
        return truth

    figures = evaluate(folder, peers=lambda: {"knows": knows})
    assert figures["okapi/knows"]["f1"] == 1.0
    assert shapes[0][0] == _KEYS
