"""OTLP/HTTP in: stored before 200, partly taken where items are bad, else sent again, never flooded."""

from __future__ import annotations

import gzip
import json
import queue
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from agent.serve.bodies import BodyError, Budget
from agent.serve.intake import Repeats
from agent.serve.otlp import otlp_topics
from agent.store.sql import SqlStore
from ingest.decode import Decode
from ingest.decoders.batch import MAX_RECORD
from ingest.events import Receipt, Reject, RejectReason
from ingest.record import Origin, Record
from tests.support import served
from tests.support.otlp import logs_request, metrics_request, spans_request
from tests.support.served import T0, Taken

PROTOBUF = {"Content-Type": "application/x-protobuf"}
JSON = {"Content-Type": "application/json"}
BODY = logs_request(time_unix_nano=T0, severity_number=9).SerializeToString()
AS_JSON = (
    b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"1","body":{"stringValue":"a"}}]}]}]}'
)
ANSWERS: dict[str, Any] = {
    "logs": ExportLogsServiceResponse,
    "metrics": ExportMetricsServiceResponse,
    "traces": ExportTraceServiceResponse,
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    """Return an empty store."""
    opened = served.open_store(tmp_path)
    yield opened
    opened.close()


def settled(**known: Any) -> Taken:
    """Return a stream that stores at once and tells this of every record."""
    return Taken(lambda future: future.set_result(Receipt(**{"events": 1, **known})))


def _metrics() -> bytes:
    request, metric = metrics_request()
    metric.gauge.data_points.add(time_unix_nano=T0, as_int=1)
    return bytes(request.SerializeToString())


BODIES = {"logs": BODY, "metrics": _metrics(), "traces": spans_request().SerializeToString()}


def status_of(raw: bytes) -> tuple[int, str]:
    """Read a google.rpc.Status in protobuf, by hand: field 1 is its code, field 2 its message."""
    assert (raw[0], raw[2]) == (0x08, 0x12)
    size, start = raw[3], 4
    if size & 0x80:
        size, start = (size & 0x7F) | raw[4] << 7, 5
    assert len(raw) == start + size
    return raw[1], raw[start:].decode()


@pytest.mark.parametrize("signal", ["logs", "metrics", "traces"])
def test_success_comes_once_stored(store: SqlStore, signal: str) -> None:
    """200 with an empty answer of the signal; the record is read by its topic's format."""
    taken = settled()
    answer = served.client(store, submit=taken).post(
        f"/v1/{signal}", content=BODIES[signal], headers=PROTOBUF
    )
    assert (answer.status_code, answer.headers["content-type"]) == (200, PROTOBUF["Content-Type"])
    assert ANSWERS[signal].FromString(answer.content) == ANSWERS[signal]()
    (record,) = taken.records
    assert taken.futures[0].done()
    assert record.value == BODIES[signal]
    assert len(Decode(otlp_topics()).decode(record, T0 * 2).events) == 1


def test_json_is_answered_in_json(store: SqlStore) -> None:
    """The form of the answer is that of the request, and its topic is read as JSON."""
    taken = settled()
    headers = {"Content-Type": "application/json; charset=utf-8"}
    answer = served.client(store, submit=taken).post("/v1/logs", content=AS_JSON, headers=headers)
    assert (answer.status_code, answer.headers["content-type"], answer.json()) == (
        200,
        JSON["Content-Type"],
        {},
    )
    assert otlp_topics()[taken.records[0].origin.topic].format == "otlp_json"


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("identity", bytes),
        ("gzip", lambda raw: gzip.compress(raw[:9]) + gzip.compress(raw[9:])),
    ],
)
def test_bodies_may_be_compressed(store: SqlStore, encoding: str, pack: Callable[[bytes], bytes]) -> None:
    """The record holds what the body unpacks to, of several members too."""
    taken = settled()
    headers = PROTOBUF | {"Content-Encoding": encoding}
    answer = served.client(store, submit=taken).post("/v1/logs", content=pack(BODY), headers=headers)
    assert answer.status_code == 200
    assert taken.records[0].value == BODY


@pytest.mark.parametrize("packed", [b"no gzip", gzip.compress(BODY)[:-9], gzip.compress(BODY) + b"\x1f\x8b"])
def test_a_body_that_does_not_unpack_is_refused(store: SqlStore, packed: bytes) -> None:
    """400, and nothing reaches the stream."""
    taken = settled()
    headers = PROTOBUF | {"Content-Encoding": "gzip"}
    answer = served.client(store, submit=taken).post("/v1/logs", content=packed, headers=headers)
    assert answer.status_code == 400
    assert status_of(answer.content)[0] == 3
    assert not taken.records


def _bomb() -> bytes:
    return gzip.compress(bytes(200 * 1024 * 1024), 9)


@pytest.mark.parametrize("body", [bytes(MAX_RECORD + 1), _bomb()], ids=["large", "bomb"])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_refused(store: SqlStore, body: bytes, chunked: bool) -> None:
    """413, whether it is long as sent or only unpacked, its size told ahead or not."""
    headers = PROTOBUF | ({"Content-Encoding": "gzip"} if body[:1] == b"\x1f" else {})
    content = iter([body[:1000], body[1000:]]) if chunked else body
    answer = served.client(store, submit=settled()).post("/v1/logs", content=content, headers=headers)
    assert answer.status_code == 413
    assert "smaller batches" in status_of(answer.content)[1]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "text/plain"},
        PROTOBUF | {"Content-Encoding": "zstd"},
        JSON | {"Content-Encoding": "br"},
    ],
)
def test_other_types_and_encodings_are_refused(store: SqlStore, headers: dict[str, str]) -> None:
    """415 says what can be sent."""
    answer = served.client(store, submit=settled()).post("/v1/logs", content=BODY, headers=headers)
    assert answer.status_code == 415
    assert b"Send " in answer.content


@pytest.mark.parametrize(
    ("body", "headers", "says"),
    [
        (b"\x0a\xff", PROTOBUF, "ExportLogsServiceRequest"),
        (b"{", JSON, "not JSON"),
        (b"[]", JSON, "resourceLogs"),
        (b'{"resourceSpans":[{}]}', JSON, "another address"),
        (b'{"resourceLogs":5}', JSON, "list"),
        (b"", JSON, "not JSON"),
    ],
)
def test_what_is_no_request_is_refused(
    store: SqlStore, body: bytes, headers: dict[str, str], says: str
) -> None:
    """400 with what is wrong, in the form of the request; nothing reaches the stream."""
    taken = settled()
    answer = served.client(store, submit=taken).post("/v1/logs", content=body, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (400, headers["Content-Type"])
    code, message = (
        status_of(answer.content)
        if headers is PROTOBUF
        else (answer.json()["code"], answer.json()["message"])
    )
    assert code == 3
    assert says in message
    assert not taken.records


@pytest.mark.parametrize(
    ("body", "headers"), [(b"", PROTOBUF), (b"{}", JSON), (b'{"resourceLogs":[]}', JSON)]
)
def test_an_empty_request_is_a_success(store: SqlStore, body: bytes, headers: dict[str, str]) -> None:
    """As the specification asks; there is nothing to store."""
    taken = settled()
    answer = served.client(store, submit=taken).post("/v1/logs", content=body, headers=headers)
    assert answer.status_code == 200
    assert not taken.records


REJECT = Reject(reason=RejectReason.TIME_INVALID, detail="before 2000")


def test_a_partial_success_counts_what_was_refused(store: SqlStore) -> None:
    """200 with the number of refused items and the reason of the first, in either form."""
    client = served.client(store, submit=settled(events=3, rejects=(REJECT, REJECT)))
    answer = client.post("/v1/traces", content=BODIES["traces"], headers=PROTOBUF)
    partial = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert (answer.status_code, partial.rejected_spans) == (200, 2)
    assert partial.error_message == "time_invalid: before 2000"
    answer = client.post("/v1/logs", content=AS_JSON, headers=JSON)
    assert answer.json() == {
        "partialSuccess": {"rejectedLogRecords": "2", "errorMessage": "time_invalid: before 2000"}
    }


def test_nothing_taken_is_a_bad_request(store: SqlStore) -> None:
    """Sending it again would not help, so it is 400 and not a success."""
    answer = served.client(store, submit=settled(events=0, rejects=(REJECT,))).post(
        "/v1/logs", content=BODY, headers=PROTOBUF
    )
    assert answer.status_code == 400
    assert "before 2000" in status_of(answer.content)[1]


def _full(record: Record) -> Future[Receipt]:
    raise queue.Full


@pytest.mark.parametrize(
    "submit",
    [_full, Taken(lambda future: future.set_exception(RuntimeError("secret"))), Taken(lambda _: None)],
)
def test_not_stored_means_again(store: SqlStore, submit: Callable[[Record], Future[Receipt]]) -> None:
    """A full inbox, a failed checkpoint and one that takes too long are 503 with Retry-After."""
    client = served.client(store, submit=submit, stored_within=0.1)
    answer = client.post("/v1/logs", content=BODY, headers=PROTOBUF)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    code, message = status_of(answer.content)
    assert code == 14
    assert "again" in message
    assert "secret" not in message


def test_a_repeat_of_what_is_stored_or_under_way_adds_nothing(store: SqlStore) -> None:
    """An exporter that was not answered in time sends again: the stream sees the body once."""
    taken = Taken(lambda _: None)
    client = served.client(store, submit=taken, stored_within=0.05)
    assert [client.post("/v1/logs", content=BODY, headers=PROTOBUF).status_code for _ in range(2)] == [
        503,
        503,
    ]
    (future,) = taken.futures
    future.set_result(Receipt(events=1))
    assert client.post("/v1/logs", content=BODY, headers=PROTOBUF).status_code == 200
    assert len(taken.records) == 1


UNTIMED = [
    (logs_request(severity_number=9).SerializeToString(), PROTOBUF),
    (b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"a"}}]}]}]}', JSON),
    (b'{"resource_logs":[{"scope_logs":[{"log_records":[{"timeUnixNano":"0"}, 7]}]}]}', JSON),
    (b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":[1]},{"timeUnixNano":0}]}]}]}', JSON),
]


@pytest.mark.parametrize(("body", "headers"), UNTIMED)
def test_a_line_without_a_time_may_be_said_again(
    store: SqlStore, body: bytes, headers: dict[str, str]
) -> None:
    """Equal bodies of such lines are one only while the first is on its way: later they are news."""
    taken = Taken(lambda _: None)
    client = served.client(store, submit=taken, stored_within=0.05)
    assert [client.post("/v1/logs", content=body, headers=headers).status_code for _ in range(2)] == [503] * 2
    (future,) = taken.futures
    future.set_result(Receipt(events=1))
    client.post("/v1/logs", content=body, headers=headers)
    assert len(taken.records) == 2


def test_a_repeat_of_what_failed_is_tried_again() -> None:
    """What is forgotten or failed is handed in anew; other topics have memories of their own."""
    futures: list[Future[Receipt]] = []

    def submit(record: Record) -> Future[Receipt]:
        futures.append(Future())
        return futures[-1]

    def record(raw: bytes, topic: str = "t") -> Record:
        return Record(origin=Origin(topic=topic, partition=0, offset=0), value=raw)

    repeats = Repeats(submit, remembered=2)
    first = repeats(record(b"a"))
    assert repeats(record(b"a")) is first
    first.set_exception(RuntimeError())
    second = repeats(record(b"a"))
    assert second is not first
    assert repeats(record(b"a", "u")) is not second
    repeats(record(b"b"))
    assert repeats(record(b"a")) is not second
    assert len(futures) == 5


def test_a_full_budget_is_too_many_requests() -> None:
    """429 past the limit; what a request held is given back when it ends."""
    budget = Budget(limit=10)
    with budget.share() as one, budget.share() as two:
        one.take(6)
        two.take(4)
        with pytest.raises(BodyError) as refused:
            two.take(1)
    assert (refused.value.status, budget.held) == (429, 0)


def test_without_a_stream_and_without_the_key(store: SqlStore) -> None:
    """A process that only shows a recording takes nothing, and a stranger gets no further than the door."""
    answer = served.client(store).post("/v1/logs", content=AS_JSON, headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (501, 12)
    client = served.client(store, submit=settled(), api_key="k")
    assert client.post("/v1/logs", content=AS_JSON, headers=JSON).status_code == 401
    for known in ({"X-API-Key": "k"}, {"Authorization": "Bearer k"}):
        assert client.post("/v1/logs", content=AS_JSON, headers=JSON | known).status_code == 200
    stranger = served.client(store, submit=settled(), host="evil.example")
    assert stranger.post("/v1/logs", content=AS_JSON, headers=JSON).status_code == 403


def test_only_post_and_only_three_signals(store: SqlStore) -> None:
    """405 and 404 as everywhere else."""
    client = served.client(store, submit=settled())
    assert client.get("/v1/logs").status_code == 405
    assert client.post("/v1/profiles", content=json.dumps({}), headers=JSON).status_code == 404
