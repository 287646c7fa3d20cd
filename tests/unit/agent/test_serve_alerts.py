"""Alertmanager's webhook in: stored before 202, told to come again when not, refused when it never can."""

from __future__ import annotations

import gzip
import json
import queue
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from agent.serve import alerts, problems
from agent.serve.alerts import alert_record
from agent.serve.bodies import Budget
from agent.store.sql import SqlStore
from ingest.decode import Decode
from ingest.decoders.batch import MAX_RECORD
from ingest.events import AlertEvent, Receipt, TopicDefaults
from ingest.record import Record
from tests.support import served
from tests.support.served import Taken

URL = "/api/v1/alerts/alertmanager"
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    """Return an empty store."""
    opened = served.open_store(tmp_path)
    yield opened
    opened.close()


def webhook(**fields: Any) -> bytes:
    """Return a notification of one alert; `fields` override."""
    body = {
        "version": "4",
        "status": "firing",
        "receiver": "faultline",
        "alerts": [
            {
                "status": "firing",
                "labels": {"alertname": "HighErrorRate", "service": "cart", "severity": "critical"},
                "annotations": {"summary": "5 % of checkouts fail"},
                "startsAt": "2023-11-14T22:14:00Z",
                "endsAt": "0001-01-01T00:00:00Z",
                "fingerprint": "a1b2",
            }
        ],
    }
    return json.dumps({**body, **fields}).encode()


def _done(future: Future[Receipt]) -> None:
    future.set_result(Receipt())


def test_accepted_once_stored(store: SqlStore) -> None:
    """202 comes after the future is done, and the record is what the decoder reads."""
    taken = Taken(_done)
    answer = served.client(store, submit=taken).post(URL, content=webhook(), headers=JSON)
    assert answer.status_code == 202
    assert answer.json()["alerts"] == 1
    (record,) = taken.records
    assert taken.futures[0].done()
    decoded = Decode({"http.alertmanager": TopicDefaults(format="alertmanager")}).decode(record, served.T0)
    (event,) = decoded.events
    assert isinstance(event, AlertEvent)
    assert event.resource.service == "cart"


def test_repeat_has_the_same_origin(store: SqlStore) -> None:
    """The same body is the same record; another body is another one."""
    taken = Taken(_done)
    client = served.client(store, submit=taken)
    for body in (webhook(), webhook(), webhook(receiver="other")):
        assert client.post(URL, content=body, headers=JSON).status_code == 202
    first, second, third = (record.origin for record in taken.records)
    assert first == second != third
    assert 0 <= first.offset < 2**63


def test_partly_unreadable_is_said(store: SqlStore) -> None:
    """A notification with one good and one broken alert is taken and counts both."""
    good = json.loads(webhook())["alerts"][0]
    answer = served.client(store, submit=Taken(_done)).post(
        URL, content=webhook(alerts=[good, {"status": "firing"}]), headers=JSON
    )
    assert (answer.status_code, answer.json()["alerts"], answer.json()["refused"]) == (202, 1, 1)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"not json", "not JSON"),
        (b"[]", "alerts"),
        (b"{}", "alerts"),
        (webhook(version="3"), "version"),
        (webhook(version=4), "version"),
        (b"[" * 5000, "deep"),
        (b"\xff\xfe", "not JSON"),
        (b"", "not JSON"),
    ],
)
def test_no_webhook_is_refused(store: SqlStore, body: bytes, says: str) -> None:
    """400 says what is wrong, and nothing reaches the stream."""
    taken = Taken(_done)
    answer = served.client(store, submit=taken).post(URL, content=body, headers=JSON)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert says in answer.json()["detail"]
    assert not taken.records


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", None])
def test_other_types_are_refused(store: SqlStore, kind: str | None) -> None:
    """What a foreign page could send without asking first is 415."""
    headers = {} if kind is None else {"Content-Type": kind}
    answer = served.client(store, submit=Taken(_done)).post(URL, content=webhook(), headers=headers)
    assert answer.status_code == 415


@pytest.mark.parametrize("chunked", [False, True])
def test_too_large_is_refused(store: SqlStore, chunked: bool) -> None:
    """413 over 4 MiB, whether the size is told ahead or not."""
    body = b" " * (MAX_RECORD + 1)
    content = iter([body[: MAX_RECORD // 2], body[MAX_RECORD // 2 :]]) if chunked else body
    answer = served.client(store, submit=Taken(_done)).post(URL, content=content, headers=JSON)
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"


def _full(record: Record) -> Future[Receipt]:
    raise queue.Full


def _failed(future: Future[Receipt]) -> None:
    future.set_exception(RuntimeError("fenced"))


@pytest.mark.parametrize("submit", [_full, Taken(_failed)])
def test_not_stored_means_again(store: SqlStore, submit: Callable[[Record], Future[Receipt]]) -> None:
    """A full inbox and a failed checkpoint are 503 with Retry-After, so that Alertmanager repeats."""
    answer = served.client(store, submit=submit).post(URL, content=webhook(), headers=JSON)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0


def test_slow_store_means_again_and_leaves_the_future_alone(store: SqlStore) -> None:
    """Past the limit the sender is told to repeat; the stream can still complete its future."""
    taken = Taken(lambda future: None)
    client = served.client(store, submit=taken, stored_within=0.05)
    answer = client.post(URL, content=webhook(), headers=JSON)
    assert answer.status_code == 503
    (future,) = taken.futures
    assert not future.cancelled()
    future.set_result(Receipt())  # raises InvalidStateError had the wait cancelled it


def test_without_stream_alerts_are_not_taken(store: SqlStore) -> None:
    """A process that only shows a recording says where alerts go."""
    answer = served.client(store).post(URL, content=webhook(), headers=JSON)
    assert answer.status_code == 501
    assert "faultline run" in answer.json()["detail"]


def test_record_keeps_the_body_as_it_came() -> None:
    """The record's value is the raw body."""
    record = alert_record(webhook(), time.time_ns())
    assert record.value == webhook()
    assert str(record.origin).startswith("http.alertmanager/0/")


def test_bodies_count_against_the_budget_of_all(store: SqlStore) -> None:
    """While too much is under way Alertmanager is told to come again; afterwards everything is given back."""
    taken = Taken(_done)
    budget = Budget(limit=200)
    app = FastAPI()
    problems.install(app)
    deps = replace(served.deps(store), submit=taken)
    app.include_router(alerts.router(deps, budget))
    client = TestClient(app)
    refused = client.post(URL, content=webhook(), headers=JSON)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    assert refused.headers["content-type"] == "application/problem+json"
    assert taken.records == []
    assert budget.held == 0
    budget.limit = 10_000
    assert client.post(URL, content=webhook(), headers=JSON).status_code == 202
    assert budget.held == 0


def test_a_compressed_notification_is_unpacked(store: SqlStore) -> None:
    """What a proxy compressed is read like any other; what unpacks to too much is refused."""
    taken = Taken(_done)
    client = served.client(store, submit=taken)
    packed = {**JSON, "Content-Encoding": "gzip"}
    assert client.post(URL, content=gzip.compress(webhook()), headers=packed).status_code == 202
    assert taken.records[0].value == webhook()
    bomb = gzip.compress(b" " * (MAX_RECORD + 1))
    assert client.post(URL, content=bomb, headers=packed).status_code == 413
