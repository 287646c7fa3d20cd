"""Flat JSON: the field names and value forms that people write, and what each object is taken for."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from ingest.decode import Decode
from ingest.decoders.severity import from_name, from_number
from ingest.decoders.times import parse_time
from ingest.events import (
    ChangeEvent,
    DecodeError,
    Event,
    LogEvent,
    MetricKind,
    MetricPoint,
    RejectReason,
    Resource,
    SpanEvent,
    SpanKind,
    TopicDefaults,
)
from ingest.record import SECOND, Nanos, Origin, Record

NOW: Nanos = 1_790_000_000 * SECOND
AT: Nanos = 1_767_323_045 * SECOND
STAMP = "2026-01-02T03:04:05Z"


def decode_one(fields: dict[str, Any], service: str = "unknown", time_field: str | None = None) -> Event:
    """Decode one object in format `json`."""
    topics = {"t": TopicDefaults(format="json", service=service, time_field=time_field)}
    (event,) = Decode(topics).decode(record_of(fields), NOW).events
    return event


def record_of(fields: dict[str, Any]) -> Record:
    """Return one object as a record."""
    return Record(origin=Origin(topic="t", partition=0, offset=0), value=orjson.dumps(fields), received=NOW)


def decode_log(fields: dict[str, Any], service: str = "unknown", time_field: str | None = None) -> LogEvent:
    """Decode one object that must be a log."""
    event = decode_one(fields, service, time_field)
    assert isinstance(event, LogEvent)
    return event


@pytest.mark.parametrize(
    ("written", "time"),
    [
        ("2026-01-02T03:04:05Z", AT),
        ("2026-01-02T03:04:05.1Z", AT + SECOND // 10),
        ("2026-01-02T03:04:05.123456789Z", AT + 123_456_789),
        ("2026-01-02T03:04:05.123456789999Z", AT + 123_456_789),
        ("2026-01-02T04:04:05+01:00", AT),
        ("2026-01-01T21:34:05-0530", AT),
        ("2026-01-02 03:04:05,250", AT + SECOND // 4),
        ("2026/01/02 03:04:05", AT),
        ("02/Jan/2026:04:04:05 +0100", AT),
        ("Fri, 02 Jan 2026 03:04:05 +0000", AT),
        (1_767_323_045, AT),
        (1_767_323_045.25, AT + SECOND // 4),
        (1_767_323_045_250, AT + SECOND // 4),
        (1_767_323_045_250_000, AT + SECOND // 4),
        (1_767_323_045_250_000_001, AT + SECOND // 4 + 1),
        ("1767323045", AT),
        ("1767323045.250000001", AT + SECOND // 4 + 1),
        ("1767323045250", AT + SECOND // 4),
        ("yesterday", None),
        ("2026-13-02T03:04:05Z", None),
        (True, None),
        (float("inf"), None),
        ([], None),
    ],
)
def test_times_are_understood_in_the_forms_people_write(written: object, time: Nanos | None) -> None:
    """RFC 3339 and its relatives to the nanosecond, epochs by their magnitude."""
    assert parse_time(written) == time


@pytest.mark.parametrize("name", ["time", "timestamp", "@timestamp", "ts", "datetime", "eventTime"])
def test_time_has_many_names(name: str) -> None:
    """Every usual name of the time is read and is no attribute afterwards."""
    event = decode_log({name: STAMP, "message": "x"})
    assert (event.time, event.attributes) == (AT, ())


def test_a_topic_may_name_its_time_field() -> None:
    """The configured field wins over the usual ones."""
    fields = {"when": STAMP, "time": "2026-05-05T00:00:00Z", "message": "x"}
    assert decode_log(fields, time_field="when").time == AT


def test_a_log_without_a_time_takes_the_brokers() -> None:
    """Missing is not the same as wrong."""
    assert decode_log({"message": "x"}).time == NOW


@pytest.mark.parametrize("form", ["json", "ecs", "vector", "auto"])
def test_a_line_is_not_lost_for_a_time_that_nobody_can_read(form: str) -> None:
    """It gets the broker's time, keeps what it said, and is counted; a second time of its own comes first."""
    decode = Decode({"t": TopicDefaults(format=form)})
    for line in ({"message": "x", "timestamp": "noon"}, {"message": "x", "timestamp": [1]}):
        found = decode.decode(record_of(line), NOW)
        assert [event.time for event in found.events] == [NOW]
        assert found.cuts == (("time_unread", 1),)
        assert isinstance(found.events[0], LogEvent)
        assert "timestamp" in dict(found.events[0].attributes)
    second = {"message": "x", "timestamp": "noon", "@timestamp": "2026-09-21T14:13:19Z"}
    assert decode.decode(record_of(second), NOW).events[0].time < NOW


def test_a_sample_of_no_known_time_is_refused() -> None:
    """A line at the broker's time is better than none; a measurement there would be wrong."""
    with pytest.raises(DecodeError, match="form is not known") as caught:
        decode_one({"name": "cpu", "value": 1, "time": "noon"})
    assert caught.value.reject.reason is RejectReason.TIME_INVALID


@pytest.mark.parametrize("value", [b"[" + b",".join([b"{}"] * 50_001) + b"]", b"{}\n" * 50_001])
def test_a_record_of_countless_objects_is_refused_at_once(value: bytes) -> None:
    """No telemetry is that short, and refusing each by itself would take seconds."""
    with pytest.raises(DecodeError, match="the limit is 50000; send smaller batches") as caught:
        Decode({"t": TopicDefaults(format="json")}).decode(
            Record(origin=Origin(topic="t", partition=0, offset=0), value=value, received=NOW), NOW
        )
    assert caught.value.reject.reason is RejectReason.TOO_LARGE


@pytest.mark.parametrize("name", ["body", "message", "msg", "log", "text", "event.original"])
def test_the_text_has_many_names(name: str) -> None:
    """Every usual name of the text is read."""
    assert decode_log({name: "hello\n"}).body == "hello"


def test_a_nested_original_and_a_structured_body_are_kept() -> None:
    """Nested names count as dotted ones; a body that is an object becomes JSON."""
    assert decode_log({"event": {"original": "raw"}}).body == "raw"
    assert decode_log({"body": {"a": 1}}).body == '{"a":1}'
    assert decode_log({"message": ""}).body == ""


@pytest.mark.parametrize(
    ("fields", "severity"),
    [
        ({"severity_text": "INFO"}, 9),
        ({"severity": "WARNING"}, 13),
        ({"level": "error"}, 17),
        ({"log": {"level": "critical"}, "message": "x"}, 21),
        ({"levelname": "DEBUG"}, 5),
        ({"level": 50}, 17),
        ({"level": 60}, 21),
        ({"level": 3}, 17),
        ({"level": "30"}, 9),
        ({"severity_number": 18, "level": "info"}, 18),
        ({"level": "SEVERITY_NUMBER_ERROR2"}, 18),
        ({"level": "purple"}, 0),
        ({}, 0),
    ],
)
def test_levels_become_severity_numbers(fields: dict[str, Any], severity: int) -> None:
    """Names and numbers of the usual loggers map to OpenTelemetry's scale."""
    assert decode_log({"msg": "x", **fields}).severity_number == severity


def test_numbers_and_names_that_are_no_level_give_zero() -> None:
    """Unknown stays unknown instead of becoming an alarm."""
    assert [from_number(number) for number in (8, 15, -1, 2.5)][:3] == [0, 0, 0]
    assert [from_name(name) for name in ("", "warned", "e2")] == [0, 0, 0]


def test_a_log_without_a_level_shows_it_in_its_text() -> None:
    """The text's own level is the last resort."""
    assert decode_log({"message": "2026 ERROR boom"}).severity_number == 17


@pytest.mark.parametrize(
    ("fields", "service"),
    [
        ({"service.name": "a", "app": "b"}, "a"),
        ({"service": {"name": "a"}}, "a"),
        ({"service": "a"}, "a"),
        ({"service_name": "a"}, "a"),
        ({"application": "a"}, "a"),
        ({"kubernetes": {"labels": {"app": "a"}, "container_name": "b"}}, "a"),
        ({"k8s.deployment.name": "a", "container.name": "b"}, "a"),
        ({"kubernetes": {"container_name": "a"}}, "a"),
        ({"container": {"name": "a"}}, "a"),
        ({"resource": {"service.name": "a"}}, "a"),
        ({"resource": {"attributes": {"service": {"name": "a"}}}}, "a"),
        ({"labels": {"service": "a"}}, "a"),
        ({"service.name": "unknown_service:java", "k8s.deployment.name": "a"}, "a"),
        ({}, "topic"),
    ],
)
def test_the_service_has_many_names(fields: dict[str, Any], service: str) -> None:
    """OpenTelemetry's name first, then workload, then container, then the topic's setting."""
    assert decode_log({"message": "x", **fields}, service="topic").resource.service == service


def test_instance_node_and_environment_are_read() -> None:
    """As Fluent Bit, Filebeat and applications on plain hosts write them."""
    fluent = {"log": "x", "kubernetes": {"pod_name": "p", "host": "n", "container_name": "c"}, "env": "prod"}
    assert decode_log(fluent).resource == Resource(environment="prod", service="c", instance="p", node="n")
    beat = {
        "message": "x",
        "kubernetes": {"pod": {"name": "p"}, "node": {"name": "n"}},
        "service": {"environment": "e"},
    }
    assert decode_log(beat).resource == Resource(environment="e", service="unknown", instance="p", node="n")
    prometheus = {"message": "x", "deployment_environment_name": "p"}
    assert decode_log(prometheus).resource.environment == "p"
    host = {"message": "x", "host": {"name": "h"}}
    assert decode_log(host).resource == Resource(
        environment="default", service="unknown", instance="h", node="h"
    )
    inside = {"message": "x", "pod": "p", "hostname": "p"}
    assert decode_log(inside).resource.node is None


def test_traces_sessions_and_threads_order_lines() -> None:
    """The sequence key is the trace, else the session, else the thread of the instance."""
    ids = {"traceId": "ABC", "spanId": "0D", "session.id": "s", "thread": "main"}
    event = decode_log({"msg": "x", **ids})
    assert (event.trace_id, event.span_id, event.sequence_key) == ("abc", "0d", "abc")
    assert decode_log({"msg": "x", "session.id": "s", "thread": "main"}).sequence_key == "s"
    assert decode_log({"msg": "x", "pod": "p", "thread": "main"}).sequence_key == "p/main"
    assert decode_log({"msg": "x", "trace_id": "0000"}).trace_id is None


def test_what_no_field_takes_becomes_an_attribute() -> None:
    """Numbers, booleans and lists are kept as text; containers lose their name; null is nothing."""
    fields = {
        "msg": "x",
        "n": 1,
        "ok": True,
        "l": [1, "a"],
        "none": None,
        "a": {"b": 2.5},
        "labels": {"c": "d"},
    }
    assert decode_log(fields).attributes == (
        ("a.b", "2.5"),
        ("c", "d"),
        ("l", '[1,"a"]'),
        ("n", "1"),
        ("ok", "true"),
    )


def test_an_attribute_container_says_nothing_about_the_line_itself() -> None:
    """A label called `level` or `time` is a label."""
    event = decode_log({"msg": "x", "attributes": {"level": "fatal", "time": "1970-01-01T00:00:00Z"}})
    assert (event.severity_number, event.time) == (0, NOW)
    assert event.attributes == (("level", "fatal"), ("time", "1970-01-01T00:00:00Z"))


def test_an_exception_is_told_below_the_text_once() -> None:
    """Type and message are part of what a reader must see."""
    attributes = {"exception.type": "IOError", "exception.message": "disk"}
    assert decode_log({"msg": "failed", "attributes": attributes}).body == "failed\nIOError: disk"
    assert decode_log({"msg": "IOError: disk", "attributes": attributes}).body == "IOError: disk"


def test_a_metric_is_a_named_number() -> None:
    """Name, unit, kind and labels; numbers beside the value are no labels."""
    event = decode_one(
        {"time": STAMP, "metric": "rps", "value": "1.5", "unit": "1/s", "type": "counter", "host": "h",
         "tags": {"zone": "a", "shard": 3}, "path": "/x", "count": 9}
    )  # fmt: skip
    assert isinstance(event, MetricPoint)
    assert (event.name, event.value, event.unit, event.kind, event.time) == (
        "rps",
        1.5,
        "1/s",
        MetricKind.CUMULATIVE,
        AT,
    )
    assert event.labels == (("path", "/x"), ("shard", "3"), ("zone", "a"))
    assert event.resource.instance == "h"


def test_a_log_with_a_name_and_a_value_stays_a_log() -> None:
    """A text makes it a log line."""
    assert decode_log({"message": "x", "name": "logger", "value": 3}).body == "x"


def test_a_span_needs_ids_name_and_times() -> None:
    """Start with end or duration, in any usual form."""
    base = {"trace_id": "AB", "span_id": "CD", "parent_span_id": None, "name": "GET /", "service.name": "web"}
    event = decode_one(
        {**base, "start": STAMP, "end": "2026-01-02T03:04:06Z", "kind": "SPAN_KIND_CLIENT",
         "status": {"code": "ERROR"},
         "attributes": {"db.system": "redis", "server.address": "cache.shop.svc.cluster.local", "odd": 1}}
    )  # fmt: skip
    assert isinstance(event, SpanEvent)
    assert (event.trace_id, event.span_id, event.parent_span_id) == ("ab", "cd", None)
    assert (event.start, event.end, event.kind, event.error) == (AT, AT + SECOND, SpanKind.CLIENT, True)
    assert event.peer == "redis:cache"
    assert event.attributes == (("db.system", "redis"), ("server.address", "cache.shop.svc.cluster.local"))
    timed = decode_one({**base, "start": STAMP, "duration_ms": 1.5, "error": False})
    assert isinstance(timed, SpanEvent)
    assert (timed.end - timed.start, timed.error) == (1_500_000, False)


def test_a_span_that_ends_before_it_starts_is_kept_and_counted() -> None:
    """A clock set back costs the duration, not the span."""
    fields = {"trace_id": "ab", "span_id": "cd", "name": "x", "start": STAMP, "end": "2026-01-02T03:04:04Z"}
    record = Record(origin=Origin(topic="t", partition=0, offset=0), value=orjson.dumps(fields))
    decoded = Decode({}).decode(record, NOW)
    (event,) = decoded.events
    assert isinstance(event, SpanEvent)
    assert (event.start, event.end, decoded.cuts) == (AT, AT, (("negative_duration", 1),))


@pytest.mark.parametrize("fields", [{"change": "deploy"}, {"type": "deploy"}, {"kind": "flag"}])
def test_a_change_is_a_title_with_a_kind(fields: dict[str, str]) -> None:
    """What somebody did, to which service."""
    event = decode_one({"time": STAMP, "title": "cart v2", "service.name": "cart", "author": "ann", **fields})
    assert isinstance(event, ChangeEvent)
    assert (event.kind, event.title, event.time) == (next(iter(fields.values())), "cart v2", AT)
    assert (event.resource.service, event.attributes) == ("cart", (("author", "ann"),))


@pytest.mark.parametrize("fields", [{}, {"foo": 1}, {"value": 1}, {"name": "x"}])
def test_an_object_that_is_nothing_is_malformed(fields: dict[str, Any]) -> None:
    """No text, no value, no span: refused with what is missing."""
    with pytest.raises(DecodeError, match="no field holds") as caught:
        decode_one(fields)
    assert caught.value.reject.reason is RejectReason.MALFORMED


def test_a_levelled_object_without_a_text_is_its_own_text() -> None:
    """A structured line of an odd logger is still evidence."""
    assert decode_log({"level": "error", "code": 5}).body == '{"level":"error","code":5}'


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        ({"error": "dial tcp: connection refused"}, "failed\ndial tcp: connection refused"),
        ({"err": "EOF", "stacktrace": "main.x\n\t/a.go:3"}, "failed\nmain.x\n\t/a.go:3\nEOF"),
        ({"error": "short", "error.message": "in full", "error.type": "E"}, "failed\nE: in full"),
        ({"@x": "System.Exception: bad\n   at A.B()"}, "failed\nSystem.Exception: bad\n   at A.B()"),
        ({"error": "true"}, "failed"),
        ({"error": 17}, "failed"),
        ({"err": "<nil>"}, "failed"),
        ({"error": "fail"}, "failed"),
    ],
)
def test_a_line_says_what_went_wrong(fields: dict[str, Any], body: str) -> None:
    """zap, logrus, zerolog and Serilog keep the error apart from the message."""
    assert decode_log({"level": "error", "msg": "failed", **fields}).body == body
