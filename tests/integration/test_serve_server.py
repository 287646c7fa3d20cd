"""The HTTP side as it runs: a real uvicorn, a real service behind it, real sockets."""

from __future__ import annotations

import datetime
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from agent.app import build
from agent.app.http import http_server
from agent.app.service import Service
from agent.serve import ServeError, run_server
from agent.serve.server import RunningServer
from agent.settings import HttpSettings, KnowledgeSettings, ModelSettings, Settings, StreamSettings
from tests.support import served
from tests.support.ports import free_port


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[Service, RunningServer]]:
    """Return a service without Kafka and model, and its HTTP server on a free port."""
    settings = Settings(
        home=tmp_path,
        model=ModelSettings(kind="none"),
        knowledge=KnowledgeSettings(embeddings=False, shipped=False),
        stream=StreamSettings(checkpoint_seconds=0.2),
        http=HttpSettings(port=0),
    )
    service = build(settings)
    service.start()
    server = http_server(service)
    yield service, server
    server.stop()
    service.stop()


def _until(what: str, probe: object, deadline: float = 30.0) -> None:
    assert callable(probe)
    end = time.monotonic() + deadline
    while not probe():
        assert time.monotonic() < end, f"not in time: {what}"
        time.sleep(0.05)


def test_alert_over_http_opens_an_incident(running: tuple[Service, RunningServer]) -> None:
    """An alert that was answered with 202 is an incident in the API, and its page is served."""
    _, server = running
    base = f"http://127.0.0.1:{server.port}"
    with httpx.Client(base_url=base, timeout=30) as client:
        _until("readiness", lambda: client.get("/readyz").status_code == 200)
        alert = {
            "status": "firing",
            "labels": {"alertname": "HighErrorRate", "service": "cart", "severity": "critical"},
            "annotations": {"summary": "checkouts fail"},
            "startsAt": datetime.datetime.now(datetime.UTC).isoformat(),
        }
        body = json.dumps({"version": "4", "alerts": [alert]}).encode()
        headers = {"Content-Type": "application/json"}
        for _ in range(2):  # a repeat adds nothing
            answer = client.post("/api/v1/alerts/alertmanager", content=body, headers=headers)
            assert answer.status_code == 202, answer.text
        (incident,) = client.get("/api/v1/incidents").json()["incidents"]
        assert incident["services"] == ["cart"]
        page = client.get(f"/incidents/{incident['id']}")
        assert page.status_code == 200
        assert "cart" in page.text
        (anomaly,) = client.get(f"/api/v1/incidents/{incident['id']}/anomalies").json()["anomalies"]
        assert anomaly["detector"] == "alertmanager"


def test_metrics_of_a_running_service(running: tuple[Service, RunningServer]) -> None:
    """Every number that composition hands in has its words, and the stream's are among them."""
    _, server = running
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=30) as client:
        _until("readiness", lambda: client.get("/readyz").status_code == 200)
        answer = client.get("/metrics")
    assert answer.status_code == 200
    found = {family.name: family for family in text_string_to_metric_families(answer.text)}
    assert found["faultline_stream_ready"].samples[0].value == 1.0
    assert found["faultline_store_up"].samples[0].value == 1.0
    assert {sample.labels["loop"] for sample in found["faultline_loop_alive"].samples} >= {"stream", "worker"}
    assert {"faultline_outbox_waiting", "faultline_investigations_due", "faultline_checkpoints"} <= set(found)


def test_stopped_stream_is_not_ready(running: tuple[Service, RunningServer]) -> None:
    """Once the loops have ended, /readyz names them and /healthz still answers."""
    service, server = running
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=30) as client:
        _until("readiness", lambda: client.get("/readyz").status_code == 200)
        service._stop.set()
        _until("loops to end", lambda: not any(service.alive().values()))
        answer = client.get("/readyz")
        assert answer.status_code == 503
        wrong = {check["name"] for check in answer.json()["checks"] if check["problem"]}
        assert {"stream", "worker"} <= wrong
        assert client.get("/healthz").status_code == 200


def test_taken_port_says_what_to_change(tmp_path: Path) -> None:
    """A port that somebody else has is an error with the settings' names, not a stack trace."""
    store = served.open_store(tmp_path)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = int(other.getsockname()[1])
        with pytest.raises(ServeError, match=r"http\.port"):
            run_server(served.client(store).app, "127.0.0.1", port)
    store.close()


def test_stop_gives_the_port_back(tmp_path: Path) -> None:
    """After `stop` nobody listens any more and the port can be taken again."""
    store = served.open_store(tmp_path)
    app = served.client(store).app
    first = run_server(app, "127.0.0.1", 0)
    assert httpx.get(f"http://127.0.0.1:{first.port}/healthz", timeout=30).status_code == 200
    first.stop()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{first.port}/healthz", timeout=30)
    second = run_server(app, "127.0.0.1", first.port)
    assert second.port == first.port
    second.stop()
    store.close()


_SHOW = """
import sys
from rich.console import Console
from agent.serve import serve_pages
from agent.store.sql import SqlStore
store = SqlStore(sys.argv[1])
serve_pages("0.0.0.0", int(sys.argv[2]), store, "inc_a", Console(width=60))
store.close()
print("ended")
"""


def test_shown_page_until_ctrl_c(tmp_path: Path) -> None:
    """It stays on loopback, takes a free port when its own is taken, prints the URL and ends on Ctrl-C."""
    store = served.open_store(tmp_path)
    served.fill(store)
    store.close()
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        command = [sys.executable, "-c", _SHOW, f"sqlite:///{tmp_path / 'served.db'}", str(port)]
        shown = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
        )
        assert shown.stdout is not None
        try:
            line = shown.stdout.readline()
            assert line.startswith("incident page: http://127.0.0.1:")
            url = line.removeprefix("incident page: ").strip()
            assert f":{port}/" not in url
            page = httpx.get(url, timeout=30)
            assert page.status_code == 200
            assert "payments refuses connections" in page.text
        finally:
            shown.send_signal(signal.SIGINT)
            rest, _ = shown.communicate(timeout=60)
    assert "ended" in rest
    assert shown.returncode == 0


def test_key_is_asked_for_over_the_wire(tmp_path: Path) -> None:
    """With a key in the settings, the running service refuses who does not have it."""
    port = free_port()
    settings = Settings(
        home=tmp_path,
        model=ModelSettings(kind="none"),
        knowledge=KnowledgeSettings(embeddings=False, shipped=False),
        http=HttpSettings(host="127.0.0.1", port=port, api_key="s3cret"),  # type: ignore[arg-type]
    )
    service = build(settings)
    server = http_server(service)
    url = f"http://127.0.0.1:{port}/api/v1/incidents"
    assert httpx.get(url, timeout=30).status_code == 401
    assert httpx.get(url, timeout=30, headers={"Authorization": "Bearer s3cret"}).status_code == 200
    server.stop()
    service.stop()
