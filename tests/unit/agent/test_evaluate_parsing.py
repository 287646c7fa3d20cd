"""Log parsing figures by hand, and files of systems by any name."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from agent.cli.eval_command.parse import parse
from agent.evaluate import parsing, parsing_plots
from agent.evaluate.data import DataError
from agent.evaluate.parsing_misses import Parsed, misses


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


def test_misses_by_hand() -> None:
    """Three templates right, one split, two in one group: each miss says how and with what."""
    lines = [("a 1", "A"), ("a 2", "A"), ("b 1", "B"), ("b 2", "B"), ("b 3", "B"), ("c", "C"), ("d", "D")]
    parsed = Parsed(
        system="okapi",
        lines=lines,
        ids=["1", "1", "2", "2", "3", "4", "4"],
        texts={"1": "a <num>", "2": "b <num>", "3": "b 3", "4": "<*>"},
    )
    split, merged, other = misses(parsed)
    assert (split.event, split.kind, split.lines) == ("B", "split", 3)
    assert split.groups == (("b <num>", 2), ("b 3", 1))
    assert split.example == "b 1"
    assert [(one.event, one.kind, one.others) for one in (merged, other)] == [
        ("C", "merged", (("D", 1),)),
        ("D", "merged", (("C", 1),)),
    ]
    assert misses(Parsed(system="okapi", lines=lines[:2], ids=["1", "1"], texts={"1": "a <num>"})) == []


def test_rivals_stand_beside_and_plots_show_both(tmp_path: Path) -> None:
    """Each rival has a group a system and a mean; the drawings are XML whatever the lines hold."""
    lines = [(f"connected to host {n}", "E1") for n in range(4)] + [("alpha & <b> \x1b", "E2")] * 2
    write(tmp_path, "okapi.jsonl", [*lines, ("alpha & <b> \x1b", "E3")])
    details = parsing.Details(rivals={"other <one>": EachItsOwn})
    figures = parsing.evaluate(tmp_path, details=details)
    assert list(figures) == ["okapi", "okapi/other <one>", "mean", "mean/other <one>"]
    assert figures["okapi/other <one>"]["ga"] == figures["mean/other <one>"]["ga"] == 1 / 7
    assert figures["mean"]["ga"] == figures["okapi"]["ga"] == pytest.approx(4 / 7)
    written = parsing_plots.write(tmp_path / "plots", figures, details.misses)
    assert [path.name for path in written] == ["parse_ga.svg", "parse_fga.svg", "parse_worst_okapi.svg"]
    texts = ["".join(ElementTree.parse(path).getroot().itertext()) for path in written]
    assert "0.571" in texts[0]
    assert "other <one>" in texts[0]
    assert "E2: merged, 2 lines. alpha & <b> \N{REPLACEMENT CHARACTER}" in texts[2]
    assert "with 1 of E3" in texts[2]


def test_the_command_names_misses_and_writes_plots(tmp_path: Path) -> None:
    """`--misses` adds a table, `--plots` the drawings and Drain3's figures."""
    write(tmp_path, "okapi.jsonl", [("alpha beta", "E1"), ("alpha beta", "E2"), ("gamma", "E3")])
    call = ["--data", str(tmp_path), "--misses", "--plots", str(tmp_path / "out")]
    done = CliRunner().invoke(parse, call)
    assert done.exit_code == 0, done.output
    assert "merged" in done.output
    assert "Drain3 as it comes" in done.output
    assert (tmp_path / "out" / "parse_worst_okapi.svg").exists()


class EachItsOwn:
    """Takes every line for a template of its own."""

    def __init__(self) -> None:
        self.count = 0

    def assign(self, service: str, body: str) -> int:
        self.count += 1
        return self.count
