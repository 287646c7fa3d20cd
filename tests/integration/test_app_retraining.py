"""A shifted stream through the service's stages and store: retrained in shadow, taken over, rolled back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from agent.app import parts
from agent.cli import main
from agent.settings import Settings, load_settings
from agent.store.sql import SqlStore
from agent.stream import Stream
from detectors.manifest import ModelVersion, Status
from detectors.template_rate import TemplateRate
from ingest.record import SECOND, Origin, Record
from ingest.sources.port import Item
from ingest.times import format_time
from tests.support.bench import T0, Bench

WIDTH = 10
SPAN = 90
"""Windows of a span."""
SHADOW = 72
NAME = "template_rate"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Return settings with a home of their own and rules that need minutes instead of days."""
    monkeypatch.setenv("FAULTLINE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    rules = {"span_hours": 0.25, "drifted_spans": 1, "shadow_hours": 0.2, "flagged": 1.0}
    return load_settings(retraining=rules)


@pytest.fixture
def store(settings: Settings) -> Iterator[SqlStore]:
    """Open the store that the commands find too."""
    opened = parts.store(settings)
    yield opened
    opened.close()


def _window(bench: Bench, index: int, lines: int) -> Callable[[], Sequence[Item]]:
    """Return a poll that brings one window: orders write warnings, and errors beside them when many."""

    def record(number: int, service: str, text: str, level: str) -> Record:
        time = T0 + round((index * WIDTH + number * WIDTH / 512) * SECOND)
        value = (
            f'{{"time": "{format_time(time)}", "message": "{text}", "level": "{level}", '
            f'"service.name": "{service}"}}'
        )
        origin = Origin(topic="a", partition=0, offset=index * 1000 + number)
        return Record(origin=origin, value=value.encode(), received=time)

    def poll() -> Sequence[Item]:
        bench.clock = T0 + index * WIDTH * SECOND
        records = [record(number, "orders", "slow answer of payments", "warning") for number in range(lines)]
        if lines > 30:
            records += [record(500 + number, "orders", "order refused", "error") for number in range(9)]
        return [*records, record(511, "cart", "cart opened", "info")]

    return poll


def _run(settings: Settings, store: SqlStore, levels: Sequence[int], begin: int) -> Stream:
    """Run the service's stream over windows with so many lines; it stops and commits after the last."""
    bench = Bench(clock=T0 + begin * WIDTH * SECOND)
    bench.script = [_window(bench, index, lines) for index, lines in enumerate(levels, begin)]
    stream = bench.stream(
        pipeline=parts.pipeline(settings, b"key"), store=store, checkpoint_every=60 * SECOND
    )
    stream.run(bench.stop)
    assert stream.counts.failures == 0
    return stream


def _versions(store: SqlStore) -> list[tuple[int, Status]]:
    return [
        (one.version.number, one.version.status)
        for one in store.models("stream-0")
        if one.version.detector == NAME
    ]


def _version(store: SqlStore, number: int) -> ModelVersion:
    found = [one.version for one in store.models("stream-0") if one.version.detector == NAME]
    return next(one for one in found if one.number == number)


def _command(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["detectors", *arguments])


def test_a_shifted_stream_is_learned_anew_and_rolled_back_exactly(
    settings: Settings, store: SqlStore
) -> None:
    """From the first version over shadow and take-over back to the first one's behaviour, across restarts."""
    usual, shifted = [5, 6, 4] * 33, [40, 41, 39] * 40
    _run(settings, store, usual, 0)
    at = len(usual)
    assert _versions(store) == [(1, Status.ACTIVE)]
    _run(settings, store, shifted[:SPAN], at)
    at += SPAN
    assert _versions(store) == [(2, Status.SHADOW), (1, Status.ACTIVE)]
    assert _version(store, 2).why.startswith("drift for 0.25 h: ")
    _run(settings, store, shifted[:SHADOW], at)
    at += SHADOW
    assert _versions(store) == [(2, Status.ACTIVE), (1, Status.RETIRED)]
    first = _version(store, 1)
    assert first.retired_why.startswith("version 2 took over: ")
    assert first.learned.services == 2

    asked = _command("rollback", NAME)
    assert asked.exit_code == 0
    assert "asked stream-0 to roll template_rate back to version 1" in asked.output
    (request,) = store.model_requests("stream-0")
    control = TemplateRate()
    control.load(request.state or b"")
    assert "waiting for the service: rollback template_rate to version 1" in _command("list").output

    _run(settings, store, [], at)
    assert _versions(store) == [(3, Status.ACTIVE), (2, Status.RETIRED), (1, Status.RETIRED)]
    assert _version(store, 3).parent == 1
    assert store.model_requests("stream-0") == ()
    stream = _run(settings, store, [5, 6, 400, 410, 390, 400, 40, 40, 6], at)
    (versioned,) = (one for one in stream.pipeline.models.detectors if one.name == NAME)
    since = _version(store, 2).retired_at or 0
    found = 0
    ends = sorted({one.end for one in store.telemetry("default", since, since + 3600 * SECOND)})
    for end in ends:
        for summary in store.telemetry("default", end - WIDTH * SECOND, end):
            found += len(control.observe(summary))
        control.tick(end)
    assert versioned._active.dump() == control.dump()
    assert found > 0
