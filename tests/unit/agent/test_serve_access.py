"""Who gets in: the key in every form it may have, and names that are not ours without one."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from agent.serve.access import host_name, is_loopback
from tests.support import served
from tests.support.served import KEY

PATHS = ("/api/v1/incidents", "/readyz", "/metrics", "/api/v1/openapi.json", "/incidents", "/", "/nowhere")


def _basic(password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"any:{password}".encode()).decode()}


GOOD = [{"Authorization": f"Bearer {KEY}"}, {"authorization": f"bearer {KEY}"}, {"X-API-Key": KEY}]
BAD = [
    {},
    {"Authorization": "Bearer wrong"},
    {"Authorization": f"Bearer {KEY}x"},
    {"Authorization": "Bearer "},
    {"Authorization": KEY},
    {"X-API-Key": ""},
    {"X-API-Key": KEY[:-1]},
    {"Authorization": "Basic !!!"},
    {"Authorization": "Digest " + KEY},
    _basic("wrong"),
]


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """Return a client of an application with a key, under a public name."""
    store = served.open_store(tmp_path_factory.mktemp("keyed"))
    yield served.client(store, api_key=KEY, host="faultline.example")
    store.close()


@pytest.fixture(scope="module")
def keyless(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """Return a client of an application without a key."""
    store = served.open_store(tmp_path_factory.mktemp("keyless"))
    yield served.client(store)
    store.close()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("headers", BAD)
def test_wrong_key_is_refused_everywhere(keyed: TestClient, path: str, headers: dict[str, str]) -> None:
    """Without the key no route says anything, not even which routes there are."""
    answer = keyed.get(path, headers=headers, follow_redirects=False)
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    scheme = "Basic" if path in {"/", "/incidents"} else "Bearer"
    assert answer.headers["www-authenticate"].startswith(scheme + " ")
    assert KEY not in answer.text


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("headers", GOOD)
def test_right_key_passes(keyed: TestClient, path: str, headers: dict[str, str]) -> None:
    """Bearer and X-API-Key open API and pages alike, under any host name."""
    answer = keyed.get(path, headers=headers, follow_redirects=False)
    assert answer.status_code == {"/": 307, "/nowhere": 404}.get(path, 200)


def test_basic_opens_pages_only(tmp_path: Path) -> None:
    """A browser's sign-in shows pages; the API does not accept what a browser sends by itself."""
    client = served.client(served.open_store(tmp_path), api_key=KEY)
    assert client.get("/incidents", headers=_basic(KEY)).status_code == 200
    assert client.get("/api/v1/incidents", headers=_basic(KEY)).status_code == 401


def test_key_beyond_ascii_works(tmp_path: Path) -> None:
    """A key with letters beyond ASCII is compared as bytes."""
    client = served.client(served.open_store(tmp_path), api_key="schlüssel")
    raw = {b"X-API-Key": "schlüssel".encode()}
    assert client.get("/api/v1/incidents", headers=raw).status_code == 200
    assert client.get("/incidents", headers=_basic("schlüssel")).status_code == 200


def test_health_needs_no_key(tmp_path: Path) -> None:
    """A probe gets its answer without the key."""
    client = served.client(served.open_store(tmp_path), api_key=KEY)
    assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize("path", [*PATHS, "/healthz"])
@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "10.0.0.5:8321", "127.0.0.1.nip.io"]
)
def test_foreign_names_are_refused_without_key(keyless: TestClient, path: str, host: str) -> None:
    """A name that somebody points at loopback (DNS rebinding) gets nothing."""
    answer = keyless.get(path, headers={"Host": host}, follow_redirects=False)
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8321", "127.0.0.1:1", "[::1]:8321", "127.8.9.1"])
def test_loopback_names_pass_without_key(tmp_path: Path, host: str) -> None:
    """Names and addresses of this machine are answered."""
    client = served.client(served.open_store(tmp_path))
    assert client.get("/api/v1/incidents", headers={"Host": host}).status_code == 200


def test_public_name_passes_without_key(tmp_path: Path) -> None:
    """Behind a proxy on this machine the public name is ours."""
    client = served.client(served.open_store(tmp_path), public_url="https://ops.example/faultline")
    assert client.get("/api/v1/incidents", headers={"Host": "ops.example"}).status_code == 200
    assert client.get("/api/v1/incidents", headers={"Host": "ops.example.evil"}).status_code == 403


@pytest.mark.parametrize("host", ["", "[", "[::1", "]:80", "a b", "@localhost:80:80"])
def test_odd_hosts_are_no_names(host: str) -> None:
    """Whatever stands in the header, it is a name or nothing, never an exception."""
    assert not is_loopback(host_name(host))


def test_every_response_carries_security_headers(tmp_path: Path) -> None:
    """Pages allow their own style and nothing else; everything else allows nothing."""
    store = served.open_store(tmp_path)
    identity = served.fill(store)
    client = served.client(store)
    for path in ("/api/v1/incidents", "/incidents", f"/incidents/{identity}", "/incidents/none", "/nowhere"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "script" not in policy
