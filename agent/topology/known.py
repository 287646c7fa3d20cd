"""What a topology remembers: edges with what speaks for them, and where services run.

Plain values that msgspec writes and reads; fields added later have defaults, so that what an older version
wrote can be read on. Bounded: ever new edges and places push the oldest out.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from agent.topology.links import MEASURED, Link, Source, by_calls, by_lines
from ingest.record import SECOND, Nanos

VERSION = 1
FORGET_AFTER: Nanos = 24 * 3600 * SECOND
MAX_EDGES = 20_000
MAX_PLACEMENTS = 50_000
MAX_REPORTING = 10_000
"""Services of an environment that are remembered to report."""


@dataclass(slots=True)
class Edge:
    """What speaks for an edge and when last. `given` edges come from configuration."""

    calls: int = 0
    last: Nanos = 0
    given: bool = False
    measured: bool = False
    """A metric names both ends."""
    votes: int = 0
    """Traces whose lines came in this order."""

    def link(self, ends: tuple[str, str], back: Edge | None) -> Link:
        """Return the surest of what speaks for the edge; `back` is the edge the other way."""
        by = {
            Source.GIVEN: 1.0 if self.given else 0.0,
            Source.SPANS: by_calls(self.calls) if self.calls else 0.0,
            Source.METRICS: MEASURED if self.measured else 0.0,
            Source.LOGS: by_lines(self.votes, back.votes if back else 0) if self.votes else 0.0,
        }
        source = max(by, key=lambda one: by[one])
        return Link(caller=ends[0], callee=ends[1], source=source, confidence=by[source])


@dataclass(slots=True)
class Environment:
    """One environment's edges, and what was seen where and when last."""

    edges: dict[tuple[str, str], Edge] = field(default_factory=dict)
    nodes: dict[tuple[str, str], Nanos] = field(default_factory=dict)
    """(service, node) -> when last seen."""
    instances: dict[tuple[str, str], Nanos] = field(default_factory=dict)
    """(service, instance) -> when last seen."""
    reporting: dict[str, Nanos] = field(default_factory=dict)
    """Service -> when it last said anything itself, the one silent for longest first."""

    def empty(self) -> bool:
        """Say whether nothing of it is remembered any more."""
        return not (self.edges or self.nodes or self.instances or self.reporting)


@dataclass(slots=True)
class State:
    """All environments; `pruned` is when what is old was dropped last."""

    version: int = VERSION
    environments: dict[str, Environment] = field(default_factory=dict)
    pruned: Nanos = 0


def forget(environment: Environment, now: Nanos) -> None:
    """Drop what was learned and not seen for a day."""
    environment.edges = {
        pair: edge for pair, edge in environment.edges.items() if edge.given or now - edge.last < FORGET_AFTER
    }
    for service in [name for name, last in environment.reporting.items() if now - last >= FORGET_AFTER]:
        del environment.reporting[service]
    for places in (environment.nodes, environment.instances):
        for key in [key for key, last in places.items() if now - last >= FORGET_AFTER]:
            del places[key]


def reported(environment: Environment, service: str, end: Nanos) -> None:
    """Note that a service said something; the one silent for longest goes where there are too many."""
    environment.reporting.pop(service, None)
    environment.reporting[service] = end
    while len(environment.reporting) > MAX_REPORTING:
        del environment.reporting[next(iter(environment.reporting))]


def place(places: dict[tuple[str, str], Nanos], key: tuple[str, str], seen: Nanos) -> None:
    """Note a place; the one not seen for longest goes where there are too many."""
    if key not in places and len(places) >= MAX_PLACEMENTS:
        del places[min(places, key=lambda old: (places[old], old))]
    places[key] = max(places.get(key, 0), seen)


def drop_oldest(environment: Environment) -> None:
    """Make room for some at once, so that the lookup tables are not rebuilt for every new edge."""
    learned = [pair for pair, edge in environment.edges.items() if not edge.given]
    for pair in sorted(learned, key=lambda pair: (environment.edges[pair].last, pair))[: MAX_EDGES // 20]:
        del environment.edges[pair]
