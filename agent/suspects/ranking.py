"""From findings to ranked suspects: sums of named parts, less what a deeper suspect explains.

A service that calls a suspect shows its trouble: slow, failing, complaining. Symptom parts of a caller
are therefore reduced by what the callee shows of the same kind, and the callee's evidence is noted
against the caller. Parts that name a service's own resource are never explained away.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from agent.analysis import Mechanism, Ranking, ScorePart, Suspect
from agent.suspects.calibration import Calibration, features_of, shipped
from agent.suspects.finding import Finding
from detectors.anomaly import Evidence

SYMPTOMS = frozenset(
    {
        "log errors",
        "log new",
        "log surge",
        "log order",
        "failing",
        "latency",
        "success",
        "errors",
        "traffic",
        "path delay",
        "slow answers",
        "work missing",
    }
)
EXPLAINED = 0.7
"""Share of a caller's symptom that an equally strong symptom of its callee explains."""
MINIMUM = 0.5
RESOURCES = frozenset({Mechanism.CPU, Mechanism.MEMORY, Mechanism.DISK, Mechanism.POOL, Mechanism.LOCK})
MEMORY_FIRST = 0.6
"""Share of the CPU's part from which memory's counts as its cause."""
CODE = (Mechanism.EXCEPTION, Mechanism.BAD_RETURN)
"""Mechanisms that a service's own code is slow by, where they are shown clearly: failing takes time too."""
WORKING = 1.0
"""Suspicion of the CPU from which time that a service spends is work."""
SATURATED = 3.0
"""From here on a service's own resource explains its errors and slowness, never the other way round."""


def rank_suspects(
    findings: Sequence[Finding],
    *,
    edges: Iterable[tuple[str, str]] = (),
    missing: tuple[str, ...] = (),
    calibration: Calibration | None = None,
) -> Ranking:
    """Return suspects, best first, with a confidence; without findings an empty ranking of confidence 0.

    The confidence is that of `calibration`, by default the one that comes with the package.
    """
    by_service: dict[str, list[Finding]] = {}
    for finding in sorted(findings, key=lambda f: (f.service, f.part, -f.value, f.evidence.id)):
        by_service.setdefault(finding.service, []).append(finding)
    symptoms = {service: _symptoms(found) for service, found in by_service.items()}
    callees = _reachable(edges)
    suspects = []
    for service, found in by_service.items():
        deeper = {s: symptoms[s] for s in callees.get(service, ()) if s in symptoms and s != service}
        suspect = _suspect(service, found, deeper, by_service)
        if suspect.score >= MINIMUM:
            suspects.append(suspect)
    suspects.sort(key=lambda s: (-s.score, s.service))
    cited = {i for s in suspects for part in s.parts for i in part.evidence_ids} | {
        i for s in suspects for i in s.against
    }
    return Ranking(
        suspects=tuple(suspects),
        evidence=_strongest_first(findings, cited),
        confidence=(calibration or shipped()).confidence(features_of(suspects), len(missing)),
        missing=missing,
    )


def _symptoms(found: Sequence[Finding]) -> float:
    return sum(f.value for f in found if f.part in SYMPTOMS)


def _suspect(
    service: str,
    found: Sequence[Finding],
    deeper: dict[str, float],
    by_service: dict[str, list[Finding]],
) -> Suspect:
    own = _symptoms(found)
    culprit = max(deeper, key=lambda s: (deeper[s], s), default=None)
    explained = EXPLAINED * min(1.0, deeper[culprit] / own) if culprit is not None and own > 0 else 0.0
    parts: dict[str, ScorePart] = {}
    for finding in found:
        value = finding.value * (1 - explained if finding.part in SYMPTOMS else 1.0)
        part = parts.get(finding.part)
        parts[finding.part] = ScorePart(
            name=finding.part,
            value=round(value + (part.value if part else 0.0), 6),
            evidence_ids=(*(part.evidence_ids if part else ()), finding.evidence.id),
        )
    against: tuple[str, ...] = ()
    if culprit is not None and explained > 0.3:
        against = tuple(f.evidence.id for f in by_service[culprit] if f.part in SYMPTOMS)[:2]
    ordered = sorted(parts.values(), key=lambda part: (-part.value, part.name))
    mechanism = mechanism_of(found, parts)
    leading = max(
        found,
        key=lambda f: (f.mechanism is mechanism, f.mechanism is Mechanism.UNKNOWN, f.value, f.evidence.id),
    )
    return Suspect(
        service=service,
        component=leading.component,
        mechanism=mechanism,
        sign=leading.evidence.id,
        score=round(sum(part.value for part in ordered), 6),
        parts=tuple(ordered),
        against=against,
    )


def mechanism_of(found: Sequence[Finding], parts: dict[str, ScorePart]) -> Mechanism:
    """Return the mechanism that most of the score speaks for."""
    totals: dict[Mechanism, float] = {}
    for finding in found:
        share = parts[finding.part].value / sum(1 for f in found if f.part == finding.part)
        totals[finding.mechanism] = totals.get(finding.mechanism, 0.0) + share
    # Time a service spends itself is work where its CPU says so, else waiting for what nobody observes.
    slow = totals.pop(Mechanism.UNKNOWN, 0.0)
    if "own time" in parts or "slow answers" in parts:
        code = max(CODE, key=lambda m: (totals.get(m, 0.0), m.value))
        working = Mechanism.CPU if totals.get(Mechanism.CPU, 0.0) >= WORKING else Mechanism.DEPENDENCY
        working = code if totals.get(code, 0.0) >= SATURATED else working
        totals[working] = totals.get(working, 0.0) + slow
    if not totals:
        return Mechanism.UNKNOWN
    saturated = {m: value for m, value in totals.items() if m in RESOURCES and value >= SATURATED}
    cpu, memory = saturated.get(Mechanism.CPU), saturated.get(Mechanism.MEMORY, 0.0)
    if cpu is not None and memory >= MEMORY_FIRST * cpu:
        # Collecting garbage and swapping burn CPU; burning CPU takes little memory.
        del saturated[Mechanism.CPU]
    if saturated:
        return max(saturated, key=lambda m: (saturated[m], m.value))
    if Mechanism.CHANGE in totals and totals.get(Mechanism.EXCEPTION, 0.0) > 0:
        return Mechanism.CHANGE
    return max(totals, key=lambda m: (totals[m], m.value))


def _reachable(edges: Iterable[tuple[str, str]]) -> dict[str, set[str]]:
    """Return every service's callees, callees' callees and so on; cycles are no trouble."""
    direct: dict[str, set[str]] = {}
    for caller, callee in edges:
        direct.setdefault(caller, set()).add(callee)
    reach: dict[str, set[str]] = {}
    for service in direct:
        seen: set[str] = set()
        waiting = [service]
        while waiting:
            for callee in direct.get(waiting.pop(), ()):
                if callee not in seen:
                    seen.add(callee)
                    waiting.append(callee)
        reach[service] = seen
    return reach


def _strongest_first(findings: Sequence[Finding], cited: set[str]) -> tuple[Evidence, ...]:
    values: dict[str, tuple[float, Evidence]] = {}
    for finding in findings:
        known = values.get(finding.evidence.id)
        if finding.evidence.id in cited and (known is None or finding.value > known[0]):
            values[finding.evidence.id] = (finding.value, finding.evidence)
    return tuple(item for _, item in sorted(values.values(), key=lambda pair: (-pair[0], pair[1].id)))
