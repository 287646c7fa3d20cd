"""`faultline bench --kafka`: from a real broker to closed windows, beside kafka-python's bare poll loop.

Both sides read the same topic from its beginning with the same consumer; ours also does all that the service
does up to closed windows. The topic is new in every run and is left to the broker's retention.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain

from agent.evaluate import generated
from agent.evaluate.bench import Result, ratio, to_windows
from agent.evaluate.peers import PollLoop
from ingest.decode import Decode
from ingest.events import TopicDefaults
from ingest.record import SECOND, Nanos, Record
from ingest.redaction import Redactor
from ingest.sources.kafka.source import record_of
from ingest.templates import Templates
from ingest.windows import Windows

BATCH = 20_000
"""Bytes of a Kafka record, a JSON line after the other."""


def kafka_row(bootstrap: str, topic: str, lines: int, rounds: int) -> Result:
    """Return the row; raises kafka-python's `KafkaError` where the broker does not answer."""
    values, times = batches(generated.json_lines(lines))
    loop = PollLoop(bootstrap, topic)
    try:
        loop.fill([values])

        def ours() -> Callable[[], int]:
            decode = Decode({topic: TopicDefaults(format="json")})
            redactor, windows = Redactor(b"bench"), Windows(Templates())
            return lambda: min(to_windows(_records(loop, times), decode, redactor, windows), 1) * len(values)

        def raw() -> Callable[[], int]:
            return lambda: sum(map(len, loop.polls()))

        speed = ratio(ours, raw, rounds)
    finally:
        loop.close()
    given = f"{len(values)} records of {BATCH / 1000:.0f} kB, {lines} flat JSON lines"
    return Result(name="kafka_to_windows", speed=speed, against="kafka-python's bare poll loop", given=given)


def _records(loop: PollLoop, times: Sequence[Nanos]) -> Iterator[Record]:
    """Yield what is polled as if it had been sent when its lines were written."""
    for message in chain.from_iterable(loop.polls()):
        record = record_of(message)
        yield Record(
            origin=record.origin, key=record.key, value=record.value, received=times[record.origin.offset]
        )


def batches(lines: Sequence[bytes]) -> tuple[list[bytes], list[Nanos]]:
    """Return the lines in records of about `BATCH` bytes, and each record's time."""
    values: list[bytes] = []
    times: list[Nanos] = []
    held: list[bytes] = []
    size = 0
    for number, line in enumerate(lines):
        held.append(line)
        size += len(line) + 1
        if size >= BATCH or number == len(lines) - 1:
            values.append(b"\n".join(held))
            times.append(generated.START + number * SECOND // generated.PER_SECOND)
            held, size = [], 0
    return values, times
