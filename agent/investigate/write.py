"""The last step of both stages: from ranking, verified claims and steps to an `Analysis`.

Everything a person reads is either our own wording of evidence or a sentence that `verify` kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from agent.analysis import (
    Analysis,
    Claim,
    Hypothesis,
    Impact,
    Provenance,
    Ranking,
    RemediationStep,
    SimilarIncident,
    Stage,
    TimelineEntry,
    Verdict,
)
from agent.investigate.gather import ranking_of
from agent.investigate.packing import MECHANISM_WORDS, quoted
from agent.investigate.remediate import Remediate
from agent.investigate.state import Request, State, Usage, packed, unpacked
from agent.suspects.calibration import shipped
from detectors.anomaly import Anomaly, Evidence, Hit

HYPOTHESES = 5
TIMELINE = 20


class Context(Protocol):
    """What an analysis needs to know beside telemetry."""

    def anomalies(self, incident_id: str) -> tuple[Anomaly, ...]:
        """Return the incident's anomalies."""
        ...


@dataclass(frozen=True, slots=True)
class Write:
    """Build the analysis of one stage and hand it to `publish` (which must be idempotent)."""

    stage: Stage
    context: Context
    publish: Callable[[Analysis], None]
    clock: Callable[[], float]
    detectors: tuple[str, ...] = ()
    similar: Callable[[Request, Ranking], tuple[SimilarIncident, ...]] = lambda request, ranking: ()  # noqa: ARG005

    def __call__(self, state: State) -> State:
        analysis = self.analysis(state)
        self.publish(analysis)
        return State(analysis=packed(analysis))

    def analysis(self, state: State) -> Analysis:
        """Return the analysis that `state` amounts to."""
        request, ranking = unpacked(state["request"], Request), ranking_of(state)
        steps = state.get("steps") if self.stage is Stage.EXPLAINED else Remediate()(state).get("steps")
        claims = tuple(unpacked(claim, Claim) for claim in state.get("claims", []))
        anomalies = self.context.anomalies(request.incident.id)
        hypotheses = hypotheses_of(ranking, claims)
        return Analysis(
            incident_id=request.incident.id,
            revision=request.incident.revision,
            stage=self.stage,
            as_of=request.as_of,
            severity=request.incident.severity,
            verdict=verdict_of(ranking),
            confidence=ranking.confidence,
            headline=state.get("headline") or headline_of(ranking),
            hypotheses=hypotheses,
            timeline=timeline_of(ranking, anomalies),
            impact=impact_of(request, anomalies),
            ruled_out=ruled_out(ranking),
            missing_evidence=ranking.missing,
            remediation=tuple(unpacked(step, RemediationStep) for step in steps or []),
            similar_incidents=self.similar(request, ranking),
            evidence=cited_evidence(ranking, hypotheses),
            provenance=self._provenance(state),
        )

    def _provenance(self, state: State) -> Provenance:
        spent = state.get("usage")
        usage = unpacked(spent, Usage) if spent is not None else None
        dropped = state.get("dropped", [])
        return Provenance(
            model=usage.model if usage else None,
            model_sha256=usage.sha256 if usage else None,
            prompt=usage.prompt if usage else None,
            detectors=self.detectors,
            prompt_tokens=usage.prompt_tokens if usage else 0,
            completion_tokens=usage.completion_tokens if usage else 0,
            seconds=round(max(0.0, self.clock() - state["started"]), 3),
            degraded=tuple(dict.fromkeys(state.get("degraded", []))),
            claims_dropped=len(dropped),
            dropped_because=tuple(dropped),
        )


def verdict_of(ranking: Ranking) -> Verdict:
    """Return the word for the ranking's confidence."""
    calibration = shipped()
    if ranking.confidence >= calibration.confirmed:
        return Verdict.CONFIRMED
    return Verdict.LIKELY if ranking.confidence >= calibration.likely else Verdict.INCONCLUSIVE


def headline_of(ranking: Ranking) -> str:
    """Return our own sentence: who, how, and the strongest sign of it."""
    if not ranking.suspects:
        return "Inconclusive: the telemetry of this incident differs from normal nowhere we look."
    first = ranking.suspects[0]
    evidence = {item.id: item for item in ranking.evidence}
    sign = evidence[first.sign].statement if first.sign in evidence else ""
    sign = sign.removeprefix(f"{first.service} ")
    doubt = "Possibly " if verdict_of(ranking) is Verdict.INCONCLUSIVE else ""
    return quoted(f"{doubt}{first.service}: {MECHANISM_WORDS[first.mechanism]} – {sign}", 150)


def hypotheses_of(ranking: Ranking, claims: Sequence[Claim]) -> tuple[Hypothesis, ...]:
    """Return the leading suspects with probabilities that sum to at most 1; claims go to the first."""
    shown = ranking.suspects[:HYPOTHESES]
    weights = [math.exp(min(s.score - shown[0].score, 0.0) / 3) for s in shown]
    rest = sum(weights[1:]) or 1.0
    return tuple(
        Hypothesis(
            service=suspect.service,
            component=suspect.component,
            mechanism=suspect.mechanism,
            probability=round(_share(place, weights, rest, ranking.confidence), 3),
            evidence_ids=tuple(dict.fromkeys(i for part in suspect.parts for i in part.evidence_ids)),
            against=suspect.against,
            claims=tuple(claims) if place == 0 else (),
            parts=suspect.parts,
        )
        for place, suspect in enumerate(shown)
    )


def _share(place: int, weights: Sequence[float], rest: float, confidence: float) -> float:
    """Return the confidence for the first; the others share what is left of it by their scores."""
    return confidence if place == 0 else (1 - confidence) * weights[place] / rest


def timeline_of(ranking: Ranking, anomalies: Sequence[Anomaly]) -> tuple[TimelineEntry, ...]:
    """Return what happened in order: anomalies, and the changes among the evidence."""
    entries = {
        (item.start, item.service, item.subject): TimelineEntry(
            time=item.start, service=item.service, what=item.statement, evidence_id=item.id
        )
        for item in ranking.evidence
    }
    for anomaly in anomalies:
        place = (anomaly.start, anomaly.service, anomaly.subject)
        entries.setdefault(
            place,
            TimelineEntry(time=anomaly.start, service=anomaly.service, what=anomaly.reason, evidence_id=None),
        )
    ordered = [entries[place] for place in sorted(entries)]
    return tuple(ordered[:TIMELINE])


def impact_of(request: Request, anomalies: Sequence[Anomaly]) -> Impact:
    """Return who is hit: what users see first, else the strongest anomaly."""
    seen = sorted(anomalies, key=lambda a: (a.hit is not Hit.USER, -a.score / max(a.threshold, 1e-9), a.id))
    return Impact(
        services=request.incident.services,
        symptom=seen[0].reason if seen else request.incident.title,
        since=request.incident.onset,
    )


def ruled_out(ranking: Ranking) -> tuple[str, ...]:
    """Return the suspects that evidence speaks against, in words."""
    evidence = {item.id: item for item in ranking.evidence}
    return tuple(
        f"{suspect.service}: {evidence[suspect.against[0]].statement}"
        for suspect in ranking.suspects[1:]
        if suspect.against and suspect.against[0] in evidence
    )[:HYPOTHESES]


def cited_evidence(ranking: Ranking, hypotheses: Sequence[Hypothesis]) -> tuple[Evidence, ...]:
    """Return the evidence that the analysis cites, strongest first."""
    wanted = {i for h in hypotheses for i in (*h.evidence_ids, *h.against)}
    return tuple(item for item in ranking.evidence if item.id in wanted)
