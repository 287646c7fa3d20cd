"""An analysis for a terminal, for somebody woken at three in the morning: the answer first, proof below.

Pure but for printing. Telemetry is cleaned of what a terminal obeys and never parsed as markup. Wraps at
the console's width; where the console is no terminal it is the same text without colour.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from agent.analysis import (
    Analysis,
    Hypothesis,
    Incident,
    RemediationStep,
    Risk,
    Severity,
    TimelineEntry,
    Verdict,
)
from agent.deliver.sanitize import block, line
from agent.deliver.view import rfc3339
from detectors.anomaly import Evidence
from ingest.record import SECOND, Nanos

_SEVERITY = {
    Severity.CRITICAL: "bold white on red",
    Severity.ERROR: "bold red",
    Severity.WARNING: "bold yellow",
    Severity.INFO: "bold cyan",
}
_VERDICT = {Verdict.CONFIRMED: "bold green", Verdict.LIKELY: "bold yellow", Verdict.INCONCLUSIVE: "bold"}
_RISK = {Risk.READ_ONLY: "green", Risk.REVERSIBLE: "yellow", Risk.DISRUPTIVE: "bold red"}
_TIMELINE_ROWS = 20
_EVIDENCE_ROWS = 12
_SAMPLE = 400
_PARTS = 6


def render(incident: Incident, analysis: Analysis, console: Console) -> None:
    """Print the report on `console`."""
    short = {item.id: f"E{number}" for number, item in enumerate(analysis.evidence, 1)}
    console.print(_head(incident, analysis))
    for part in (
        _suspects(analysis, short),
        _impact(analysis),
        _remediation(analysis.remediation),
        _timeline(analysis.timeline, incident.onset, short),
        _evidence(analysis, short),
        _notes("Not the cause", analysis.ruled_out),
        _notes("Missing evidence", analysis.missing_evidence),
        _similar(analysis),
        _provenance(analysis),
    ):
        if part is not None:
            console.print()
            console.print(part)


def _head(incident: Incident, analysis: Analysis) -> RenderableType:
    top = Text(incident.severity.upper(), style=_SEVERITY[incident.severity])
    top.append(f"  {line(analysis.headline, 300)}", style="bold")
    sure = Text("Verdict ")
    sure.append(analysis.verdict.value, style=_VERDICT[analysis.verdict])
    sure.append(f", confidence {analysis.confidence:.0%}")
    sure.append(f" ({analysis.worded_by})", style="dim")
    where = Text(f"{incident.id}, {line(incident.environment, 100)}, ", style="dim")
    where.append(f"{incident.state}, since {rfc3339(incident.onset)}, as of {rfc3339(analysis.as_of)}")
    return Group(top, sure, where)


def _suspects(analysis: Analysis, short: dict[str, str]) -> RenderableType | None:
    rows: list[RenderableType] = [_title("Suspects")]
    for number, hypothesis in enumerate(analysis.hypotheses, 1):
        rows += _suspect(number, hypothesis, short)
    if not analysis.hypotheses:
        rows.append(_indented(Text("none: the evidence points at no service")))
    return Group(*rows)


def _suspect(number: int, hypothesis: Hypothesis, short: dict[str, str]) -> list[RenderableType]:
    head = Text(f"{number}. ")
    head.append(line(hypothesis.service, 100), style="bold")
    if hypothesis.component:
        head.append(f" at {line(hypothesis.component, 100)}")
    head.append(f": {hypothesis.mechanism.replace('_', ' ')}, {hypothesis.probability:.0%}")
    rows: list[RenderableType] = [_indented(head)]
    for claim in hypothesis.claims:
        text = Text(line(claim.text, 600))
        text.append(_cites(claim.evidence_ids, short), style="cyan")
        rows.append(_indented(text, 5))
    parts = sorted(hypothesis.parts, key=lambda part: -abs(part.value))[:_PARTS]
    for part in parts:
        text = Text(f"{part.value:+.2f}  {line(part.name, 100)}", style="dim")
        text.append(_cites(part.evidence_ids, short), style="cyan")
        rows.append(_indented(text, 5))
    if hypothesis.against:
        text = Text("against it:", style="yellow")
        text.append(_cites(hypothesis.against, short), style="cyan")
        rows.append(_indented(text, 5))
    return rows


def _impact(analysis: Analysis) -> RenderableType:
    services = ", ".join(line(service, 100) for service in analysis.impact.services) or "no service named"
    symptom = line(analysis.impact.symptom, 300).rstrip(".")
    text = Text(f"{services}: {symptom}, since {rfc3339(analysis.impact.since)}")
    return Group(_title("Impact"), _indented(text))


def _remediation(steps: Sequence[RemediationStep]) -> RenderableType | None:
    if not steps:
        return None
    rows: list[RenderableType] = [_title("What to do (nothing of this was run)")]
    for number, step in enumerate(steps, 1):
        head = Text(f"{number}. ")
        head.append(f"[{step.risk}]", style=_RISK[step.risk])
        head.append(f" {line(step.step, 600)}")
        rows.append(_indented(head))
        if step.command:
            command = Text(block(step.command, 2000), style="bold", overflow="fold")
            rows.append(_indented(command, 5))
        why = Text(line(step.why, 600), style="dim")
        if step.citation:
            cited = f"{step.citation.title}, {step.citation.section} ({step.citation.runbook})"
            why.append(f"  runbook: {line(cited, 300)}")
        rows.append(_indented(why, 5))
    return Group(*rows)


def _timeline(entries: Sequence[TimelineEntry], onset: Nanos, short: dict[str, str]) -> RenderableType | None:
    if not entries:
        return None
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column(no_wrap=True, justify="right")
    grid.add_column(ratio=1, overflow="fold")
    for entry in entries[:_TIMELINE_ROWS]:
        what = Text(f"{line(entry.service, 60)}: ", style="bold")
        what.append(line(entry.what, 300), style="not bold")
        if entry.evidence_id:
            what.append(_cites((entry.evidence_id,), short), style="not bold cyan")
        clock = f"{datetime.fromtimestamp(entry.time // SECOND, UTC):%H:%M:%S}"
        grid.add_row(Text(clock), Text(f"{(entry.time - onset) / SECOND:+.0f}s"), what)
    rows: list[RenderableType] = [_title("Timeline (UTC, from onset)"), _indented(grid)]
    return Group(*rows, *_more(len(entries) - _TIMELINE_ROWS))


def _evidence(analysis: Analysis, short: dict[str, str]) -> RenderableType | None:
    if not analysis.evidence:
        return None
    rows: list[RenderableType] = [_title("Evidence")]
    for item in _cited_first(analysis)[:_EVIDENCE_ROWS]:
        head = Text(f"{short[item.id]} ", style="cyan")
        head.append(f"{item.kind} {line(item.service, 100)}: ", style="bold not dim")
        head.append(line(item.statement, 600), style="default")
        rows.append(_indented(head))
        rows.append(_indented(Text(f"{item.id}  {line(item.label, 300)}", style="dim"), 5))
        for sample in item.lines[:1]:
            where = Text(f"{line(str(sample.origin), 300)}  ", style="dim")
            where.append(line(sample.text, _SAMPLE), style="italic")
            rows.append(_indented(where, 5))
    return Group(*rows, *_more(len(analysis.evidence) - _EVIDENCE_ROWS))


def _cited_first(analysis: Analysis) -> list[Evidence]:
    cited = [i for hypothesis in analysis.hypotheses for i in hypothesis.evidence_ids]
    place = {identity: number for number, identity in reversed(list(enumerate(cited)))}
    return sorted(analysis.evidence, key=lambda item: place.get(item.id, len(cited)))


def _similar(analysis: Analysis) -> RenderableType | None:
    texts = []
    for item in analysis.similar_incidents:
        fixed = f", fixed by: {item.fixed_by}" if item.fixed_by else ""
        texts.append(f"{item.incident_id}, {item.similarity:.0%} alike{fixed}")
    return _notes("Similar incidents", texts)


def _provenance(analysis: Analysis) -> RenderableType:
    how = analysis.provenance
    model = line(how.model, 100) if how.model else "none"
    text = Text(f"model {model}, prompt {how.prompt or 'none'}, ", style="dim")
    text.append(f"{how.prompt_tokens} tokens in, {how.completion_tokens} out, {how.seconds:.1f} s")
    if how.claims_dropped:
        text.append(f", {how.claims_dropped} claims dropped for lack of evidence")
    rows: list[RenderableType] = [_title("How this came about"), _indented(text)]
    rows += [_indented(Text(f"degraded: {line(item, 300)}", style="yellow")) for item in how.degraded]
    return Group(*rows)


def _notes(title: str, texts: Iterable[str]) -> RenderableType | None:
    rows = [_indented(Text(f"- {line(text, 400)}")) for text in texts]
    return Group(_title(title), *rows) if rows else None


def _cites(ids: Iterable[str], short: dict[str, str]) -> str:
    names = [short.get(identity, identity) for identity in ids]
    return f" [{' '.join(names)}]" if names else ""


def _more(number: int) -> list[RenderableType]:
    return [_indented(Text(f"{number} more in the incident's page", style="dim"))] if number > 0 else []


def _title(text: str) -> Text:
    return Text(text, style="bold underline")


def _indented(content: RenderableType, left: int = 2) -> Padding:
    return Padding(content, (0, 0, 0, left), expand=False)
