"""Who calls whom and what runs where, learned from closed windows and from an edge list if one is given.

Pure: time comes with the summaries. Learned edges and placements fade a day after they were last seen,
given ones never. Cycles are ordinary; every walk is bounded and visits a service once. Environments
never mix.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from ingest.record import SECOND, Nanos
from ingest.summary import WindowSummary

VERSION = 1
FORGET_AFTER: Nanos = 24 * 3600 * SECOND
MAX_EDGES = 20_000
MAX_PLACEMENTS = 50_000
_PRUNE_EVERY: Nanos = 600 * SECOND


@dataclass(slots=True)
class Edge:
    """Calls seen over an edge and when last. `given` edges come from configuration."""

    calls: int = 0
    last: Nanos = 0
    given: bool = False


@dataclass(slots=True)
class _Environment:
    edges: dict[tuple[str, str], Edge] = field(default_factory=dict)
    nodes: dict[tuple[str, str], Nanos] = field(default_factory=dict)
    """(service, node) -> when last seen."""
    instances: dict[tuple[str, str], Nanos] = field(default_factory=dict)
    """(service, instance) -> when last seen."""


@dataclass(slots=True)
class _State:
    version: int = VERSION
    environments: dict[str, _Environment] = field(default_factory=dict)
    pruned: Nanos = 0


class Topology:
    """Directed graph of services per environment: an edge goes from caller to callee."""

    def __init__(
        self,
        edges: Mapping[str, Iterable[tuple[str, str]]] | None = None,
        *,
        everywhere: Iterable[tuple[str, str]] = (),
    ) -> None:
        """Begin with the given edges (caller, callee), by environment and in all environments."""
        self._everywhere = frozenset(everywhere)
        self._given = {environment: tuple(pairs) for environment, pairs in (edges or {}).items()}
        self._state = _State()
        self._index()

    def add(self, summary: WindowSummary) -> None:
        """Learn the calls, instances and nodes of one window."""
        environment = self._state.environments.setdefault(summary.environment, _Environment())
        for call in summary.calls:
            if call.count <= 0 or call.callee == summary.service:
                continue
            edge = environment.edges.get((summary.service, call.callee))
            if edge is None:
                if len(environment.edges) >= MAX_EDGES:
                    _drop_oldest(environment)
                    self._index()
                edge = environment.edges[(summary.service, call.callee)] = Edge()
                self._link(summary.environment, summary.service, call.callee)
            edge.calls += call.count
            edge.last = max(edge.last, summary.end)
        for instance in summary.instances:
            _place(environment.instances, (summary.service, instance), summary.end)
        for instance, node in summary.nodes:
            _place(environment.instances, (summary.service, instance), summary.end)
            _place(environment.nodes, (summary.service, node), summary.end)
            self._nodes.setdefault((summary.environment, summary.service), set()).add(node)
        if summary.end - self._state.pruned >= _PRUNE_EVERY:
            self._prune(summary.end)

    def services(self, environment: str) -> tuple[str, ...]:
        """Return all services that call or are called or run somewhere, sorted."""
        known = self._state.environments.get(environment, _Environment())
        ends = {service for edge in known.edges for service in edge}
        placed = {service for service, _ in known.nodes} | {service for service, _ in known.instances}
        return tuple(sorted(ends | placed))

    def edges(self, environment: str) -> tuple[tuple[str, str], ...]:
        """Return all (caller, callee), sorted."""
        known = self._state.environments.get(environment)
        return tuple(sorted(known.edges)) if known is not None else ()

    def callees(self, environment: str, service: str) -> tuple[str, ...]:
        """Return whom `service` calls, sorted."""
        return tuple(sorted(self._callees.get((environment, service), ())))

    def callers(self, environment: str, service: str) -> tuple[str, ...]:
        """Return who calls `service`, sorted."""
        return tuple(sorted(self._callers.get((environment, service), ())))

    def adjacent(self, environment: str, first: str, second: str) -> bool:
        """Say whether one of the two calls the other."""
        if (first, second) in self._everywhere or (second, first) in self._everywhere:
            return True
        callees = self._callees
        return second in callees.get((environment, first), ()) or first in callees.get(
            (environment, second), ()
        )

    def nodes(self, environment: str, service: str) -> tuple[str, ...]:
        """Return the nodes that instances of `service` run on, sorted."""
        return tuple(sorted(self._nodes.get((environment, service), ())))

    def instances(self, environment: str, service: str) -> tuple[str, ...]:
        """Return the instances of `service`, sorted."""
        known = self._state.environments.get(environment, _Environment())
        return tuple(sorted(instance for owner, instance in known.instances if owner == service))

    def same_node(self, environment: str, first: str, second: str) -> bool:
        """Say whether the two have instances on one node."""
        theirs = self._nodes.get((environment, second), ())
        return not self._nodes.get((environment, first), set()).isdisjoint(theirs)

    def upstream_of(self, environment: str, service: str, depth: int = 8) -> tuple[str, ...]:
        """Return direct and indirect callers, nearest first, without `service` itself."""
        return _walk(self._callers, environment, service, depth)

    def downstream_of(self, environment: str, service: str, depth: int = 8) -> tuple[str, ...]:
        """Return direct and indirect callees, nearest first, without `service` itself."""
        return _walk(self._callees, environment, service, depth)

    def roots(self, environment: str) -> tuple[str, ...]:
        """Return services that call others and that nobody calls, sorted."""
        known = self._state.environments.get(environment, _Environment())
        called = {callee for _, callee in known.edges}
        return tuple(sorted({caller for caller, _ in known.edges} - called))

    def dump(self) -> bytes:
        """Return what has been learned."""
        return msgspec.msgpack.encode(self._state)

    def load(self, state: bytes) -> None:
        """Replace what has been learned; the given edges stay. Raises ValueError on other bytes."""
        try:
            loaded = msgspec.msgpack.decode(state, type=_State)
        except msgspec.DecodeError as error:
            raise ValueError(f"the topology's state cannot be read ({error}); start without it") from error
        if loaded.version != VERSION:
            raise ValueError(f"the topology's state has version {loaded.version}, this one reads {VERSION}")
        self._state = loaded
        self._index()

    def _index(self) -> None:
        """Rebuild the lookup tables from the edges; given edges are added where missing."""
        for name, pairs in self._given.items():
            environment = self._state.environments.setdefault(name, _Environment())
            for caller, callee in pairs:
                environment.edges.setdefault((caller, callee), Edge()).given = True
        self._callees: dict[tuple[str, str], set[str]] = {}
        self._callers: dict[tuple[str, str], set[str]] = {}
        self._nodes: dict[tuple[str, str], set[str]] = {}
        for name, environment in self._state.environments.items():
            for caller, callee in environment.edges:
                self._link(name, caller, callee)
            for service, node in environment.nodes:
                self._nodes.setdefault((name, service), set()).add(node)

    def _link(self, environment: str, caller: str, callee: str) -> None:
        self._callees.setdefault((environment, caller), set()).add(callee)
        self._callers.setdefault((environment, callee), set()).add(caller)

    def _prune(self, now: Nanos) -> None:
        self._state.pruned = now
        for environment in self._state.environments.values():
            environment.edges = {
                pair: edge
                for pair, edge in environment.edges.items()
                if edge.given or now - edge.last < FORGET_AFTER
            }
            for places in (environment.nodes, environment.instances):
                for key in [key for key, last in places.items() if now - last >= FORGET_AFTER]:
                    del places[key]
        self._index()


def _place(places: dict[tuple[str, str], Nanos], key: tuple[str, str], seen: Nanos) -> None:
    if key not in places and len(places) >= MAX_PLACEMENTS:
        del places[min(places, key=lambda old: (places[old], old))]
    places[key] = max(places.get(key, 0), seen)


def _drop_oldest(environment: _Environment) -> None:
    """Make room for some at once, so that the lookup tables are not rebuilt for every new edge."""
    learned = [pair for pair, edge in environment.edges.items() if not edge.given]
    for pair in sorted(learned, key=lambda pair: (environment.edges[pair].last, pair))[: MAX_EDGES // 20]:
        del environment.edges[pair]


def _walk(
    neighbours: Mapping[tuple[str, str], set[str]], environment: str, start: str, depth: int
) -> tuple[str, ...]:
    found: dict[str, None] = {}
    queue = deque([(start, 0)])
    while queue:
        service, distance = queue.popleft()
        if distance == depth:
            continue
        for neighbour in sorted(neighbours.get((environment, service), ())):
            if neighbour != start and neighbour not in found:
                found[neighbour] = None
                queue.append((neighbour, distance + 1))
    return tuple(found)
