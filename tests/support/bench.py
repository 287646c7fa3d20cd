"""All that a stream meets, in memory and scripted: source, store, dead letters, clock."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from agent.analysis import IncidentChange
from agent.incidents import Correlator
from agent.mutes import Mute
from agent.pipeline import Pipeline
from agent.store.port import Checkpoint, ModelRequest, OutboxEntry, Restored
from agent.stream import Stream
from agent.topology import Topology
from detectors.suite import Suite
from ingest.decode import Decode
from ingest.events import Reject, TopicDefaults
from ingest.minutes import Minutes
from ingest.record import SECOND, Nanos, Origin, Record
from ingest.redaction import Redactor
from ingest.sources.port import Item, Partition, Positions, SourceCounters
from ingest.templates import Templates
from ingest.times import format_time
from ingest.windows import Windows

T0: Nanos = 1_700_000_000 * SECOND
A: Partition = ("a", 0)
B: Partition = ("b", 0)
Batch = Sequence[Item] | Exception | Callable[[], Sequence[Item]]


def line(offset: int, seconds: float = 0, partition: Partition = A) -> Record:
    """Return a log line of the time `seconds` after T0."""
    time = format_time(T0 + round(seconds * SECOND))
    return record(offset, f'{{"time": "{time}", "message": "order paid", "service.name": "shop"}}', partition)


def record(offset: int, text: str, partition: Partition = A) -> Record:
    return Record(
        origin=Origin(topic=partition[0], partition=partition[1], offset=offset),
        value=text.encode(),
        received=T0,
    )


def pipeline() -> Pipeline:
    return Pipeline(
        decode=Decode({"^.*": TopicDefaults(format="json")}),
        redactor=Redactor(b"key"),
        windows=Windows(Templates()),
        suite=Suite([]),
        correlator=Correlator(),
        topology=Topology({"default": ()}),
        minutes=Minutes(),
    )


@dataclass
class Bench:
    """All that a stream meets, in memory: the source's script, the store, the dead letters and the clock.

    After the script the stream is told to stop. `trace` holds what was called, in order.
    """

    script: list[Batch] = field(default_factory=list)
    trace: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)
    clock: Nanos = T0
    stored: list[Checkpoint] = field(default_factory=list)
    started: list[dict[Partition, int]] = field(default_factory=list)
    committed: list[dict[Partition, int]] = field(default_factory=list)
    letters: list[Record] = field(default_factory=list)
    behind: dict[Partition, int] = field(default_factory=dict)
    failing: dict[str, list[Exception]] = field(default_factory=dict)
    requests: list[ModelRequest] = field(default_factory=list)
    elsewhere: dict[Partition, int] = field(default_factory=dict)
    """How far other owners have read."""
    muted: list[Mute] = field(default_factory=list)
    commit_failure: str | None = None
    epoch: int = 0
    exhausted: bool = False
    counters: SourceCounters = field(default_factory=SourceCounters)

    # The source

    def start(self, positions: Positions) -> None:
        self._called("start")
        self.started.append(dict(positions))

    def poll(self, timeout_s: float) -> Sequence[Item]:
        self.trace.append("poll")
        if not self.script:
            self.stop.set()
            return ()
        batch = self.script.pop(0)
        if isinstance(batch, Exception):
            raise batch
        return batch() if callable(batch) else batch

    def commit(self, positions: Positions) -> str | None:
        self._called("commit")
        self.committed.append(dict(positions))
        return self.commit_failure

    def assignment(self) -> frozenset[Partition]:
        return frozenset()

    def lag(self) -> Mapping[Partition, int]:
        return self.behind

    def close(self) -> None:
        self.trace.append("close")

    # The store

    def take_over(self, owner: str) -> Restored:
        self._called("take_over")
        self.epoch += 1
        last = self.stored[-1] if self.stored else None
        kept = _kept(self.stored)
        return Restored(
            epoch=self.epoch,
            offsets=last.offsets if last else (),
            snapshot=last.snapshot if last else None,
            base=kept[0],
            windows=kept[1],
            models=tuple(version for version, _ in last.models) if last else (),
        )

    def checkpoint(self, checkpoint: Checkpoint) -> None:
        self._called("checkpoint")
        self.stored.append(checkpoint)
        answered = {seq for seq, _ in checkpoint.answers}
        self.requests = [one for one in self.requests if one.seq not in answered]

    def read_up_to(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        return {part: offset for part, offset in self.elsewhere.items() if part in partitions}

    def mutes(self, ended_after: Nanos) -> tuple[Mute, ...]:
        return tuple(one for one in self.muted if one.ends > ended_after)

    def model_requests(self, owner: str) -> tuple[ModelRequest, ...]:
        return tuple(self.requests)

    def _called(self, name: str) -> None:
        self.trace.append(name)
        if self.failing.get(name):
            raise self.failing[name].pop(0)

    def stream(self, **settings: object) -> Stream:
        known: dict[str, object] = {
            "owner": "stream-0",
            "pipeline": pipeline,
            "source": self,
            "store": self,
            "dead_letters": Letters(self),
            "announce": said_nothing,
            "clock": lambda: self.clock,
            "on_step": lambda step: self.trace.append(f"step {step}"),
            "restart_after": 0.0,
        }
        return Stream(**{**known, **settings})  # type: ignore[arg-type]


@dataclass
class Letters:
    """A dead-letter sink that keeps what it gets."""

    bench: Bench

    def put(self, record: Record, rejects: Sequence[Reject]) -> None:
        self.bench.trace.append("put")
        self.bench.letters.append(record)

    def flush(self) -> None:
        self.bench._called("flush")

    def close(self) -> None:
        """Have nothing to close."""


def _kept(stored: Sequence[Checkpoint]) -> tuple[bytes | None, tuple[tuple[int, bytes], ...]]:
    """Return the base that stands, and the windows since, as a store has them."""
    base: bytes | None = None
    windows: dict[int, bytes] = {}
    for one in stored:
        if one.base is not None:
            base, windows = one.base, {}
        windows.update(one.windows)
    return base, tuple(sorted(windows.items()))


def said_nothing(changes: Sequence[IncidentChange]) -> Sequence[OutboxEntry]:
    return ()


def since(trace: list[str], name: str) -> list[str]:
    """Return the trace after the last `name`."""
    return trace[len(trace) - trace[::-1].index(name) :]


def then(action: Callable[[], None], items: Sequence[Item] = ()) -> Callable[[], Sequence[Item]]:
    """Return a poll that does something and then gives `items`."""

    def poll() -> Sequence[Item]:
        action()
        return items

    return poll


def slow(bench: Bench, items: Sequence[Item], seconds: float) -> Callable[[], Sequence[Item]]:
    def poll() -> Sequence[Item]:
        bench.clock += round(seconds * SECOND)
        return items

    return poll
