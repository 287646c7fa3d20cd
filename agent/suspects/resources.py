"""Evidence kind: a service's own metrics, level and change, each series against its own baseline.

Resources count for the service that owns them (its CPU, memory, pool); latency and error metrics are
symptoms and count little here, since `latency` and `errors` split them by edge. Metrics of the machine
below (`Node…`) are shared by everyone on it and blame nobody alone.
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agent.analysis import Mechanism
from agent.suspects.finding import Finding
from agent.suspects.sides import Sides
from detectors.anomaly import Evidence, EvidenceKind, evidence_id
from ingest.record import Nanos
from ingest.summary import SeriesKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Metrics of one meaning: how their names read, what a change says, and how much it counts."""

    name: str
    pattern: re.Pattern[str]
    mechanism: Mechanism
    weight: float
    falls: bool = False
    """True where falling is the harm (a success rate)."""


def _family(name: str, pattern: str, mechanism: Mechanism, weight: float, *, falls: bool = False) -> Family:
    return Family(
        name=name, pattern=re.compile(pattern, re.IGNORECASE), mechanism=mechanism, weight=weight, falls=falls
    )


SHARED = re.compile(r"^(?:[Nn]ode|[Hh]ost|[Mm]achine|[Ss]ystem)(?=[A-Z_.])")
"""Metrics of the machine below: `NodeCpuUsageRate`, `node_load1`, `system.cpu.load`."""
FAMILIES = (
    _family("success", r"success|availab", Mechanism.DEPENDENCY, 0.3, falls=True),
    _family("latency", r"(latenc|duration|response.?time)(?!.*\.rate$)|[_.]p\d\d", Mechanism.UNKNOWN, 0.15),
    _family("errors", r"error|fail|exception|5xx|timeout|reject", Mechanism.EXCEPTION, 0.5),
    _family("lock", r"(?<![bc])lock(?!e)|deadlock", Mechanism.LOCK, 0.8),
    _family("pool", r"pool|connection.*(wait|pending|used|in.?use)|pending|waiting", Mechanism.POOL, 0.9),
    _family("cpu", r"cpu", Mechanism.CPU, 1.0),
    _family("memory", r"mem|rss|heap|oom|swap", Mechanism.MEMORY, 0.9),
    # System calls that read and write go to sockets as well: they are no sign of a disk.
    _family("traffic", r"syscall.?(read|write)", Mechanism.TRAFFIC, 0.1),
    _family("disk", r"disk|volume|inode|filesystem|\bfs\b|iops", Mechanism.DISK, 0.5),
    _family(
        "network", r"net|packet|retrans|bytes.?(in|out|sent|recv)|(receive|transmit)", Mechanism.NETWORK, 0.2
    ),
    _family("traffic", r"workload|request|qps|rps|ops|throughput|load|count|\.rate$", Mechanism.TRAFFIC, 0.1),
)
PERCENT = frozenset({"%", "percent"})
SPARE = 0.5
"""What a rise may count for beyond what the same resource's share of its capacity shows."""
PER_FAMILY = 2
"""Evidence a family and service may show; the value is the best one's."""


def findings(sides: Sides) -> Iterator[Finding]:
    """Yield one finding for the strongest series of each service and family."""
    for service in sides.services():
        before, during = sides.both(service)
        best: dict[str, list[tuple[float, Family, SeriesKey, Shift]]] = {}
        shares: dict[str, float] = {}
        for key, samples in during.series.items():
            family = family_of(key.name)
            if family is None or key not in before.series:
                continue
            shift = shifted([v for _, v in before.series[key]], [v for _, v in samples], before.units[key])
            if shift is None:
                continue
            value = family.weight * suspicion(shift, falls=family.falls)
            if shift.bounded:
                shares[family.name] = max(shares.get(family.name, 0.0), value)
            if value > 0.5:
                best.setdefault(family.name, []).append((value, family, key, shift))
        for name, strongest in best.items():
            if name in shares:
                # Where the level against capacity is known, growth far below it is no shortage.
                strongest = [(min(v, shares[name] + SPARE), f, k, s) for v, f, k, s in strongest]
            strongest.sort(key=lambda item: (-item[0], item[2]))
            for place, (value, family, key, shift) in enumerate(strongest[:PER_FAMILY]):
                yield _finding(sides, service, family, key, shift, value if place == 0 else 0.0)


def family_of(name: str) -> Family | None:
    """Return the family a metric's name reads like, None for machine-wide and unknown ones."""
    if SHARED.match(name):
        return None
    return next((family for family in FAMILIES if family.pattern.search(name)), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """A series' level before and during, and how far apart in units of its ordinary variation."""

    before: float
    during: float
    z: float
    ratio: float
    """(during - before) / max(|before|, small)."""
    bounded: bool
    """A share of something: 0..1 or a percentage."""
    unit: str


def shifted(before: Sequence[float], during: Sequence[float], unit: str) -> Shift | None:
    """Return the shift between two sample sets, None where either is empty.

    The level during is the mean of the half of samples farthest from normal: an incident need not fill
    its interval. The scale is a robust deviation with floors, widened where the baseline is short.
    """
    if not before or not during:
        return None
    center = statistics.median(before)
    deviation = 1.4826 * statistics.median(abs(v - center) for v in before)
    spread = max(before) - min(before)
    scale = max(deviation, spread / 4, 0.05 * abs(center), 1e-9)
    scale *= 1 + 3 / len(before)
    far = sorted(during, key=lambda v: -abs(v - center))[: max(1, (len(during) + 1) // 2)]
    level = statistics.fmean(far)
    bounded = unit in PERCENT or (
        min(before) >= 0 and max(*before, *during) <= 1.0 and unit in {"1", "ratio"}
    )
    return Shift(
        before=center,
        during=level,
        z=(level - center) / scale,
        ratio=(level - center) / max(abs(center), 1e-6),
        bounded=bounded,
        unit=unit,
    )


def suspicion(shift: Shift, *, falls: bool) -> float:
    """Return 0..10: how far beyond ordinary variation in the harmful direction, and near which limit."""
    z = -shift.z if falls else shift.z
    if z <= 2:
        return 0.0
    value = min(6.0, math.log2(1 + (z - 2)))
    value *= min(1.0, abs(shift.ratio) / 0.5) if not shift.bounded else 1.0
    full = 100.0 if shift.unit in PERCENT else 1.0
    if shift.bounded and not falls and shift.during > 0.8 * full:
        value += 3.0
    if shift.bounded:
        value *= min(1.0, abs(shift.during - shift.before) / (0.1 * full))
    return min(10.0, value)


def onset(samples: Sequence[tuple[Nanos, float]], shift: Shift, otherwise: Nanos) -> Nanos:
    """Return when the series was first more than half way from its usual level to its new one."""
    half = abs(shift.during - shift.before) / 2
    return next((time for time, value in samples if abs(value - shift.before) > half), otherwise)


def _finding(
    sides: Sides, service: str, family: Family, key: SeriesKey, shift: Shift, value: float
) -> Finding:
    verb = "rose" if shift.during > shift.before else "fell"
    # UCUM writes what is counted in braces: 5 {request}.
    unit = f" {shift.unit.strip('{}')}" if shift.unit not in {"", "1"} else ""
    statement = f"{key.name} of {service} {verb} from {shift.before:.4g}{unit} to {shift.during:.4g}{unit}"
    subject = str(key)
    return Finding(
        service=service,
        part=family.name,
        value=value,
        mechanism=family.mechanism,
        component=key.instance or None,
        evidence=Evidence(
            id=evidence_id(EvidenceKind.METRIC, sides.environment, service, subject, sides.start),
            kind=EvidenceKind.METRIC,
            environment=sides.environment,
            service=service,
            subject=subject,
            label=subject,
            statement=statement,
            start=onset(sides.incident[service].series[key], shift, sides.start),
            end=sides.end,
            score=abs(shift.z),
            instance=key.instance or None,
            expected=shift.before,
            observed=shift.during,
            unit=shift.unit,
        ),
    )
