"""Evidence kind: lines that no longer follow each other.

A request that ends early leaves out what used to come next, though each line alone may be written often
enough by other requests. A pair of statements (within one trace, session or thread) is held against how
often each of the two was written, against each kind of request and against the service's whole output, and
the kindest explanation counts. Lines that tell of trouble are no loss, and a line that vanished altogether
is what `logs` reports.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from agent.analysis import Mechanism
from agent.suspects.finding import Finding
from agent.suspects.logs import WARN, vanished
from agent.suspects.ratios import entries_of, ratio_deviance, starts_of
from agent.suspects.sides import ServiceSide, Sides, TemplateSide
from agent.suspects.statements import beginnings, statements
from detectors.anomaly import Evidence, EvidenceKind, evidence_id

MIN_PAIRS = 5
TELLING = -3.0
SURELY = 0.8
"""Share of a pair's lines that follow each other from which one is due after the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """Statement `second` followed `first` less often than anything else about the service explains."""

    deviance: float
    first: str
    second: str
    expected: float
    observed: int


def findings(sides: Sides) -> Iterator[Finding]:
    """Yield for each service the pair of statements that broke most clearly."""
    if not sides.incident_log_windows or not sides.baseline_log_windows:
        return
    spans = sides.incident_span_windows / max(1, sides.baseline_span_windows)
    length = sides.incident_log_windows / sides.baseline_log_windows
    for service in sides.services():
        before, during = sides.both(service)
        broken = broken_pairs(before, during, length / spans if spans else 1.0)
        if broken:
            yield _finding(sides, service, min(broken, key=lambda b: (b.deviance, b.first, b.second)))


def broken_pairs(before: ServiceSide, during: ServiceSide, coverage: float = 1.0) -> list[Broken]:
    """Return the pairs that became rare beyond every explanation; `coverage` as in `logs.turns_of`."""
    if not before.pairs or not during.templates:
        return []
    names = beginnings(before, during)
    was, now = _merged(before.pairs, names), _merged(during.pairs, names)
    said, says = statements(before, names), statements(during, names)
    found = list(_unfollowed(was, said, says))
    whole = (float(before.lines), float(during.lines))
    entries = entries_of(before, during, coverage) or list(starts_of(before, during).values())
    entries = [pair for pair in entries if pair[0] and pair[1]]
    for (first, second), count in sorted(was.items()):
        seen = now.get((first, second), 0)
        ends = [says.get(first), says.get(second)]
        if count < MIN_PAIRS or any(end is None or end.severity_number >= WARN for end in ends):
            continue
        own = [(float(said[end].count), float(says[end].count)) for end in (first, second)]
        exposures = [whole, *own, *entries]
        deviance, (a0, a1) = max(
            ((ratio_deviance((count, seen), pair), pair) for pair in exposures), key=lambda item: item[0]
        )
        if deviance < TELLING:
            found.append(
                Broken(
                    deviance=deviance,
                    first=said[first].id,
                    second=said[second].id,
                    expected=count * a1 / a0,
                    observed=seen,
                )
            )
    return found


def _unfollowed(
    was: dict[tuple[str, str], int], said: dict[str, TemplateSide], says: dict[str, TemplateSide]
) -> Iterator[Broken]:
    """Yield the pairs whose second line nearly always came right after the first, and does so no longer.

    What comes directly before a line is the best measure of how often it is due: no mix of requests explains
    that the first was written and the second was not.
    """
    for (first, second), count in sorted(was.items()):
        one, other, now = said[first], said[second], says.get(first)
        if now is None or count < MIN_PAIRS or max(one.severity_number, other.severity_number) >= WARN:
            continue
        if count < SURELY * max(one.count, other.count):
            continue
        seen = says[second].count if second in says else 0
        deviance = ratio_deviance((other.count, seen), (one.count, now.count))
        if deviance < TELLING:
            expected = now.count * other.count / one.count
            yield Broken(deviance=deviance, first=one.id, second=other.id, expected=expected, observed=seen)


def _merged(pairs: dict[tuple[str, str], int], names: dict[str, str]) -> dict[tuple[str, str], int]:
    merged: dict[tuple[str, str], int] = {}
    for (first, second), count in pairs.items():
        if first in names and second in names:
            key = names[first], names[second]
            merged[key] = merged.get(key, 0) + count
    return merged


def _finding(sides: Sides, service: str, broken: Broken) -> Finding:
    before = sides.baseline[service]
    first, second = before.templates[broken.first], before.templates[broken.second]
    subject = f"{broken.first}>{broken.second}"
    return Finding(
        service=service,
        part="log order",
        value=min(6.0, vanished(-broken.deviance, broken.expected, broken.observed)),
        mechanism=Mechanism.EXCEPTION,
        evidence=Evidence(
            id=evidence_id(EvidenceKind.LOG, sides.environment, service, subject, sides.start),
            kind=EvidenceKind.LOG,
            environment=sides.environment,
            service=service,
            subject=broken.second,
            label=f"{first.template} → {second.template}",
            statement=(
                f"in {service} one line no longer followed another: "
                f"{broken.observed} times, about {broken.expected:.0f} expected"
            ),
            start=sides.start,
            end=sides.end,
            score=-broken.deviance,
            expected=broken.expected,
            observed=float(broken.observed),
            lines=tuple(second.lines),
        ),
    )
