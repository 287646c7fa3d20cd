"""What `auto` takes records for, what it says of it, and that no record is read by its neighbours."""

from __future__ import annotations

import random
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.decode import Choice, Decode
from ingest.decoders.recognise import form_of
from ingest.events import Decoded, DecodeError, LogEvent, Reject, Resource, TopicDefaults
from ingest.otlp_encode import encode_logs
from ingest.record import Origin, Record
from tests.support.decoding import NOW

AT = "2026-09-21T14:13:19Z"
LOG = LogEvent(
    origin=Origin(topic="t", partition=0, offset=0),
    resource=Resource(environment="prod", service="cart"),
    time=NOW,
    body="hello",
)
CE = {"specversion": "1.0", "id": "1", "source": "/x", "type": "com.example.release", "subject": "cart"}
SAMPLES: dict[str, list[Any]] = {
    "otlp": [encode_logs([LOG])],
    "otlp_json": [
        {
            "resourceLogs": [
                {"scopeLogs": [{"logRecords": [{"timeUnixNano": str(NOW), "body": {"stringValue": "x"}}]}]}
            ]
        }
    ],
    "alertmanager": [
        {
            "version": "4",
            "groupKey": "{}",
            "alerts": [{"status": "firing", "labels": {"alertname": "a"}, "startsAt": AT}],
        }
    ],
    "cloudevents": [CE, [CE, CE]],
    "docker": [{"log": "x", "stream": "stdout", "time": AT}],
    "syslog_json": [
        {"timestamp": AT, "host": "h", "severity": "err", "facility": "user", "message": "x"},
        {"@timestamp": AT, "syslogtag": "a[1]:", "msg": "x"},
        {"MESSAGE": "x", "PROGRAM": "a", "HOST": "h"},
    ],
    "ecs": [
        {"@timestamp": AT, "message": "x", "ecs": {"version": "8"}},
        {"@timestamp": AT, "log.level": "info", "message": "x", "ecs.version": "1.2"},
        {"@timestamp": AT, "@version": "1", "message": "x"},
    ],
    "vector": [{"timestamp": AT, "message": "x", "source_type": "file", "file": "/x", "host": "h"}],
    "fluent_bit": [
        {"@timestamp": 1789999999.5, "log": "x"},
        {"date": 1789999999.5, "log": "x", "stream": "stdout"},
        {"log": "x", "kubernetes": {"pod_name": "p"}},
        {"MESSAGE": "x", "PRIORITY": "3", "_HOSTNAME": "h"},
    ],
    "json": [
        {"message": "x"},
        {"time": AT, "level": "info", "msg": "x", "service": "cart"},
        {"@timestamp": AT, "message": "x"},
        {"time": AT, "name": "rps", "value": 1},
        b'{"message":"x"}\n{"message":"y"}',
    ],
    "syslog": [
        "<34>1 - - - - - - x",
        "21 <34>1 - - - - - - x y",
        "<13>Sep 21 14:13:19 h a: x",
        "<13>bare",
        "Sep 21 14:13:19 h a[1]: x",
        "2026-09-21T14:13:19.000001+00:00 web-1 a[1]: x",
    ],
    "text": [
        "hello",
        "2026-09-21T14:13:19Z INFO main: started",
        "2026-09-21T14:13:19Z error: boom",
        "2026-09-21 14:13:19 web-1 a[1]: no T, no zone",
        "2026-09-21T14:13:19.5Z stderr F panic: boom",
        "Sep 21 14:13:19 ERROR main: x",
        "Sep 21 14:13:19 something happened here",
        "99 <34>1 - - - - - - a count that lies",
        "<b>hello</b>",
    ],
}
RECORDS = [(form, value) for form, values in SAMPLES.items() for value in values]


def record(value: Any, offset: int = 0, topic: str = "t") -> Record:
    """Make a record of bytes, of text, or of a value as JSON."""
    raw = (
        value
        if isinstance(value, bytes)
        else value.encode()
        if isinstance(value, str)
        else orjson.dumps(value)
    )
    return Record(origin=Origin(topic=topic, partition=0, offset=offset), value=raw, received=NOW)


def outcome(decode: Decode, one: Record) -> Decoded | Reject:
    """Return what a record becomes, a refusal included."""
    try:
        return decode.decode(one, NOW)
    except DecodeError as error:
        return error.reject


@pytest.mark.parametrize(("form", "value"), RECORDS)
def test_every_format_is_recognised(form: str, value: Any) -> None:
    """By headers, first bytes and field names; and the format's own decoder takes the same record as well."""
    decode = Decode({})
    taken = decode.decode(record(value), NOW)
    ((choice, count),) = decode.choices
    assert (choice.format, count) == (form, 1)
    explicit = Decode({"t": TopicDefaults(format=form)}).decode(record(value), NOW)
    assert explicit == taken


def test_binary_cloudevents_are_recognised_by_their_headers() -> None:
    """Whatever the bytes look like."""
    headers = tuple((f"ce_{name}", text.encode()) for name, text in CE.items())
    decode = Decode({})
    decode.decode(Record(origin=LOG.origin, value=b"{}", headers=headers, received=NOW), NOW)
    assert decode.choices[0][0].format == "cloudevents"


def test_a_choice_is_told_once_for_each_topic_and_format() -> None:
    """With its reason and its first record; a topic that mixes formats tells each."""
    told: list[Choice] = []
    decode = Decode({"fixed": TopicDefaults(format="json")}, told.append)
    for offset, value in enumerate([{"message": "x"}, {"message": "y"}, "hello", {"message": "z"}]):
        decode.decode(record(value, offset), NOW)
        decode.decode(record({"message": "x"}, offset, topic="fixed"), NOW)
    assert [(choice.topic, choice.format, choice.first.offset) for choice in told] == [
        ("t", "json", 0),
        ("t", "text", 2),
    ]
    assert all(choice.why for choice in told)
    assert [(choice.format, count) for choice, count in decode.choices] == [("json", 3), ("text", 1)]


def test_a_refused_record_is_no_choice() -> None:
    """What could not be read says nothing about the topic."""
    decode = Decode({})
    with pytest.raises(DecodeError):
        decode.decode(record(b"\x00\x01"), NOW)
    assert decode.choices == ()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(RECORDS), max_size=25), st.randoms(use_true_random=False))
def test_the_order_of_records_changes_nothing(drawn: list[tuple[str, Any]], chance: random.Random) -> None:
    """A mixed topic gives the same events in any order, and as each record gives alone."""
    records = [record(value, offset) for offset, (_, value) in enumerate(drawn)]
    shuffled = list(records)
    chance.shuffle(shuffled)
    forward, other = Decode({}), Decode({})
    expected = {one.origin: outcome(forward, one) for one in records}
    assert {one.origin: outcome(other, one) for one in shuffled} == expected
    assert {one.origin: outcome(Decode({}), one) for one in records} == expected


def test_an_object_that_only_looks_like_another_format_is_read_as_flat_json() -> None:
    """A decoder that cannot use an object gives it back; a time too far ahead is that in any format."""
    decode = Decode({})
    looks_like_ecs = {"@timestamp": AT, "ecs": {}, "name": "rps", "value": 1}
    assert len(decode.decode(record(looks_like_ecs), NOW).events) == 1
    with pytest.raises(DecodeError, match="no field of message"):
        decode.decode(record({"@timestamp": AT, "ecs": {}}), NOW)
    with pytest.raises(DecodeError, match="time"):
        decode.decode(record({"@timestamp": "2199-01-01T00:00:00Z", "ecs": {}, "message": "x"}), NOW)


def test_an_array_may_mix_formats() -> None:
    """Each object is read as what it is."""
    mixed = [values[0] for form, values in SAMPLES.items() if isinstance(values[0], dict) and form != "otlp"]
    decoded = Decode({}).decode(record(mixed), NOW)
    assert (len(decoded.events), decoded.rejects) == (len(mixed), ())


def test_objects_with_very_many_names_are_recognised_too() -> None:
    """Past the size that is remembered the answer is the same."""
    many = {f"field{number}": 1 for number in range(200)}
    assert form_of({**many, "@timestamp": AT, "ecs": {}}).seen.format == "ecs"
    assert form_of({"x" * 5000: 1, "source_type": "file", "message": "x"}).seen.format == "vector"
    assert form_of([1]).seen.format == "json"


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(RECORDS), st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=6))
def test_spoiled_records_are_taken_or_refused(
    sample: tuple[str, Any], spoiled: list[tuple[int, int]]
) -> None:
    """Bytes that were changed anywhere never break a decoder, recognised or set."""
    form, value = sample
    raw = bytearray(record(value).value)
    for at, byte in spoiled:
        raw[at % len(raw)] = byte
    for chosen in ("auto", form):
        outcome(Decode({"t": TopicDefaults(format=chosen)}), record(bytes(raw)))


@pytest.mark.parametrize(
    ("raw", "body"),
    [
        (b"copied 5 %\x08\x08\x086 % of the files to the other disk, then ERROR: it is full", None),
        (
            b"\0\0\0\0\0\0\0\0ERROR the log was truncated while it was written",
            "ERROR the log was truncated while",
        ),
        (
            "Größe überschritten: Fehler für Übertragung".encode("latin-1"),
            "Gr\ufffd\ufffde \ufffdberschritten",
        ),
        (b"tab\tseparated \x1b[31mERROR\x1b[0m red", None),
    ],
)
def test_a_line_with_stray_bytes_is_a_line_still(raw: bytes, body: str | None) -> None:
    """Progress bars, rotated files and old encodings are no reason to lose what a program says."""
    (event,) = Decode({}).decode(record(raw), NOW).events
    assert isinstance(event, LogEvent)
    assert event.body.startswith(body or raw.decode())


@pytest.mark.parametrize(
    "raw",
    [
        b"\0\0\0\0\x2a\x0ccart-service\x0epayments-service\x06two",
        b"\x82\xa7message\xa5hello\xa5level\xa4info",
        b"\x01plain" + b"a" * 200,
        b"ab\x07c" + b"a" * 200,
        b"word \x01\x02\x03\x04\x05 word",
        bytes(range(32, 256)),
    ],
)
def test_binary_data_is_no_text(raw: bytes) -> None:
    """Avro, MessagePack and the like are refused rather than read as lines."""
    with pytest.raises(DecodeError, match="unknown_format"):
        Decode({}).decode(record(raw), NOW)
