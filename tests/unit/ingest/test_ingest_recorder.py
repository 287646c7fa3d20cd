"""The recorder on records in memory: redacted, counted, readable as a recording, complete to its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest.decode import Decode
from ingest.events import RejectReason, TopicDefaults
from ingest.record import SECOND, Origin, Record
from ingest.recorder import Recorder, RecorderCounts
from ingest.recording_writer import RecordingWriter
from ingest.recordings import Recording
from ingest.redaction import Redactor
from ingest.sources.replay import ReplaySource

NOW = 1_790_000_000 * SECOND


def _lines(*bodies: str) -> bytes:
    return "\n".join(
        f'{{"time": {1_790_000_000 + i}, "service.name": "cart", "body": "{body}"}}'
        for i, body in enumerate(bodies)
    ).encode()


def _record(offset: int, value: bytes) -> Record:
    return Record(origin=Origin(topic="telemetry.logs", partition=0, offset=offset), value=value)


def _run(path: Path, records: list[Record], stop_after: int = 1000) -> RecorderCounts:
    polls = iter(range(10_000))
    with RecordingWriter(path) as writer:
        recorder = Recorder(
            source=ReplaySource(records, batch=2),
            decode=Decode({"^.*": TopicDefaults()}),
            redactor=Redactor(b"key"),
            writer=writer,
            clock=lambda: NOW,
        )
        counts = recorder.run(lambda: next(polls) >= stop_after)
        writer.close(id="case", system="shop")
    return counts


def test_recorded_events_can_be_read_back_redacted(tmp_path: Path) -> None:
    """Bodies arrive in the recording without the secrets they held."""
    counts = _run(tmp_path / "r", [_record(0, _lines("started", "login password=hunter2 ok"))])
    assert (counts.records, counts.events, counts.partitions) == (1, 2, 1)
    values = [record.value for _, record in Recording(tmp_path / "r").records()]
    assert len(values) == 2
    assert b"started" in values[0]
    assert b"password=" in values[1]
    assert b"hunter2" not in b"".join(values)


def test_refused_items_are_counted_by_reason_and_the_rest_goes_on(tmp_path: Path) -> None:
    """A record that cannot be decoded and a half-good batch leave the good events in."""
    half = _lines("good") + b'\n{"time": 5, "service.name": "cart", "body": "of 1970"}'
    records = [_record(0, b"\x00\x01\x02"), _record(1, half), _record(2, _lines("more"))]
    counts = _run(tmp_path / "r", records)
    assert counts.events == 2
    assert counts.rejected == {RejectReason.UNKNOWN_FORMAT: 1, RejectReason.TIME_INVALID: 1}


def test_a_stop_reads_on_to_where_the_source_stood(tmp_path: Path) -> None:
    """What had already arrived when the stop came is not cut off."""
    records = [_record(offset, _lines(f"line {offset}")) for offset in range(20)]
    counts = _run(tmp_path / "r", records, stop_after=2)
    assert counts.records == 20


def test_a_folder_that_holds_a_recording_is_refused(tmp_path: Path) -> None:
    """A finished recording is never written over."""
    _run(tmp_path / "r", [_record(0, _lines("one"))])
    with pytest.raises(FileExistsError, match="choose another folder"):
        RecordingWriter(tmp_path / "r")
