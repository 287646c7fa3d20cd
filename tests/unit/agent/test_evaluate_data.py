"""The labelled data folder: found wherever it is laid out as described, errors that name file and line."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from agent.evaluate.data import DataError, json_lines, labels, systems
from ingest.record import SECOND
from tests.support.labelled import row, write_truth


def test_systems_by_any_name_at_any_of_three_levels(tmp_path: Path) -> None:
    """The folder itself, its children, or those below `rca`."""
    for name in ("zebra", "aardvark"):
        write_truth(tmp_path / "rca" / name, [])
    assert [path.name for path in systems(tmp_path)] == ["aardvark", "zebra"]
    assert systems(tmp_path / "rca") == systems(tmp_path)
    assert systems(tmp_path / "rca" / "zebra") == [tmp_path / "rca" / "zebra"]
    assert [path.name for path in systems(tmp_path, ["zebra"])] == ["zebra"]


def test_a_system_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    """A misspelt system must not leave its figures out silently."""
    write_truth(tmp_path / "zebra", [])
    with pytest.raises(DataError, match=r"named okapi .*there: zebra"):
        systems(tmp_path, ["zebra", "okapi"])
    with pytest.raises(DataError, match=r"no folder with a truth\.jsonl"):
        systems(tmp_path / "zebra" / "none")


def test_labels_tell_faults_from_quiet_recordings(tmp_path: Path) -> None:
    """A null or missing root cause is a quiet recording; fold and mechanism are optional."""
    labelled = row("a", "birch", "cpu", fold={"birch-db": "birch"})
    labelled["root_cause"]["mechanism"] = "pool_saturation"
    write_truth(tmp_path, [labelled, row("b", None), {"id": "c"}, row("d", "alder", fold=None)])
    found = labels(tmp_path)
    assert [truth.id for truth in found.truths] == ["a", "d"]
    assert [quiet.id for quiet in found.quiet] == ["b", "c"]
    first, second = found.truths
    assert (first.service, first.fault, first.mechanism) == ("birch", "cpu", "pool_saturation")
    assert (first.fold, second.fold, second.mechanism) == ({"birch-db": "birch"}, {}, "")


def test_labels_say_what_is_held_out(tmp_path: Path) -> None:
    """A case is held out or not; a quiet recording may be from some time on. Without a word nothing is."""
    since = "2026-03-01T12:40:00Z"
    rows = [row("a", "birch", held_out=True), row("b", "birch"), row("c", None, held_out_from=since)]
    write_truth(tmp_path, [*rows, row("d", None, held_out=True)])
    found = labels(tmp_path)
    assert [truth.held_out for truth in found.truths] == [True, False]
    assert [quiet.held_out for quiet in found.quiet] == [False, True]
    assert [quiet.held_out_from for quiet in found.quiet] == [1_772_368_800 * SECOND, None]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not JSON"),
        ("[1]", "one JSON object a line"),
        ('{"root_cause": null}', "needs `id`"),
        ('{"id": "x", "root_cause": {"fault": "cpu"}}', "with a `service`"),
        ('{"id": "x", "root_cause": "birch"}', "with a `service`"),
        ('{"id": "x", "held_out": "yes"}', "neither true nor false"),
        ('{"id": "x", "held_out_from": "noon"}', "no RFC 3339 time"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    """Empty lines count, so that the number is an editor's."""
    (tmp_path / "truth.jsonl").write_text("\n" + line + "\n")
    with pytest.raises(DataError, match=rf"truth\.jsonl:2: .*{message}"):
        labels(tmp_path)


def test_json_lines_read_gzip_and_refuse_what_is_cut(tmp_path: Path) -> None:
    """The suffix decides; a damaged file is an error with its name."""
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"a": 1}\n\n{"a": 2}\n'))
    assert list(json_lines(path)) == [(1, {"a": 1}), (3, {"a": 2})]
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(DataError, match=r"a\.jsonl\.gz: cannot be read"):
        list(json_lines(path))
