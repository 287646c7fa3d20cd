"""Offers runbook steps to an investigation: what the best runbooks say to look at, then to do."""

from __future__ import annotations

from dataclasses import dataclass, replace

from agent.analysis import Mechanism
from agent.investigate.remediate import Offer
from agent.investigate.state import OfferedStep
from agent.knowledge.port import Hit, IndexUnavailable, RunbookIndex
from agent.knowledge.runbook import SectionKind

RUNBOOKS = 2
DIAGNOSIS = 3
"""Looking steps taken of each runbook; the rest of the offer is mitigation."""


@dataclass(frozen=True, slots=True)
class IndexSteps:
    """Steps out of a runbook index. An index that cannot be reached gives none and says so."""

    index: RunbookIndex

    def steps(self, query: str, mechanism: Mechanism, limit: int) -> Offer:
        """Return up to `limit` steps of the best runbooks, the best one's first."""
        prefer = () if mechanism is Mechanism.UNKNOWN else (mechanism,)
        try:
            hits = self.index.search(query, limit=RUNBOOKS, prefer=prefer)
            offered = [step for hit in hits for step in self._of(hit, limit // max(1, len(hits)))]
        except IndexUnavailable as error:
            return Offer(steps=(), degraded=(f"runbooks: {error}",))
        named = tuple(replace(step, alias=f"S{n}") for n, step in enumerate(offered[:limit], start=1))
        return Offer(steps=named, degraded=self.index.degraded)

    def _of(self, hit: Hit, limit: int) -> list[OfferedStep]:
        steps = self.index.steps_for(hit)
        looks = [found for found in steps if found.kind is SectionKind.DIAGNOSIS][:DIAGNOSIS]
        acts = [found for found in steps if found.kind is SectionKind.MITIGATION]
        return [
            OfferedStep(
                alias="",
                step=found.step.text,
                risk=found.step.risk,
                command=found.step.command,
                citation=found.citation,
                score=hit.score,
            )
            for found in (looks + acts)[:limit]
        ]
