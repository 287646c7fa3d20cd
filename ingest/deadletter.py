"""Where refused records go: whole, with reasons and origin, so that nobody has to guess what was lost.

`dead_letter` is pure. Sinks promise that after `flush` everything put before is safe: in a Kafka topic, or
in a file of JSON lines where no Kafka is. The same record makes the same letter, so a repeat is harmless.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

import orjson

from ingest.events import Reject, RejectReason
from ingest.kafka_producer import ProducerLike
from ingest.record import Record

WHOLE_LIMIT = 900_000
"""Bytes of value, key and headers that still go whole; brokers take 1 MB by default."""
KEPT_OF_LARGE = 64 * 1024
PREFIX = "faultline."
DETAILS = 8
"""Distinct details named in a header; all are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A refused record as it is kept. Header values are bytes of UTF-8 text, originals aside."""

    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


def dead_letter(record: Record, rejects: Sequence[Reject], *, with_body: bool = True) -> Letter:
    """Build the letter for `record`. A failed redaction, or `with_body=False`, withholds key and contents."""
    if any(reject.reason is RejectReason.REDACTION_FAILED for reject in rejects):
        with_body = False
    originals = tuple((f"{PREFIX}original.{name}", value) for name, value in record.headers)
    size = len(record.value) + len(record.key or b"") + sum(len(n) + len(v) for n, v in originals)
    facts = _facts(record, rejects)
    if not with_body:
        names = ",".join(name for name, _ in record.headers)
        facts += [("body", "withheld"), ("original_headers", names[:4096])]
        return Letter(key=None, value=b"", headers=_encoded(facts))
    if size <= WHOLE_LIMIT:
        return Letter(
            key=record.key, value=record.value, headers=(*_encoded([*facts, ("body", "whole")]), *originals)
        )
    kept = _that_fit(originals, KEPT_OF_LARGE)
    facts += [("body", f"first {KEPT_OF_LARGE}"), ("headers_dropped", str(len(originals) - len(kept)))]
    key = record.key[:KEPT_OF_LARGE] if record.key else record.key
    return Letter(key=key, value=record.value[:KEPT_OF_LARGE], headers=(*_encoded(facts), *kept))


def _facts(record: Record, rejects: Sequence[Reject]) -> list[tuple[str, str]]:
    reasons = list(dict.fromkeys(str(reject.reason) for reject in rejects))
    details = list(dict.fromkeys(reject.detail for reject in rejects))
    return [
        ("reason", ",".join(reasons)),
        ("detail", " | ".join(details[:DETAILS])[:2048]),
        ("rejects", str(len(rejects))),
        ("topic", record.origin.topic),
        ("partition", str(record.origin.partition)),
        ("offset", str(record.origin.offset)),
        ("received", str(record.received)),
        ("length", str(len(record.value))),
        ("sha256", hashlib.sha256(record.value).hexdigest()),
    ]


def _encoded(facts: Sequence[tuple[str, str]]) -> tuple[tuple[str, bytes], ...]:
    return tuple((PREFIX + name, text.encode("utf-8", "replace")) for name, text in facts)


def _that_fit(headers: Sequence[tuple[str, bytes]], budget: int) -> tuple[tuple[str, bytes], ...]:
    kept: list[tuple[str, bytes]] = []
    for name, value in headers:
        budget -= len(name) + len(value)
        if budget < 0:
            break
        kept.append((name, value))
    return tuple(kept)


class DeadLetterSink(Protocol):
    """Takes refused records. Held by `tests/contract/test_dead_letters.py`."""

    def put(self, record: Record, rejects: Sequence[Reject]) -> None:
        """Keep `record` with why it was refused; safe only after `flush`."""
        ...

    def flush(self) -> None:
        """Return when everything put is safe. Raises DeliveryError or OSError."""
        ...

    def close(self) -> None:
        """Flush and let go."""
        ...


class KafkaDeadLetters:
    """Dead letters as records of a Kafka topic. The producer is shared, and closed by who made it."""

    def __init__(self, producer: ProducerLike, topic: str = "faultline.dead-letter") -> None:
        self._producer, self._topic, self._pending = producer, topic, False

    def put(self, record: Record, rejects: Sequence[Reject]) -> None:
        letter = dead_letter(record, rejects)
        self._producer.send(self._topic, key=letter.key, value=letter.value, headers=letter.headers)
        self._pending = True

    def flush(self) -> None:
        if self._pending:
            self._producer.flush()
            self._pending = False

    def close(self) -> None:
        self.flush()


class FileDeadLetters:
    """Dead letters as JSON lines in one file, made on first use: key and value in base64, headers as text."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None

    def put(self, record: Record, rejects: Sequence[Reject]) -> None:
        letter = dead_letter(record, rejects)
        line = {
            "key": None if letter.key is None else base64.b64encode(letter.key).decode(),
            "value": base64.b64encode(letter.value).decode(),
            "headers": [[name, value.decode("utf-8", "backslashreplace")] for name, value in letter.headers],
        }
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("ab")
        self._file.write(orjson.dumps(line) + b"\n")

    def flush(self) -> None:
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())

    def close(self) -> None:
        if self._file is not None:
            self.flush()
            self._file.close()
            self._file = None
