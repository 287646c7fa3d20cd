"""Produces a recording to Kafka as raw OTLP protobuf, the bytes a collector's Kafka exporter writes.

In order of event time, in batches of about a second of it; paced when a speed is given. On return
everything is flushed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
from msgspec import structs

from ingest.decode import Decode
from ingest.events import ChangeEvent, Event, SpanEvent, TopicDefaults
from ingest.kafka_producer import Producer
from ingest.otlp_encode import in_requests
from ingest.record import SECOND, Nanos
from ingest.recordings import Recording
from ingest.times import format_time

BATCH: Nanos = SECOND


def replay_to_kafka(
    folder: Path,
    bootstrap: str,
    *,
    prefix: str,
    speed: float | None,
    shift_to: Nanos | None,
    on_progress: Callable[[int], None] = lambda _: None,
) -> dict[str, int]:
    """Produce the recording; with `shift_to` its times move so that it ends then. Return counts."""
    recording = Recording(folder)
    events = _events(recording)
    if shift_to is not None and events:
        move = shift_to - events[-1][0]
        if speed is not None:
            # Paced, the first record is sent now: its time must be now as well.
            move = shift_to - events[0][0]
        events = [(at + move, moved(event, move)) for at, event in events]
    producer = Producer(bootstrap_servers=bootstrap)
    counts: dict[str, int] = {}
    started = time.monotonic()
    done = 0
    try:
        for batch in _batches(events):
            _keep_pace(batch[0][0] - events[0][0], speed, started)
            for topic, value, count in _requests([event for _, event in batch]):
                producer.send(prefix + topic, key=None, value=value)
                counts[topic] = counts.get(topic, 0) + count
            done += len(batch)
            on_progress(done)
        producer.flush(120.0)
    finally:
        producer.close()
    return counts


def moved(event: Event, by: Nanos) -> Event:
    """Return the event at another time."""
    if isinstance(event, SpanEvent):
        return structs.replace(event, start=event.start + by, end=event.end + by)
    return structs.replace(event, time=event.time + by)


def _events(recording: Recording) -> list[tuple[Nanos, Event]]:
    decode = Decode({"^recording\\..*": TopicDefaults(format="json")})
    return [(at, event) for at, record in recording.records() for event in decode.decode(record, at).events]


def _batches(events: list[tuple[Nanos, Event]]) -> Iterator[list[tuple[Nanos, Event]]]:
    batch: list[tuple[Nanos, Event]] = []
    for at, event in events:
        if batch and at - batch[0][0] >= BATCH:
            yield batch
            batch = []
        batch.append((at, event))
    if batch:
        yield batch


def _requests(events: list[Event]) -> Iterator[tuple[str, bytes, int]]:
    by_signal = {"logs": 0, "metrics": 0, "traces": 0}
    for event in events:
        if isinstance(event, ChangeEvent):
            yield "changes", _change(event), 1
        else:
            name = type(event).__name__
            by_signal[{"LogEvent": "logs", "MetricPoint": "metrics"}.get(name, "traces")] += 1
    for signal, request in in_requests(events):
        yield signal, request, by_signal.pop(signal, 0)


def _change(event: ChangeEvent) -> bytes:
    return orjson.dumps(
        {
            "time": format_time(event.time),
            "change": event.kind,
            "title": event.title,
            "service.name": event.resource.service,
            "deployment.environment.name": event.resource.environment,
        }
    )


def _keep_pace(elapsed: Nanos, speed: float | None, started: float) -> None:
    if speed is not None:
        ahead = elapsed / SECOND / speed - (time.monotonic() - started)
        if ahead > 0:
            time.sleep(ahead)
