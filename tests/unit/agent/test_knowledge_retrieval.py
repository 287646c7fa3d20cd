"""The retrieval measurement: what is asked, what is skipped, how figures are counted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.evaluate.retrieval import RetrievalDataError, evaluate_retrieval, query_of, read_pairs
from agent.knowledge.index import QdrantRunbookIndex, open_index


@pytest.fixture
def index() -> Iterator[QdrantRunbookIndex]:
    """Return a words-only index in memory."""
    opened = open_index(":memory:", None)
    yield opened
    opened.close()


def pair(alert: str, runbook: str, summary: str | None, group: str = "one") -> dict[str, str | None]:
    """Return a row of the pairs file."""
    return {
        "set": group,
        "alert": alert,
        "severity": "x",
        "summary": summary,
        "description": None,
        "runbook": runbook,
    }


def folder(tmp_path: Path, rows: list[dict[str, str | None]]) -> Path:
    """Write a data folder with seven runbooks and these pairs."""
    books = tmp_path / "runbooks" / "team"
    books.mkdir(parents=True)
    for word in ("disk", "memory", "network", "queue", "lock", "cache", "clock"):
        (books / f"{word.capitalize()}Alert.md").write_text(f"# {word}\n\n## Meaning\n\nThe {word} is ill.\n")
    lines = "\n".join(json.dumps(row) for row in rows)
    (tmp_path / "runbooks" / "alert_runbook_pairs.jsonl").write_text(lines + "\n")
    return tmp_path


def test_alert_name_and_placeholders_are_left_out() -> None:
    """Neither the name field nor a mention of it in the texts is asked for."""
    row: dict[str, str | None] = {
        "alert": "DiskAlert",
        "summary": "DiskAlert fired: the disk",
        "description": "on {{ $labels.node }} is full (diskalert).",
    }
    assert query_of(row) == "fired: the disk on is full ( )."


def test_figures_per_set(tmp_path: Path, index: QdrantRunbookIndex) -> None:
    """Right at one counts for both figures, elsewhere or wrong for none; skipped pairs are no queries."""
    rows = [
        pair("DiskAlert", "team/DiskAlert.md", "the disk is ill"),
        pair("LockAlert", "team/LockAlert.md", "the cache is ill"),
        pair("QueueAlert", "team/QueueAlert.md", "QueueAlert"),
        pair("X", "team/CacheAlert.md", "", group="two"),
    ]
    figures = evaluate_retrieval(folder(tmp_path, rows), index)
    assert figures["one"]["r1"] == 0.5
    assert 0.5 <= figures["one"]["r5"] <= 1.0
    assert (figures["one"]["queries"], figures["one"]["skipped"]) == (2, 1)
    assert figures["two"] == {"r1": 0.0, "r5": 0.0, "queries": 0, "skipped": 1}


def test_pairs_file_may_lie_elsewhere(tmp_path: Path, index: QdrantRunbookIndex) -> None:
    """Another pairs file is asked of the same runbooks; progress is told for each."""
    data = folder(tmp_path, [])
    other = tmp_path / "other.jsonl"
    other.write_text(json.dumps(pair("X", "team/DiskAlert.md", "disk", group="mine")))
    told: list[tuple[int, int]] = []
    figures = evaluate_retrieval(data, index, pairs=other, progress=lambda done, of: told.append((done, of)))
    assert figures == {"mine": {"r1": 1.0, "r5": 1.0, "queries": 1, "skipped": 0}}
    assert told == [(1, 1)]


def test_unusable_data_says_where(tmp_path: Path, index: QdrantRunbookIndex) -> None:
    """A missing file, a bad line and a folder without Markdown are told apart."""
    with pytest.raises(RetrievalDataError, match="cannot be read"):
        evaluate_retrieval(tmp_path, index)
    pairs = tmp_path / "alert_runbook_pairs.jsonl"
    pairs.write_text('{"set": "a", "runbook": "b"}\n\nnonsense\n')
    with pytest.raises(RetrievalDataError, match=r"jsonl:3: needs one JSON object"):
        read_pairs(pairs)
    pairs.write_text("")
    with pytest.raises(RetrievalDataError, match="holds no Markdown"):
        evaluate_retrieval(tmp_path, index)
