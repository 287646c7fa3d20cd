"""Files of labelled sequences: found wherever they lie, and what is wrong with one is said with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.evaluate.data import DataError
from agent.evaluate.sequence_data import read_events, read_labels, sets
from tests.support.sequences import write_set


def test_sets_are_found_wherever_they_lie(tmp_path: Path) -> None:
    """Below `logs`, as children, or the folder itself; by any name, packed or not."""
    write_set(tmp_path / "all" / "logs" / "okapi", [("a", "x")], {"a": False})
    write_set(tmp_path / "all" / "logs" / "tapir", [("a", "x")], {"a": False}, packed=False)
    assert list(sets(tmp_path / "all")) == ["okapi", "tapir"]
    assert list(sets(tmp_path / "all", ["tapir"])) == ["tapir"]
    assert list(sets(tmp_path / "all" / "logs")) == ["okapi", "tapir"]
    assert list(sets(tmp_path / "all" / "logs" / "okapi")) == ["okapi"]


def test_without_any_set_it_says_what_is_looked_for(tmp_path: Path) -> None:
    """The sentence names the layout, and the sets that were asked for."""
    (tmp_path / "okapi").mkdir()
    (tmp_path / "okapi" / "events.jsonl").write_text("{}\n")
    with pytest.raises(
        DataError, match=r"no labelled sequences \(logs/<set>/events\.jsonl\[\.gz\] and labels"
    ):
        sets(tmp_path)
    write_set(tmp_path / "tapir", [("a", "x")], {"a": False})
    with pytest.raises(DataError, match="no labelled sequences of okapi"):
        sets(tmp_path, ["okapi"])


def test_a_line_becomes_an_event_with_its_key(tmp_path: Path) -> None:
    """The field whose name ends in `_id` is the sequence, whatever it is called."""
    write_set(tmp_path, [("a", "opened"), ("b", "closed")], {"a": True}, field="session_id")
    first, second = read_events("okapi", tmp_path / "events.jsonl.gz")
    assert (first.sequence_key, first.body, first.resource.service) == ("a", "opened", "okapi")
    assert second.sequence_key == "b"
    assert second.time > first.time
    assert second.origin.offset == first.origin.offset + 1
    assert read_labels(tmp_path / "labels.jsonl.gz") == {"a": True}


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ('{"time": "2024-01-01T00:00:00Z", "body": "x"}', r":2: needs one field whose name ends in `_id`"),
        ('{"time": "2024-01-01T00:00:00Z", "a_id": 1, "b_id": 2, "body": "x"}', r":2: needs one field"),
        ('{"time": "noon", "a_id": 1, "body": "x"}', r":2: needs `time` in RFC 3339 and `body`"),
        ('{"time": "2024-01-01T00:00:00Z", "a_id": 1}', r":2: needs `time` in RFC 3339 and `body`"),
    ],
)
def test_a_line_that_does_not_fit_is_named(tmp_path: Path, line: str, wanted: str) -> None:
    """File and line number, and what is needed."""
    path = tmp_path / "events.jsonl"
    path.write_text("\n" + line + "\n")
    with pytest.raises(DataError, match=r"events\.jsonl" + wanted):
        list(read_events("okapi", path))


def test_a_label_that_does_not_fit_is_named(tmp_path: Path) -> None:
    """`anomalous` must be true or false, and there must be labels."""
    path = tmp_path / "labels.jsonl"
    path.write_text('{"block_id": "a", "anomalous": "yes"}\n')
    with pytest.raises(DataError, match=r"labels\.jsonl:1: needs `anomalous`, true or false"):
        read_labels(path)
    path.write_text("")
    with pytest.raises(DataError, match="holds no labels"):
        read_labels(path)
