"""First step of `faultline inspect`: a recording's lines become redacted events, signal by signal.

Order: changes, logs, metrics, spans, each in file order. Memory: one line. A line or item that cannot be
read is counted and said, never fatal: somebody looks at a recording because something is odd about it.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, cast

from ingest.decode import Decode
from ingest.events import ChangeEvent, DecodeError, Event, LogEvent, TopicDefaults
from ingest.record import SECOND, Nanos, Origin, Record
from ingest.redaction import RedactionError, Redactor

SIGNALS = ("changes", "logs", "metrics", "spans")
_KEY = b"shown to people only"
"""Nothing is compared across pages: pseudonyms need only be the same within one."""
_LATEST: Nanos = 4_000_000_000 * SECOND
"""A recording's own times are believed, whenever it was made (until the year 2096)."""
_TOLD = 20_000
"""Lines between two reports of progress."""


@dataclass(slots=True, kw_only=True)
class Read:
    """What was read: counts by signal, and what could not be."""

    counts: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    cut: list[str] = field(default_factory=list)
    """Files that end in the middle."""


def events(folder: Path, read: Read, tell: Callable[[str], None]) -> Iterator[Event]:
    """Yield the folder's events, counting into `read`; `tell` hears how far it is."""
    decode = Decode({"^recording\\..*": TopicDefaults(format="json")})
    redactor = Redactor(_KEY)
    for signal in SIGNALS:
        path = signal_file(folder, signal)
        if path is None:
            continue
        for number, line in enumerate(_lines(path, read), start=1):
            if number % _TOLD == 0:
                tell(f"{signal}: {number:,} lines")
            yield from _events(decode, redactor, signal, number, line, read)


def signal_file(folder: Path, signal: str) -> Path | None:
    """Return the signal's file, None where the recording has none."""
    names = (folder / f"{signal}.jsonl.gz", folder / f"{signal}.jsonl")
    return next((path for path in names if path.is_file()), None)


def _events(
    decode: Decode, redactor: Redactor, signal: str, number: int, line: bytes, read: Read
) -> Iterator[Event]:
    origin = Origin(topic=f"recording.{signal}", partition=0, offset=number)
    try:
        decoded = decode.decode(Record(origin=origin, value=line, received=_LATEST), _LATEST)
    except DecodeError as error:
        _count(read.refused, f"{signal}: {error.reject.reason.value}")
        return
    for reject in decoded.rejects:
        _count(read.refused, f"{signal}: {reject.reason.value}")
    for event in decoded.events:
        _count(read.counts, signal)
        if not isinstance(event, LogEvent | ChangeEvent):
            yield event
            continue
        try:
            yield redactor.redact(event)
        except RedactionError:
            _count(read.refused, f"{signal}: redaction_failed")


def _lines(path: Path, read: Read) -> Iterator[bytes]:
    with path.open("rb") as raw:
        lines = cast(IO[bytes], gzip.GzipFile(fileobj=raw)) if path.suffix == ".gz" else raw
        try:
            for line in lines:
                if line.strip():
                    yield line.rstrip(b"\r\n")
        except (OSError, EOFError, zlib.error) as error:
            read.cut.append(f"{path.name} cannot be read to its end ({error})")


def _count(counts: dict[str, int], name: str) -> None:
    counts[name] = counts.get(name, 0) + 1
