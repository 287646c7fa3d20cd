"""`faultline investigate`: any interval on demand, from a recording or from telemetry memory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from agent.cli import main
from agent.deliver.view import rfc3339
from agent.store.sql import SqlStore
from tests.support.labelled import BASELINE, FAULT, write_recording
from tests.support.telemetry import at


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("asked") / "one"
    write_recording(folder, broken="birch")
    return folder


def test_a_recordings_incident_is_analysed(recording: Path, tmp_path: Path) -> None:
    """Without times the recording's own incident is taken; the analysis is printed and written."""
    written = tmp_path / "analysis.json"
    result = CliRunner().invoke(main, ["investigate", str(recording), "--json", str(written)])
    assert result.exit_code == 0, result.output
    assert "birch" in result.stdout
    found = json.loads(written.read_text())
    assert found["hypotheses"][0]["service"] == "birch"
    assert found["stage"] == "statistics"


def test_another_interval_gives_another_answer(recording: Path) -> None:
    """A quiet stretch of the same recording accuses nobody of the fault."""
    quiet = rfc3339(at(BASELINE - 120)), rfc3339(at(BASELINE - 10))
    result = CliRunner().invoke(
        main, ["investigate", str(recording), "--since", quiet[0], "--until", quiet[1], "--json", "-"]
    )
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["verdict"] == "inconclusive"
    assert found["as_of"] < rfc3339(at(BASELINE + FAULT))


def test_what_cannot_be_asked_is_said(
    recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing to look at, no time, an empty memory: each says what to give."""
    monkeypatch.setenv("FAULTLINE_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for arguments, said in (
        ([], "give a RECORDING, or --since"),
        ([str(recording), "--since", "yesterday"], "is no RFC 3339 time"),
        (["--since", "2025-03-01T10:00:00Z", "--until", "2025-03-01T09:00:00Z"], "must be after --since"),
        (
            ["--since", "2025-03-01T09:00:00Z", "--until", "2025-03-01T10:00:00Z"],
            "no telemetry of environment",
        ),
    ):
        result = CliRunner().invoke(main, ["investigate", *arguments])
        assert result.exit_code != 0
        assert said in result.output


def test_telemetry_memory_is_read(recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a service stored is investigated without a recording at hand."""
    from agent.evaluate.cases import read_case

    case = read_case(recording)
    reader = _Memory(case.before, case.during, case.start)
    monkeypatch.setattr(SqlStore, "telemetry", reader.telemetry)
    monkeypatch.setenv("FAULTLINE_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(
        main,
        ["investigate", "--since", rfc3339(case.start), "--until", rfc3339(case.end), "--json", "-"],
    )
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["hypotheses"][0]["service"] == "birch"
    assert reader.asked[0][1] - reader.asked[0][0] == FAULT * 10**9
    assert max(end - start for start, end in reader.asked) == 3600 * 10**9


class _Memory:
    def __init__(self, before: tuple[object, ...], during: tuple[object, ...], onset: int) -> None:
        self._before, self._during, self._onset = before, during, onset
        self.asked: list[tuple[int, int]] = []

    def telemetry(
        self, environment: str, start: int, end: int, services: object = None
    ) -> tuple[object, ...]:
        """Return the side that was asked for."""
        self.asked.append((start, end))
        return self._during if start >= self._onset else self._before
