"""Records a source into a folder: decode, redact, write. What may be shipped, because nothing raw is kept.

Reads until told to stop, then reads on to where the source stood at that moment, so that a stop right after
a fault does not cut it off. Nothing is committed: recording again reads again. Refused items are counted by
reason, never written. Blocks on the source and the disk; one thread.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ingest.decode import Decode
from ingest.events import AlertEvent, DecodeError, Event, Reject, RejectReason
from ingest.record import SECOND, Nanos, Record
from ingest.recording_writer import RecordingWriter
from ingest.redaction import RedactionError, Redactor
from ingest.sources.port import Rebalanced, Source

DRAIN: Nanos = 10 * SECOND
"""How long reading goes on after the stop for what the source already had."""


@dataclass(slots=True, kw_only=True)
class RecorderCounts:
    """How far a recording is."""

    records: int = 0
    events: int = 0
    partitions: int = 0
    skipped: int = 0
    """Events that a recording has no place for (alerts)."""
    rejected: dict[RejectReason, int] = field(default_factory=dict)


class Recorder:
    """Writes what a source brings. The writer is the caller's to close."""

    def __init__(
        self,
        *,
        source: Source,
        decode: Decode,
        redactor: Redactor,
        writer: RecordingWriter,
        clock: Callable[[], Nanos],
    ) -> None:
        self._source, self._decode, self._redactor = source, decode, redactor
        self._writer, self._clock = writer, clock
        self.counts = RecorderCounts()

    def run(
        self, stopped: Callable[[], bool], on_progress: Callable[[RecorderCounts], None] = lambda _: None
    ) -> RecorderCounts:
        """Record until `stopped` or the source is exhausted. Raises SourceError and OSError."""
        self._source.start({})
        try:
            while not stopped() and not self._source.exhausted:
                self._step(0.2)
                on_progress(self.counts)
            self._drain()
        finally:
            self._source.close()
        on_progress(self.counts)
        return self.counts

    def _drain(self) -> None:
        left = dict(self._source.lag())
        deadline = self._clock() + DRAIN
        taken_before = self.counts.records
        while self.counts.records - taken_before < sum(left.values()) and self._clock() < deadline:
            self._step(0.2)

    def _step(self, timeout_s: float) -> None:
        for item in self._source.poll(timeout_s):
            if isinstance(item, Rebalanced):
                self.counts.partitions = len(self._source.assignment())
            else:
                self._write(item)

    def _write(self, record: Record) -> None:
        self.counts.records += 1
        try:
            decoded = self._decode.decode(record, self._clock())
        except DecodeError as error:
            self._refuse(error.reject)
            return
        for reject in decoded.rejects:
            self._refuse(reject)
        for event in decoded.events:
            self._event(event)

    def _event(self, event: Event) -> None:
        try:
            redacted = self._redactor.redact(event)
        except RedactionError as error:
            self._refuse(Reject(reason=RejectReason.REDACTION_FAILED, detail=str(error)))
            return
        if isinstance(redacted, AlertEvent):
            self.counts.skipped += 1
            return
        self._writer.write(redacted)
        self.counts.events += 1

    def _refuse(self, reject: Reject) -> None:
        self.counts.rejected[reject.reason] = self.counts.rejected.get(reject.reason, 0) + 1
