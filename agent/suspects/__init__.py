"""From telemetry to ranked suspects with evidence, purely."""

from agent.suspects import latency, logs, others, resources
from agent.suspects.finding import Finding
from agent.suspects.ranking import rank_suspects
from agent.suspects.sides import Sides

__all__ = ["KINDS", "Finding", "Sides", "gather_findings", "rank_suspects"]

KINDS = {
    "resources": resources.findings,
    "logs": logs.findings,
    "latency": latency.findings,
    "failing": others.failing,
    "silence": others.silent,
    "changes": others.changed,
}
"""Evidence kinds by name; each is a pure function of both sides."""


def gather_findings(sides: Sides, leave_out: frozenset[str] = frozenset()) -> tuple[Finding, ...]:
    """Return the findings of every evidence kind but those left out."""
    return tuple(found for name, kind in KINDS.items() if name not in leave_out for found in kind(sides))
