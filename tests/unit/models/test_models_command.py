"""`faultline models` as a user meets it."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from agent.cli import main
from models.registry import EMBEDDING_MODEL, SMALL_CHAT_MODEL, find_model


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """Return a runner whose models folder is empty and whose package index is nowhere."""
    monkeypatch.setenv("FAULTLINE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "160")
    return CliRunner()


def test_list_shows_the_catalogue(run: CliRunner) -> None:
    """Every model stands there with its size and whether it is here."""
    result = run.invoke(main, ["models", "list"])
    assert result.exit_code == 0
    for text in (SMALL_CHAT_MODEL, EMBEDDING_MODEL, "1,117", "Apache-2.0", "default", "no"):
        assert text in result.output


def test_pull_from_a_wrong_copy_fails_with_both_sums(run: CliRunner, tmp_path: Path) -> None:
    """A wrong file is refused with exit status 1, both sums, and stays where it is."""
    copy = tmp_path / "copy.gguf"
    copy.write_bytes(b"not a model")
    result = run.invoke(main, ["models", "pull", SMALL_CHAT_MODEL, "--from", str(copy)])
    assert result.exit_code == 1
    assert find_model(SMALL_CHAT_MODEL).files[0].sha256 in result.output
    assert copy.read_bytes() == b"not a model"


def test_usage_errors_teach(run: CliRunner, tmp_path: Path) -> None:
    """Unknown names get the nearest one; contradictory choices are named."""
    unknown = run.invoke(main, ["models", "pull", "smollm2"])
    assert unknown.exit_code == 2
    assert f"Did you mean {SMALL_CHAT_MODEL}?" in unknown.output
    both = run.invoke(main, ["models", "pull", "--all", "--for", "demo"])
    assert both.exit_code == 2
    many = run.invoke(main, ["models", "pull", "--for", "test", "--from", str(tmp_path)])
    assert "exactly one NAME" in many.output


def test_verify_tells_what_is_wrong(run: CliRunner, tmp_path: Path) -> None:
    """Nothing there is an error with what to run; a damaged file has exit status 1 and its sum."""
    empty = run.invoke(main, ["models", "verify"])
    assert empty.exit_code == 1
    assert "faultline models pull" in empty.output
    folder = tmp_path / "home" / "models" / EMBEDDING_MODEL
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(b"damaged")
    result = run.invoke(main, ["models", "verify"])
    assert result.exit_code == 1
    assert f"{EMBEDDING_MODEL}/model.onnx: sha256 is" in result.output
    assert f"{EMBEDDING_MODEL}/tokenizer.json: missing" in result.output
