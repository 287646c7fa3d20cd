"""Recordings: order, how a baseline that lies elsewhere is laid, errors, and the round trip of the writer."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from ingest.decode import Decode
from ingest.events import AlertEvent, MetricKind, Resource, SpanKind
from ingest.record import SECOND, Nanos, Origin
from ingest.recording_writer import RecordingWriter
from ingest.recordings import Interval, Recording, RecordingError
from ingest.templates import Templates
from ingest.times import format_time
from ingest.windows import Windows
from tests.support.telemetry import Windowed, at, change, log, point, span

SHORT = ("logs", "metrics", "spans", "changes")


def _window(start: float, end: float, signals: Sequence[str] = SHORT) -> dict[str, Any]:
    return {"signals": list(signals), "start": format_time(at(start)), "end": format_time(at(end))}


def _write(folder: Path, case: dict[str, Any], **signals: list[dict[str, Any]]) -> Recording:
    folder.mkdir(exist_ok=True)
    (folder / "case.json").write_text(json.dumps(case))
    for signal, items in signals.items():
        (folder / f"{signal}.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    return Recording(folder)


def _case(incident: tuple[float, float] | None, windows: list[dict[str, Any]]) -> dict[str, Any]:
    known = {"start": format_time(at(incident[0])), "end": format_time(at(incident[1]))} if incident else None
    return {"id": "x", "incident": known, "baseline_windows": windows}


def _line(seconds: float, body: str = "") -> dict[str, Any]:
    return {"time": format_time(at(seconds)), "service.name": "cart", "body": body or str(seconds)}


def _seen(recording: Recording, *, shift: bool = True) -> list[tuple[float, str]]:
    """Return (seconds, body) and check that the time stands in the record as well."""
    found = []
    for time, record in recording.records(shift=shift):
        item = json.loads(record.value)
        assert item["time"] == format_time(time)
        assert record.received == time
        found.append(((time - at(0)) / SECOND, item["body"]))
    return found


def test_records_come_in_order_of_time_then_topic_then_line(tmp_path: Path) -> None:
    """Spans count at their end; lines of one time keep their order; offsets are line numbers."""
    spans = [{"start": format_time(at(0)), "end": format_time(at(5)), "name": "s"}]
    recording = _write(tmp_path, _case(None, []), logs=[_line(5), _line(1), _line(5)], spans=spans)
    assert [str(record.origin) for _, record in recording.records()] == [
        "recording.logs/0/2",
        "recording.logs/0/1",
        "recording.logs/0/3",
        "recording.spans/0/1",
    ]


def test_a_baseline_right_before_the_incident_stays(tmp_path: Path) -> None:
    """Nothing is rewritten where nothing has to move: the bytes are those of the file."""
    recording = _write(tmp_path, _case((10, 20), [_window(0, 10)]), logs=[_line(1), _line(12)])
    lines = (tmp_path / "logs.jsonl").read_bytes().splitlines()
    assert [record.value for _, record in recording.records()] == lines
    assert recording.shifted_baseline()["logs"] == Interval(start=at(0), end=at(10))
    assert recording.intervals().incident == Interval(start=at(10), end=at(20))


def test_baseline_intervals_are_laid_end_to_end_before_the_incident(tmp_path: Path) -> None:
    """The one before the incident stays next to it, the one after the incident goes before that."""
    recording = _write(
        tmp_path,
        _case((100, 110), [_window(500, 530), _window(80, 90), _window(85, 100)]),
        logs=[_line(80, "b"), _line(105, "incident"), _line(500, "a"), _line(529, "a end")],
    )
    assert _seen(recording) == [(50, "a"), (79, "a end"), (80, "b"), (105, "incident")]
    assert recording.shifted_baseline()["logs"] == Interval(start=at(50), end=at(100))
    assert [(i.start, i.end) for i in recording.intervals().baseline["logs"]] == [
        (at(80), at(100)),
        (at(500), at(530)),
    ]
    assert [seconds for seconds, _ in _seen(recording, shift=False)] == [80, 105, 500, 529]


def test_signals_are_laid_each_by_itself(tmp_path: Path) -> None:
    """A signal's baseline ends at the incident whatever the others' lengths."""
    recording = _write(
        tmp_path,
        _case((100, 110), [_window(0, 60, ["metrics"]), _window(200, 210, ["logs"])]),
        logs=[_line(200)],
        metrics=[{**_line(0), "name": "cpu", "value": 1}],
    )
    assert recording.shifted_baseline() == {
        "logs": Interval(start=at(90), end=at(100)),
        "metrics": Interval(start=at(40), end=at(100)),
    }
    assert [time for time, _ in recording.records()] == [at(40), at(90)]


def test_a_baseline_around_the_incident_is_cut(tmp_path: Path) -> None:
    """What lies in the incident belongs to it, the rest is laid before it."""
    recording = _write(
        tmp_path, _case((100, 110), [_window(90, 130)]), logs=[_line(95), _line(105), _line(115)]
    )
    assert _seen(recording) == [(75, "115"), (95, "95"), (105, "105")]


def test_a_span_belongs_where_it_starts_and_moves_as_a_whole(tmp_path: Path) -> None:
    """Start and end move by the same amount, also when the end lies outside the interval."""
    item = {"start": format_time(at(209)), "end": format_time(at(212)), "name": "s", "trace_id": "t"}
    recording = _write(tmp_path, _case((100, 110), [_window(200, 210)]), spans=[item])
    ((time, record),) = recording.records()
    moved = json.loads(record.value)
    assert (moved["start"], moved["end"], time) == (format_time(at(99)), format_time(at(102)), at(102))


def test_a_case_without_windows_uses_its_baseline(tmp_path: Path) -> None:
    """`baseline` alone holds for all signals."""
    known = {"start": format_time(at(0)), "end": format_time(at(10))}
    case = {**_case((100, 110), []), "baseline": known}
    assert _seen(_write(tmp_path, case, logs=[_line(0, "a")])) == [(90, "a")]


def test_a_quiet_recording_is_not_shifted(tmp_path: Path) -> None:
    """Without an incident there is nothing to lay a baseline against."""
    recording = _write(tmp_path, _case(None, [_window(0, 10), _window(50, 60)]), logs=[_line(1), _line(51)])
    assert [seconds for seconds, _ in _seen(recording)] == [1, 51]
    assert recording.intervals().incident is None


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("logs.jsonl", b'{"time": "2024-01-01T00:00:00Z"}\n{broken\n', r"logs\.jsonl:2: not JSON"),
        ("logs.jsonl", b'\n{"body": "x"}\n', r"logs\.jsonl:2: needs an object with `time`"),
        ("logs.jsonl", b"[1]\n", r"logs\.jsonl:1: needs an object"),
        ("spans.jsonl", b'{"start": "2024-01-01T00:00:00Z"}\n', r"spans\.jsonl:1: .*`end`"),
        ("logs.jsonl.gz", gzip.compress(b"{}" * 900)[:30], r"logs\.jsonl\.gz: not readable"),
        ("logs.jsonl.gz", b"plain", r"logs\.jsonl\.gz: not readable"),
    ],
)
def test_broken_files_are_named_with_their_line(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    """An error says where and what is expected."""
    recording = _write(tmp_path, _case(None, []))
    (tmp_path / name).write_bytes(content)
    recording = Recording(tmp_path)
    with pytest.raises(RecordingError, match=message):
        list(recording.records())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"case\.json: missing; a recording is a folder"),
        ("{", r"case\.json: not JSON"),
        ("[]", r"case\.json: must be a JSON object"),
        ('{"incident": {"start": "soon", "end": "later"}}', r"`incident` needs `start` before `end`"),
        ('{"incident": 7}', r"`incident` needs `start` and `end`"),
        ('{"baseline_windows": [7]}', r"`baseline_windows` needs"),
        ('{"baseline_windows": [{"start": "2024-01-01T00:00:00Z"}]}', r"`baseline_windows` needs"),
    ],
)
def test_a_broken_case_says_what_it_needs(tmp_path: Path, content: str | None, message: str) -> None:
    """Opening fails at once, with the file's name."""
    if content is not None:
        (tmp_path / "case.json").write_text(content)
    with pytest.raises(RecordingError, match=message):
        Recording(tmp_path)


def _all_kinds() -> list[Windowed]:
    where = Resource(environment="prod", service="cart", instance="cart-1", node="n1")
    return [
        log(
            at(1),
            "user 7 paid",
            of=where,
            severity_number=9,
            trace_id="ab12",
            span_id="cd34",
            sequence_key="ab12",
        ),
        log(at(2), "two\nlines — ünïcode", severity_number=18, attributes=(("region", "eu"),)),
        point(
            at(3) + 7,
            0.1,
            of=where,
            unit="s",
            kind=MetricKind.CUMULATIVE,
            labels=(("le", "5"), ("path", "/")),
        ),
        point(at(4), -3.0),
        span("cd34", at(4), at(5), kind=SpanKind.CLIENT, error=True, peer="db", trace_id="ab12"),
        replace(span("ef56", at(5), at(6), parent="cd34", trace_id="ab12"), resource=where),
        change(at(7), "deploy 8"),
    ]


def _record(folder: Path, events: list[Windowed], incident: tuple[Nanos, Nanos] | None = None) -> Recording:
    with RecordingWriter(folder) as writer:
        for event in events:
            writer.write(event)
        writer.close(id="shop-1", system="shop", incident=incident, extra={"symptom": None})
    return Recording(folder)


def test_what_was_written_reads_back_the_same(tmp_path: Path) -> None:
    """Through the decoder every event is what it was, but for its origin."""
    recording = _record(tmp_path / "a", _all_kinds())
    nowhere = Origin(topic="", partition=0, offset=0)
    decode = Decode({})
    read = [
        replace(event, origin=nowhere)
        for time, record in recording.records()
        for event in decode.decode(record, time).events
    ]
    assert read == [replace(event, origin=nowhere) for event in _all_kinds()]


def test_equal_content_is_equal_bytes(tmp_path: Path) -> None:
    """No clock and no path get into the files."""
    for name in ("a", "b"):
        _record(tmp_path / name, _all_kinds())
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert files == [
        "case.json",
        "changes.jsonl.gz",
        "logs.jsonl.gz",
        "metrics.jsonl.gz",
        "spans.jsonl.gz",
    ]
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_case_says_what_was_recorded(tmp_path: Path) -> None:
    """Without given intervals the baseline is all outside the incident."""
    recording = _record(tmp_path / "a", _all_kinds(), (at(4), at(6)))
    assert recording.id == "shop-1"
    assert recording.case["counts"] == {"changes": 1, "logs": 2, "metrics": 2, "spans": 2}
    assert recording.intervals().baseline["logs"] == (
        Interval(start=at(1), end=at(4)),
        Interval(start=at(6), end=at(7) + 1),
    )


def test_an_unfinished_recording_is_not_readable_and_a_finished_one_not_overwritten(tmp_path: Path) -> None:
    """`case.json` comes last, so its absence tells; its presence protects."""
    with RecordingWriter(tmp_path / "a") as writer:
        writer.write(_all_kinds()[0])
    with pytest.raises(RecordingError, match="missing"):
        Recording(tmp_path / "a")
    _record(tmp_path / "b", _all_kinds())
    with pytest.raises(FileExistsError, match="choose another folder"):
        RecordingWriter(tmp_path / "b")


def test_a_replay_gives_the_same_windows_each_time(tmp_path: Path) -> None:
    """From bytes to closed windows twice: equal, and every line is in them."""
    recording = _record(tmp_path / "a", _all_kinds())

    def windows() -> Any:
        stream, decode = Windows(Templates()), Decode({})
        for time, record in recording.records():
            for event in decode.decode(record, time).events:
                assert not isinstance(event, AlertEvent)
                stream.add(event, partition=(record.origin.topic, 0), wall=time)
        return stream.flush()

    assert windows() == windows()
    assert sum(summary.lines for window in windows() for summary in window.summaries) == 2
