"""Evidence and findings in words: the only place where detectors build sentences.

A statement is ours, with the numbers it rests on; telemetry text stays in labels and sample lines, so a
hostile line never becomes a sentence of ours.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from detectors.anomaly import Anomaly, Direction, Evidence, EvidenceKind, Hit, anomaly_id, evidence_id
from detectors.threshold import Run
from ingest.record import SECOND, Nanos
from ingest.summary import SeriesWindow, TemplateCount, WindowSummary

ERROR = 17
WARNING = 13
FATAL = 21
"""First OpenTelemetry severity numbers of their range."""

_LABEL = 300
_HIGHEST = 1e6

_FAILURE = re.compile(
    r"error|exception|fail|fatal|panic|refused|timed? ?out|denied|unavailable|abort|crash|corrupt|exhausted"
    r"|unreachable|deadlock|out of memory|traceback",
    re.IGNORECASE,
)
_SATURATION = re.compile(
    r"cpu|mem|disk|heap|throttl|queue|pool|connection|usage|util|limit|quota|thread|socket|fds?\b|\bio\b|load"
    r"|saturat|backlog|pending|waiting|swap|gc\b|garbage",
    re.IGNORECASE,
)
_FAILING = re.compile(r"error|fail|latency|duration|response.?time|5xx|4xx|exception|timeout", re.IGNORECASE)


def severity_name(number: int) -> str:
    """Return OpenTelemetry's name of a severity number's range."""
    names = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")
    return names[(number - 1) // 4] if 1 <= number <= 24 else "unknown severity"


def sounds_like_failure(template: str) -> bool:
    """Say whether a template's words speak of failure; used where a line has no severity."""
    return _FAILURE.search(template) is not None


def series_hit(name: str) -> Hit:
    """Return what a rise of a series of this name hits, as far as its name tells."""
    if _FAILING.search(name):
        return Hit.ERROR
    return Hit.SATURATION if _SATURATION.search(name) else Hit.OTHER


def number(value: float) -> str:
    """Return `value` for people: four digits, no exponent for ordinary sizes."""
    if value != 0 and abs(value) < 1e-4:
        return f"{value:.1e}"
    if abs(value) >= 1000:
        return f"{value:.0f}"
    return f"{value:.3f}".rstrip("0").rstrip(".") if abs(value) < 100 else f"{value:.1f}"


def seconds(start: Nanos, end: Nanos) -> str:
    """Return a length of time as `10 s`."""
    return f"{number((end - start) / SECOND)} s"


def bounded(score: float) -> float:
    """Return a score that is finite whatever the data did."""
    return _HIGHEST if math.isnan(score) or score > _HIGHEST else score


def log_evidence(
    summary: WindowSummary,
    template: TemplateCount,
    statement: str,
    *,
    score: float,
    expected: float | None = None,
    observed: float | None = None,
) -> Evidence:
    """Return evidence about a template of this window."""
    return Evidence(
        id=evidence_id(
            EvidenceKind.LOG, summary.environment, summary.service, template.template_id, summary.start
        ),
        kind=EvidenceKind.LOG,
        environment=summary.environment,
        service=summary.service,
        subject=template.template_id,
        label=template.template[:_LABEL],
        statement=statement,
        start=summary.start,
        end=summary.end,
        score=bounded(score),
        instance=template.lines[0].instance if template.lines else None,
        expected=expected,
        observed=float(template.count) if observed is None else observed,
        unit="lines",
        lines=template.lines,
    )


def plain_evidence(
    summary: WindowSummary,
    kind: EvidenceKind,
    subject: str,
    statement: str,
    *,
    label: str,
    score: float,
    expected: float | None = None,
    observed: float | None = None,
    unit: str = "",
    instance: str | None = None,
) -> Evidence:
    """Return evidence about a call, an operation or a series of this window."""
    return Evidence(
        id=evidence_id(kind, summary.environment, summary.service, subject, summary.start),
        kind=kind,
        environment=summary.environment,
        service=summary.service,
        subject=subject,
        label=label[:_LABEL],
        statement=statement,
        start=summary.start,
        end=summary.end,
        score=bounded(score),
        instance=instance,
        expected=expected,
        observed=observed,
        unit=unit,
    )


def series_evidence(
    summary: WindowSummary,
    series: SeriesWindow,
    *,
    expected: float,
    observed: float,
    score: float,
    known: int,
) -> Evidence:
    """Return evidence about a series whose value left what `known` samples had shown."""
    unit = f"{series.unit}/s" if series.kind == "cumulative" else series.unit
    shown = f" {unit}" if unit and unit != "1" else ""
    verb = "rose" if observed > expected else "fell"
    return plain_evidence(
        summary,
        EvidenceKind.METRIC,
        str(series.key),
        f"{series.key.name} of {series.key.instance or summary.service} {verb} from "
        f"{number(expected)}{shown} to {number(observed)}{shown}, {number(score)} deviations off "
        f"the {known} samples before.",
        label=str(series.key),
        score=score,
        expected=expected,
        observed=observed,
        unit=unit,
        instance=series.key.instance or None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a detector found, before it becomes an anomaly."""

    detector: str
    subject: str
    direction: Direction
    hit: Hit
    score: float
    threshold: float
    reason: str
    evidence: tuple[Evidence, ...]
    learning: bool = False
    fatal: bool = False
    instance: str | None = None


def anomaly(environment: str, service: str, run: Run, finding: Finding, node: str | None = None) -> Anomaly:
    """Return the anomaly of a finding; its id is that of the first window of its run."""
    return Anomaly(
        id=anomaly_id(environment, service, finding.detector, finding.subject, run.since),
        environment=environment,
        service=service,
        detector=finding.detector,
        subject=finding.subject,
        direction=finding.direction,
        hit=finding.hit,
        start=run.since,
        end=run.until,
        score=bounded(finding.score),
        threshold=finding.threshold,
        reason=finding.reason,
        evidence=finding.evidence,
        instance=finding.instance,
        node=node,
        learning=finding.learning,
        fatal=finding.fatal,
    )


def node_of(summary: WindowSummary, instance: str | None) -> str | None:
    """Return the node an instance runs on, as this window tells; the only node where there is one."""
    nodes = dict(summary.nodes)
    if instance is not None:
        return nodes.get(instance)
    distinct = set(nodes.values())
    return distinct.pop() if len(distinct) == 1 else None
