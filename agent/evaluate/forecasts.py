"""`faultline eval forecasts`: warnings that something will be full, against when it was.

Every recording's metrics go through the service's own decoding, windows and forecast, in the recording's
time. A failure is a fault whose labelled series (of the labelled service) reached its end within the
incident; it was warned of when a warning about that series came before. A warning is right when its series
was full within twice the time that was told; one that the recording ended too early to judge is undecided.
Warnings before the incident, or in a quiet recording, are false in any case.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from agent.evaluate.data import DataError, Quiet, Truth, labels, systems
from agent.evaluate.figures import Figures, Group, parts, share
from detectors.metrics.capacity import Filling, fillings
from detectors.metrics.exhaustion import Exhaustion
from ingest.decode import Decode
from ingest.events import AlertEvent, TopicDefaults
from ingest.record import SECOND, Nanos
from ingest.recordings import Recording
from ingest.redaction import Redactor
from ingest.summary import WindowSummary
from ingest.templates import Templates
from ingest.windows import Windows

FULL = 0.97
"""Level from which on a series counts as full: what fails does so a little before its end."""
_EMPTIER = 0.9
"""It must have been below this to have become full."""
_LATER = 2.0
"""Times the told time until a warning is wrong."""
_AGAIN: Nanos = 130 * SECOND
"""A warning this long after the last one about its series is another."""
_REDACTION_KEY = b"evaluation only!"

Subject = tuple[str, str]
"""Service, series."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned:
    """The first telling of one warning."""

    subject: Subject
    name: str
    at: Nanos
    told: Nanos
    """How long it said that it would take."""


@dataclass(slots=True)
class Course:
    """What a recording's metrics showed: warnings, and when which series became full."""

    warnings: list[Warned] = field(default_factory=list)
    full: dict[Subject, list[Nanos]] = field(default_factory=dict)
    names: dict[Subject, str] = field(default_factory=dict)
    start: Nanos = 0
    end: Nanos = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecasted:
    """One recording, judged. Times in seconds."""

    fault: str = ""
    failed: bool = False
    lead: float | None = None
    """From the first warning about the failing series to its failure; None where none came before."""
    right: int = 0
    wrong: int = 0
    undecided: int = 0
    calm: float = 0.0
    """Hours without a fault, and the warnings in them."""
    false: int = 0
    error: tuple[float, ...] = ()
    """How far right warnings missed the time, as shares of what it really took."""
    held_out: bool = False


def evaluate(data: Path, only: Sequence[str] = (), *, on_case: Callable[[str], None]) -> Figures:
    """Return the figures per system, and per fault where something ran full."""
    found: Figures = {}
    for system in systems(data, only):
        known = labels(system)
        judged = [_judged(system, truth, on_case) for truth in known.truths]
        for quiet in known.quiet:
            judged.extend(_quiet(system, quiet, on_case))
        found |= {group: figures(members) for group, members in parts(system.name, judged).items()}
        for fault in sorted({one.fault for one in judged if one.failed}):
            members = [one for one in judged if one.fault == fault]
            found |= {g: figures(m) for g, m in parts(f"{system.name} {fault}", members).items()}
    if not found:
        raise DataError(f"{data}: the truth.jsonl files name no recordings")
    return found


def figures(judged: Sequence[Forecasted]) -> Group:
    """Return counts and shares over recordings; a figure that nothing tells is left out."""
    failed = [one for one in judged if one.failed]
    leads = [one.lead for one in failed if one.lead is not None]
    right, wrong = sum(one.right for one in judged), sum(one.wrong for one in judged)
    group: Group = {"failures": len(failed)}
    if failed:
        group["warned"] = share(one.lead is not None for one in failed)
    if leads:
        group["lead_seconds_median"] = statistics.median(leads)
        group["lead_seconds_least"] = min(leads)
    if right + wrong:
        group["precision"] = right / (right + wrong)
    errors = [error for one in judged for error in one.error]
    if errors:
        group["time_error_median"] = statistics.median(errors)
    group |= {"right": right, "wrong": wrong, "undecided": sum(one.undecided for one in judged)}
    group["calm_hours"] = sum(one.calm for one in judged)
    group["calm_warnings"] = sum(one.false for one in judged)
    return group


def course(windows: Iterator[WindowSummary]) -> Course:
    """Return what the forecast said about the windows of a recording, and what became of it."""
    detector, found = Exhaustion(), Course()
    last: dict[Subject, Nanos] = {}
    emptier: set[Subject] = set()
    for summary in windows:
        found.start = found.start or summary.start
        found.end = max(found.end, summary.end)
        for filling in fillings(summary.series):
            _follow(found, emptier, (summary.service, str(filling.window.key)), filling)
        for foreseen in detector.foresee(summary):
            key = foreseen.filling.window.key
            subject = (summary.service, str(key))
            if summary.end - last.get(subject, -_AGAIN) >= _AGAIN:
                told = round(foreseen.forecast.seconds * SECOND)
                found.warnings.append(Warned(subject=subject, name=key.name, at=summary.end, told=told))
            last[subject] = summary.end
    return found


def _follow(found: Course, emptier: set[Subject], subject: Subject, filling: Filling) -> None:
    """Note when a series becomes full; where nothing tells the whole, nothing is known."""
    if filling.bound <= 0:
        return
    found.names[subject] = filling.window.key.name
    for time, value in filling.window.samples:
        level = 1.0 - value / filling.bound if filling.falls else value / filling.bound
        if level < _EMPTIER:
            emptier.add(subject)
        elif level >= FULL and subject in emptier:
            emptier.discard(subject)
            found.full.setdefault(subject, []).append(time)


def judged(found: Course, truth: Truth, begin: Nanos, end: Nanos) -> Forecasted:
    """Judge a recording whose fault lies in [begin, end)."""
    failing = {
        subject: times[0]
        for subject, every in found.full.items()
        if subject[0] == truth.service and found.names[subject] == truth.metric
        if (times := [time for time in every if begin <= time < end])
    }
    leads = [
        (failing[one.subject] - one.at) / SECOND
        for one in found.warnings
        if one.subject in failing and begin <= one.at < failing[one.subject]
    ]
    inside = [one for one in found.warnings if one.at >= begin]
    verdicts = [_verdict(found, one) for one in inside]
    early = len(found.warnings) - len(inside)
    return Forecasted(
        fault=truth.fault,
        failed=bool(failing),
        lead=max(leads, default=None),
        right=sum(verdict is True for verdict in verdicts),
        wrong=sum(verdict is False for verdict in verdicts) + early,
        undecided=sum(verdict is None for verdict in verdicts),
        calm=max(begin - found.start, 0) / (3600 * SECOND),
        false=early,
        error=tuple(_errors(found, inside)),
        held_out=truth.held_out,
    )


def _verdict(found: Course, one: Warned) -> bool | None:
    latest = one.at + round(_LATER * one.told)
    if any(one.at < time <= latest for time in found.full.get(one.subject, ())):
        return True
    return None if found.end < latest else False


def _errors(found: Course, warnings: Sequence[Warned]) -> Iterator[float]:
    for one in warnings:
        if _verdict(found, one):
            really = min(time for time in found.full[one.subject] if time > one.at) - one.at
            yield abs(one.told - really) / really


def still(found: Course, begin: Nanos, end: Nanos, *, held_out: bool) -> Forecasted:
    """Judge the part [begin, end) of a quiet recording: every warning is false."""
    false = sum(begin <= one.at < end for one in found.warnings)
    return Forecasted(calm=(end - begin) / (3600 * SECOND), false=false, wrong=false, held_out=held_out)


def _judged(system: Path, truth: Truth, on_case: Callable[[str], None]) -> Forecasted:
    recording = Recording(system / truth.id)
    incident = recording.intervals().incident
    if incident is None:
        raise DataError(f"{recording.path}: has a root cause but no incident interval")
    found = judged(course(_windows(recording)), truth, incident.start, incident.end)
    on_case(f"{system.name} {truth.id}")
    return found


def _quiet(system: Path, label: Quiet, on_case: Callable[[str], None]) -> list[Forecasted]:
    found = course(_windows(Recording(system / label.id)))
    on_case(f"{system.name} {label.id} quiet")
    whole = still(found, found.start, found.end + 1, held_out=label.held_out)
    since = label.held_out_from
    if label.held_out or since is None or not found.start < since < found.end:
        return [whole]
    early = still(found, found.start, since, held_out=False)
    return [early, replace(still(found, since, found.end + 1, held_out=True))]


def _windows(recording: Recording) -> Iterator[WindowSummary]:
    """Yield the closed windows of a recording's metrics, in order of time."""
    decode = Decode({"^recording\\..*": TopicDefaults(format="json")})
    redactor, windows = Redactor(_REDACTION_KEY), Windows(Templates())
    for time, record in recording.records():
        if not record.origin.topic.endswith(".metrics"):
            continue
        for event in decode.decode(record, time).events:
            redacted = redactor.redact(event)
            if not isinstance(redacted, AlertEvent):
                windows.add(redacted, partition=("recording", 0), wall=time)
        yield from (summary for window in windows.advance(time) for summary in window.summaries)
    yield from (summary for window in windows.flush() for summary in window.summaries)
