"""`faultline bench --kafka`, row two_processes: what a second process adds, on two partitions of one topic.

Each process is a `faultline run --role ingest` without its group and store: it reads its partitions, makes
windows and publishes their parts. All are started, connected and warm before the clock runs; the time is
that from the word to begin until the last has published what it read. One and two take turns.

`python -m agent.evaluate.bench_processes BROKER TOPIC PARTITIONS` is such a process: what it has to know
comes as one line of JSON each round, and it answers with the lines that it counted.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import IO

from agent.evaluate import generated
from agent.evaluate.bench import Result
from agent.evaluate.peers import PollLoop
from agent.evaluate.stream_bench import batches
from agent.halves import IngestHalf
from ingest.decode import Decode
from ingest.events import TopicDefaults
from ingest.kafka_producer import Producer
from ingest.partials import KafkaParts
from ingest.record import SECOND, Nanos, Record
from ingest.redaction import Redactor
from ingest.sources.kafka.source import record_of
from ingest.templates import Templates
from ingest.windows import Windows

PARTITIONS = (0, 1)
_PUBLISH_EVERY = 5 * SECOND
"""Of stream time, as `stream.checkpoint_seconds` has it."""


def processes_row(bootstrap: str, topic: str, lines: int, rounds: int) -> Result:
    """Return the row; raises kafka-python's `KafkaError` where the broker does not answer."""
    shares: list[list[bytes]] = [[] for _ in PARTITIONS]
    times: list[list[Nanos]] = [[] for _ in PARTITIONS]
    for number, (value, at) in enumerate(zip(*batches(generated.json_lines(lines)), strict=True)):
        shares[number % len(PARTITIONS)].append(value)
        times[number % len(PARTITIONS)].append(at)
    loop = PollLoop(bootstrap, topic, PARTITIONS)
    try:
        loop.fill(shares)
    finally:
        loop.close()
    best = {1: float("inf"), 2: float("inf")}
    with contextlib.ExitStack() as stack:
        one = [stack.enter_context(_Process(bootstrap, topic, PARTITIONS))]
        two = [stack.enter_context(_Process(bootstrap, topic, (partition,))) for partition in PARTITIONS]
        for turn in range(rounds + 1):
            for group in (one, two):
                seconds = _round(group, times, lines)
                if turn:  # the first warms caches of both sides up
                    best[len(group)] = min(best[len(group)], seconds)
    given = (
        f"{lines} flat JSON lines in records of 20 kB on two partitions, read to published parts of windows"
    )
    return Result(
        name="two_processes", speed=best[1] / best[2], against="one process on both partitions", given=given
    )


def _round(group: Sequence[_Process], times: Sequence[Sequence[Nanos]], lines: int) -> float:
    for process in group:
        process.tell("prepare", {partition: times[partition] for partition in process.partitions})
        process.answer()
    started = time.monotonic()
    for process in group:
        process.tell("begin")
    counted = sum(process.answer() for process in group)
    seconds = time.monotonic() - started
    if counted != lines:
        raise RuntimeError(f"{counted} lines were published of {lines}; the measurement means nothing")
    return seconds


class _Process:
    """One ingest process, told what to do line by line."""

    def __init__(self, bootstrap: str, topic: str, partitions: Sequence[int]) -> None:
        self.partitions = tuple(partitions)
        command = [sys.executable, "-m", __name__, bootstrap, topic, json.dumps(self.partitions)]
        self._process = subprocess.Popen(  # noqa: S603 - ourselves
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> _Process:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._pipe(self._process.stdin).close()
        self._process.wait()
        self._pipe(self._process.stdout).close()

    def tell(self, word: str, times: dict[int, Sequence[Nanos]] | None = None) -> None:
        pipe = self._pipe(self._process.stdin)
        pipe.write(json.dumps([word, times]) + "\n")
        pipe.flush()

    def answer(self) -> int:
        line = self._pipe(self._process.stdout).readline()
        if not line:
            raise RuntimeError("an ingest process of the bench has ended; what it printed says why")
        return int(line)

    @staticmethod
    def _pipe(pipe: IO[str] | None) -> IO[str]:
        if pipe is None:
            raise RuntimeError("the process has no pipe")
        return pipe


def serve(bootstrap: str, topic: str, partitions: Sequence[int]) -> None:
    """Do rounds as standard input says, until it ends."""
    loop = PollLoop(bootstrap, topic, partitions)
    producer = Producer(bootstrap_servers=bootstrap)
    sink = KafkaParts(producer, f"{topic}-windows")
    try:
        for line in sys.stdin:
            word, told = json.loads(line)
            if word == "prepare":
                times = {int(partition): values for partition, values in told.items()}
                loop.expect(sum(map(len, times.values())))
                half = _half(topic, partitions)
                producer.partitions(f"{topic}-windows")
                done = 0
            else:
                done = _read(half, _records(loop, times), producer, sink)
            sys.stdout.write(f"{done}\n")
            sys.stdout.flush()
    finally:
        loop.close()
        producer.close()


def _half(topic: str, partitions: Sequence[int]) -> IngestHalf:
    return IngestHalf(
        owner=f"bench-{partitions[0]}",
        decode=Decode({topic: TopicDefaults(format="json")}),
        redactor=Redactor(b"bench"),
        windows=Windows(Templates(), whole=False),
    )


def _read(half: IngestHalf, records: Iterator[Record], producer: Producer, sink: KafkaParts) -> int:
    """Do what an ingest process does with its records; return the lines in what it published."""
    ticked: Nanos = 0
    published: Nanos = 0
    lines = 0

    def publish() -> int:
        outcome = half.outcome()
        sink.publish(outcome.parts, outcome.alerts, outcome.mark)
        producer.flush()
        return sum(summary.lines for part in outcome.parts for summary in part.summaries)

    for record in records:
        half.take(record, record.received)
        if record.received - ticked >= SECOND:
            ticked = record.received
            half.tick(ticked)
        if record.received - published >= _PUBLISH_EVERY:
            published = record.received
            lines += publish()
    half.finish()
    return lines + publish()


def _records(loop: PollLoop, times: dict[int, Sequence[Nanos]]) -> Iterator[Record]:
    """Yield what is polled as if it had been sent when its lines were written."""
    for message in chain.from_iterable(loop.polls()):
        record = record_of(message)
        yield Record(
            origin=record.origin,
            key=record.key,
            value=record.value,
            received=times[record.origin.partition][record.origin.offset],
        )


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))
