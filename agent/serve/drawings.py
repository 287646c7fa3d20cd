"""What an incident's drawings show: which span of time, which lanes, which evidence is plotted.

Pure. Choosing is done here, geometry in `plots` and `timeline`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agent.analysis import Analysis, Incident
from agent.serve.curves import curves_of, level_of, unit_of
from agent.serve.plots import Chart, chart, quantity
from agent.serve.text import clock
from agent.serve.timeline import Happening, Mark, Timeline, timeline
from detectors.anomaly import Anomaly, Evidence, EvidenceKind
from ingest.record import SECOND, Nanos
from ingest.summary import WindowSummary

BEFORE: Nanos = 20 * 60 * SECOND
"""How much of normal times is drawn before the onset."""
LONGEST: Nanos = 3 * 3600 * SECOND
"""How much of a long incident is drawn after it."""
MOST_CHARTS = 6
_LEAD: Nanos = 120 * SECOND
_TAIL: Nanos = 60 * SECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """Everything the drawings are made of."""

    incident: Incident
    analysis: Analysis | None
    anomalies: tuple[Anomaly, ...]
    windows: tuple[WindowSummary, ...]
    span: tuple[Nanos, Nanos]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceChart:
    """A piece of evidence and its plot."""

    evidence: Evidence
    chart: Chart
    bars_label: str
    observed: str
    expected: str


def span_of(incident: Incident, analysis: Analysis | None) -> tuple[Nanos, Nanos]:
    """Return the time that is drawn: normal times before, and the incident up to what is known."""
    known = [incident.last_anomaly_at, incident.onset]
    if analysis is not None:
        known.append(analysis.as_of)
    until = min(max(known) + _TAIL, incident.onset + LONGEST)
    return incident.onset - BEFORE, until


def timeline_of(drawn: Drawn, width: float) -> Timeline:
    """Return the timeline at a width in CSS pixels."""
    incident, analysis = drawn.incident, drawn.analysis
    changes = _changes(drawn)
    spans = [
        Happening(
            service=one.service,
            start=one.start,
            end=one.end,
            kind=kind_of(one),
            title=_title(one),
        )
        for one in drawn.anomalies
    ]
    spans.extend(
        Happening(
            service=item.service, start=item.start, end=item.end, kind=_colour(item), title=item.statement
        )
        for item in _unreported(drawn)
    )
    first = min([incident.onset, *(one.start for one in changes), *(one.start for one in spans)])
    start = max(first - _LEAD, drawn.span[0])
    marks = [Mark(time=incident.onset, label="onset"), Mark(time=incident.opened_at, label="opened")]
    if analysis is not None:
        marks.append(Mark(time=analysis.as_of, label="as of"))
    if incident.resolved_at is not None:
        marks.append(Mark(time=incident.resolved_at, label="resolved"))
    return timeline(_lanes(drawn), spans, changes, marks, start=start, end=drawn.span[1], width=width)


def charts_of(drawn: Drawn, evidence: Sequence[Evidence]) -> tuple[EvidenceChart, ...]:
    """Return plots of the first pieces of evidence that can be drawn, each subject once."""
    made: dict[tuple[str, str, str], EvidenceChart] = {}
    for item in evidence:
        subject = (item.kind.value, item.service, item.subject)
        if subject in made or len(made) == MOST_CHARTS:
            continue
        curves = curves_of(item, drawn.windows)
        if not curves:
            continue
        unit = unit_of(item)
        level = level_of(item, curves)
        start, end = _seen(drawn)
        until = min(max(item.end, drawn.incident.last_anomaly_at), end)
        made[subject] = EvidenceChart(
            evidence=item,
            chart=chart(
                curves,
                start=start,
                end=end,
                onset=drawn.incident.onset,
                until=until,
                unit=unit,
                expected=level,
            ),
            bars_label=next((curve.label for curve in curves if curve.bars), ""),
            observed="" if item.observed is None else quantity(item.observed, item.unit),
            expected="" if item.expected is None else quantity(item.expected, item.unit),
        )
    return tuple(made.values())


def kind_of(anomaly: Anomaly) -> str:
    """Return the colour class of an anomaly: what kind of telemetry it was found in."""
    return _colour(anomaly.evidence[0]) if anomaly.evidence else "other"


def _colour(evidence: Evidence) -> str:
    kind = evidence.kind
    return EvidenceKind.CALL.value if kind is EvidenceKind.OPERATION else kind.value


def _unreported(drawn: Drawn) -> tuple[Evidence, ...]:
    """Return what an analysis found where no detector had spoken before: somebody gave the interval."""
    if drawn.anomalies or drawn.analysis is None:
        return ()
    return tuple(item for item in drawn.analysis.evidence if item.kind is not EvidenceKind.CHANGE)


def kinds_of(drawn: Drawn) -> frozenset[str]:
    """Return the colour classes that the timeline uses, for its legend."""
    changes = ["change"] if _changes(drawn) else []
    found = (_colour(item) for item in _unreported(drawn))
    return frozenset([*(kind_of(one) for one in drawn.anomalies), *found, *changes])


def _seen(drawn: Drawn) -> tuple[Nanos, Nanos]:
    """Return the span without the time before any telemetry is there."""
    start, end = drawn.span
    first = min((window.start for window in drawn.windows), default=start)
    return max(start, min(first, drawn.incident.onset)), end


def _lanes(drawn: Drawn) -> list[str]:
    """Return services: suspects first, then as they joined, then those that only changed."""
    suspects = [h.service for h in drawn.analysis.hypotheses] if drawn.analysis is not None else []
    happened = {one.service for one in drawn.anomalies}
    changed = [one.service for one in _changes(drawn)]
    ordered = [s for s in suspects if s in happened or s in changed]
    return list(dict.fromkeys([*ordered, *drawn.incident.services, *sorted(happened), *changed]))


def _changes(drawn: Drawn) -> list[Happening]:
    start, end = drawn.span
    found = {
        (window.service, change.time, change.kind, change.title)
        for window in drawn.windows
        for change in window.changes
        if start <= change.time <= end
    }
    return [
        Happening(
            service=service,
            start=time,
            end=time,
            kind="change",
            title=f"{clock(time)} {kind} of {service}: {title}",
        )
        for service, time, kind, title in sorted(found, key=lambda item: (item[1], item[0], item[2:]))
    ]


def _title(anomaly: Anomaly) -> str:
    learning = ", still learning" if anomaly.learning else ""
    return (
        f"{clock(anomaly.start)} to {clock(anomaly.end)} {anomaly.service}: {anomaly.reason} "
        f"({anomaly.detector}, score {anomaly.score:.3g}, threshold {anomaly.threshold:.3g}{learning})"
    )
