"""OTLP logs and spans: what each becomes, written with the SDK's own messages."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from ingest.events import Decoded, DecodeError, LogEvent, RejectReason, Resource, SpanEvent, SpanKind
from ingest.record import SECOND, Origin
from tests.support.otlp import (
    NOW,
    SPAN,
    TRACE,
    attributes,
    decode,
    logs_request,
    one,
    one_log,
    one_span,
    spans_request,
)


def test_a_log_record_is_read_in_full() -> None:
    """Time, body, severity, ids, attributes and whose it is."""
    event = one_log(
        time_unix_nano=NOW, body=AnyValue(string_value="hi"), severity_number=17, trace_id=TRACE,
        span_id=SPAN, attributes=attributes(n=1, ok=True, f=0.5),
    )  # fmt: skip
    assert event == LogEvent(
        origin=Origin(topic="t", partition=0, offset=0),
        resource=Resource(environment="default", service="cart", instance="h", node="h"),
        time=NOW, body="hi", severity_number=17, trace_id=TRACE.hex(), span_id=SPAN.hex(),
        sequence_key=TRACE.hex(),
        attributes=(("f", "0.5"), ("n", "1"), ("ok", "true"), ("service.version", "2")),
    )  # fmt: skip


def test_a_log_without_a_time_takes_the_observed_then_the_brokers() -> None:
    """The order in which a missing time is made good; without any the record is refused."""
    body = AnyValue(string_value="x")
    assert one_log(observed_time_unix_nano=NOW - 5, body=body).time == NOW - 5
    assert one_log(body=body).time == NOW
    with pytest.raises(DecodeError) as caught:
        decode(logs_request(body=body).SerializeToString(), received=0)
    assert caught.value.reject.reason is RejectReason.TIME_MISSING


def test_bodies_of_every_kind_become_text() -> None:
    """Structures become JSON, bytes base64, and an absent body the event's name."""
    nested = AnyValue()
    nested.kvlist_value.values.extend(attributes(a=1, b="x"))
    inner = nested.kvlist_value.values.add(key="c").value.array_value.values.add()
    inner.bytes_value = b"\xff"
    assert one_log(body=nested).body == '{"a":1,"b":"x","c":["/w=="]}'
    assert one_log(body=AnyValue(int_value=-5)).body == "-5"
    assert one_log(body=AnyValue(bytes_value=b"hi")).body == base64.b64encode(b"hi").decode()
    assert one_log(time_unix_nano=NOW, event_name="boom").body == "boom"


@pytest.mark.parametrize(
    ("fields", "severity"),
    [
        ({"severity_number": 13, "severity_text": "ERROR"}, 13),
        ({"severity_text": "Error"}, 17),
        ({"body": AnyValue(string_value="x [error] y")}, 17),
        ({"severity_number": 99, "severity_text": "info"}, 9),
        ({}, 0),
    ],
)
def test_severity_is_the_number_then_the_name_then_the_text(fields: dict[str, Any], severity: int) -> None:
    """The most exact statement wins; a number out of range is none."""
    assert (
        one_log(**{"time_unix_nano": NOW, "body": AnyValue(string_value="x"), **fields}).severity_number
        == severity
    )


def test_an_exception_is_told_in_the_body() -> None:
    """A log's exception attributes are evidence that its line must show."""
    said = attributes(exception__type="IOError", exception__message="disk full")
    assert one_log(body=AnyValue(string_value="failed"), attributes=said).body == "failed\nIOError: disk full"


def test_a_span_is_read_in_full() -> None:
    """Kind, parent, status, the exception in its events, and only attributes of use."""
    request = spans_request(
        kind=3,
        parent_span_id=SPAN[::-1],
        attributes=attributes(http__route="/x", user="bob", server__address="db.local"),
    )
    span = request.resource_spans[0].scope_spans[0].spans[0]
    span.status.code = 2
    span.events.add(name="exception").attributes.extend(
        attributes(exception__type="E", exception__stacktrace="s")
    )
    event = one(request)
    assert isinstance(event, SpanEvent)
    assert (event.kind, event.error, event.parent_span_id) == (SpanKind.CLIENT, True, SPAN[::-1].hex())
    assert (event.start, event.end, event.peer) == (NOW - SECOND, NOW, "db.local")
    assert event.attributes == (("exception.type", "E"), ("http.route", "/x"), ("server.address", "db.local"))


def test_a_root_span_has_no_parent() -> None:
    """Neither an empty nor an all-zero parent is one."""
    assert one_span(parent_span_id=b"").parent_span_id is None
    assert one_span(parent_span_id=bytes(8)).parent_span_id is None


@pytest.mark.parametrize(
    ("kind", "said", "peer"),
    [
        (3, {"peer__service": "pay", "server__address": "x"}, "pay"),
        (3, {"db__system": "redis"}, "redis"),
        (3, {"db__system__name": "postgresql", "server__address": "db"}, "postgresql:db"),
        (1, {"db__system": "redis"}, "redis"),
        (3, {"net__peer__name": "pay.shop.svc.cluster.local"}, "pay"),
        (4, {"messaging__system": "kafka", "messaging__destination__name": "orders"}, "kafka:orders"),
        (3, {"rpc__service": "shop.Pay"}, "shop.Pay"),
        (2, {"server__address": "me"}, None),
        (3, {}, None),
    ],
)
def test_the_peer_is_named_as_well_as_the_span_can(kind: int, said: dict[str, str], peer: str | None) -> None:
    """An explicit peer, else the system and its address; a server's own address is no peer."""
    assert one_span(kind=kind, attributes=attributes(**said)).peer == peer


@pytest.mark.parametrize("fields", [{"trace_id": b""}, {"span_id": bytes(8)}])
def test_a_span_without_ids_is_malformed(fields: dict[str, bytes]) -> None:
    """Ids are what spans are joined by."""
    with pytest.raises(DecodeError) as caught:
        decode(spans_request(**fields).SerializeToString(), "otlp_traces")
    assert caught.value.reject.reason is RejectReason.MALFORMED


def test_each_explicit_format_reads_its_own_request() -> None:
    """A topic may be pinned to one signal; an empty request is a batch of nothing."""
    body = logs_request(time_unix_nano=NOW, body=AnyValue(string_value="x")).SerializeToString()
    for form in ("otlp", "otlp_logs"):
        assert isinstance(decode(body, form).events[0], LogEvent)
    span = spans_request().SerializeToString()
    for form in ("otlp", "otlp_traces"):
        assert isinstance(decode(span, form).events[0], SpanEvent)
    assert decode(b"", "otlp_metrics") == Decoded()
