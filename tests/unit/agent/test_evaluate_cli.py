"""`faultline eval` and `faultline bench` as people and programs run them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from agent.cli import main
from agent.evaluate.report import number
from tests.support.labelled import row, write_recording, write_truth


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep to a folder of its own, where no model lies; a pipe has 80 columns."""
    monkeypatch.setenv("FAULTLINE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("FAULTLINE_DATA", raising=False)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Write one system with one labelled recording."""
    folder = tmp_path / "data"
    write_truth(folder / "rca" / "okapi", [row("first", "birch")])
    write_recording(folder / "rca" / "okapi" / "first", broken="birch")
    return folder


def run(*arguments: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(main, [*arguments])


def test_rca_prints_one_json_object(data: Path) -> None:
    """With `--json -` standard output holds nothing else."""
    result = run("eval", "rca", "--data", str(data), "--json", "-")
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    assert figures["okapi"]["ac1"] == 1.0
    assert set(figures["all"]) == {"ece", "brier", "auroc"}


def test_rca_table_is_whole_on_a_pipe(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No figure is cut at 80 columns; JSON and predictions go to files; the folder may come from outside."""
    monkeypatch.setenv("FAULTLINE_DATA", str(data))
    written, ranked = tmp_path / "figures.json", tmp_path / "ranked.jsonl"
    result = run(
        "eval", "rca", "--system", "okapi", "--json", str(written), "--predictions", str(ranked)
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "…" not in result.stdout
    for name in ("ac1", "ac3", "ac5", "avg5", "cases", "mechanism", "seconds_median", "mb_peak", "ece"):
        assert name in result.stdout
    assert json.loads(written.read_text())["okapi"]["cases"] == 1
    assert json.loads(ranked.read_text())["id"] == "first"


def test_incidents_count_the_planted_fault(data: Path) -> None:
    """The same folder through detection."""
    result = run("eval", "incidents", "--data", str(data), "--json", "-")
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)["okapi"]
    assert figures.pop("delay_median_seconds") > 0
    assert figures == {
        "opened_fault": 1.0,
        "opened_baseline": 0.0,
        "cases": 1,
        "within_60s": 1.0,
        "within_30s": 1.0,
    }


def test_parse_groups_lines(tmp_path: Path) -> None:
    """One system and the mean."""
    lines = [{"content": f"job {n} done", "event_id": "E1"} for n in range(4)]
    (tmp_path / "okapi.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    result = run("eval", "parse", "--data", str(tmp_path), "--json", "-")
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    assert figures["okapi"]["ga"] == figures["mean"]["fga"] == 1.0


def test_retrieval_without_the_model_says_words_only(tmp_path: Path) -> None:
    """The figures come all the same, with the reason beside them; `--pairs` replaces the folder's own."""
    books = tmp_path / "books"
    books.mkdir()
    for word in ("disk", "memory"):
        (books / f"{word}.md").write_text(f"# {word}\n\n## Meaning\n\nThe {word} is exhausted.\n")
    pairs = tmp_path / "mine.jsonl"
    pairs.write_text(
        json.dumps({"set": "mine", "alert": "A", "summary": "the disk is exhausted", "runbook": "disk.md"})
    )
    result = run("eval", "retrieval", "--data", str(books), "--pairs", str(pairs), "--json", "-")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {"mine": {"r1": 1.0, "r5": 1.0, "queries": 1, "skipped": 0}}
    assert "by words only" in result.stderr
    assert "by words only" in run("eval", "retrieval", "--data", str(books), "--pairs", str(pairs)).stdout


@pytest.mark.parametrize("name", ["rca", "incidents", "parse", "retrieval"])
def test_a_folder_without_data_is_one_sentence(tmp_path: Path, name: str) -> None:
    """No traceback; the message names the folder."""
    empty = tmp_path / "empty"
    empty.mkdir()
    result = run("eval", name, "--data", str(empty))
    assert result.exit_code == 1
    assert "empty" in result.stderr
    assert "Traceback" not in result.output


def test_a_damaged_recording_is_one_sentence(data: Path) -> None:
    """What the recording's reader says reaches the person."""
    (data / "rca" / "okapi" / "first" / "metrics.jsonl.gz").write_bytes(b"no gzip")
    result = run("eval", "rca", "--data", str(data))
    assert result.exit_code == 1
    assert "metrics.jsonl.gz: not readable as gzip" in result.stderr


def test_without_data_it_names_the_variable() -> None:
    """A newcomer learns how to say where the data lie."""
    result = run("eval", "rca")
    assert result.exit_code == 2
    assert "FAULTLINE_DATA" in run("eval", "rca", "--help").output


def test_bench_prints_ratios(tmp_path: Path) -> None:
    """A table that says what each is against, and the same ratios as JSON."""
    written = tmp_path / "bench.json"
    result = run("bench", "--quick", "--json", str(written))
    assert result.exit_code == 0, result.output
    assert "orjson.loads" in result.stdout
    assert "…" not in result.stdout
    ratios = json.loads(written.read_text())
    assert len(ratios) == 9
    assert all(value > 0 for figures in ratios.values() for value in figures.values())


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0.000"), (1.0, "1.000"), (0, "0"), (30, "30"), (0.1234, "0.123"), (123456.7, "123457")],
)
def test_numbers_as_people_read_them(value: float, text: str) -> None:
    """Counts without decimals, shares with three, large ones rounded."""
    assert number(value) == text
