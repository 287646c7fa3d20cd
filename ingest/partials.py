"""Between ingest and detect processes: partial summaries, how far each source is, alerts; as Kafka records.

Order: what a process publishes of a window comes before the mark that says it is done with it, on every
partition. Repeats: a part carries its owner's life (the epoch) and a number; what a life published from the
number on with which the next one begins was not stored when it ended, will be said again and is void. Where
another owner reads on instead, it counts twice. Loss: none here; a part that does not fit a record is cut
into several, which merge into what it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import msgspec
import zstandard

from ingest.events import AlertEvent
from ingest.record import Nanos
from ingest.summary import WindowSummary
from ingest.watermark import Partition

FORMAT = 1
MAX_RAW = 900_000
"""Bytes of a record before compression: a broker takes 1 MB by default, and some lines do not compress."""
_MAX_UNPACKED = 64 * 1024 * 1024
_SPLIT = (
    *("templates", "pairs", "series", "calls", "operations", "changes", "counters", "sequences"),
    *("instances", "nodes", "renamed"),
)
"""All that a summary may hold many of."""


class PartialError(ValueError):
    """The bytes are no message between ingest and detect of this version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Summaries of one environment and window [start, start + width), made of some of its records."""

    owner: str
    number: int
    """Counts the owner's parts; goes on after a crash where its state was last stored."""
    environment: str
    start: Nanos
    summaries: tuple[WindowSummary, ...]
    life: int = 0
    """The owner's epoch."""
    since: int = 0
    """Number with which this life began."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """How far an owner is: all its parts of windows that end by `reached` were published before this.

    None: it has closed no window yet, so nothing of `sources` can be said to be over.
    """

    owner: str
    reached: Nanos | None
    sources: tuple[Partition, ...]
    """Source partitions that the owner reads and that are not idle."""
    life: int = 0
    since: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One record of the topic: exactly one of these."""

    part: Part | None = None
    mark: Mark | None = None
    alert: AlertEvent | None = None


def encode(message: Message) -> bytes:
    """Return the record's value."""
    return bytes((FORMAT,)) + zstandard.compress(msgspec.msgpack.encode(message))


def decode(value: bytes) -> Message:
    """Return what `encode` wrote. Raises `PartialError` on anything else."""
    if not value or value[0] != FORMAT:
        raise PartialError(
            f"format {value[0] if value else 'none'} where {FORMAT} is read: "
            "ingest and detect processes must be of one version"
        )
    try:
        # A frame that says how large it is gets that much memory, whatever the limit.
        if zstandard.frame_content_size(value[1:]) > _MAX_UNPACKED:
            raise PartialError(f"it would unpack to more than {_MAX_UNPACKED} bytes")
        raw = zstandard.ZstdDecompressor().decompress(value[1:], max_output_size=_MAX_UNPACKED)
        return msgspec.msgpack.decode(raw, type=Message)
    except (zstandard.ZstdError, msgspec.DecodeError) as error:
        raise PartialError(f"damaged: {type(error).__name__}") from error


def parts_of(
    summaries: Sequence[WindowSummary],
    *,
    owner: str,
    number: int,
    life: int = 0,
    since: int = 0,
    limit: int = MAX_RAW,
) -> list[Part]:
    """Return a closed window's summaries as parts that fit a record each, numbered from `number`."""
    groups: list[tuple[str, Nanos, list[WindowSummary]]] = []
    size = 0
    for summary in (piece for whole in summaries for piece in _pieces(whole, limit)):
        length = len(msgspec.msgpack.encode(summary))
        last = groups[-1] if groups else None
        if last is None or last[0] != summary.environment or size + length > limit:
            groups.append((summary.environment, summary.start, [summary]))
            size = length
        else:
            last[2].append(summary)
            size += length
    return [
        Part(
            owner=owner,
            number=number + index,
            environment=environment,
            start=start,
            summaries=tuple(held),
            life=life,
            since=since,
        )
        for index, (environment, start, held) in enumerate(groups)
    ]


def _pieces(summary: WindowSummary, limit: int) -> Iterator[WindowSummary]:
    """Yield the summary, halved as often as it takes: merged they are what it was."""
    longest = max(len(getattr(summary, name)) for name in _SPLIT)
    if longest < 2 or len(msgspec.msgpack.encode(summary)) <= limit:
        yield summary
        return
    halves: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
    for name in _SPLIT:
        items = getattr(summary, name)
        middle = len(items) // 2
        halves[0][name], halves[1][name] = items[:middle], items[middle:]
    yield from _pieces(replace(summary, **halves[0]), limit)
    # What is counted once stands in the first half alone.
    once: dict[str, Any] = {"severities": {}, "late": 0, "rejected": 0}
    yield from _pieces(replace(summary, **halves[1], **once), limit)


class PartProducer(Protocol):
    """What publishing needs of a producer."""

    def send(self, topic: str, *, key: bytes | None, value: bytes, partition: int | None = None) -> None: ...

    def partitions(self, topic: str) -> tuple[int, ...]: ...


class PartSink(Protocol):
    """Where an ingest process puts what detect processes need."""

    def publish(self, parts: Sequence[Part], alerts: Sequence[AlertEvent], mark: Mark | None) -> None:
        """Queue all of it, in this order; it is certain once the producer was flushed."""
        ...


class KafkaParts:
    """Publishes to one topic. An environment stays on one partition; a mark goes to every one."""

    def __init__(self, producer: PartProducer, topic: str) -> None:
        self._producer, self._topic = producer, topic

    def publish(self, parts: Sequence[Part], alerts: Sequence[AlertEvent], mark: Mark | None) -> None:
        """Queue parts and alerts by environment, then the mark."""
        for part in parts:
            self._send(part.environment, Message(part=part))
        for alert in alerts:
            self._send(alert.resource.environment, Message(alert=alert))
        if mark is not None:
            value = encode(Message(mark=mark))
            for partition in self._producer.partitions(self._topic):
                self._producer.send(self._topic, key=None, value=value, partition=partition)

    def _send(self, environment: str, message: Message) -> None:
        key = environment.encode("utf-8", "surrogatepass")
        self._producer.send(self._topic, key=key, value=encode(message))
