"""Telemetry as an attack on the browser: nothing of it is obeyed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agent.analysis import Citation, Claim, Impact, ScorePart, SimilarIncident, TimelineEntry
from agent.serve import page_file
from agent.store.port import TelemetryRow
from agent.store.sql import SqlStore
from detectors.anomaly import Evidence
from ingest.record import SECOND, Origin
from ingest.summary import Line
from tests.support import samples, served
from tests.support.parsed import NOW, Parsed


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    """Return an empty store."""
    opened = served.open_store(tmp_path)
    yield opened
    opened.close()


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
