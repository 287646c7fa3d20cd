"""Syslog as senders write it: both RFCs, rsyslog's templates, framing, times without year or zone."""

from __future__ import annotations

import pytest

from ingest.decode import Decode
from ingest.events import DecodeError, LogEvent, RejectReason, Resource, TopicDefaults
from ingest.record import SECOND, Nanos, Origin, Record
from tests.support.decoding import NOW, decode, only_log


def bodies(value: bytes, form: str = "syslog") -> list[str]:
    """Return the texts of a record's messages."""
    return [event.body for event in decode(value, format=form).events if isinstance(event, LogEvent)]


def received_at(line: str, received: Nanos, time_zone: str | None = None) -> Nanos:
    """Return the time of a line that the broker got at `received`."""
    record = Record(origin=Origin(topic="t", partition=0, offset=0), value=line.encode(), received=received)
    topics = {"t": TopicDefaults(format="syslog", time_zone=time_zone)}
    (event,) = Decode(topics).decode(record, received).events
    return event.time


@pytest.mark.parametrize("form", ["syslog", "auto"])
def test_rfc_5424_gives_every_field(form: str) -> None:
    """The RFC's own example, with structured data and a byte order mark."""
    event = only_log(
        "<165>1 2026-09-21T14:13:19.003Z host.example.com evntslog 12 ID47 "
        '[exampleSDID@32473 iut="3" eventSource="Application"][t trace_id="0ABC" span_id="0D"] '
        "\ufeffAn event",
        format=form,
    )
    assert event.resource == Resource(
        environment="default", service="evntslog", instance="host.example.com", node="host.example.com"
    )
    assert (event.time, event.severity_number, event.body) == (NOW - SECOND + 3_000_000, 10, "An event")
    assert (event.trace_id, event.span_id, event.sequence_key) == ("0abc", "0d", "0abc")
    assert event.attributes == (
        ("exampleSDID@32473.eventSource", "Application"),
        ("exampleSDID@32473.iut", "3"),
        ("process.pid", "12"),
        ("syslog.facility", "local4"),
        ("syslog.msgid", "ID47"),
        ("t.span_id", "0D"),
        ("t.trace_id", "0ABC"),
    )


def test_nil_values_are_nothing() -> None:
    """A dash is no host, no service and no time: the broker's time and the topic's service stand."""
    event = only_log("<34>1 - - - - - - hello", service="edge")
    assert event.resource == Resource(environment="default", service="edge")
    assert (event.time, event.body, event.attributes) == (NOW, "hello", (("syslog.facility", "auth"),))
    assert only_log("<34>1 - - - - - -").body == ""


@pytest.mark.parametrize("level", range(8))
def test_severities_follow_opentelemetrys_table(level: int) -> None:
    """Eight syslog severities, with any facility."""
    expected = (21, 19, 18, 17, 13, 10, 9, 5)[level]
    assert only_log(f"<{16 * 8 + level}>1 - h a - - - x").severity_number == expected
    assert only_log(f"<{level}>Sep 21 14:13:19 h a: x").severity_number == expected


@pytest.mark.parametrize(
    ("line", "service", "host", "body", "severity"),
    [
        ("<34>Sep 21 14:13:19 web su: 'su root' failed", "su", "web", "'su root' failed", 18),
        ("<34>Sep  1 14:13:19 web su[7]: x", "su", "web", "x", 18),
        ("<13>Sep 21 14:13:19 myapp[123]: from x: y", "myapp", None, "from x: y", 10),
        ("<13>Sep 21 14:13:19 myapp: z", "myapp", None, "z", 10),
        ("<13>Sep 21 14:13:19 fe80::1 app: z", "app", "fe80::1", "z", 10),
        ("<13>Sep 21 14:13:19 web no tag here", "unknown", "web", "no tag here", 10),
        ("<13>2026-09-21T16:13:19.5+02:00 web app[1]: z", "app", "web", "z", 10),
        ("<13>no header at all", "unknown", None, "no header at all", 10),
        ("Sep 21 14:13:19 web app: ERROR z", "app", "web", "ERROR z", 17),
        ("2026-09-21T14:13:19.000001Z web app[1]: z", "app", "web", "z", 0),
        ("2026-09-21T14:13:19+00:00 web postfix/smtpd[1]: z", "postfix/smtpd", "web", "z", 0),
        ("<189>29: *Sep 21 14:13:19.123: %SYS-5-CONFIG_I: z", "unknown", None, "z", 10),
        ("Sep 21 14:13:19 router %LINK-3-UPDOWN: down", "unknown", "router", "down", 17),
    ],
)
def test_rfc_3164_in_the_forms_that_senders_write(
    line: str, service: str, host: str | None, body: str, severity: int
) -> None:
    """With and without priority, host, tag and process; rsyslog's file templates; Cisco's order."""
    event = only_log(line, format="syslog")
    assert (event.resource.service, event.resource.instance, event.body) == (service, host, body)
    assert event.severity_number == severity


def test_a_time_without_a_year_is_the_last_that_was() -> None:
    """Around New Year, for 29 February, and with a clock that is a little ahead."""
    new_year = 1_798_761_600 * SECOND  # 2027-01-01T00:00:00Z
    assert received_at("Dec 31 23:59:59 h a: x", new_year + SECOND) == new_year - SECOND
    assert received_at("Jan  1 00:00:01 h a: x", new_year - SECOND) == new_year + SECOND
    assert received_at("Jan  1 00:00:00.25 h a: x", new_year) == new_year + SECOND // 4
    leap_day = 1_709_164_800 * SECOND  # 2024-02-29T00:00:00Z
    assert received_at("Feb 29 00:00:00 h a: x", new_year) == leap_day
    assert received_at("Feb 29 2024 00:00:00 h a: x", new_year) == leap_day


def test_a_time_without_a_zone_is_utc_unless_the_topic_says_otherwise() -> None:
    """A configured zone is believed, summer time too; an obviously local clock gives way to the broker."""
    assert received_at("Sep 21 14:13:10 h a: x", NOW) == NOW - 10 * SECOND
    assert received_at("Sep 21 16:13:10 h a: x", NOW, "Europe/Berlin") == NOW - 10 * SECOND
    assert received_at("Sep 21 15:13:10 h a: x", NOW, "+01:00") == NOW - 10 * SECOND
    assert received_at("Sep 21 16:13:10 h a: x", NOW) == NOW
    with pytest.raises(ValueError, match="no time zone 'Mars/Base'"):
        Decode({"t": TopicDefaults(time_zone="Mars/Base")})
    assert (
        only_log("2026-09-21 16:13:10 INFO x", format="text", time_zone="Europe/Berlin").time
        == NOW - 10 * SECOND
    )
    line = {"time": "2026-09-21 16:13:10", "message": "x"}
    assert only_log(line, format="json", time_zone="Europe/Berlin").time == NOW - 10 * SECOND


@pytest.mark.parametrize("form", ["syslog", "auto"])
def test_several_messages_in_a_record_are_framed(form: str) -> None:
    """By octet counts, which may count line feeds inside, or by line feeds before a header."""
    one, two = "<34>1 - - - - - - a\nmore é".encode(), b"<34>1 - - - - - - b"
    assert bodies(b"%d %s%d %s" % (len(one), one, len(two), two), form) == ["a\nmore é", "b"]
    assert bodies(b"%d %s\n%d %s\n" % (len(one), one, len(two), two), form) == ["a\nmore é", "b"]
    assert bodies(one + b"\r\n" + two + b"\n", form) == ["a\nmore é", "b"]
    lines = b"Sep 21 14:13:19 h a[1]: x\n  indented\nSep 21 14:13:19 h a[1]: y\n"
    assert bodies(lines, form) == ["x\n  indented", "y"]


def test_an_octet_count_that_lies_refuses_the_rest() -> None:
    """What was framed is taken; the record is dead-lettered for the rest."""
    decoded = decode(b"19 <34>1 - - - - - - a99 <34>1 - - - - - - b", format="syslog")
    assert len(decoded.events) == 1
    assert [reject.reason for reject in decoded.rejects] == [RejectReason.MALFORMED]


def test_what_is_no_syslog_is_refused_where_the_topic_says_syslog() -> None:
    """No header, a priority that does not exist, a blank record."""
    for value in (b"hello", b"<192>1 - - - - - - x", b"\n\n", b""):
        with pytest.raises(DecodeError) as caught:
            decode(value, format="syslog")
        assert caught.value.reject.reason is RejectReason.MALFORMED


def test_structured_data_that_is_left_out_or_broken_is_text() -> None:
    """Senders forget the dash; nothing of the line is lost."""
    assert only_log("<34>1 - h a - - no data").body == "no data"
    assert only_log('<34>1 - h a - - [x a="1" b] rest').body == '[x a="1" b] rest'
    assert only_log('<34>1 - h a - - [x a="]" b="\\q"] rest').attributes[-1] == ("x.b", "\\q")


def test_json_in_a_message_is_the_applications_own() -> None:
    """Its level and text win; the header says whose it is. `@cee:` announces it too."""
    for mark in ("", "@cee: "):
        event = only_log(f'<30>Sep 21 14:13:19 h app[1]: {mark}{{"level":"error","msg":"boom","k":1}}')
        assert (event.body, event.severity_number, event.resource.service) == ("boom", 17, "app")
        assert ("k", "1") in event.attributes
    assert only_log('<30>Sep 21 14:13:19 h app: {"a":1}').body == '{"a":1}'


def test_line_breaks_that_rsyslog_escaped_come_back() -> None:
    """A stack trace is several lines again; an order number stays one."""
    event = only_log("<11>Sep 21 14:13:19 h app: boom#012#011at x#012Caused by: #0125")
    assert event.body == "boom\n\tat x\nCaused by: #0125"


@pytest.mark.parametrize(
    "fields",
    [
        {"timestamp": "2026-09-21T14:13:19Z", "message": " x", "host": "h", "severity": "err",
         "facility": "daemon", "syslogtag": "app[7]:"},
        {"@timestamp": "2026-09-21T14:13:19Z", "msg": "x", "hostname": "h", "syslogseverity": "3",
         "syslogfacility-text": "daemon", "programname": "app", "procid": "7"},
        {"timereported": "2026-09-21T14:13:19Z", "msg": " x", "hostname": "h", "pri": "27",
         "facility": "daemon", "syslogtag": "app[7]:", "programname": "app", "procid": "-",
         "rawmsg": "<27>app[7]: x", "$!": {}},
        {"ISODATE": "2026-09-21T14:13:19Z", "MESSAGE": "x", "HOST": "h", "PRIORITY": "err",
         "FACILITY": "daemon", "PROGRAM": "app", "PID": "7"},
    ],
)  # fmt: skip
@pytest.mark.parametrize("form", ["auto", "syslog_json"])
def test_relays_that_write_json_say_the_same(fields: dict[str, object], form: str) -> None:
    """Rsyslog's usual templates, its jsonmesg, and syslog-ng's format-json."""
    event = only_log(fields, format=form)
    assert event.resource == Resource(environment="default", service="app", instance="h", node="h")
    assert (event.body, event.severity_number, event.time) == ("x", 17, NOW - SECOND)
    assert event.attributes == (("process.pid", "7"), ("syslog.facility", "daemon"))
    assert event.sequence_key == "h/app[7]"
