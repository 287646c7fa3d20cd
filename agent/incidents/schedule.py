"""When an incident is to be analysed: soon after it opens, then when it changes in kind, never too often.

All in stream time, so that a replay asks for the same analyses.
"""

from __future__ import annotations

from collections.abc import Iterable

from agent.analysis import InvestigationDue
from agent.incidents.state import Live, Policy, Reason
from ingest.record import Nanos

CALL_FOR = frozenset(
    {Reason.SERVICE, Reason.SEVERITY, Reason.SUSPECT, Reason.AGAIN, Reason.ABSORBED, Reason.UNMUTED}
)
"""Reasons that make an analysis due."""


def plan(live: Live, reasons: Iterable[Reason], now: Nanos, policy: Policy, *, opened: bool) -> None:
    """Make an analysis due if the reasons call for one; an earlier plan stands."""
    if live.due_at is not None:
        return
    if opened:
        live.due_at, live.due_reason = now + policy.first_analysis_after, "the incident opened"
        return
    calling = sorted(set(reasons) & CALL_FOR, key=list(Reason).index)
    if calling:
        earliest = now if live.analysed is None else live.analysed + policy.analysis_every
        live.due_at, live.due_reason = max(now, earliest), calling[0].value


def take_due(incidents: Iterable[Live], now: Nanos) -> tuple[InvestigationDue, ...]:
    """Return the analyses that are due at `now` and take them off the plan."""
    waiting = [(one.due_at, one.incident.id, one) for one in incidents if one.due_at is not None]
    due: list[InvestigationDue] = []
    for at, incident_id, one in sorted(waiting, key=lambda entry: entry[:2]):
        if at > now:
            continue
        due.append(
            InvestigationDue(
                incident_id=incident_id, revision=one.incident.revision, as_of=now, reason=one.due_reason
            )
        )
        one.due_at, one.due_reason, one.analysed = None, "", now
    return tuple(due)
