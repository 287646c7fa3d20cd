"""`faultline detectors` as a person runs it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from agent.cli import main
from agent.store.port import ModelAction
from agent.store.sql import SqlStore
from detectors.manifest import Learned, ModelVersion, Status
from tests.support.samples import T0, checkpoint
from tests.support.streams import until

STREAM = "stream-0"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqlStore]:
    """Open an empty store where the command finds it."""
    monkeypatch.setenv("FAULTLINE_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    opened = SqlStore(f"sqlite:///{tmp_path / 'faultline.db'}")
    yield opened
    opened.close()


def run(*arguments: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(main, ["detectors", *arguments])


def version(number: int, status: Status, **fields: object) -> ModelVersion:
    known: dict[str, object] = {
        "detector": "outliers",
        "number": number,
        "code": "1",
        "status": status,
        "why": "drift for 72 h",
        "active_since": T0,
        "retired_at": T0 + number if status is Status.RETIRED else None,
        "retired_why": "version 9 took over" if status is Status.RETIRED else "",
        "learned": Learned(since=T0, until=T0 + 60, windows=1234, records=70, services=2),
        "drift": 0.25,
        "flagged": 0.125,
        "sha256": "abcdef0123456789" * 4,
    }
    return ModelVersion(**{**known, **fields})  # type: ignore[arg-type]


def fill(store: SqlStore) -> int:
    """Store four versions: old code, a good one, a dropped shadow, the active one. Return the epoch."""
    epoch = store.take_over(STREAM).epoch
    kept = (
        (version(1, Status.RETIRED, code="0"), b"1"),
        (version(2, Status.RETIRED), b"2"),
        (version(3, Status.RETIRED, active_since=None, sha256=""), None),
        (version(4, Status.ACTIVE, parent=2), None),
    )
    store.checkpoint(checkpoint(epoch, owner=STREAM, models=kept))
    return epoch


def test_what_settings_keep_in_shadow_is_said(store: SqlStore, tmp_path: Path) -> None:
    """The list names detectors that are counted and open nothing."""
    fill(store)
    config = tmp_path / "faultline.yaml"
    config.write_text("detectors: {shadow: [outliers, calls]}")
    shown = run("list", "--config", str(config))
    assert shown.exit_code == 0
    assert "in shadow by the settings (counted, open no incident): outliers, calls" in shown.output
    assert "in shadow by the settings" not in run("list").output


def test_help_teaches(store: SqlStore) -> None:
    """What happens, by which rules, and examples."""
    told = run("--help").output
    assert "faultline detectors rollback outliers --to 1" in told
    assert "`retraining`" in told
    for name in ("list", "history", "retrain", "rollback"):
        assert run(name, "--help").exit_code == 0


def test_the_list_shows_what_is_live(store: SqlStore) -> None:
    """With what it learned from and how far its inputs moved; what is retired is not in it."""
    fill(store)
    told = run("list").output
    rows = [line for line in told.splitlines() if "outliers" in line]
    assert len(rows) == 1
    for word in ("4", "active", "2023-11-14 22:14", "1,234", "0.25", "12.5%"):
        assert word in rows[0]


def test_history_says_why_each_began_and_ended(store: SqlStore) -> None:
    """Newest first; what can be rolled back to is marked."""
    fill(store)
    told = run("history", "outliers").output.splitlines()
    heads = [line for line in told if line.startswith("version")]
    assert heads == [
        "version 4 (active), began as version 2",
        "version 3 (retired)",
        "version 2 (retired) *",
        "version 1 (retired) *",
    ]
    assert "  ended    2023-11-14 22:14: version 9 took over" in told
    assert "  state    code 1, sha256 abcdef012345" in told
    assert "  state    code 1, sha256 not kept" in told


def test_retrain_asks_the_stream(store: SqlStore) -> None:
    """And says when it will happen; an open request is in the list."""
    fill(store)
    told = run("retrain", "outliers")
    assert told.exit_code == 0
    assert "asked stream-0 to retrain outliers" in told.output
    assert "with its next commit" in told.output
    (request,) = store.model_requests(STREAM)
    assert (request.detector, request.action) == ("outliers", ModelAction.RETRAIN)
    assert "waiting for the service: retrain outliers" in run("list").output


def test_rollback_takes_the_version_that_was_active_last(store: SqlStore) -> None:
    """Not one that never judged, nor one of other code."""
    fill(store)
    assert "to roll outliers back to version 2" in run("rollback", "outliers").output
    (request,) = store.model_requests(STREAM)
    assert (request.number, request.state) == (2, b"2")


@pytest.mark.parametrize("number", [1, 3, 4, 77])
def test_rollback_to_what_cannot_be_had_says_what_can(store: SqlStore, number: int) -> None:
    """And asks for nothing."""
    fill(store)
    told = run("rollback", "outliers", "--to", str(number))
    assert told.exit_code == 1
    assert "kept: 2" in told.output
    assert store.model_requests(STREAM) == ()


def test_nothing_to_roll_back_to_is_said(store: SqlStore) -> None:
    """A detector of one version."""
    epoch = store.take_over(STREAM).epoch
    store.checkpoint(checkpoint(epoch, owner=STREAM, models=((version(1, Status.ACTIVE), None),)))
    told = run("rollback", "outliers")
    assert told.exit_code == 1
    assert "nothing to roll back to" in told.output


def test_unknown_names_are_errors_with_the_known_ones(store: SqlStore) -> None:
    """A detector, and a stream that nothing is stored of."""
    fill(store)
    assert "there are: outliers" in run("retrain", "outlier").output
    told = run("list", "--owner", "stream-7")
    assert told.exit_code == 1
    assert "start `faultline run`" in told.output


@pytest.mark.parametrize(
    ("answer", "code"), [("version 5 of outliers learns in shadow", 0), ("refused: it learns already", 1)]
)
def test_waiting_tells_what_became_of_it(store: SqlStore, answer: str, code: int) -> None:
    """As the running service answered."""
    epoch = fill(store)

    def serve() -> None:
        until(lambda: bool(store.model_requests(STREAM)), "the command asked")
        (request,) = store.model_requests(STREAM)
        store.checkpoint(checkpoint(epoch, owner=STREAM, answers=((request.seq, answer),)))

    service = threading.Thread(target=serve)
    service.start()
    told = run("retrain", "outliers", "--wait", "60")
    service.join()
    assert told.exit_code == code
    assert answer in told.output
