"""The pages: everything known is there, and nothing of it is obeyed by a browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from agent.analysis import Citation, Claim, Impact, IncidentState, ScorePart, SimilarIncident, TimelineEntry
from agent.serve import page_file
from agent.store.port import TelemetryRow
from agent.store.sql import SqlStore
from detectors.anomaly import Evidence
from ingest.record import SECOND, Origin
from ingest.summary import Line
from tests.support import samples, served

NOW = samples.T0 + 300 * SECOND


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    """Return an empty store."""
    opened = served.open_store(tmp_path)
    yield opened
    opened.close()


class Parsed(HTMLParser):
    """Tags with attributes and the text between them, as a browser would find them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        """Return all text with single spaces."""
        return " ".join(" ".join(self.texts).split())


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


ATTACKS = [
    "<script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "</pre><img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)",
    "javascript:alert(1)",
    "{{ 7*7 }}{% raw %}",
    "</text></svg><iframe src=javascript:alert(1)>",
    "<!-- --><a href=javascript:alert(1)>x</a>",
    "\x1b]8;;http://evil\x07click\x1b]8;;\x07 \u202egnp.exe",
]


def poison(store: SqlStore, text: str, *, analysed: bool) -> str:
    """Store an incident with `text` in every field that holds text; return its id."""
    line = Line(
        time=samples.T0,
        origin=Origin(topic=text, partition=0, offset=1),
        text=text,
        instance=text,
        trace_id=text,
    )
    evidence: Evidence = replace(
        samples.evidence(),
        service=text,
        label=text,
        statement=text,
        subject=text,
        unit=text,
        lines=(line,),
        instance=text,
    )
    metric, call = (
        replace(one, service=text, label=text, statement=text, unit=text if n == 0 else "s")
        for n, one in enumerate(served.more_evidence())
    )
    anomaly = replace(
        samples.anomaly(),
        service=text,
        detector=text,
        subject=text,
        reason=text,
        instance=text,
        evidence=(evidence,),
    )
    base = samples.analysis()
    suspect = replace(
        base.hypotheses[0],
        service=text,
        component=text,
        claims=(Claim(text=text, evidence_ids=(evidence.id, text)),),
        parts=(ScorePart(name=text, value=1.0, evidence_ids=(evidence.id, metric.id, call.id, text)),),
        against=(text,),
    )
    step = replace(
        base.remediation[0],
        step=text,
        why=text,
        command=text,
        citation=Citation(runbook=text, section=text, title=text),
    )
    how = replace(
        base.provenance,
        model=text,
        model_sha256=text,
        prompt=text,
        detectors=(text,),
        degraded=(text,),
        claims_dropped=1,
        dropped_because=(text,),
    )
    analysis = replace(
        base,
        headline=text,
        hypotheses=(suspect,),
        timeline=(TimelineEntry(time=samples.T0, service=text, what=text, evidence_id=text),),
        impact=Impact(services=(text,), symptom=text, since=samples.T0),
        ruled_out=(text,),
        missing_evidence=(text,),
        remediation=(step,),
        similar_incidents=(SimilarIncident(incident_id=text, similarity=0.5, fixed_by=text),),
        evidence=(evidence, metric, call),
        provenance=how,
    )
    incident = samples.incident(
        environment="prod", services=(text,), title=text, merged_into=text, anomaly_ids=(anomaly.id,)
    )
    windows = tuple(
        replace(
            served.window(n, text=text),
            service=text,
            changes=(served.change(samples.T0 + n * SECOND, title=text),),
        )
        for n in range(5)
    )
    row = TelemetryRow(environment="prod", service=text, minute=samples.T0, windows=windows)
    entry = replace(samples.entry("dl_x" + text), channel=text)
    epoch = store.take_over("stream").epoch
    store.checkpoint(
        samples.checkpoint(
            epoch,
            incidents=(samples.incident(text), incident),
            anomalies=((text, anomaly),),
            telemetry=(row,),
            outbox=(entry,),
        )
    )
    store.failed(entry.delivery_id, text, None)
    if analysed:
        store.save_analysis(analysis, (), samples.T0)
    return incident.id


def shape(folder: Path, place: str, text: str) -> tuple[set[str], set[str], set[str]]:
    """Return the tags, attribute names and address schemes of a page about an incident full of `text`."""
    folder.mkdir()
    store = served.open_store(folder)
    identity = poison(store, text, analysed=place != "young")
    client = served.client(store)
    if place == "file":
        page = page_file(store, identity, now=NOW)
    elif place == "list":
        page = client.get("/incidents", params={"service": text}).text
    else:
        page = client.get(f"/incidents/{identity}").text
    store.close()
    assert "\x1b" not in page
    assert "\u202e" not in page
    parsed = Parsed(page)
    return (
        {tag for tag, _ in parsed.tags},
        {name for _, attributes in parsed.tags for name in attributes},
        {
            str(value).partition(":")[0]
            for _, attributes in parsed.tags
            for name, value in attributes.items()
            if name in {"href", "src", "action"} and ":" in str(value)
        },
    )


PLACES = ("file", "page", "list", "young")


@pytest.fixture(scope="module")
def harmless(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[set[str], set[str], set[str]]]:
    """Return each page's shape when nothing in it is hostile."""
    folder = tmp_path_factory.mktemp("harmless")
    return {place: shape(folder / place, place, "harmless") for place in PLACES}


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("place", PLACES)
def test_telemetry_cannot_script_the_page(
    tmp_path: Path,
    harmless: dict[str, tuple[set[str], set[str], set[str]]],
    attack: str,
    place: str,
) -> None:
    """The attack in every text field adds no tag, no attribute and no address to the page."""
    tags, names, schemes = shape(tmp_path / "attack", place, attack)
    assert (tags, names) == harmless[place][:2]
    assert schemes == {"data"}
    assert not {"script", "iframe", "img"} & tags


def test_filters_survive_hostile_values(store: SqlStore) -> None:
    """A filter's value comes back as the field's value and nowhere else."""
    attack = '"><script>alert(1)</script>'
    page = served.client(store).get("/incidents", params={"environment": attack, "service": attack}).text
    fields = [a for tag, a in Parsed(page).tags if tag == "input"]
    assert [field["value"] for field in fields] == [attack, attack]
    assert "<script" not in page


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
