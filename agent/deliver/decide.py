"""Decides what is said to a channel: after the incident changed, before anything is sent. Pure.

Every answer carries its reason, whether it is a message or silence. What was decided once is decided
again in the same way, with the same delivery id, so a step repeated after a crash says nothing twice.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from agent.analysis import (
    SEVERITY_RANK,
    Analysis,
    ChangeKind,
    Incident,
    IncidentChange,
    IncidentState,
    Severity,
    Stage,
    Verdict,
)
from agent.deliver.notification import Kind, Notification, Reason, Silence, Suppressed, delivery_id
from agent.mutes import MuteKind
from ingest.ids import digest
from ingest.record import SECOND, Nanos

_VERDICT_RANK = {Verdict.INCONCLUSIVE: 0, Verdict.LIKELY: 1, Verdict.CONFIRMED: 2}
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelPolicy:
    """What a channel wants to hear. `channel` is its name in the outbox.

    With `every` it hears of each change and analysis, for machines that keep their own picture.
    """

    channel: str
    every: bool = False
    minimum_severity: Severity = Severity.INFO
    minimum_verdict: Verdict = Verdict.INCONCLUSIVE
    muted_too: bool = False
    """Hears of muted incidents as of others; they say by what they are muted."""
    flap_limit: int = 3
    """After so many returns told within `flap_window`, an incident that comes and goes is told no more."""
    flap_window: Nanos = 3600 * SECOND
    repeat_interval: Nanos | None = None
    """After this long an open incident, or an unchanged analysis, is said again. None: never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysed:
    """An analysis came out about an incident."""

    incident: Incident
    analysis: Analysis


News = IncidentChange | Analysed


def decide(news: News, sent: Sequence[Notification], policy: ChannelPolicy) -> Notification | Suppressed:
    """Return what `policy`'s channel is told about `news`, having been told `sent` (oldest first) so far."""
    if isinstance(news, Analysed):
        analysis, kind, reason = news.analysis, Kind.ANALYZED, _of_analysis(news, sent, policy)
    else:
        analysis, kind, reason = None, Kind(news.kind.value), _of_change(news, sent, policy)
    revision = analysis.revision if analysis else news.incident.revision
    identity = delivery_id(
        policy.channel, news.incident.id, kind, revision, analysis.stage if analysis else None
    )
    known = next((item for item in sent if item.delivery_id == identity), None)
    if known is not None:
        return known
    if isinstance(reason, Silence):
        return Suppressed(channel=policy.channel, reason=reason)
    return Notification(
        delivery_id=identity,
        channel=policy.channel,
        kind=kind,
        reason=reason,
        at=_when(news),
        incident=news.incident,
        analysis=analysis,
        content=content(analysis) if analysis else "",
    )


def content(analysis: Analysis) -> str:
    """Return a digest of what the analysis says to people; numbers that only grew do not change it."""
    said = [
        analysis.severity.value,
        analysis.verdict.value,
        f"{analysis.confidence:.1f}",
        analysis.headline,
        analysis.impact.symptom,
        *analysis.impact.services,
        *analysis.ruled_out,
        *analysis.missing_evidence,
        *analysis.provenance.degraded,
    ]
    for hypothesis in analysis.hypotheses:
        said += [hypothesis.service, hypothesis.component or "", hypothesis.mechanism.value]
        said += [claim.text for claim in hypothesis.claims]
    for step in analysis.remediation:
        said += [step.step, step.command or ""]
    return digest("ct", said[0], said[1], said[2], *(_NUMBER.sub("#", text) for text in said[3:]))


def _of_change(
    change: IncidentChange, sent: Sequence[Notification], policy: ChannelPolicy
) -> Reason | Silence:
    muted = _muted(change.incident, policy)
    if policy.every and not (_below(change.incident.severity, policy) and not sent):
        # Whoever was told before a mute began hears of the end, or their picture would stay open.
        return _PLAIN[change.kind] if muted is None or change.kind is ChangeKind.RESOLVED else muted
    if change.kind is ChangeKind.RESOLVED:
        return _of_end(sent)
    if change.incident.state is IncidentState.MERGED:
        return Reason.MERGED if sent else Silence.NOTHING_WAS_SAID
    if muted is not None:
        return muted
    if _below(change.incident.severity, policy):
        return Silence.BELOW_MINIMUM_SEVERITY
    if change.kind is ChangeKind.REOPENED or _ended(sent):
        return _of_return(change, sent, policy)
    if change.kind is not ChangeKind.UPDATED:
        return _PLAIN[change.kind]
    if SEVERITY_RANK[change.incident.severity] > _said_rank(sent):
        return Reason.SEVERITY_RAISED
    if _repeat_due(change.at, sent[-1], policy):
        return Reason.STILL_OPEN
    return Silence.NO_NEWS


def _of_end(sent: Sequence[Notification]) -> Reason | Silence:
    if not sent:
        return Silence.NOTHING_WAS_SAID
    # Where a return was not told, its end is the end that was told before.
    return Silence.FLAPPING if _ended(sent) else Reason.RESOLVED


def _of_return(
    change: IncidentChange, sent: Sequence[Notification], policy: ChannelPolicy
) -> Reason | Silence:
    """Say that it came back, unless it does so all the time; one that is worse than ever is always told."""
    worse = SEVERITY_RANK[change.incident.severity] > max(
        (SEVERITY_RANK[one.incident.severity] for one in sent), default=-1
    )
    returns = [one for one in sent if one.reason is Reason.REOPENED]
    lately = [one for one in returns if change.at - one.at < policy.flap_window]
    return Silence.FLAPPING if len(lately) >= policy.flap_limit and not worse else Reason.REOPENED


def _ended(sent: Sequence[Notification]) -> bool:
    """Say whether the last state that was told is the incident's end."""
    told = next((one for one in reversed(sent) if one.kind is not Kind.ANALYZED), None)
    return told is not None and told.kind is Kind.RESOLVED


def _muted(incident: Incident, policy: ChannelPolicy) -> Silence | None:
    if not incident.muted_by or policy.muted_too:
        return None
    maintained = all(by.startswith(MuteKind.MAINTENANCE.value) for by in incident.muted_by)
    return Silence.MAINTENANCE if maintained else Silence.MUTED


def _of_analysis(news: Analysed, sent: Sequence[Notification], policy: ChannelPolicy) -> Reason | Silence:
    analysis = news.analysis
    explained = analysis.stage is Stage.EXPLAINED
    reason = Reason.ANALYSIS_EXPLAINED if explained else Reason.ANALYSIS_STATISTICS
    muted = _muted(news.incident, policy)
    if muted is not None:
        return muted
    if _below(analysis.severity, policy):
        return Silence.BELOW_MINIMUM_SEVERITY
    if policy.every:
        return reason
    if news.incident.state is IncidentState.OPEN and _ended(sent):
        return Silence.FLAPPING
    if _VERDICT_RANK[analysis.verdict] < _VERDICT_RANK[policy.minimum_verdict]:
        return Silence.INCONCLUSIVE_BELOW_CHANNEL_MINIMUM
    before = [item for item in sent if item.analysis is not None]
    if before and before[-1].content == content(analysis):
        return reason if _repeat_due(analysis.as_of, before[-1], policy) else Silence.SAME_CONTENT
    return reason


def _said_rank(sent: Sequence[Notification]) -> int:
    """Return the highest severity said since the incident last opened, -1 when nothing was."""
    rank = -1
    for item in sent:
        if item.kind in (Kind.OPENED, Kind.REOPENED):
            rank = -1
        rank = max(rank, SEVERITY_RANK[item.incident.severity])
    return rank


def _below(severity: Severity, policy: ChannelPolicy) -> bool:
    return SEVERITY_RANK[severity] < SEVERITY_RANK[policy.minimum_severity]


def _repeat_due(now: Nanos, last: Notification, policy: ChannelPolicy) -> bool:
    return policy.repeat_interval is not None and now - last.at >= policy.repeat_interval


def _when(news: News) -> Nanos:
    return news.analysis.as_of if isinstance(news, Analysed) else news.at


_PLAIN = {
    ChangeKind.OPENED: Reason.INCIDENT_OPENED,
    ChangeKind.UPDATED: Reason.INCIDENT_UPDATED,
    ChangeKind.RESOLVED: Reason.RESOLVED,
    ChangeKind.REOPENED: Reason.REOPENED,
}
