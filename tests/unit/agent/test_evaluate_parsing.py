"""Log parsing figures by hand, and files of systems by any name."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.evaluate import parsing
from agent.evaluate.data import DataError


def write(folder: Path, name: str, lines: list[tuple[str, str]]) -> None:
    """Write labelled lines, gzip where the name says so."""
    folder.mkdir(parents=True, exist_ok=True)
    items = [{"line": n, "content": c, "event_id": e, "template": ""} for n, (c, e) in enumerate(lines)]
    text = "".join(json.dumps(item) + "\n" for item in items).encode()
    (folder / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text)


def test_grouping_by_hand() -> None:
    """Group a is exact (2 of 6 lines); b was split and c swallowed: 1 of 4 found, 1 of 3 true groups."""
    ga, fga = parsing.grouping(["1", "1", "2", "3", "4", "4"], ["a", "a", "b", "b", "c", "d"])
    assert ga == pytest.approx(2 / 6)
    assert fga == pytest.approx(2 * (1 / 4) * (1 / 4) / (1 / 4 + 1 / 4))


def test_names_do_not_matter_only_groups_do() -> None:
    """A perfect grouping under other names is perfect; none right is nothing."""
    assert parsing.grouping(["x", "y", "x"], [1, 2, 1]) == (1.0, 1.0)
    assert parsing.grouping(["x", "x"], [1, 2]) == (0.0, 0.0)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40))
def test_grouping_stays_in_bounds_and_is_perfect_against_itself(pairs: list[tuple[int, int]]) -> None:
    """Both are shares."""
    predicted, true = [p for p, _ in pairs], [t for _, t in pairs]
    assert all(0 <= figure <= 1 for figure in parsing.grouping(predicted, true))
    assert parsing.grouping(true, true) == (1.0, 1.0)


def test_systems_are_read_wherever_they_lie(tmp_path: Path) -> None:
    """Plain and gzip files, below `logs/loghub` or directly; the mean is over systems, not lines."""
    easy = [(f"connected to host {n}", "E1") for n in range(5)] + [("shutting down now", "E2")]
    hard = [("alpha beta", "E1"), ("alpha beta", "E2")]
    folder = tmp_path / "logs" / "loghub"
    write(folder, "okapi.jsonl.gz", easy)
    write(folder, "tapir.jsonl", hard)
    figures = parsing.evaluate(tmp_path)
    assert list(figures) == ["okapi", "tapir", "mean"]
    assert (figures["okapi"]["ga"], figures["okapi"]["fga"]) == (1.0, 1.0)
    assert (figures["tapir"]["ga"], figures["tapir"]["fga"]) == (0.0, 0.0)
    assert (figures["mean"]["ga"], figures["mean"]["fga"]) == (0.5, 0.5)
    assert all(group["lines_per_second"] > 0 for group in figures.values())
    assert list(parsing.files(folder, ["tapir"])) == ["tapir"]


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    """No files, no label, no lines."""
    with pytest.raises(DataError, match="no labelled log lines"):
        parsing.evaluate(tmp_path)
    (tmp_path / "okapi.jsonl").write_text('\n{"content": "x"}\n')
    with pytest.raises(DataError, match=r"okapi\.jsonl:2: needs `content` and `event_id`"):
        parsing.evaluate(tmp_path)
    (tmp_path / "okapi.jsonl").write_text("")
    with pytest.raises(DataError, match="holds no lines"):
        parsing.evaluate(tmp_path)
