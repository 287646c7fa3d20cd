"""Evidence kind: extra time, charged to who spends it.

A span's self time belongs to its service. The gap between what a caller waited and what the callee took
belongs to the path between them: an end that shows such gaps on most of its edges is charged for them.
Extra time is measured in seconds per call times calls, so that a rare slow call does not outweigh all.
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Iterator

from agent.analysis import Mechanism
from agent.suspects.edge_metrics import MIN_SAMPLES, SECONDS
from agent.suspects.finding import Finding
from agent.suspects.gaps import MIN_CALLS, Extra, gaps_of, level, logged_gaps, measured_gaps
from agent.suspects.sides import ServiceSide, Sides
from detectors.anomaly import Evidence, EvidenceKind, evidence_id

OWN_LATENCY = re.compile(r"^(?!.*(client|[._]to[._])).*(latenc|duration|response.?time)", re.IGNORECASE)
WITHIN = 0.5
"""Share of the extra time before a service's line from which it is the service's own."""
FELT = 0.05
"""Share of all time in requests from which extra time counts in full."""
WHOLE = 0.9
"""Share of an operation's time without any child from which it is taken for a mere bracket."""
SPREAD = (0.25, 0.5, 0.75, 0.9)
"""Quantiles that stand for what a service's own time is like."""
NEAR = 0.2
"""A path is slow beside the slowest one only from this share of its extra time."""


def findings(sides: Sides) -> Iterator[Finding]:
    """Yield self time and network findings."""
    budget = request_time(sides)
    yield from _own_time(sides, budget)
    gaps = list(gaps_of(sides))
    gaps.extend(measured_gaps(sides, {(gap.service, gap.callee) for gap in gaps}))
    logged = list(logged_gaps(sides, {(gap.service, gap.callee) for gap in gaps}))
    answers = {service: slow for service in sides.services() if (slow := _answers(sides, service))}
    within = [gap for gap in logged if gap.callee in answers and _within(gap, answers[gap.callee])]
    yield from _paths(sides, [*gaps, *(gap for gap in logged if gap not in within)], budget)
    for service in sorted({str(gap.callee) for gap in within}):
        slow = answers[service]
        felt = max(_amount(gap.during, gap.before) for gap in within if gap.callee == service)
        value = min(6.0, felt, _amount(slow.during, slow.before))
        if value >= 0.5:
            yield _finding(sides, service, slow, "slow answers", Mechanism.UNKNOWN, value)


def request_time(sides: Sides) -> float:
    """Return the seconds that all requests of the busiest service took in the incident."""
    return max(
        (
            sum(
                flow.entries * (level(flow.outer, SPREAD) or 0.0)
                for flow in sides.incident[service].operations.values()
            )
            for service in sides.incident
        ),
        default=0.0,
    )


def _felt(extra: Extra, budget: float) -> float:
    """Return 0..1: how much of what the users wait for the extra time can be."""
    if not budget or extra.measured:
        return 1.0
    return min(1.0, math.sqrt(max(0.0, extra.total) / (FELT * budget)))


def _answers(sides: Sides, service: str) -> Extra | None:
    """Return how long a service's answers take by its own metrics, None where they did not become slower."""
    before, during = sides.both(service)
    best: Extra | None = None
    if during.operations:
        return None  # its spans tell better
    for key, samples in sorted(during.series.items()):
        if not OWN_LATENCY.search(key.name) or key not in before.series or len(samples) < MIN_SAMPLES:
            continue
        scale = SECONDS.get(before.units.get(key, "s"), 1.0)
        was = statistics.median(value for _, value in before.series[key]) * scale
        now = statistics.median(value for _, value in samples) * scale
        if now > 2 * was and (best is None or now - was > best.per_call):
            best = Extra(
                service=service, callee=None, operation=key.name, before=was, during=now, count=len(samples)
            )
    return best


def _within(gap: Extra, answers: Extra) -> bool:
    """Say whether the callee itself says that it takes most of the extra time: it writes when it is done."""
    return gap.per_call > 0 and answers.per_call >= WITHIN * gap.per_call


def _paths(sides: Sides, gaps: list[Extra], budget: float) -> Iterator[Finding]:
    slow = {gap for gap in gaps if gap.per_call > max(0.002, 0.5 * gap.before)}
    slowest = max((gap.per_call for gap in slow), default=0.0)
    slow = {gap for gap in slow if gap.per_call >= NEAR * slowest}
    ends: dict[tuple[str, bool], list[Extra]] = {}
    for gap in gaps:
        ends.setdefault((gap.service, True), []).append(gap)
        if gap.callee is not None:
            ends.setdefault((gap.callee, False), []).append(gap)
    everything = sum(gap.total for gap in slow)
    best: dict[str, tuple[float, Extra]] = {}
    for (service, calling), touching in sorted(ends.items()):
        slower = [gap for gap in touching if gap in slow]
        if not slower:
            continue
        around = [*touching, *ends.get((service, not calling), ())]
        share = _share(slower, touching) * (1 + _share([g for g in around if g in slow], around)) / 2
        covered = sum(gap.total for gap in around if gap in slow) / everything
        worst = max(slower, key=lambda gap: (gap.total, gap.operation))
        value = _amount(worst.during, worst.before) * share * (1 + covered) / 2 * _felt(worst, budget)
        if value > best.get(service, (0.5, worst))[0]:
            best[service] = (value, worst)
    for service, (value, worst) in sorted(best.items()):
        yield _finding(sides, service, worst, "path delay", Mechanism.NETWORK, value)


def _share(some: list[Extra], of: list[Extra]) -> float:
    return sum(gap.count for gap in some) / max(1, sum(gap.count for gap in of))


def _own_time(sides: Sides, budget: float) -> Iterator[Finding]:
    for service in sides.services():
        before, during = sides.both(service)
        waited = _waited(before, during)
        best: tuple[float, Extra] | None = None
        for operation, flow in during.operations.items():
            earlier = before.operations.get(operation)
            if earlier is None or min(flow.count, earlier.count) < MIN_CALLS:
                continue
            own, own_before = level(flow.inner, SPREAD), level(earlier.inner, SPREAD)
            if own is None or own_before is None:
                continue
            if own >= WHOLE * (level(flow.outer, SPREAD) or 0.0):
                # Nothing is known to go on within: it may be what awaits the calls beside it.
                own = max(own_before, own - waited / flow.count)
            extra = Extra(
                service=service,
                callee=None,
                operation=operation,
                before=own_before,
                during=own,
                count=flow.count,
            )
            value = _amount(own, own_before) * _felt(extra, budget)
            if value >= 0.5 and (best is None or value > best[0]):
                best = (value, extra)
        if best is not None:
            yield _finding(sides, service, best[1], "own time", Mechanism.UNKNOWN, best[0])


def _waited(before: ServiceSide, during: ServiceSide) -> float:
    """Return the extra seconds that a service's calls took, all together."""
    total = 0.0
    for key, flow in during.calls.items():
        earlier = before.calls.get(key)
        now, was = level(flow.outer, SPREAD), level(earlier.outer, SPREAD) if earlier else None
        if now is not None and was is not None:
            total += max(0.0, now - was) * flow.count
    return total


def _amount(during: float, before: float) -> float:
    """Return 0..10 for a rise of seconds per call: by its ratio, damped below a few milliseconds."""
    if during <= before:
        return 0.0
    ratio = math.log2((during + 1e-4) / (before + 1e-4))
    size = min(1.0, (during - before) / 0.01)
    return min(10.0, 1.6 * ratio * size)


def _finding(
    sides: Sides, service: str, extra: Extra, part: str, mechanism: Mechanism, value: float
) -> Finding:
    if extra.callee is None:
        kind, subject = EvidenceKind.OPERATION, extra.operation
        label = f"{service} {extra.operation}"
        what = f"own time of {service} in {extra.operation}"
    else:
        kind, subject = EvidenceKind.CALL, f"{extra.callee}|{extra.operation}"
        label = f"{extra.service} → {extra.callee} {extra.operation}"
        what = f"time between {extra.service} and {extra.callee} in {extra.operation}"
    owner = service if extra.callee is None else extra.service
    # Metrics and lines tell of a delay, not of how many calls there were.
    calls = "" if extra.measured else f" ({extra.count} calls)"
    return Finding(
        service=service,
        part=part,
        value=value,
        mechanism=mechanism,
        component=extra.operation,
        evidence=Evidence(
            id=evidence_id(kind, sides.environment, owner, subject, sides.start),
            kind=kind,
            environment=sides.environment,
            service=owner,
            subject=subject,
            label=label,
            statement=f"{what} rose from {extra.before:.4g} s to {extra.during:.4g} s{calls}",
            start=sides.start,
            end=sides.end,
            score=value,
            expected=extra.before,
            observed=extra.during,
            unit="s",
        ),
    )
