"""Made incidents of made systems: services that call each other, with noise, and one that breaks.

Every draw is by place and never by name or time, so that the same incident can be had under other names
and at another time. Each kind of fault leaves traces in all signals that would show it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

from agent.suspects import Sides
from ingest.events import ChangeEvent, MetricKind, Resource
from ingest.record import Nanos
from ingest.sketch import sketch
from ingest.summary import (
    CallWindow,
    OperationWindow,
    PairCount,
    SeriesWindow,
    TemplateCount,
    WindowSummary,
)
from tests.support.made_windows import (
    BEGIN,
    NORMAL,
    TROUBLED,
    WIDTH,
    gauge,
    operation,
    origin,
    template,
    template_id,
)

NAMES = tuple(f"{word}-unit" for word in ("amber", "birch", "cedar", "dunes", "ember", "fjord", "grove"))
OTHER_NAMES = ("zinc-node", "yarn-node", "xray-node", "wolf-node", "vine-node", "umber-node", "tide-node")
FAULTS = ("cpu", "errors", "path", "missing", "order", "silence", "change", "multiplied", "answers")


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """One incident: who calls whom, who is broken, how, and what telemetry there is."""

    names: Sequence[str]
    begin: Nanos
    callees: tuple[tuple[int, ...], ...]
    culprit: int
    fault: str
    spans: bool
    mesh: bool
    windows: tuple[WindowSummary, ...] = ()

    @property
    def onset(self) -> Nanos:
        return self.begin + NORMAL * WIDTH

    def above(self) -> set[int]:
        """Return who asks the broken one, directly or through others: its trouble shows there, too."""
        found = {self.culprit}
        while True:
            more = {place for place, asked in enumerate(self.callees) if found.intersection(asked)}
            if more <= found:
                return found - {self.culprit}
            found |= more

    def sides(self, held: Sequence[WindowSummary] | None = None) -> Sides:
        """Return both sides of these windows, by default of all."""
        windows = self.windows if held is None else held
        return Sides.of(
            baseline=tuple(w for w in windows if self.begin <= w.start < self.onset),
            incident=tuple(w for w in windows if self.onset <= w.start < self.onset + TROUBLED * WIDTH),
        )


@cache
def made(seed: int, *, names: tuple[str, ...] = NAMES, begin: Nanos = BEGIN) -> Made:
    """Return the incident of this number."""
    rng = random.Random(seed)
    fault = FAULTS[seed % len(FAULTS)]
    callees: list[set[int]] = [set() for _ in names]
    for place in range(1, len(names)):
        callees[rng.randrange(place)].add(place)
        if rng.random() < 0.3 and fault != "multiplied":
            callees[rng.randrange(place)].add(place)
    calling = [place for place in range(len(names)) if callees[place]]
    plan = Made(
        names=names,
        begin=begin,
        callees=tuple(tuple(sorted(held)) for held in callees),
        culprit=rng.choice(calling) if fault in {"missing", "multiplied"} else rng.randrange(1, len(names)),
        fault=fault,
        spans=fault != "answers" and rng.random() < 0.7,
        mesh=rng.random() < 0.5,
    )
    held = []
    for index in range(NORMAL + TROUBLED):
        load = rng.randint(15, 25)
        for place in range(len(names)):
            chance = random.Random(f"{seed} {index} {place}")
            if not (fault == "silence" and index >= NORMAL and place == plan.culprit):
                held.append(_window(plan, place, index, load, chance))
    return replace(plan, windows=tuple(held))


def _window(plan: Made, place: int, index: int, load: int, rng: random.Random) -> WindowSummary:
    ill = index >= NORMAL
    broken = ill and place == plan.culprit
    fault = plan.fault if broken else ""
    start = plan.begin + index * WIDTH
    templates = _templates(plan, place, index, load, rng)
    severities: dict[int, int] = {}
    for one in templates:
        severities[one.severity_number] = severities.get(one.severity_number, 0) + one.count
    name = plan.names[place]
    whole = 0 if fault in {"order", "missing"} else load
    pair = PairCount(
        first=template_id(name, "request taken"), second=template_id(name, "request done"), count=whole
    )
    change = ChangeEvent(
        origin=origin(index),
        resource=Resource(environment="made", service=name),
        time=start,
        kind="deploy",
        title="release 7",
    )
    return WindowSummary(
        environment="made",
        service=name,
        start=start,
        end=start + WIDTH,
        severities=severities,
        templates=tuple(sorted(templates, key=lambda one: one.template_id)),
        pairs=(pair,) if whole else (),
        operations=_operations(plan, place, load, fault, rng, ill=ill) if plan.spans else (),
        calls=_calls(plan, place, load, index, rng) if plan.spans else (),
        series=tuple(sorted(_series(plan, place, index, load, rng), key=lambda one: one.key)),
        instances=("pod-1",),
        changes=(change,) if fault == "change" and index == NORMAL else (),
    )


def _operations(
    plan: Made, place: int, load: int, fault: str, rng: random.Random, *, ill: bool
) -> tuple[OperationWindow, ...]:
    own = 0.01 * (12 if fault == "cpu" else 1)
    took = [own * rng.lognormvariate(0, 0.1) for _ in range(load)]
    errors = load // 2 if fault == "errors" else load // 4 if _shows(plan, place, ill=ill) else 0
    served = operation(f"POST /{place}", took, errors=errors, entry=load)
    inner = operation(f"write {place}", [0.004] * load)
    return (served,) if fault == "missing" else (served, inner)


def _calls(plan: Made, place: int, load: int, index: int, rng: random.Random) -> tuple[CallWindow, ...]:
    ill = index >= NORMAL
    found = []
    for callee in plan.callees[place]:
        if ill and plan.fault == "missing" and place == plan.culprit and callee == plan.callees[place][0]:
            continue
        late = 0.4 if _late(plan, place, callee, ill=ill) else 0.002
        inner = [0.02 * rng.lognormvariate(0, 0.1) for _ in range(load)]
        silent = ill and plan.fault == "silence" and callee == plan.culprit
        found.append(
            CallWindow(
                callee=plan.names[callee],
                operation=f"POST /{callee}",
                count=load,
                errors=load // 2 if silent else 0,
                caller_latency=sketch([one + late for one in inner]),
                callee_latency=sketch([] if silent else inner),
            )
        )
    return tuple(found)


def _late(plan: Made, place: int, callee: int, *, ill: bool) -> bool:
    return ill and plan.fault == "path" and plan.culprit in (place, callee)


def _series(plan: Made, place: int, index: int, load: int, rng: random.Random) -> list[SeriesWindow]:
    ill = index >= NORMAL
    fault = plan.fault if ill and place == plan.culprit else ""
    asked_more = ill and plan.fault == "multiplied" and place in plan.callees[plan.culprit]
    found = [
        gauge(plan.begin, index, "cpu_usage", 96.0 if fault == "cpu" else rng.gauss(25, 1), "%"),
        gauge(plan.begin, index, "memory_rss", rng.gauss(2e8, 1e6), "By"),
        gauge(plan.begin, index, "jobs_total", 100.0 + 20.0 * index, "", kind=MetricKind.CUMULATIVE),
        gauge(
            plan.begin,
            index,
            "http_requests.rate",
            load * rng.uniform(1.9, 2.1) * (1.0 if asked_more else 0.05),
            "1/s",
        ),
    ]
    if not plan.spans:
        slow = 0.6 if fault in {"answers", "cpu"} else rng.gauss(0.02, 0.001)
        found.append(gauge(plan.begin, index, "response_time", slow, "s"))
    if plan.mesh:
        found.extend(_mesh(plan, place, index, ill=ill))
    return found


def _mesh(plan: Made, place: int, index: int, *, ill: bool) -> Iterator[SeriesWindow]:
    """Yield how long calls took as their callers and as their callees measured it."""
    slow = plan.culprit if ill and plan.fault == "answers" else None
    for callee in plan.callees[place]:
        took = 0.6 if callee == slow else 0.02
        late = 0.4 if _late(plan, place, callee, ill=ill) else 0.002
        yield gauge(plan.begin, index, f"latency_p50.to.{plan.names[callee]}", took + late, "s")
    for caller, asked in zip(plan.names, plan.callees, strict=True):
        if place in asked:
            yield gauge(plan.begin, index, f"latency_p50.from.{caller}", 0.6 if place == slow else 0.02, "s")


def _templates(plan: Made, place: int, index: int, load: int, rng: random.Random) -> list[TemplateCount]:
    ill = index >= NORMAL
    name, broken = plan.names[place], ill and place == plan.culprit
    fault = plan.fault if broken else ""
    noted = rng.random() < 0.1
    found = [
        template(plan.begin, name, index, "request taken", load, traces=True, at=_at(plan, place, ill=ill)),
        # One statement of the source, two templates: what it says after its place differs in parameters.
        template(plan.begin, name, index, "INFO app.Part#12 packed one box for <*>", load // 2),
        template(plan.begin, name, index, "INFO app.Part#12 packed one box", load - load // 2),
    ]
    if fault != "missing":
        found.append(template(plan.begin, name, index, "request done", load))
    if noted:
        found.append(template(plan.begin, name, index, "cache of <*> was cold", 1, severity=13))
    if fault == "errors":
        found.append(
            template(plan.begin, name, index, "KeyError: <*> raised while packing", load // 2, severity=17)
        )
    reached = plan.culprit in plan.callees[place]
    if _shows(plan, place, ill=ill):
        text = "request failed: 500 Internal Server Error"
        found.append(template(plan.begin, name, index, text, rng.randint(1, load // 2), severity=17))
    if ill and reached and plan.fault in {"errors", "silence", "path"}:
        text = f"asking {plan.names[plan.culprit]} failed: connection refused"
        found.append(template(plan.begin, name, index, text, load // 3, severity=17))
    return found


def _shows(plan: Made, place: int, *, ill: bool) -> bool:
    return ill and plan.fault in {"errors", "silence", "answers", "cpu"} and place in plan.above()


def _at(plan: Made, place: int, *, ill: bool) -> float:
    """Return seconds after a trace began at which a service writes: deeper ones later, slow ones much."""
    late = ill and place == plan.culprit and plan.fault in {"path", "answers"}
    return 0.02 * place + (0.5 if late else 0.0)
