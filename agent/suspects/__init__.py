"""From telemetry to ranked suspects with evidence, purely."""

import dataclasses
from collections.abc import Iterator

from agent.suspects import blame, latency, logs, order, others, paths, resources, traffic
from agent.suspects.finding import Finding
from agent.suspects.ranking import rank_suspects
from agent.suspects.sides import Sides

__all__ = ["KINDS", "Finding", "Sides", "findings_of", "gather_findings", "rank_suspects"]

KINDS = {
    "resources": resources.findings,
    "logs": logs.findings,
    "order": order.findings,
    "blame": blame.findings,
    "latency": latency.findings,
    "paths": paths.findings,
    "traffic": traffic.findings,
    "failing": others.failing,
    "silence": others.silent,
    "changes": others.changed,
}
"""Evidence kinds by name; each is a pure function of both sides."""


ONSET_WITHIN = frozenset({"logs", "order", "blame", "latency", "paths", "failing"})
"""Kinds that count over the whole interval and so are weakened by an onset in its middle."""
LATER = 0.9
"""What a finding of the last third alone is worth: one of two looks is the better one by chance."""


def gather_findings(sides: Sides, leave_out: frozenset[str] = frozenset()) -> tuple[Finding, ...]:
    """Return the findings of every evidence kind but those left out.

    Where trouble began in the middle of the incident, its last third tells it more clearly than the whole.
    """
    return tuple(finding for name in KINDS if name not in leave_out for finding in findings_of(name, sides))


def findings_of(name: str, sides: Sides) -> tuple[Finding, ...]:
    """Return what one evidence kind finds."""
    kind = KINDS[name]
    whole = tuple(kind(sides))
    if sides.later is None or name not in ONSET_WITHIN:
        return whole
    return tuple(_clearer(whole, tuple(kind(sides.later))))


def _clearer(whole: tuple[Finding, ...], later: tuple[Finding, ...]) -> Iterator[Finding]:
    """Yield, for each service and part, the findings of the look that shows more."""
    looks: dict[tuple[str, str], tuple[list[Finding], list[Finding]]] = {}
    for place, findings in enumerate((whole, later)):
        for finding in findings:
            looks.setdefault((finding.service, finding.part), ([], []))[place].append(finding)
    for both in looks.values():
        first, second = both
        if sum(f.value for f in second) * LATER > sum(f.value for f in first):
            yield from (dataclasses.replace(f, value=f.value * LATER) for f in second)
        else:
            yield from first
