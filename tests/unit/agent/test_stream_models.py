"""The stream and the versions of its detectors' models: stored, asked for, told, numbered on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from structlog.testing import capture_logs

from agent.journal import Snapshot
from agent.pipeline import Pipeline
from agent.store.port import ModelAction, ModelRequest
from detectors.manifest import Status
from detectors.retraining import Rules
from detectors.suite import Suite
from detectors.versions import Versions
from ingest.sources.port import Item
from tests.support.bench import T0, Bench, line, pipeline
from tests.support.learners import Doubling

ASKED = ModelRequest(seq=11, detector="doubling", action=ModelAction.RETRAIN)


def _judging() -> Pipeline:
    """Return a pipeline whose one detector is versioned."""
    versions = Versions([Doubling()], Rules(automatic=False))
    made = pipeline()
    made.models, made._suite = versions, Suite(versions.detectors)
    return made


def _lines(*seconds: int) -> list[Item]:
    return [line(second, second) for second in seconds]


def _at(bench: Bench, seconds: int, items: Sequence[Item]) -> Callable[[], Sequence[Item]]:
    """Return a poll at a time that gives items; windows close by them."""

    def poll() -> Sequence[Item]:
        bench.clock = T0 + seconds * 1_000_000_000
        return items

    return poll


def _bench(**settings: object) -> Bench:
    bench = Bench()
    bench.script = [_at(bench, 40, _lines(0, 11, 22, 40)), _at(bench, 90, _lines(50, 60, 90))]
    for name, value in settings.items():
        setattr(bench, name, value)
    return bench


def test_live_versions_are_stored_with_the_checksum_of_their_state() -> None:
    """In the transaction that stores the state."""
    bench = _bench()
    bench.stream(pipeline=_judging, checkpoint_every=0).run(bench.stop)
    ((version, state),) = bench.stored[-1].models
    assert (version.number, version.status, state) == (1, Status.ACTIVE, None)
    again = _judging()
    last = bench.stored[-1]
    again.restore(Snapshot(recent=last.snapshot, base=last.base, windows=last.windows))
    again.dump()
    assert again.models.live() == (version,)
    assert len(version.sha256) == 64


def test_a_request_is_answered_in_the_commit_that_carries_it_out() -> None:
    """The next checkpoint holds version, state and answer; it is not done twice."""
    bench = _bench(requests=[ASKED])
    bench.script.insert(0, _at(bench, 30, _lines(1, 25)))
    stream = bench.stream(pipeline=_judging, checkpoint_every=0)
    with capture_logs() as logs:
        stream.run(bench.stop)
    answered = [one for one in bench.stored if one.answers]
    assert [one.answers for one in answered] == [((11, "version 2 of doubling learns in shadow"),)]
    assert [version.number for version, _ in answered[0].models] == [1, 2]
    assert bench.requests == []
    told = [(one["status"], one["version"]) for one in logs if one["event"] == "detectors.version"]
    assert told == [("active", 1), ("shadow", 2)]
    assert [one["answer"] for one in logs if one["event"] == "detectors.asked"] == [
        "version 2 of doubling learns in shadow"
    ]
    assert [one.number for one in stream.pipeline.counts.models] == [1, 2]


def test_a_request_whose_commit_failed_is_done_once_all_the_same() -> None:
    """The restored state knows nothing of the first try, so the number is the same."""
    bench = _bench()
    bench.stream(pipeline=_judging, checkpoint_every=0).run(bench.stop)
    bench.stop.clear()
    bench.requests = [ASKED]
    bench.failing = {"checkpoint": [OSError("the disk is full")]}
    bench.script = [[], []]
    stream = bench.stream(pipeline=_judging, checkpoint_every=0)
    stream.run(bench.stop)
    assert stream.counts.failures == 1
    assert [version.number for version, _ in bench.stored[-1].models] == [1, 2]
    assert sum(bool(one.answers) for one in bench.stored) == 1


def test_what_cannot_be_done_is_answered_with_the_reason() -> None:
    """An unknown detector, a state that is gone: the stream goes on."""
    bench = _bench(
        requests=[
            replace(ASKED, detector="dubling"),
            ModelRequest(seq=12, detector="doubling", action=ModelAction.ROLLBACK, number=3),
        ]
    )
    bench.stream(pipeline=_judging, checkpoint_every=0).run(bench.stop)
    answers = dict(next(one.answers for one in bench.stored if one.answers))
    assert answers == {
        11: "refused: there is no detector dubling; did you mean doubling?",
        12: "refused: the state of version 3 is kept no longer",
    }


def test_a_rollback_goes_through_the_stream_to_the_byte() -> None:
    """The version that judged is stored with its state; the new one begins with the old one's."""
    bench = _bench()
    bench.stream(pipeline=_judging, checkpoint_every=0).run(bench.stop)
    ((first, _),) = bench.stored[-1].models
    old = Doubling()
    asked = ModelRequest(
        seq=5,
        detector="doubling",
        action=ModelAction.ROLLBACK,
        number=7,
        version=replace(first, number=7),
        state=old.dump(),
    )
    bench.stop.clear()
    bench.requests = [asked]
    bench.script = [[]]
    bench.stream(pipeline=_judging, checkpoint_every=0).run(bench.stop)
    done = next(one for one in bench.stored if one.answers)
    (left, state), (active, none) = done.models
    assert (left.number, left.status, left.sha256) == (1, Status.RETIRED, first.sha256)
    assert state is not None
    assert none is None
    assert (active.number, active.parent, active.status) == (2, 7, Status.ACTIVE)
    assert done.answers == ((5, "version 2 of doubling is active, with the state of version 7"),)


def test_a_lost_snapshot_does_not_use_a_number_again() -> None:
    """The unreadable version is ended in the store, and the next one says why it began."""
    bench = _bench()
    bench.stream(pipeline=_judging, checkpoint_every=0).run(bench.stop)
    bench.stored[-1] = replace(bench.stored[-1], snapshot=b"\x90")
    bench.stop.clear()
    bench.script = [_at(bench, 120, _lines(100, 120))]
    bench.stream(pipeline=_judging, checkpoint_every=0).run(bench.stop)
    told = [version for one in bench.stored for version, _ in one.models if version.number == 1]
    assert (told[-1].status, told[-1].retired_why) == (Status.RETIRED, "its state could not be read")
    (active,) = (version for version, _ in bench.stored[-1].models)
    assert (active.number, active.why) == (2, "its state could not be read")
