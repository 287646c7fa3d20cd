"""A burst of errors through the stages and the store: muted, under maintenance, found in shadow, told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from agent.app import parts
from agent.deliver.announce import Announcer
from agent.deliver.decide import ChannelPolicy
from agent.mutes import MuteKind, mute
from agent.settings import Settings, load_settings
from agent.store.port import IncidentQuery
from agent.store.sql import SqlStore
from agent.stream import Stream
from detectors.suite import default_detectors
from ingest.record import SECOND, Origin, Record
from ingest.sources.port import Item
from ingest.times import format_time
from tests.support.bench import T0, Bench

WIDTH = 10
CALM = [4] * 40
BURST = [4, 90, 95, 90, 4, 4]
ALL = tuple(one.name for one in default_detectors())


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqlStore]:
    """Open a store with a home of its own."""
    monkeypatch.setenv("FAULTLINE_HOME", str(tmp_path / "home"))
    opened = parts.store(load_settings())
    yield opened
    opened.close()


def _window(bench: Bench, index: int, errors: int) -> Callable[[], Sequence[Item]]:
    def record(number: int, text: str, level: str) -> Record:
        time = T0 + round((index * WIDTH + number * WIDTH / 512) * SECOND)
        value = (
            f'{{"time": "{format_time(time)}", "message": "{text}", "level": "{level}", '
            '"service.name": "orders"}'
        )
        origin = Origin(topic="a", partition=0, offset=index * 1000 + number)
        return Record(origin=origin, value=value.encode(), received=time)

    def poll() -> Sequence[Item]:
        bench.clock = T0 + index * WIDTH * SECOND
        lines = [record(number, "order paid", "info") for number in range(60)]
        return [*lines, *(record(100 + number, "payment refused", "error") for number in range(errors))]

    return poll


def _run(settings: Settings, store: SqlStore) -> tuple[Stream, Announcer]:
    """Run the stream over calm windows, a burst and calm again; people listen on one channel."""
    announcer = Announcer(store, (ChannelPolicy(channel="slack:ops"),))
    bench = Bench()
    bench.script = [_window(bench, index, errors) for index, errors in enumerate([*CALM, *BURST, *CALM[:40]])]
    stream = bench.stream(
        pipeline=parts.pipeline(settings, b"key"),
        store=store,
        announce=announcer.changes,
        mutes=parts.configured_mutes(settings),
        checkpoint_every=60 * SECOND,
    )
    stream.run(bench.stop)
    assert stream.counts.failures == 0
    return stream, announcer


def _said(announcer: Announcer) -> set[str]:
    return {reason for _, reason in announcer.counts}


def _muted(store: SqlStore, kind: MuteKind, **fields: Any) -> str:
    made = mute(
        kind=kind,
        starts=T0,
        ends=T0 + 3600 * SECOND,
        reason="ticket 4711",
        author="ana",
        now=T0,
        services=("orders",),
        **fields,
    )
    store.save_mute(made)
    return f"{kind.value} {made.id}"


def test_without_a_mute_the_burst_is_told(store: SqlStore) -> None:
    """The control: an incident opens, people hear of it and of its end."""
    stream, announcer = _run(load_settings(), store)
    (incident,) = store.incidents(IncidentQuery()).incidents
    assert incident.muted_by == ()
    assert {"incident_opened", "resolved"} <= _said(announcer)
    assert store.stats()["outbox_waiting"] >= 2
    assert stream.pipeline.counts.muted == {}


def test_under_maintenance_it_is_found_stored_counted_and_not_told(store: SqlStore) -> None:
    """The same incident with the same anomalies stands in the store; nothing was put out."""
    by = _muted(store, MuteKind.MAINTENANCE)
    stream, announcer = _run(load_settings(), store)
    (incident,) = store.incidents(IncidentQuery()).incidents
    assert incident.muted_by == (by,)
    assert store.anomalies(incident.id)
    assert all(("muted", by) in anomaly.extra for anomaly in store.anomalies(incident.id))
    assert _said(announcer) <= {"maintenance", "nothing_was_said"}
    assert store.stats()["outbox_waiting"] == 0
    assert stream.pipeline.counts.muted["maintenance"] > 0


def test_muting_every_detector_that_speaks_is_muting_the_incident(store: SqlStore) -> None:
    """One detector's mute leaves the page to the others; with all of them muted nobody is paged."""
    first, *others = sorted(ALL)
    _muted(store, MuteKind.MUTE, detector=first)
    for name in others:
        _muted(store, MuteKind.MUTE, detector=name)
    _, announcer = _run(load_settings(), store)
    assert _said(announcer) <= {"muted", "nothing_was_said"}
    assert store.stats()["outbox_waiting"] == 0


def test_mutes_of_the_settings_count_like_others(store: SqlStore) -> None:
    """A maintenance window in the file silences for its time."""
    window = {
        "services": ["orders"],
        "starts": "2023-11-14T00:00:00Z",
        "until": "2023-11-16T00:00:00Z",
        "reason": "new disks",
    }
    _, announcer = _run(load_settings(maintenance=[window]), store)
    assert _said(announcer) <= {"maintenance", "nothing_was_said"}
    assert len(store.incidents(IncidentQuery()).incidents) == 1


def test_a_detector_in_shadow_is_counted_and_opens_nothing(store: SqlStore) -> None:
    """With all in shadow there is no incident, while their findings are counted and stored."""
    control = load_settings()
    heard = parts.pipeline(control, b"key")()
    assert heard.counts.shadowed == {}
    stream, announcer = _run(load_settings(detectors={"shadow": ALL}), store)
    counts = stream.pipeline.counts
    assert store.incidents(IncidentQuery()).incidents == ()
    assert counts.shadowed == counts.anomalies
    assert sum(counts.shadowed.values()) > 0
    assert _said(announcer) == set()
