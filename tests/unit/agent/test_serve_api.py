"""The API against its own OpenAPI document, over a real store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from jsonschema import Draft202012Validator
from starlette.testclient import TestClient

from agent.analysis import IncidentState, Severity
from agent.store.port import IncidentPage, IncidentQuery, StoreError
from agent.store.sql import SqlStore
from ingest.record import SECOND
from tests.support import samples, served


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    """Return a store with one full incident."""
    opened = served.open_store(tmp_path)
    served.fill(opened)
    yield opened
    opened.close()


@pytest.fixture
def client(store: SqlStore) -> TestClient:
    """Return a client without key on loopback."""
    return served.client(store)


def _validator(document: dict[str, Any], schema: dict[str, Any]) -> Draft202012Validator:
    # `$ref`s point into the document: they resolve when the schema stands inside it.
    return Draft202012Validator(
        {**schema, "components": document["components"]}, format_checker=Draft202012Validator.FORMAT_CHECKER
    )


def _schema(
    document: dict[str, Any], path: str, status: int, kind: str, method: str = "get"
) -> dict[str, Any]:
    answers = document["paths"][path][method]["responses"]
    found: dict[str, Any] = answers.get(str(status), answers["default"])["content"][kind]["schema"]
    return found


ID = "/api/v1/incidents/{incident_id}"
PARTS = ("", "/anomalies", "/evidence", "/analysis", "/analyses", "/deliveries")
CASES = [
    ("/api/v1/incidents", "", 200),
    ("/api/v1/incidents", "?state=open&severity=error&service=payments&environment=prod&limit=1", 200),
    ("/api/v1/incidents", "?cursor=nonsense", 400),
    ("/api/v1/incidents", "?state=broken", 422),
    ("/api/v1/incidents", "?limit=0", 422),
    (ID, "", 200),
    (f"{ID}/anomalies", "", 200),
    (f"{ID}/evidence", "", 200),
    (f"{ID}/analysis", "", 200),
    (f"{ID}/analyses", "", 200),
    (f"{ID}/deliveries", "", 200),
    *((f"{ID}{part}", "missing", 404) for part in PARTS),
    ("/healthz", "", 200),
    ("/readyz", "", 200),
]  # fmt: skip


@pytest.mark.parametrize(("path", "variant", "status"), CASES)
def test_responses_are_what_the_document_says(
    client: TestClient, path: str, variant: str, status: int
) -> None:
    """Status, media type and body of real responses validate against the document's schema."""
    document = client.get("/api/v1/openapi.json").json()
    identity = "inc_none" if variant == "missing" else "inc_a"
    query = variant if variant.startswith("?") else ""
    answer = client.get(path.format(incident_id=identity) + query)
    assert answer.status_code == status
    kind = "application/json" if status < 400 else "application/problem+json"
    assert answer.headers["content-type"] == kind
    _validator(document, _schema(document, path, status, kind)).validate(answer.json())


def test_document_promises_problems_only(client: TestClient) -> None:
    """OpenAPI 3.1; every error of every operation is application/problem+json, FastAPI's own are gone."""
    document = client.get("/api/v1/openapi.json").json()
    assert document["openapi"] == "3.1.0"
    assert "HTTPValidationError" not in str(document)
    for operations in document["paths"].values():
        for operation in operations.values():
            errors = [a for s, a in operation["responses"].items() if s == "default" or s[0] in "45"]
            assert errors
            assert all(list(error["content"]) == ["application/problem+json"] for error in errors)
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_references_resolve(client: TestClient) -> None:
    """No schema points at one that is not there."""
    document = client.get("/api/v1/openapi.json").json()
    names = document["components"]["schemas"].keys()

    def references(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            if isinstance(node.get("$ref"), str):
                yield node["$ref"].removeprefix("#/components/schemas/")
            for value in node.values():
                yield from references(value)
        elif isinstance(node, list):
            for value in node:
                yield from references(value)

    found = set(references(document))
    assert found
    assert found <= names


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/nope", 404), ("DELETE", "/api/v1/incidents", 405)]
)
def test_router_errors_are_problems(client: TestClient, method: str, path: str, status: int) -> None:
    """What no route takes is a problem with the address it concerns."""
    answer = client.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert (body["status"], body["instance"]) == (status, path)
    assert body["detail"]
    assert ("allow" in answer.headers) is (status == 405)


def test_refused_parameters_are_named(client: TestClient) -> None:
    """422 says which parameter and why."""
    body = client.get("/api/v1/incidents?limit=0&state=broken").json()
    assert {error["where"] for error in body["errors"]} == {"query.limit", "query.state"}
    assert "query.limit" in body["detail"]


def test_analysis_not_there_yet(store: SqlStore, client: TestClient) -> None:
    """An incident without analysis says so, apart from one that does not exist."""
    epoch = store.take_over("stream").epoch
    store.checkpoint(samples.checkpoint(epoch, incidents=(samples.incident("inc_young"),)))
    answer = client.get("/api/v1/incidents/inc_young/analysis")
    assert answer.status_code == 404
    assert "not yet" in answer.json()["detail"]
    assert answer.headers["retry-after"] == "5"
    assert client.get("/api/v1/incidents/inc_young").json()["analysis"] is None


def test_filters_and_pages(store: SqlStore, client: TestClient) -> None:
    """Following the cursor shows every incident once, newest first; filters leave the rest out."""
    epoch = store.take_over("stream").epoch
    more = tuple(
        samples.incident(
            f"inc_{n}",
            onset=samples.T0 + n * SECOND,
            environment="stage",
            state=IncidentState.RESOLVED if n % 2 else IncidentState.OPEN,
            severity=Severity.CRITICAL if n < 3 else Severity.INFO,
            services=(f"svc{n}",),
        )
        for n in range(1, 8)
    )
    store.checkpoint(samples.checkpoint(epoch, incidents=more))
    seen: list[str] = []
    cursor: str | None = None
    while True:
        params = {"limit": "3", "environment": "stage", **({"cursor": cursor} if cursor else {})}
        page = client.get("/api/v1/incidents", params=params).json()
        seen += [incident["id"] for incident in page["incidents"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == [f"inc_{n}" for n in range(7, 0, -1)]

    def ids(**params: str) -> set[str]:
        found = client.get("/api/v1/incidents", params=params).json()
        return {incident["id"] for incident in found["incidents"]}

    assert ids(state="resolved") == {"inc_1", "inc_3", "inc_5", "inc_7"}
    assert ids(severity="critical", state="open") == {"inc_2"}
    assert ids(service="svc4") == {"inc_4"}


def test_evidence_is_listed_once(client: TestClient) -> None:
    """What an anomaly and the analysis share appears once, with its sample line and origin."""
    evidence = client.get("/api/v1/incidents/inc_a/evidence").json()["evidence"]
    assert len({item["id"] for item in evidence}) == len(evidence) == 3
    (line,) = next(item for item in evidence if item["kind"] == "log")["lines"]
    assert line["origin"] == {"topic": "logs", "partition": 2, "offset": 77}


def test_deliveries_tell_how_far_they_got(client: TestClient) -> None:
    """A delivery given up stands there with its error."""
    sent, dead = client.get("/api/v1/incidents/inc_a/deliveries").json()["deliveries"]
    assert (sent["state"], dead["state"], dead["error"]) == ("sent", "dead", "HTTP 500")


def test_not_ready_says_why(store: SqlStore) -> None:
    """503 with each part that does not work."""
    answer = served.client(store, ready={"store": None, "stream": "not reading yet"}).get("/readyz")
    assert answer.status_code == 503
    body = answer.json()
    assert body["detail"] == "stream: not reading yet"
    assert {check["name"]: check["problem"] for check in body["checks"]}["store"] is None


class _Broken(SqlStore):
    """A store that fails in a way nobody foresaw, or as databases do."""

    failure: Exception

    def incidents(self, query: IncidentQuery) -> IncidentPage:
        raise self.failure


@pytest.mark.parametrize("path", ["/api/v1/incidents", "/incidents"])
def test_unforeseen_failure_is_counted_logged_and_kept_inside(tmp_path: Path, path: str) -> None:
    """500 without internals; the log has the cause, the metrics count it."""
    store = _Broken(f"sqlite:///{tmp_path / 'broken.db'}")
    store.failure = RuntimeError("password=hunter2 at line 7")
    client = served.client(store)
    with structlog.testing.capture_logs() as logs:
        answer = client.get(path)
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "hunter2" not in answer.text
    assert "Traceback" not in answer.text
    (entry,) = [one for one in logs if one["event"] == "http.failed"]
    assert entry["cause"] == "RuntimeError"
    assert entry["exc_info"]
    shown = client.get("/metrics").text
    assert "faultline_http_failures_total 1.0" in shown
    assert f'faultline_http_requests_total{{method="GET",route="{path}",status="500"}} 1.0' in shown
    store.close()


def test_database_trouble_is_passing(tmp_path: Path) -> None:
    """A database that refuses is 503 with Retry-After, and its message stays inside."""
    store = _Broken(f"sqlite:///{tmp_path / 'broken.db'}")
    store.failure = StoreError("the database refused: disk I/O error in /var/secret")
    answer = served.client(store).get("/api/v1/incidents")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert "secret" not in answer.text
    store.close()


def test_unknown_paths_do_not_fill_the_metrics(client: TestClient) -> None:
    """Routes are counted by their pattern, what matches none under one name."""
    for n in range(5):
        client.get(f"/made/up/{n}")
        client.get(f"/api/v1/incidents/inc_{n}")
    shown = client.get("/metrics").text
    assert 'route="unmatched",status="404"} 5.0' in shown
    assert 'route="/api/v1/incidents/{incident_id}",status="404"} 5.0' in shown
    assert "/made/up" not in shown
