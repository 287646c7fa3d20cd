"""Events, views and their schema: the public shape keeps its promise."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.analysis import Severity
from agent.deliver.events import SCHEMA_FILE, cloud_event, schema_text, shipped_schema
from agent.deliver.notification import Kind, Notification, Reason
from agent.deliver.view import (
    MAX_PARAMETERS,
    MAX_TEXT,
    MAX_VALUE,
    analysis_view,
    anomaly_view,
    event_view,
    incident_summary,
    incident_url,
    incident_view,
    rfc3339,
)
from tests.support.samples import T0, analysis, anomaly, evidence, incident, notification

PROMISED = Path(__file__).parents[2] / "contract" / "schemas" / SCHEMA_FILE
"""The schema as first released. It changes only with a new version number in its name."""


def validator() -> jsonschema.Draft202012Validator:
    """Return a validator of the shipped schema that checks formats too."""
    return jsonschema.Draft202012Validator(
        shipped_schema(), format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )


def test_headers_are_cloudevents_binary_mode() -> None:
    """All required attributes, the delivery id as the event's id, the incident as key and subject."""
    event = cloud_event(notification(), source="/faultline/eu")
    assert {name: value.decode() for name, value in event.headers} == {
        "ce_specversion": "1.0",
        "ce_id": "dl_1",
        "ce_type": "faultline.incident.analyzed.v1",
        "ce_source": "/faultline/eu",
        "ce_subject": "inc_a",
        "ce_time": "2023-11-14T22:14:35Z",
        "ce_dataschema": "urn:faultline:schema:incident-event:v1",
        "content-type": "application/json",
    }
    assert event.key == b"inc_a"


@pytest.mark.parametrize("kind", list(Kind))
def test_the_type_says_what_happened(kind: Kind) -> None:
    """One CloudEvents type a kind."""
    headers = dict(cloud_event(notification(kind=kind), source="/").headers)
    assert headers["ce_type"] == f"faultline.incident.{kind.value}.v1".encode()


NOTIFICATIONS = st.builds(
    notification,
    kind=st.sampled_from(Kind),
    reason=st.sampled_from(Reason),
    incident=st.builds(
        incident,
        severity=st.sampled_from(Severity),
        title=st.text(),
        resolved_at=st.one_of(st.none(), st.integers(T0, T0 + 10**12)),
    ),
    analysis=st.one_of(
        st.none(),
        st.builds(
            analysis,
            confidence=st.floats(allow_nan=True),
            headline=st.text(),
            evidence=st.builds(lambda text: (evidence(text),), st.text()),
            hypotheses=st.just(()),
        ),
    ),
)


@given(NOTIFICATIONS)
def test_every_event_fits_the_shipped_schema(item: Notification) -> None:
    """Whatever it holds, infinities too."""
    data = json.loads(cloud_event(item, source="/", public_url="https://f.test").value)
    validator().validate(data)


def test_the_schema_refuses_what_is_not_an_event() -> None:
    """It is no rubber stamp."""
    good = event_view(notification())
    validator().validate(good)
    for path, wrong in ((("kind",), "exploded"), (("time",), 3), (("incident", "services"), "cart")):
        bad = copy.deepcopy(good)
        place: Any = bad
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = wrong
        with pytest.raises(jsonschema.ValidationError):
            validator().validate(bad)
    del good["delivery_id"]
    with pytest.raises(jsonschema.ValidationError):
        validator().validate(good)


def test_the_shipped_schema_is_the_types() -> None:
    """Write `agent.deliver.events.schema_text()` into the file when a field was added."""
    assert json.loads(schema_text()) == shipped_schema()
    jsonschema.Draft202012Validator.check_schema(shipped_schema())


def breaks(old: Any, new: Any, where: str = "$") -> list[str]:
    """Return what a consumer that relies on `old` would miss in `new`; added things are no break."""
    if isinstance(old, dict):
        if not isinstance(new, dict):
            return [where]
        gone = [f"{where}.{name}" for name in old if name not in new]
        return gone + [
            b for name in old if name in new for b in breaks(old[name], new[name], f"{where}.{name}")
        ]
    if isinstance(old, list):
        kept = new if isinstance(new, list) else []
        missing = [f"{where}: {item}" for item in old if isinstance(item, str) and item not in kept]
        inner = [
            b
            for n, item in enumerate(old)
            if not isinstance(item, str)
            for b in (breaks(item, kept[n], f"{where}[{n}]") if n < len(kept) else [f"{where}[{n}]"])
        ]
        return missing + inner
    documentation = where.endswith((".description", ".title"))
    return [] if old == new or documentation else [f"{where}: {old!r} became {new!r}"]


def test_fields_are_only_added_to_what_was_promised() -> None:
    """Consumers of the first release can read every later one."""
    assert breaks(json.loads(PROMISED.read_text()), shipped_schema()) == []


def test_the_compatibility_check_sees_breaks() -> None:
    """Removed fields, changed types, fields that are no longer always there; not added ones."""
    promised = json.loads(PROMISED.read_text())
    later = copy.deepcopy(promised)
    later["$defs"]["IncidentView"]["properties"]["owner"] = {"type": "string"}
    later["$defs"]["IncidentView"]["required"].append("owner")
    assert breaks(promised, later) == []
    changes: tuple[Callable[[Any], object], ...] = (
        lambda s: s["$defs"]["IncidentView"]["properties"].pop("title"),
        lambda s: s["$defs"]["IncidentView"]["required"].remove("title"),
        lambda s: s["$defs"]["IncidentView"]["properties"].update(revision={"type": "string"}),
        lambda s: s["$defs"].pop("OriginView"),
    )
    for change in changes:
        broken = copy.deepcopy(promised)
        change(broken)
        assert breaks(promised, broken)


def test_the_same_incident_looks_the_same_everywhere() -> None:
    """Events, lists and the detail page agree field by field."""
    detail = incident_view(incident(), (analysis(),), (anomaly(),))
    assert incident_summary(incident()).items() <= detail.items()
    assert detail["analysis"] == detail["analyses"][-1] == analysis_view(analysis())
    assert detail["anomalies"] == [anomaly_view(anomaly())] or detail["anomalies"] == (
        anomaly_view(anomaly()),
    )
    event = event_view(notification())
    assert event["incident"] == incident_summary(incident())
    assert event["analysis"] == analysis_view(analysis())


def test_evidence_carries_its_place() -> None:
    """Ids, kinds and where the record stands."""
    shown = analysis_view(analysis())["evidence"][0]
    assert (shown["kind"], shown["id"]) == ("log", evidence().id)
    assert shown["lines"][0]["origin"] == {"topic": "logs", "partition": 2, "offset": 77}


def test_long_lines_are_cut() -> None:
    """So that an event fits into a Kafka record."""
    shown = analysis_view(analysis(evidence=(evidence("x" * 100_000),)))
    assert len(shown["evidence"][0]["lines"][0]["text"]) == MAX_TEXT


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1_500_000_000, "1970-01-01T00:00:01.5Z"),
        (T0 + 1, "2023-11-14T22:14:00.000000001Z"),
    ],
)
def test_times_are_rfc3339(time: int, text: str) -> None:
    """In UTC, without losing a nanosecond."""
    assert rfc3339(time) == text


def test_page_addresses_hold_only_the_id() -> None:
    """Whatever the id; none where nobody said where pages are."""
    assert incident_url("https://f.test/", "inc_a") == "https://f.test/incidents/inc_a"
    assert incident_url("https://f.test", "../x?y") == "https://f.test/incidents/..%2Fx%3Fy"
    assert incident_url(None, "inc_a") is None


def test_a_line_tells_its_values() -> None:
    """Typed, in the template's places, bounded in number and length."""
    shown = analysis_view(analysis(evidence=(evidence("connection refused by payments:8443"),)))
    (value,) = shown["evidence"][0]["lines"][0]["parameters"]
    assert value == {"kind": "number", "value": 8443.0, "text": "8443", "name": "payments"}
    long = evidence("took_ms=7 " + " ".join(f"k{chr(97 + n)}={'x' * 900}" for n in range(25)))
    values = analysis_view(analysis(evidence=(long,)))["evidence"][0]["lines"][0]["parameters"]
    assert values[0] == {"kind": "duration", "value": 0.007, "text": "7", "name": "took_ms"}
    assert len(values) <= MAX_PARAMETERS
    assert max(len(one["text"]) for one in values) == MAX_VALUE
