"""The pages: everything known is there, each stands alone and links lead somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.analysis import IncidentState
from agent.serve import page_file
from agent.store.sql import SqlStore
from ingest.record import SECOND
from tests.support import samples, served
from tests.support.parsed import NOW, Parsed


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    """Return an empty store."""
    opened = served.open_store(tmp_path)
    yield opened
    opened.close()


def test_page_holds_everything_known(store: SqlStore) -> None:
    """Headline, verdict, suspects, steps, evidence with origin, provenance and deliveries stand there."""
    shown = Parsed(page_file(store, served.fill(store), now=NOW)).text
    analysis = samples.analysis()
    for expected in (
        analysis.headline,
        "likely",
        "71 % sure",
        "explained by the model",
        "error",
        "open",
        "14 Nov 2023 22:14:00 UTC",
        "for 5 min 0 s",
        "checkout errors",
        "payments-7d9f",
        "pool saturation",
        "cart saw refused connections 412 times",
        "log burst",
        "+2.50",
        "kubectl describe pod payments-7d9f",
        "read-only",
        "Connection pool exhausted",
        "logs/2/77",
        "connection refused by payments:8443",
        "catalog: no deviation",
        "no traces from payments",
        "inc_0",
        "explain@1",
        "900 tokens in, 150 out",
        "12.5 s",
        "sha256 abababababab…",
        "webhook:pager",
        "HTTP 500",
        "deploy of cart: cart 2.4.1",
    ):
        assert expected in shown, expected


def test_page_draws_timeline_and_evidence(store: SqlStore) -> None:
    """The timeline twice (broad, narrow), and a plot for each of the three subjects with its data."""
    parsed = Parsed(page_file(store, served.fill(store), now=NOW))
    drawings = [
        attributes for tag, attributes in parsed.tags if tag == "svg" and attributes.get("role") == "img"
    ]
    assert len(drawings) == 2 + 3
    assert sum(tag == "rect" and a.get("class") == "value" for tag, a in parsed.tags) >= served.WINDOWS
    strokes = [a for tag, a in parsed.tags if tag == "path" and str(a.get("class")).startswith("stroke")]
    assert any(str(a["d"]).count("L") > 20 for a in strokes)
    assert any(a.get("class") == "k-change" for tag, a in parsed.tags if tag == "path")


def test_citations_lead_to_evidence(store: SqlStore) -> None:
    """Every link within the page has its target, and each piece of evidence one short name."""
    parsed = Parsed(page_file(store, served.fill(store), now=NOW))
    ids = [a["id"] for _, a in parsed.tags if "id" in a]
    links = [str(a["href"]) for tag, a in parsed.tags if tag == "a" and str(a.get("href")).startswith("#")]
    assert len(set(ids)) == len(ids)
    assert links
    assert {link[1:] for link in links} <= set(ids)


def test_page_stands_alone(store: SqlStore) -> None:
    """The file needs nothing from elsewhere: no script, no remote address, no link out of itself."""
    page = page_file(store, served.fill(store), now=NOW)
    parsed = Parsed(page)
    assert not {tag for tag, _ in parsed.tags} & {
        "script",
        "iframe",
        "object",
        "embed",
        "img",
        "form",
        "base",
    }
    for tag, attributes in parsed.tags:
        for name in ("href", "src", "action", "xlink:href", "data"):
            value = attributes.get(name)
            assert value is None or value.startswith("#") or value == "data:,", (tag, value)
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
    assert "@import" not in page
    assert "url(" not in page
    (policy,) = [a["content"] for t, a in parsed.tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert str(policy).startswith("default-src 'none'; style-src 'sha256-")


def test_unknown_incident_is_an_error(store: SqlStore) -> None:
    """No page is written about an incident that is not there."""
    with pytest.raises(LookupError, match="inc_none"):
        page_file(store, "inc_none", now=NOW)


def test_incident_without_analysis_has_a_page(store: SqlStore) -> None:
    """Before the first analysis the anomalies are shown and the page says what is missing."""
    epoch = store.take_over("stream").epoch
    anomaly = samples.anomaly()
    incident = samples.incident(anomaly_ids=(anomaly.id,))
    store.checkpoint(samples.checkpoint(epoch, incidents=(incident,), anomalies=((incident.id, anomaly),)))
    shown = Parsed(page_file(store, incident.id, now=NOW)).text
    assert incident.title in shown
    assert "The analysis is not there yet" in shown
    assert anomaly.reason in shown
    assert "connection refused by payments:8443" in shown


def test_outdated_and_merged_are_said(store: SqlStore) -> None:
    """An analysis of an older revision and an incident that became part of another say so."""
    identity = served.fill(store)
    epoch = store.take_over("stream").epoch
    moved = samples.incident(revision=3, merged_into="inc_b", state=IncidentState.MERGED)
    store.checkpoint(samples.checkpoint(epoch, incidents=(samples.incident("inc_b"), moved)))
    shown = Parsed(page_file(store, identity, now=NOW)).text
    assert "changed since this analysis (revision 1 of 3)" in shown
    assert "now part of inc_b" in shown


def test_list_page_filters_and_links(store: SqlStore) -> None:
    """The list links each incident, an empty filter means any, and the second page can be reached."""
    served.fill(store)
    epoch = store.take_over("stream").epoch
    many = tuple(samples.incident(f"inc_{n:03}", onset=samples.T0 - n * SECOND) for n in range(60))
    store.checkpoint(samples.checkpoint(epoch, incidents=many))
    client = served.client(store)
    first = client.get("/incidents?state=&severity=error&environment=&service=")
    assert first.status_code == 200
    links = re.findall(r'href="/incidents/(inc_\w+)"', first.text)
    assert len(links) == 50
    (following,) = [a["href"] for _, a in Parsed(first.text).tags if a.get("rel") == "next"]
    second = client.get(str(following))
    rest = re.findall(r'href="/incidents/(inc_\w+)"', second.text)
    assert len(set(links) | set(rest)) == 61
    assert "No incident fits" in client.get("/incidents?service=nobody").text
    assert client.get("/incidents?cursor=nonsense").status_code == 400
    assert client.get("/", follow_redirects=False).headers["location"] == "/incidents"


def test_missing_page_is_a_page(store: SqlStore) -> None:
    """Who follows an old link reads a page, not JSON."""
    answer = served.client(store).get("/incidents/inc_gone")
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert "No such incident" in answer.text
