"""Recognition of formats, limits, and every kind of poison: what the decoder takes and what it refuses."""

from __future__ import annotations

import pytest

from ingest.decode import Decode
from ingest.decoders.batch import MAX_LABELS, MAX_RECORD
from ingest.decoders.text import local_clock
from ingest.events import Decoded, DecodeError, LogEvent, MetricPoint, RejectReason, Resource, TopicDefaults
from ingest.otlp_encode import encode_logs, encode_metrics
from ingest.record import SECOND, Nanos, Origin, Record

NOW: Nanos = 1_790_000_000 * SECOND
ORIGIN = Origin(topic="t", partition=3, offset=7)
RESOURCE = Resource(environment="prod", service="cart", instance="cart-1", node="n1")


def decode(value: bytes, form: str = "auto") -> Decoded:
    """Decode one record of a topic with this format, received at NOW."""
    topics = {"t": TopicDefaults(format=form)}
    return Decode(topics).decode(Record(origin=ORIGIN, value=value, received=NOW), NOW)


def refused(value: bytes, form: str = "auto") -> RejectReason:
    """Return why nothing of the record was taken."""
    with pytest.raises(DecodeError) as caught:
        decode(value, form)
    return caught.value.reject.reason


def only_log(value: bytes, form: str = "auto") -> LogEvent:
    """Return the single log event of a record."""
    (event,) = decode(value, form).events
    assert isinstance(event, LogEvent)
    return event


def log(body: str = "hello", time: Nanos = NOW) -> LogEvent:
    """Make a log event that OTLP can carry."""
    return LogEvent(origin=ORIGIN, resource=RESOURCE, time=time, body=body, severity_number=9)


def point(value: float, time: Nanos = NOW) -> MetricPoint:
    """Make a metric point that OTLP can carry."""
    return MetricPoint(origin=ORIGIN, resource=RESOURCE, time=time, name="m", value=value)


@pytest.mark.parametrize("form", ["auto", "otlp", "otlp_logs"])
def test_truncated_protobuf_is_malformed_wherever_it_was_cut(form: str) -> None:
    """A request that lost its end is refused as malformed, and never taken for text."""
    for whole in (
        encode_logs([log("a readable body that is mostly text " * 5)] * 3),
        encode_logs([log("hi")]),
    ):
        reasons = {refused(whole[:size], form) for size in range(1, len(whole))}
        assert reasons == {RejectReason.MALFORMED}


def test_invalid_utf8_in_json_and_protobuf_is_malformed() -> None:
    """Formats that promise UTF-8 are refused when they break it."""
    assert refused(b'{"message":"caf\xe9"}') is RejectReason.MALFORMED
    broken = encode_logs([log("caf?")]).replace(b"caf?", b"caf\xe9")
    assert refused(broken, "otlp_logs") is RejectReason.MALFORMED


def test_invalid_utf8_in_plain_text_is_replaced() -> None:
    """The rest of a text line is evidence still."""
    assert only_log(b"2026-09-21T14:13:20Z ERROR in caf\xe9 number 5 of many").body.endswith(
        "caf\ufffd number 5 of many"
    )


def test_a_ten_megabyte_line_is_too_large_before_it_is_parsed() -> None:
    """Size is checked first, in every format."""
    line = b'{"message":"' + b"x" * 10_000_000 + b'"}'
    for form in Decode({}).formats:
        assert refused(line, form) is RejectReason.TOO_LARGE
    assert refused(b"x" * (MAX_RECORD + 1)) is RejectReason.TOO_LARGE


@pytest.mark.parametrize("form", ["auto", "json", "otlp_json", "docker"])
@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":'])
def test_deep_json_is_too_deep(form: str, opening: bytes) -> None:
    """Endless levels end as a refusal, not as a crash."""
    assert refused(opening * 200_000, form) is RejectReason.TOO_DEEP


def test_a_deep_value_inside_a_log_is_too_deep() -> None:
    """Depth that JSON's parser allows but no later stage could write is refused too."""
    deep = b'{"a":' * 500 + b"1" + b"}" * 500
    assert refused(b'{"message":' + deep + b"}") is RejectReason.TOO_DEEP
    assert refused(b'{"message":"x","extra":' + deep + b"}") is RejectReason.TOO_DEEP
    assert refused(b'{"name":"m","value":NaN,"x":' + b"[" * 100_000) is RejectReason.TOO_DEEP


def test_a_deep_protobuf_body_is_too_deep() -> None:
    """Protobuf's own limit shows as a refusal with its reason."""
    value = b"\x0a\x01x"
    for _ in range(80):
        value = b"\x2a" + _length(b"\x0a" + _length(value))
    record = b"\x2a" + _length(value)
    request = b"\x0a" + _length(b"\x12" + _length(b"\x12" + _length(record)))
    assert refused(request, "otlp_logs") is RejectReason.TOO_DEEP
    assert refused(request, "otlp") is RejectReason.TOO_DEEP


def _length(value: bytes) -> bytes:
    size, prefix = len(value), b""
    while size > 127:
        prefix, size = prefix + bytes([size & 127 | 128]), size >> 7
    return prefix + bytes([size]) + value


@pytest.mark.parametrize("literal", [b"NaN", b"Infinity", b"-Infinity", b'"NaN"', b'"inf"', b"1e999"])
def test_values_that_are_not_finite_refuse_their_own_line_only(literal: bytes) -> None:
    """A NaN or infinite metric value goes, its neighbours stay."""
    lines = b'{"name":"m","value":%s}\n{"name":"m","value":2}' % literal
    decoded = decode(lines)
    assert [event.value for event in decoded.events if isinstance(event, MetricPoint)] == [2.0]
    assert [reject.reason for reject in decoded.rejects] == [RejectReason.NOT_FINITE]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_otlp_doubles_that_are_not_finite_refuse_their_own_point_only(value: float) -> None:
    """The same holds for OTLP's doubles."""
    decoded = decode(encode_metrics([point(value), point(1.5)]))
    assert [event.value for event in decoded.events if isinstance(event, MetricPoint)] == [1.5]
    assert [reject.reason for reject in decoded.rejects] == [RejectReason.NOT_FINITE]
    assert refused(encode_metrics([point(value)])) is RejectReason.NOT_FINITE


@pytest.mark.parametrize(
    "time", ["1970-01-01T00:00:00Z", "1999-12-31T23:59:59.999999999Z", "2100-01-01T00:00:00Z"]
)
@pytest.mark.parametrize("line", ['{"message":"x","time":"%s"}', '{"name":"m","value":1,"time":"%s"}'])
def test_times_of_1970_and_2100_are_invalid(time: str, line: str) -> None:
    """Time is believed from 2000 to an hour ahead of now."""
    assert refused((line % time).encode()) is RejectReason.TIME_INVALID


def test_otlp_times_of_1970_and_2100_refuse_their_own_record_only() -> None:
    """A sender's bad clock costs its own records, and the bounds themselves are good."""
    times = [SECOND, 4_102_444_800 * SECOND, NOW + 3600 * SECOND, NOW + 3601 * SECOND, 946_684_800 * SECOND]
    decoded = decode(encode_logs([log(time=time) for time in times]))
    assert [event.time for event in decoded.events if isinstance(event, LogEvent)] == [times[2], times[4]]
    assert [reject.reason for reject in decoded.rejects] == [RejectReason.TIME_INVALID] * 3


def test_an_unknown_topic_format_says_which_ones_there_are() -> None:
    """A mistake in the settings is refused by name, with what to write instead."""
    with pytest.raises(DecodeError, match=r"avro.*otlp_logs") as caught:
        decode(b"hello", "avro")
    assert caught.value.reject.reason is RejectReason.UNKNOWN_FORMAT


@pytest.mark.parametrize(
    "value", [b"\x00\x01\x02\x03", bytes(range(128, 256)), b"\x1f\x8b\x08\x00gzip", b"Obj\x01avro"]
)
def test_bytes_that_look_like_nothing_are_of_unknown_format(value: bytes) -> None:
    """Automatic recognition gives up instead of inventing a text."""
    assert refused(value) is RejectReason.UNKNOWN_FORMAT


def test_a_half_good_batch_gives_its_good_half() -> None:
    """Each bad line is told apart from the good ones, with its reason."""
    decoded = decode(
        b'{"message":"one"}\n{"message":\n7\n{"message":"two","time":"1970-01-01T00:00:00Z"}\n{"msg":"three"}'
    )
    assert [event.body for event in decoded.events if isinstance(event, LogEvent)] == ["one", "three"]
    assert [reject.reason for reject in decoded.rejects] == [
        RejectReason.MALFORMED,
        RejectReason.MALFORMED,
        RejectReason.TIME_INVALID,
    ]


def test_a_batch_without_a_good_item_is_refused_with_its_first_reason() -> None:
    """Nothing taken means an error, which says how many items there were."""
    with pytest.raises(DecodeError, match="first of 2 items") as caught:
        decode(b'[{"name":"m","value":"NaN"},{"message":"x","time":1}]', "json")
    assert caught.value.reject.reason is RejectReason.NOT_FINITE


@pytest.mark.parametrize("value", [b"", b"\n", b"   "])
@pytest.mark.parametrize("form", ["auto", "json", "text"])
def test_empty_records_are_malformed(value: bytes, form: str) -> None:
    """A record that holds nothing is refused, not taken as an empty line."""
    assert refused(value, form) is RejectReason.MALFORMED


def test_no_reject_repeats_the_telemetry() -> None:
    """Details end up in headers and logs, so they must not carry the text."""
    for value in (
        b'{"message":"hunter2", x}',
        b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"hunter2"}]}]}]}',
    ):
        with pytest.raises(DecodeError) as caught:
            decode(value)
        assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "body"),
    [
        (b"[2026-01-02 03:04:05] WARN slow", "[2026-01-02 03:04:05] WARN slow"),
        (b"{not json} at all", "{not json} at all"),
        (b"\nTraceback (most recent call last):\n  boom", "Traceback (most recent call last):\n  boom"),
        (b'\xef\xbb\xbf{"message":"with a mark"}', "with a mark"),
        (b'{"log":"from docker\\n","stream":"stdout","time":"2026-01-02T03:04:05Z"}', "from docker"),
        (b'{"log":"from fluent bit\\n","kubernetes":{"pod_name":"p"}}', "from fluent bit"),
    ],
)
def test_auto_tells_text_and_json_apart(value: bytes, body: str) -> None:
    """What looks like JSON at first sight only is a text line."""
    assert only_log(value).body == body


def test_long_fields_and_many_labels_are_cut_and_counted() -> None:
    """Limits shorten, say how often, and never split a character."""
    labels = ",".join(f'"l{i:02}":"{"é" * 200}"' for i in range(40))
    decoded = decode(f'{{"message":"{"é" * 70_000}","time":"2026-01-02T03:04:05Z",{labels}}}'.encode())
    (event,) = decoded.events
    assert isinstance(event, LogEvent)
    assert len(event.body.encode()) == 64 * 1024
    assert len(event.attributes) == MAX_LABELS
    assert {len(value.encode()) for _, value in event.attributes} == {256}
    assert dict(decoded.cuts) == {"field": 1, "label": 40, "labels": 8}


def test_topics_are_matched_exactly_before_by_pattern() -> None:
    """An exact name wins, then the first pattern, then the defaults."""
    topics = {
        "^logs\\..*": TopicDefaults(format="text", service="pattern"),
        "logs.cart": TopicDefaults(format="text", service="exact", extra=(("k8s.node.name", "n9"),)),
    }
    decoder = Decode(topics)
    assert [decoder.defaults(name).service for name in ("logs.cart", "logs.x", "other")] == [
        "exact",
        "pattern",
        "unknown",
    ]
    record = Record(origin=Origin(topic="logs.cart", partition=0, offset=0), value=b"hi", received=NOW)
    (event,) = decoder.decode(record, NOW).events
    assert event.resource == Resource(environment="default", service="exact", node="n9")


def test_a_text_line_takes_its_own_time_unless_it_shows_a_local_clock() -> None:
    """A zone makes a time certain; without one, a time zone's difference is the broker's."""
    assert only_log(b"2026-09-21T14:13:19.5Z INFO x").time == NOW - SECOND // 2
    assert only_log(b"2026-09-21 14:13:10,250 INFO x").time == NOW - 9_750_000_000
    assert only_log(b"2026-09-21 22:13:19 INFO local, eight hours ahead").time == NOW
    assert only_log(b"2026-01-02 03:04:05 INFO an old file").time == 1_767_323_045 * SECOND
    assert only_log(b"1970-01-01T00:00:00Z x").time == NOW


def test_a_container_runtime_prefix_is_taken_off() -> None:
    """The CRI's own stamp is not part of the line."""
    event = only_log(b"2026-09-21T14:13:19.123456789Z stderr F panic: boom")
    assert (event.body, event.time, event.severity_number) == ("panic: boom", NOW - SECOND + 123_456_789, 21)


@pytest.mark.parametrize(
    ("line", "severity"),
    [
        (b"2026-09-21 14:13:20,1 ERROR [main] boom", 17),
        (b"E0921 14:13:20.000000 1 main.go:5] boom", 17),
        (b"W0921 14:13:20.000000 1 main.go:5] boom", 13),
        (b'time=x level=error msg="boom"', 17),
        (b"[Mon] [error] [client 1.2.3.4] boom", 17),
        (b"ts=1 caller=x lvl=warn boom", 13),
        (b"FATAL:  remaining connection slots", 21),
        (b"error: cannot open", 17),
        (b"Traceback (most recent call last):", 17),
        (b"all is well, no error here", 0),
        (b"INFO retried after ERROR", 9),
    ],
)
def test_a_text_line_shows_its_level(line: bytes, severity: int) -> None:
    """Prefixes that people's loggers write are recognised; an error in passing is not."""
    assert only_log(line, "text").severity_number == severity


def test_docker_wraps_text_or_json() -> None:
    """The wrapper gives the time, a JSON line inside keeps what it says itself."""
    line = rb"{\"msg\":\"hi\",\"level\":\"warn\",\"service\":\"cart\"}\n"
    inner = b'{"log":"' + line + b'","stream":"stdout","time":"%s"}'
    event = only_log(inner % b"2026-01-02T03:04:05.000000006Z", "docker")
    assert (event.body, event.severity_number, event.resource.service) == ("hi", 13, "cart")
    assert event.time == 1_767_323_045 * SECOND + 6
    plain = only_log(b'{"log":"{} odd\\n","stream":"stdout","time":"2026-01-02T03:04:05Z"}', "docker")
    assert plain.body == "{} odd"
    assert refused(b'{"stream":"stdout"}', "docker") is RejectReason.MALFORMED
    assert refused(inner % b"1970-01-01T00:00:00Z", "docker") is RejectReason.TIME_INVALID


@pytest.mark.parametrize(
    ("local", "minutes"),
    [(True, (60, 330, 345, 840, -60, -570, -300.9)), (False, (15, -15, -30, -45, -345, -735, -58.9))],
)
def test_a_local_clock_is_told_by_offsets_that_clocks_have(local: bool, minutes: tuple[float, ...]) -> None:
    """A line that a queue held back for half an hour keeps its time: no clock stands so."""
    assert {local_clock(NOW + int(one * 60) * SECOND, NOW) for one in minutes} == {local}
