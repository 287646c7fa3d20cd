"""The shop's services on their own: what they report of a request, and how their faults come about."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException
from fastapi.testclient import TestClient
from opentelemetry.metrics import NoOpMeter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from tests.support.ports import free_port
from tests.testbed.acquirer import Acquirer as AcquirerServer
from tests.testbed.databases import TIERS
from tests.testbed.services.orders import loyalty_points
from tests.testbed.services.payments import Acquirer, Charge
from tests.testbed.services.peers import Peer, PeerError
from tests.testbed.services.telemetry import pod_name, short_traceback
from tests.testbed.services.web import Running, build_app

CHARGE = Charge(reference="o-1", customer="u-1", amount="12.50")


@pytest.fixture
def spans() -> InMemorySpanExporter:
    """Where spans end up."""
    return InMemorySpanExporter()


@pytest.fixture
def running(spans: InMemorySpanExporter) -> Running:
    """Return a service that reports into memory."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    meter = NoOpMeter("shop")
    return Running(service="demo", version=(1, 0), tracer=provider.get_tracer("t"), meter=meter, urls={})


@pytest.fixture
def client(running: Running) -> Iterator[TestClient]:
    """Serve one good and two bad pages."""
    app: FastAPI = build_app(running, access_log=True)

    @app.get("/things/{name}")
    def thing(name: str) -> dict[str, str]:
        if name == "missing":
            raise HTTPException(404, "no such thing")
        return {"name": {"kettle": "Kettle"}[name]}

    with TestClient(app, raise_server_exceptions=False) as open_client:
        yield open_client


def test_request_is_one_server_span_of_the_callers_trace(
    client: TestClient, spans: InMemorySpanExporter
) -> None:
    """The span is named by route, not by path, and continues the trace that the caller began."""
    trace = "0af7651916cd43dd8448eb211c80319c"
    client.get("/things/kettle", headers={"traceparent": f"00-{trace}-b7ad6b7169203331-01"})
    (span,) = spans.get_finished_spans()
    assert span.name == "GET /things/{name}"
    assert span.kind is SpanKind.SERVER
    assert span.context is not None
    assert f"{span.context.trace_id:032x}" == trace
    assert span.status.is_ok or span.status.is_unset


def test_exception_becomes_500_with_its_stack_in_the_log(
    client: TestClient, spans: InMemorySpanExporter, caplog: pytest.LogCaptureFixture
) -> None:
    """A KeyError in a handler is answered 500, marks the span and is logged with the stack."""
    assert client.get("/things/lamp").status_code == 500
    assert not spans.get_finished_spans()[0].status.is_ok
    logged = [record for record in caplog.records if record.exc_info]
    assert logged[0].levelno == logging.ERROR
    assert logged[0].exc_info is not None
    assert isinstance(logged[0].exc_info[1], KeyError)


def test_testbeds_own_requests_leave_no_telemetry(
    client: TestClient, spans: InMemorySpanExporter, running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    """Setting a flag changes the service and writes neither span nor log line: truth must not leak."""
    caplog.set_level(logging.INFO, logger="shop.demo")
    client.post("/_flags", json={"stock_audit": True})
    assert client.get("/_health").json() == {"service": "demo", "version": "1.0", "pod": ""}
    assert running.flags == {"stock_audit": True}
    assert spans.get_finished_spans() == ()
    assert [record for record in caplog.records if record.name.startswith("shop")] == []


def test_client_errors_are_logged_as_information(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    """A 404 is the customer's business, not an error of the service."""
    caplog.set_level(logging.INFO, logger="shop.demo")
    client.get("/things/missing")
    assert [(r.levelname, "404" in r.getMessage()) for r in caplog.records if r.name == "shop.demo"] == [
        ("INFO", True)
    ]


class _Flaky(BaseHTTPRequestHandler):
    """Answers 503 first, then 200."""

    answers: list[int]

    def do_GET(self) -> None:
        status = self.answers.pop(0)
        self.send_response(status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_POST = do_GET  # noqa: N815 - the base class's name

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Stay silent."""


@pytest.fixture
def flaky() -> Iterator[tuple[str, list[int]]]:
    """Run a real server; its next answers are the list beside its URL."""
    answers: list[int] = []
    handler = type("Flaky", (_Flaky,), {"answers": answers})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", answers
        server.shutdown()
        thread.join()


def _peer(url: str, running: Running) -> Peer:
    return Peer("stock", url, caller="demo", tracer=running.tracer, meter=running.meter, timeout_s=2)


def test_reads_are_tried_again_and_writes_are_not(
    flaky: tuple[str, list[int]], running: Running, spans: InMemorySpanExporter
) -> None:
    """A failed GET is repeated once, each try a span; a failed POST is the caller's to judge."""
    url, answers = flaky
    answers += [503, 200, 503]
    assert _peer(url, running).get("/x").status_code == 200
    assert [span.status.is_ok or span.status.is_unset for span in spans.get_finished_spans()] == [False, True]
    with pytest.raises(PeerError, match="stock: answered 503"):
        _peer(url, running).post("/x", {})
    assert answers == []


def test_unreachable_neighbour_is_named(running: Running) -> None:
    """Nobody listens: the error says who, and that it was no time-out."""
    with pytest.raises(PeerError, match=r"stock: .*refused") as caught:
        _peer(f"http://127.0.0.1:{free_port()}", running).post("/x", {})
    assert not caught.value.timed_out


def test_acquirer_gets_slow_and_fast_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The slow dependency is a real wait at another party's server, and it can be ended."""
    waits: list[float] = []
    monkeypatch.setattr("tests.testbed.acquirer.time.sleep", waits.append)
    server = AcquirerServer(free_port(), seed=1)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        vendor = Acquirer(f"127.0.0.1:{server.server_address[1]}")
        for extra in (0.0, 4.0, 0.0):
            server.extra_s = extra
            assert "approved" in vendor.authorize(CHARGE)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    usual, slow, again = waits
    assert max(usual, again) < 0.2
    assert slow > 1


def test_new_release_throws_for_one_tier_only() -> None:
    """The bad deploy's bug: two of the three tiers are known, the third is a KeyError."""
    known, unknown = [], []
    for tier in TIERS:
        try:
            known.append(loyalty_points(Decimal(10), tier))
        except KeyError:
            unknown.append(tier)
    assert known == [10, 15]
    assert unknown == ["gold"]


def test_stack_traces_show_no_folder_of_this_machine() -> None:
    """File names in a shipped stack trace are as short as in a container."""
    with pytest.raises(KeyError) as ours:
        loyalty_points(Decimal(1), "gold")
    with pytest.raises(ValueError, match="Expecting") as library:
        __import__("json").loads("{")
    assert 'File "shop/orders.py", line' in short_traceback(ours.value)
    assert 'File "json/decoder.py", line' in short_traceback(library.value)
    assert "/lib/python" not in short_traceback(library.value)


def test_pod_names_look_like_kubernetes() -> None:
    """A pod name is the service, a replica set and a suffix, new at every start."""
    first, second = pod_name("orders"), pod_name("orders")
    assert first != second
    assert [len(part) for part in first.split("-")] == [6, 9, 5]
