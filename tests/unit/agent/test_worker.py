"""The worker loop over a real store: leases, retries, and what an unforeseen error costs."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from structlog.testing import capture_logs

from agent.analysis import Analysis
from agent.investigate import Investigation, Request, Worker
from agent.store.sql import SqlStore
from ingest.record import SECOND
from tests.support.samples import T0, analysis, checkpoint, due, incident


class Script:
    """An investigation that fails as told for an incident, and otherwise answers."""

    def __init__(self, failures: dict[str, list[BaseException]] | None = None) -> None:
        self._failures = failures or {}
        self.runs: list[tuple[str, str]] = []
        self.requests: list[Request] = []
        self.forgotten: list[str] = []

    def run(self, request: Request, thread_id: str) -> Analysis:
        self.runs.append((request.incident.id, thread_id))
        self.requests.append(request)
        failures = self._failures.get(request.incident.id)
        if failures:
            raise failures.pop(0)
        return analysis(incident_id=request.incident.id)

    def forget(self, thread_id: str) -> None:
        self.forgotten.append(thread_id)


class Impatient(threading.Event):
    """A stop that does not really wait; it comes by itself after the worker has been idle."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout)
        if timeout == IDLE:
            self.set()
        return self.is_set()


IDLE = 0.5


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    """Open an empty store."""
    opened = SqlStore(f"sqlite:///{tmp_path}/store.db")
    yield opened
    opened.close()


def opened(store: SqlStore, *identities: str) -> None:
    """Store incidents whose investigations are due."""
    epoch = store.take_over("stream").epoch
    store.checkpoint(
        checkpoint(
            epoch,
            incidents=tuple(incident(identity) for identity in identities),
            due=tuple(due(incident_id=identity, as_of=T0 + 35 * SECOND) for identity in identities),
        )
    )


def worker(store: SqlStore, script: Script, name: str = "w1") -> Worker:
    ticks = itertools.count(T0, SECOND)
    return Worker(
        name=name,
        store=store,
        investigation=cast(Investigation, script),
        clock=lambda: next(ticks),
    )


def test_what_is_due_is_investigated_once_and_its_checkpoints_are_dropped(store: SqlStore) -> None:
    """The thread is named after incident and revision, so that another worker can take it up."""
    opened(store, "inc_a", "inc_b")
    script = Script()
    working = worker(store, script)
    working.run(Impatient(), IDLE)
    assert script.runs == [("inc_a", "inc_a:1"), ("inc_b", "inc_b:1")]
    assert script.forgotten == ["inc_a:1", "inc_b:1"]
    assert (working.counts.investigations, working.counts.failures, working.counts.resumed) == (2, 0, 0)
    assert store.stats()["investigations_due"] == 0


def test_an_unforeseen_error_is_counted_logged_with_its_cause_and_tried_again(store: SqlStore) -> None:
    """The same thread is taken up, after a pause, and the incidents behind it follow."""
    opened(store, "inc_a", "inc_b")
    script = Script({"inc_a": [RuntimeError("unforeseen")]})
    working, stop = worker(store, script), Impatient()
    with capture_logs() as logs:
        working.run(stop, IDLE)
    assert script.runs == [("inc_a", "inc_a:1"), ("inc_a", "inc_a:1"), ("inc_b", "inc_b:1")]
    assert script.forgotten == ["inc_a:1", "inc_b:1"]
    assert (working.counts.failures, working.counts.resumed, working.counts.investigations) == (1, 1, 2)
    assert [entry["cause"] for entry in logs if entry["event"] == "worker.failed"] == [
        "RuntimeError: unforeseen"
    ]
    assert stop.waits == [5.0, IDLE]


def test_after_three_attempts_an_investigation_is_given_up(store: SqlStore) -> None:
    """It does not come back, the log says which, and what is due behind it is done."""
    opened(store, "inc_a", "inc_b")
    script = Script({"inc_a": [RuntimeError("again")] * 9})
    working = worker(store, script)
    with capture_logs() as logs:
        working.run(Impatient(), IDLE)
    assert [identity for identity, _ in script.runs] == ["inc_a"] * 3 + ["inc_b"]
    assert (working.counts.failures, working.counts.given_up, working.counts.investigations) == (3, 1, 1)
    given_up = [entry for entry in logs if entry["event"] == "worker.given_up"]
    assert [(entry["incident_id"], entry["attempts"]) for entry in given_up] == [("inc_a", 3)]
    assert store.stats()["investigations_due"] == 0


def test_a_newer_revision_of_a_given_up_incident_gets_new_attempts(store: SqlStore) -> None:
    """What failed belongs to its revision: the incident goes on, and so does its investigation."""
    opened(store, "inc_a")
    script = Script({"inc_a": [RuntimeError("again")] * 3})
    working = worker(store, script)
    working.run(Impatient(), IDLE)
    epoch = store.take_over("stream").epoch
    store.checkpoint(checkpoint(epoch, incidents=(incident("inc_a", revision=2),), due=(due(2),)))
    working.run(Impatient(), IDLE)
    assert script.runs[-1] == ("inc_a", "inc_a:2")
    assert working.counts.investigations == 1


def test_a_killed_predecessor_under_the_same_name_is_followed_at_once(store: SqlStore) -> None:
    """Another name has to wait until the lease runs out; ours takes it up as a further attempt."""
    opened(store, "inc_a")
    dead = Script({"inc_a": [KeyboardInterrupt()]})
    with pytest.raises(KeyboardInterrupt):
        worker(store, dead).step()
    assert not worker(store, Script(), name="w2").step()
    following = worker(store, Script())
    assert following.step()
    assert (following.counts.resumed, following.counts.investigations) == (1, 1)


def test_the_baseline_is_the_time_before_the_incident_less_other_incidents(store: SqlStore) -> None:
    """An hour up to a minute before the onset, with the others cut out; the window ends where it is due."""
    epoch = store.take_over("stream").epoch
    other = incident("inc_b", onset=T0 - 1800 * SECOND, last_anomaly_at=T0 - 1700 * SECOND)
    store.checkpoint(
        checkpoint(epoch, incidents=(incident("inc_a"), other), due=(due(as_of=T0 + 35 * SECOND),))
    )
    script = Script()
    worker(store, script).step()
    [request] = script.requests
    assert request.window == (T0, T0 + 35 * SECOND)
    assert request.baseline == (
        (T0 - 3660 * SECOND, T0 - 1860 * SECOND),
        (T0 - 1700 * SECOND, T0 - 60 * SECOND),
    )


def test_an_analysis_is_of_the_revision_that_fell_due(store: SqlStore) -> None:
    """An incident that moved on meanwhile does not lend its newer revision to an older due analysis."""
    epoch = store.take_over("stream").epoch
    late = checkpoint(epoch, incidents=(incident("inc_a", revision=3),), due=(due(incident_id="inc_a"),))
    store.checkpoint(late)
    script = Script()
    assert worker(store, script).step()
    assert script.requests[0].incident.revision == late.due[0].revision == 1
