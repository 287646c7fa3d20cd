"""`faultline runbooks` as a person runs it."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from agent.cli import main
from agent.knowledge.index import open_index


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep everything in a folder of its own, where no model lies."""
    monkeypatch.setenv("FAULTLINE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path / "home"


def run(*arguments: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(main, ["runbooks", *arguments])


def test_help_teaches() -> None:
    """Each command says what it does and what comes next."""
    assert "**Risk:** read-only" in run("--help").output
    for name in ("index", "search", "lint"):
        result = run(name, "--help")
        assert result.exit_code == 0
        assert len(result.output) > 300


def test_lint_of_the_shipped_runbooks_passes() -> None:
    """Without a folder the shipped ones are checked."""
    result = run("lint")
    assert result.exit_code == 0
    assert "0 errors" in result.output


def test_lint_fails_with_file_and_line(tmp_path: Path) -> None:
    """A wrong runbook is an exit code and a line to jump to."""
    books = tmp_path / "books"
    books.mkdir()
    (books / "a.md").write_text("---\nid: a\nmechanisms: [gremlins]\n---\nText.\n")
    result = run("lint", str(books))
    assert result.exit_code == 1
    assert "a.md:3: error: unknown mechanism `gremlins`" in result.output


def test_index_then_search_with_steps() -> None:
    """The shipped runbooks are found by an error message, and offer steps with their risk."""
    first = run("index", "--words-only")
    assert first.exit_code == 0
    assert "added" in first.output
    again = run("index", "--words-only")
    assert " 0 sections added, 0 removed" in again.output
    result = run("search", "--words-only", "--limit", "1", "--steps", "ERROR: deadlock detected")
    assert result.exit_code == 0
    assert "postgresql-lock-contention" in result.output
    assert "[disruptive]" in result.output
    assert "pg_blocking_pids" in result.output


def test_own_folder_in_own_index(tmp_path: Path) -> None:
    """A folder of plain Markdown is indexed into the folder given."""
    books = tmp_path / "books"
    books.mkdir()
    (books / "Printer.md").write_text("# The printer [hall] burns\n\nPour water on it.\n")
    place = str(tmp_path / "index")
    assert run("index", str(books), "--qdrant", place, "--words-only").exit_code == 0
    result = run("search", "printer on fire", "--qdrant", place, "--words-only")
    assert "Printer" in result.output
    assert "[hall]" in result.output


def test_without_a_model_it_works_and_says_so() -> None:
    """No weights: words only, with the way to get them."""
    result = run("index")
    assert result.exit_code == 0
    assert "runbook search by words only" in result.stderr
    assert "faultline models pull" in result.stderr


def test_search_before_index_says_what_to_do() -> None:
    """An empty index is an error with the next command in it."""
    result = run("search", "--words-only", "anything")
    assert result.exit_code == 1
    assert "faultline runbooks index" in result.output


def test_locked_index_is_one_sentence(tmp_path: Path) -> None:
    """A folder in use elsewhere ends without a traceback."""
    place = str(tmp_path / "index")
    holder = open_index(place, None)
    result = run("index", "--qdrant", place, "--words-only")
    holder.close()
    assert result.exit_code == 1
    assert "in use by another process" in result.output
    assert isinstance(result.exception, SystemExit)
