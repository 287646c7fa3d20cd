"""What every store must do with the versions of detectors' models and with what people ask of them."""

from __future__ import annotations

import pytest

from agent.store import models
from agent.store.port import FencedError, ModelAction
from agent.store.sql import SqlStore
from detectors.manifest import Learned, ModelVersion, Status
from tests.support.samples import T0, checkpoint


def version(number: int = 1, status: Status = Status.ACTIVE, **fields: object) -> ModelVersion:
    """Return a version of the detector `outliers`; `fields` override."""
    known: dict[str, object] = {
        "detector": "outliers",
        "number": number,
        "code": "1",
        "status": status,
        "why": "the first start",
        "learned": Learned(since=T0, until=T0 + 60, windows=6, records=70, services=2),
        "drift": 0.25,
        "sha256": "ab" * 32,
    }
    return ModelVersion(**{**known, **fields})  # type: ignore[arg-type]


def numbers(store: SqlStore, owner: str = "stream") -> list[tuple[str, int, str, bool]]:
    """Return what the store has, in its order."""
    return [
        (one.version.detector, one.version.number, one.version.status.value, one.kept)
        for one in store.models(owner)
    ]


def test_versions_come_back_whole_newest_first(store: SqlStore) -> None:
    """By detector; a version is replaced by what is said of it later; owners do not see each other."""
    epoch = store.take_over("stream").epoch
    first = version(active_since=T0, parent=None)
    store.checkpoint(checkpoint(epoch, models=((first, None), (version(detector="calls"), None))))
    later = version(active_since=T0, drift=0.5)
    store.checkpoint(checkpoint(epoch, models=((later, None), (version(2, Status.SHADOW), None))))
    found = store.models("stream")
    assert [(one.version.detector, one.version.number) for one in found] == [
        ("calls", 1),
        ("outliers", 2),
        ("outliers", 1),
    ]
    assert found[2].version == later
    assert not any(one.kept for one in found)
    assert store.models("other") == ()
    assert store.take_over("stream").models == tuple(one.version for one in found)


def test_a_retired_version_keeps_its_state_for_a_rollback(store: SqlStore) -> None:
    """Also when the same version is written again without it, as a repeated step may."""
    epoch = store.take_over("stream").epoch
    state = b"learned " * 5000
    store.checkpoint(checkpoint(epoch, models=((version(1, Status.RETIRED), state), (version(2), None))))
    store.checkpoint(checkpoint(epoch, models=((version(1, Status.RETIRED), None),)))
    store.ask_model("stream", "outliers", ModelAction.ROLLBACK, 1, T0)
    (request,) = store.model_requests("stream")
    assert (request.version, request.state) == (version(1, Status.RETIRED), state)
    assert numbers(store) == [("outliers", 2, "active", False), ("outliers", 1, "retired", True)]


def test_only_the_last_states_and_versions_are_kept(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often a detector learns anew; another detector's are not counted."""
    monkeypatch.setattr(models, "VERSIONS", 8)
    epoch = store.take_over("stream").epoch
    other = version(detector="calls", status=Status.RETIRED)
    store.checkpoint(checkpoint(epoch, models=((other, b"calls"),)))
    for number in range(1, 11):
        live = version(number + 1)
        store.checkpoint(
            checkpoint(epoch, models=((version(number, Status.RETIRED), b"%d" % number), (live, None)))
        )
    kept = [(number, has) for detector, number, _, has in numbers(store) if detector == "outliers"]
    assert [number for number, _ in kept] == [11, 10, 9, 8, 7, 6, 5, 4]
    assert [number for number, has in kept if has] == [10, 9, 8, 7, 6][: models.STATES]
    assert numbers(store)[0] == ("calls", 1, "retired", True)


def test_requests_wait_in_order_until_answered(store: SqlStore, second_store: SqlStore) -> None:
    """Of the owner they were put for; what a rollback is about comes along, if it is known."""
    epoch = store.take_over("stream").epoch
    one = second_store.ask_model("stream", "outliers", ModelAction.RETRAIN, None, T0)
    two = second_store.ask_model("stream", "outliers", ModelAction.ROLLBACK, 9, T0 + 1)
    second_store.ask_model("other", "calls", ModelAction.RETRAIN, None, T0)
    found = store.model_requests("stream")
    assert [(item.seq, item.action, item.number) for item in found] == [
        (one, ModelAction.RETRAIN, None),
        (two, ModelAction.ROLLBACK, 9),
    ]
    assert (found[1].version, found[1].state) == (None, None)
    assert second_store.model_answer(one) is None
    store.checkpoint(checkpoint(epoch, answers=((one, "version 2 learns in shadow"),)))
    assert second_store.model_answer(one) == "version 2 learns in shadow"
    assert [item.seq for item in store.model_requests("stream")] == [two]
    assert len(store.model_requests("other")) == 1


def test_old_answers_are_forgotten_and_open_requests_are_not(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table does not grow with use."""
    monkeypatch.setattr(models, "ANSWERS", 3)
    epoch = store.take_over("stream").epoch
    seqs = [store.ask_model("stream", "calls", ModelAction.RETRAIN, None, T0) for _ in range(6)]
    store.checkpoint(checkpoint(epoch, answers=tuple((seq, "done") for seq in seqs[1:])))
    assert [store.model_answer(seq) for seq in seqs] == [None, None, None, "done", "done", "done"]
    assert [item.seq for item in store.model_requests("stream")] == [seqs[0]]


def test_a_fenced_stream_changes_no_version_and_answers_nothing(
    store: SqlStore, second_store: SqlStore
) -> None:
    """Step 2 is one transaction: the request waits for whoever holds the owner now."""
    old = store.take_over("stream").epoch
    seq = store.ask_model("stream", "outliers", ModelAction.RETRAIN, None, T0)
    second_store.take_over("stream")
    with pytest.raises(FencedError):
        store.checkpoint(checkpoint(old, models=((version(), None),), answers=((seq, "done"),)))
    assert store.models("stream") == ()
    assert [item.seq for item in second_store.model_requests("stream")] == [seq]
