"""The pages for people: what the store knows of an incident, arranged, drawn and rendered to HTML.

No script, nothing from elsewhere; the style stands in the page and the policy names its hash. All text is
cleaned of control characters and escaped by the engine, whatever template it passes through.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from agent.analysis import Analysis, Incident, IncidentState, Severity
from agent.deliver.sanitize import block
from agent.deliver.view import rfc3339
from agent.mutes import Mute, MuteKind
from agent.serve import text
from agent.serve.deps import ReadStore
from agent.serve.drawings import Drawn, charts_of, kind_of, kinds_of, span_of, timeline_of
from agent.store.port import IncidentPage
from detectors.anomaly import Anomaly, Evidence
from ingest.record import SECOND, Nanos

WIDE, NARROW = 1040.0, 360.0
_EVIDENCE_ROWS = 60
_NEWS = 7 * 86400 * SECOND
"""Older than this, an incident is history (a replay): its age says nothing."""


@dataclass(frozen=True, slots=True)
class Pages:
    """Renders pages; built once by `pages`."""

    environment: Environment
    style: str

    @property
    def policy(self) -> str:
        """Return the Content-Security-Policy that fits the rendered pages."""
        digest = base64.b64encode(hashlib.sha256(self.style.encode()).digest()).decode()
        return (
            f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; "
            "base-uri 'none'; form-action 'self'"
        )

    def incident(self, store: ReadStore, incident_id: str, now: Nanos, *, alone: bool = False) -> str | None:
        """Return an incident's page, None when there is no such incident; `alone` is for a file."""
        incident = store.incident(incident_id)
        if incident is None:
            return None
        analyses = store.analyses(incident_id)
        anomalies = store.anomalies(incident_id)
        analysis = analyses[-1] if analyses else None
        context = _incident_context(store, incident, analysis, anomalies, now)
        return self._render(
            "incident.html",
            **context,
            earlier=analyses[:-1],
            deliveries=store.delivery_states(incident_id),
            alone=alone,
            now=now,
        )

    def incidents(
        self, page: IncidentPage, filters: Mapping[str, str], now: Nanos, mutes: Sequence[Mute] = ()
    ) -> str:
        """Return the list page, with the mutes that are in force above it."""
        following = None
        if page.next_cursor is not None:
            following = "/incidents?" + urlencode({**filters, "cursor": page.next_cursor})
        return self._render(
            "incidents.html",
            incidents=page.incidents,
            following=following,
            filters=filters,
            states=tuple(IncidentState),
            severities=tuple(Severity),
            mutes=mutes,
            now=now,
            alone=False,
        )

    def message(self, title: str, detail: str) -> str:
        """Return a page that says one thing."""
        return self._render("message.html", title=title, detail=detail, alone=False)

    def _render(self, template: str, **context: Any) -> str:
        return self.environment.get_template(template).render(
            style=Markup(self.style),  # noqa: S704 - our own file
            policy=self.policy,
            **context,
        )


def pages() -> Pages:
    """Return the renderer with its templates loaded from the package."""
    environment = Environment(
        loader=PackageLoader("agent.serve", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "clock": text.clock,
        "stamp": text.stamp,
        "offset": text.offset,
        "percent": text.percent,
        "words": text.words,
        "iso": rfc3339,
        "kind": kind_of,
    }
    environment.tests["maintained"] = _maintained
    loader = environment.loader
    assert loader is not None
    style, _, _ = loader.get_source(environment, "page.css")
    return Pages(environment, style)


def _maintained(by: str) -> bool:
    return by.startswith(MuteKind.MAINTENANCE.value)


def _shown(value: object) -> object:
    """Clean what an expression gives; only markup that a macro made is left as it is."""
    if value is None:
        return ""
    if isinstance(value, str) and not isinstance(value, Markup):
        return block(value)
    return value


def _incident_context(
    store: ReadStore,
    incident: Incident,
    analysis: Analysis | None,
    anomalies: Sequence[Anomaly],
    now: Nanos,
) -> dict[str, Any]:
    evidence = _evidence(analysis, anomalies)
    short = {item.id: f"E{number}" for number, item in enumerate(evidence, 1)}
    span = span_of(incident, analysis)
    windows = store.telemetry(incident.environment, *span, _services(incident, evidence))
    drawn = Drawn(
        incident=incident, analysis=analysis, anomalies=tuple(anomalies), windows=windows, span=span
    )
    strongest = max(
        (abs(part.value) for h in (analysis.hypotheses if analysis else ()) for part in h.parts), default=1.0
    )
    return {
        "incident": incident,
        "analysis": analysis,
        "anomalies": anomalies,
        "evidence": evidence[:_EVIDENCE_ROWS],
        "evidence_hidden": max(0, len(evidence) - _EVIDENCE_ROWS),
        "short": short,
        "strongest": strongest or 1.0,
        "timelines": (timeline_of(drawn, WIDE), timeline_of(drawn, NARROW)),
        "drawn_kinds": kinds_of(drawn),
        "charts": charts_of(drawn, evidence),
        "age": _age(incident, now),
    }


def _evidence(analysis: Analysis | None, anomalies: Sequence[Anomaly]) -> tuple[Evidence, ...]:
    """Return what the page lists, each piece once: cited by the first suspect first, then the strongest."""
    if analysis is None:
        found = {item.id: item for anomaly in anomalies for item in anomaly.evidence}
        return tuple(sorted(found.values(), key=lambda item: (-item.score, item.id)))
    cited: list[str] = []
    for hypothesis in analysis.hypotheses:
        for part in sorted(hypothesis.parts, key=lambda part: -part.value):
            cited += part.evidence_ids
        cited += hypothesis.evidence_ids
    place = {identity: number for number, identity in reversed(list(enumerate(cited)))}
    return tuple(
        sorted(analysis.evidence, key=lambda item: (place.get(item.id, len(cited)), -item.score, item.id))
    )


def _services(incident: Incident, evidence: Sequence[Evidence]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*incident.services, *(item.service for item in evidence)]))


def _age(incident: Incident, now: Nanos) -> str:
    if incident.resolved_at is not None:
        return f"lasted {text.length(incident.resolved_at - incident.onset)}"
    if incident.state is IncidentState.OPEN and 0 <= now - incident.onset < _NEWS:
        return f"for {text.length(now - incident.onset)}"
    return f"last anomaly {text.length(incident.last_anomaly_at - incident.onset)} later"
