"""First nodes of an investigation: telemetry in, findings and ranked suspects out. No model, no guess."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from agent.analysis import Ranking
from agent.investigate.state import Request, State, packed, unpacked
from agent.suspects import Finding, Sides, gather_findings, rank_suspects
from ingest.record import Nanos
from ingest.summary import WindowSummary


class TelemetryReader(Protocol):
    """Where an investigation reads telemetry memory; `agent.store` and recordings provide it."""

    def telemetry(
        self, environment: str, start: Nanos, end: Nanos, services: Sequence[str] | None = None
    ) -> tuple[WindowSummary, ...]:
        """Return the windows that start in [start, end), ordered by (start, service)."""
        ...


@dataclass(frozen=True, slots=True)
class Gather:
    """Compare the incident's windows with the baseline's, one evidence kind after the other."""

    reader: TelemetryReader
    edges: tuple[tuple[str, str], ...] = ()

    def __call__(self, state: State) -> State:
        request = unpacked(state["request"], Request)
        sides = self.sides(request)
        return State(
            findings=packed(gather_findings(sides)),
            edges=packed(sorted(sides.edges())),
            missing=list(sides.missing()),
            services=list(sides.services()),
        )

    def sides(self, request: Request) -> Sides:
        """Read both sides of the comparison."""
        environment = request.incident.environment
        baseline: list[WindowSummary] = []
        for start, end in request.baseline:
            baseline.extend(self.reader.telemetry(environment, start, end))
        incident = self.reader.telemetry(environment, *request.window)
        return Sides.of(baseline=tuple(baseline), incident=incident, given=self.edges)


@dataclass(frozen=True, slots=True)
class Rank:
    """Turn findings into ranked suspects."""

    def __call__(self, state: State) -> State:
        findings = tuple(unpacked(found, Finding) for found in state["findings"])
        edges = tuple((caller, callee) for caller, callee in state["edges"])
        ranking = rank_suspects(findings, edges=edges, missing=tuple(state["missing"]))
        return State(ranking=packed(ranking))


def ranking_of(state: State) -> Ranking:
    """Return the ranking that `Rank` left."""
    return unpacked(dict[str, Any](state["ranking"]), Ranking)
