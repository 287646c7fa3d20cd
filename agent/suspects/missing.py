"""What telemetry was not there to compare: said in the analysis, and a reason to be less sure.

Pure. Sentences name signals and services, so that a person can mend what is missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.suspects.sides import ServiceSide, Sides

ENOUGH_WINDOWS = 12
"""Windows of normal times from which a level can be told from a chance."""
ERROR = 17
TROUBLED, MIN_ERRORS = 0.5, 10
"""Share of the incident's error lines a window from which normal times were none, and how many at least."""
MIN_UNTIMELY = 10
NAMED = 5


def missing_telemetry(sides: Sides) -> tuple[str, ...]:
    """Return one sentence for each thing that was not there."""
    return (*_baseline(sides), *_signals(sides), *_services(sides), *_clocks(sides))


def _baseline(sides: Sides) -> Iterator[str]:
    if not sides.baseline:
        yield "no baseline: nothing of normal times to compare with"
    elif sides.baseline_windows < ENOUGH_WINDOWS:
        yield f"only {10 * sides.baseline_windows} s of normal times to compare with"
    before, during = _errors(sides, baseline=True), _errors(sides, baseline=False)
    rate_before = before / max(1, sides.baseline_log_windows)
    rate = during / max(1, sides.incident_log_windows)
    if before >= MIN_ERRORS and rate_before >= TROUBLED * rate:
        yield "the normal times to compare with hold nearly as many error lines as the incident"


def _signals(sides: Sides) -> Iterator[str]:
    measured = [any(side.series for side in half.values()) for half in (sides.baseline, sides.incident)]
    for name, before, during in (
        ("logs", bool(sides.baseline_log_windows), bool(sides.incident_log_windows)),
        ("spans", bool(sides.baseline_span_windows), bool(sides.incident_span_windows)),
        ("metrics", measured[0], measured[1]),
    ):
        if not before or not during:
            where = "in the baseline" if during else "in the incident" if before else "at all"
            yield f"no {name} {where}"


def _services(sides: Sides) -> Iterator[str]:
    """Yield services that others call and that say nothing themselves, though they used to."""
    gone = sorted(set(sides.baseline) - set(sides.incident)) if sides.incident else []
    unseen = sorted(set(sides.incident) - set(sides.baseline)) if sides.baseline else []
    if gone:
        yield f"nothing from {_named(gone)} in the incident"
    if unseen:
        yield f"nothing from {_named(unseen)} in normal times"


def _clocks(sides: Sides) -> Iterator[str]:
    """Yield services of which more came too late, or from too far ahead, than in time."""
    halves = (sides.baseline, sides.incident)
    odd = {
        name
        for half in halves
        for name, side in half.items()
        if side.untimely >= MIN_UNTIMELY and side.untimely > _timely(side)
    }
    if odd:
        yield f"most of what {_named(sorted(odd))} sent came too late or from the future: clocks may be off"


def _timely(side: ServiceSide) -> int:
    """Return how many lines, spans and samples are there to compare."""
    spans = sum(flow.count for flow in side.operations.values())
    return side.lines + spans + sum(len(samples) for samples in side.series.values())


def _named(services: list[str]) -> str:
    shown = ", ".join(services[:NAMED])
    return shown + (f" and {len(services) - NAMED} more" if len(services) > NAMED else "")


def _errors(sides: Sides, *, baseline: bool) -> int:
    side = sides.baseline if baseline else sides.incident
    return sum(
        seen.count
        for one in side.values()
        for seen in one.templates.values()
        if seen.severity_number >= ERROR
    )
