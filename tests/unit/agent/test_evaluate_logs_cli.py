"""`faultline eval logs` as people and programs run it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from agent.cli import main
from tests.support.sequences import made, write_set


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep to a folder of its own; a pipe has 80 columns."""
    monkeypatch.setenv("FAULTLINE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("FAULTLINE_DATA", raising=False)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Write two sets of which one is small."""
    lines, labels = made(400)
    write_set(tmp_path / "data" / "logs" / "okapi", lines, labels)
    write_set(tmp_path / "data" / "logs" / "tapir", lines[:20], {lines[0][0]: False})
    return tmp_path / "data"


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["eval", "logs", *arguments])


def test_standard_output_is_one_json_object(data: Path) -> None:
    """Set -> figure -> number and nothing else; sets can be chosen."""
    result = _run("--data", str(data), "--no-peers", "--system", "okapi", "--json", "-")
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    assert list(figures) == ["okapi"]
    assert set(figures["okapi"]) == {"precision", "recall", "f1", "sequences"}
    assert figures["okapi"]["precision"] >= 0.9


def test_the_table_has_the_peers_beside_and_what_was_found_is_drawn(data: Path, tmp_path: Path) -> None:
    """By default each peer has its row; one drawing a set."""
    result = _run("--data", str(data), "--system", "okapi", "--plots", str(tmp_path / "plots"))
    assert result.exit_code == 0, result.output
    for name in ("okapi", "okapi/pyod_ecod", "okapi/pyod_pca_log", "okapi/rare_vector"):
        assert name in result.stdout
    assert [path.name for path in (tmp_path / "plots").iterdir()] == ["okapi.svg"]


def test_what_is_wrong_is_one_sentence_that_says_what_is_needed(data: Path) -> None:
    """No traceback: the place in the data, or what the folder should hold."""
    missing = _run("--data", str(data), "--system", "zebra")
    assert missing.exit_code == 1
    assert "no labelled sequences of zebra (logs/<set>/events.jsonl[.gz]" in " ".join(missing.output.split())
    labels = data / "logs" / "tapir" / "labels.jsonl.gz"
    labels.unlink()
    labels.with_suffix("").write_text('{"job_id": "x"}\n')
    damaged = _run("--data", str(data), "--no-peers", "--system", "tapir")
    assert damaged.exit_code == 1
    assert "labels.jsonl:1: needs `anomalous`, true or false" in " ".join(damaged.output.split())
    unnamed = _run()
    assert unnamed.exit_code == 2
    assert "--data" in unnamed.output
