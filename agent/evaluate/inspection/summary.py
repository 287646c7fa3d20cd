"""The gist of a recording as text for the terminal, and as JSON for programs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from agent.deliver.sanitize import line
from agent.deliver.view import rfc3339
from agent.evaluate.inspection.report import Report, ServiceReport
from agent.serve.text import clock, length, stamp

_SERVICES, _CHANGES, _MARKS = 8, 3, 6


def summary_lines(report: Report) -> Iterator[str]:
    """Yield a few lines for people, clean of anything that a terminal would obey."""
    counts = ", ".join(f"{count:,} {signal}" for signal, count in report.signals.items())
    span = f"{stamp(report.layout.start)} to {stamp(report.layout.end)} UTC"
    yield line(f"{report.id}: {span}, {len(report.services)} services, {counts}")
    if report.incident:
        start, end = report.incident
        yield f"incident: {clock(start)} for {length(end - start)}"
    if report.truth:
        yield line(f"truth: {report.truth.service}, {report.truth.fault}")
    elif report.quiet:
        yield "truth: nothing was wrong"
    for mark in report.marks[:_MARKS]:
        harmless = " (harmless)" if mark.harmless else ""
        yield line(f"{clock(mark.time)} {mark.service} {mark.what}{harmless}")
    if len(report.marks) > _MARKS:
        yield f"and {len(report.marks) - _MARKS} more changes"
    notable = report.notable
    for service in notable[:_SERVICES]:
        yield line(f"  {service.name}: {_told(service)}")
    if len(notable) > _SERVICES:
        yield f"  and {len(notable) - _SERVICES} more services that changed"
    if not notable:
        yield "  no service changed notably"


def _told(service: ServiceReport) -> str:
    return ", ".join(change.words for change in service.leading[:_CHANGES])


def summary(report: Report) -> dict[str, Any]:
    """Return the same as an object: times as RFC 3339, services by how strongly they changed."""
    return {
        "id": report.id,
        "start": rfc3339(report.layout.start),
        "end": rfc3339(report.layout.end),
        "incident": [rfc3339(time) for time in report.incident] if report.incident else None,
        "truth": report.truth.service if report.truth else None,
        "marks": [
            {"time": rfc3339(m.time), "service": m.service, "what": m.what, "harmless": m.harmless}
            for m in report.marks
        ],
        "services": [
            {
                "service": service.name,
                "strength": round(service.strength, 2),
                "changes": [
                    {"what": change.words, "score": round(change.score, 1)} for change in service.leading
                ],
                "new_templates": sum(t.what == "new" for t in service.templates),
            }
            for service in report.services
        ],
    }
