"""`faultline inspect` as people and programs run it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from agent.cli import main
from tests.support.inspected import interval, point, write


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Write a small recording with an incident."""
    metrics = [point(t, 90.0 if t >= 300 else 10.0 + t % 3, unit="%") for t in range(0, 600, 5)]
    return write(tmp_path / "shop" / "burning", {"incident": interval(300, 600)}, metrics=metrics)


def run(*arguments: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(main, ["inspect", *arguments])


def test_page_and_gist(recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without options the page lies in the working folder, and the terminal tells the gist and the path."""
    monkeypatch.chdir(tmp_path)
    result = run(str(recording))
    assert result.exit_code == 0, result.output
    assert "birch: cpu 11 % → 90 %" in result.stdout
    assert "page: inspect-burning.html" in result.stdout
    assert (tmp_path / "inspect-burning.html").read_text().startswith("<!DOCTYPE html>")


def test_json_alone_on_standard_output(recording: Path, tmp_path: Path) -> None:
    """With `--json -` standard output holds one object, with the page's path in it."""
    target = tmp_path / "page.html"
    result = run(str(recording), "--out", str(target), "--json", "-")
    told = json.loads(result.stdout)
    assert told["page"] == str(target)
    assert told["services"][0]["service"] == "birch"
    result = run(str(recording), "--out", str(target), "--json", str(tmp_path / "told.json"))
    assert "page:" in result.stdout
    assert json.loads((tmp_path / "told.json").read_text()) == told


def test_a_folder_of_recordings_is_told_apart(recording: Path) -> None:
    """Who names the folder above learns what lies in it."""
    result = run(str(recording.parent))
    assert result.exit_code == 1
    assert "holds 1 recordings; name one of them: burning" in result.output


def test_an_unwritable_target_says_so(recording: Path, tmp_path: Path) -> None:
    """Where the page cannot be written the message names the way out."""
    result = run(str(recording), "--out", str(tmp_path / "no" / "page.html"))
    assert result.exit_code == 1
    assert "choose another --out" in result.output
