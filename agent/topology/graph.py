"""Who calls whom and what runs where, learned from closed windows and from an edge list if one is given.

Pure: time comes with the summaries. An edge counts from the confidence on that the evaluation believes too
(`links`); until then it is remembered. Learned edges and placements fade a day after they were last seen,
given ones never. Cycles are ordinary; every walk is bounded and visits a service once. Environments never
mix.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from agent.topology.known import (
    MAX_EDGES,
    VERSION,
    Edge,
    Environment,
    State,
    drop_oldest,
    forget,
    place,
    reported,
)
from agent.topology.links import BELIEVED, Link, edge_of, votes_of
from ingest.record import SECOND, Nanos
from ingest.summary import SeriesKey, WindowSummary

_PRUNE_EVERY: Nanos = 600 * SECOND


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
        self._state = State()
        self._named: dict[str, dict[tuple[str, SeriesKey], tuple[str, str]]] = {}
        """The edges that series name, so that a name is read once."""
        self._index()

    def learn(self, summaries: Sequence[WindowSummary]) -> None:
        """Learn from one closed window of all services: calls, places, named edges, the order of lines."""
        for summary in summaries:
            self.add(summary)
        for environment in sorted({summary.environment for summary in summaries}):
            theirs = [one for one in summaries if one.environment == environment]
            end = max(one.end for one in theirs)
            for (caller, callee), votes in sorted(votes_of(theirs).items()):
                self._note(environment, caller, callee, end).votes += votes
                self._believe(environment, caller, callee)
                self._believe(environment, callee, caller)
            for caller, callee in sorted(self._measured(environment, theirs)):
                self._note(environment, caller, callee, end).measured = True
                self._believe(environment, caller, callee)

    def _measured(self, environment: str, windows: Sequence[WindowSummary]) -> set[tuple[str, str]]:
        known = self._state.environments[environment].reporting
        cache = self._named.setdefault(environment, {})
        found = set()
        for window in windows:
            for series in window.series:
                key = window.service, series.key
                edge = cache.get(key)
                if edge is None:
                    edge = cache[key] = edge_of(series.key, window.service)
                if edge[0] != edge[1] and edge[0] in known and edge[1] in known:
                    found.add(edge)
        return found

    def add(self, summary: WindowSummary) -> None:
        """Learn the calls, instances and nodes of one window."""
        environment = self._state.environments.setdefault(summary.environment, Environment())
        reported(environment, summary.service, summary.end)
        for call in summary.calls:
            if call.count > 0 and call.callee != summary.service:
                edge = self._note(summary.environment, summary.service, call.callee, summary.end)
                edge.calls += call.count
                self._believe(summary.environment, summary.service, call.callee)
        for instance in summary.instances:
            place(environment.instances, (summary.service, instance), summary.end)
        for instance, node in summary.nodes:
            place(environment.instances, (summary.service, instance), summary.end)
            place(environment.nodes, (summary.service, node), summary.end)
            self._nodes.setdefault((summary.environment, summary.service), set()).add(node)
        if summary.end - self._state.pruned >= _PRUNE_EVERY:
            self._prune(summary.end)

    def _note(self, name: str, caller: str, callee: str, end: Nanos) -> Edge:
        environment = self._state.environments[name]
        edge = environment.edges.get((caller, callee))
        if edge is None:
            if len(environment.edges) >= MAX_EDGES:
                drop_oldest(environment)
                self._index()
            edge = environment.edges[caller, callee] = Edge()
        edge.last = max(edge.last, end)
        return edge

    def _believe(self, name: str, caller: str, callee: str) -> None:
        """Let an edge count, or no longer: lines that came the other way may speak against it later."""
        link = self._link_of(name, (caller, callee))
        if link is not None and link.confidence >= BELIEVED:
            self._callees.setdefault((name, caller), set()).add(callee)
            self._callers.setdefault((name, callee), set()).add(caller)
        elif callee in self._callees.get((name, caller), ()):
            self._callees[name, caller].discard(callee)
            self._callers[name, callee].discard(caller)

    def _link_of(self, name: str, ends: tuple[str, str]) -> Link | None:
        edges = self._state.environments[name].edges
        edge = edges.get(ends)
        return edge.link(ends, edges.get((ends[1], ends[0]))) if edge is not None else None

    def services(self, environment: str) -> tuple[str, ...]:
        """Return all services that call or are called or run somewhere, sorted."""
        known = self._state.environments.get(environment, Environment())
        ends = {service for edge in self.edges(environment) for service in edge}
        placed = {service for service, _ in known.nodes} | {service for service, _ in known.instances}
        return tuple(sorted(ends | placed))

    def edges(self, environment: str) -> tuple[tuple[str, str], ...]:
        """Return all believed (caller, callee), sorted."""
        believed = (link for link in self.links(environment) if link.confidence >= BELIEVED)
        return tuple((link.caller, link.callee) for link in believed)

    def links(self, environment: str) -> tuple[Link, ...]:
        """Return every edge, believed or not, with its surest source and confidence, sorted."""
        known = self._state.environments.get(environment, Environment()).edges
        return tuple(known[ends].link(ends, known.get((ends[1], ends[0]))) for ends in sorted(known))

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
        known = self._state.environments.get(environment, Environment())
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
        edges = self.edges(environment)
        return tuple(sorted({caller for caller, _ in edges} - {callee for _, callee in edges}))

    def dump(self) -> bytes:
        """Return what has been learned."""
        return msgspec.msgpack.encode(self._state)

    def load(self, state: bytes) -> None:
        """Replace what has been learned; the given edges stay. Raises ValueError on other bytes."""
        try:
            loaded = msgspec.msgpack.decode(state, type=State)
        except msgspec.DecodeError as error:
            raise ValueError(f"the topology's state cannot be read ({error}); start without it") from error
        if loaded.version != VERSION:
            raise ValueError(f"the topology's state has version {loaded.version}, this one reads {VERSION}")
        self._state = loaded
        self._index()

    def _index(self) -> None:
        """Rebuild the lookup tables from the edges; given edges are added where missing."""
        for name, pairs in self._given.items():
            environment = self._state.environments.setdefault(name, Environment())
            for caller, callee in pairs:
                environment.edges.setdefault((caller, callee), Edge()).given = True
        self._callees: dict[tuple[str, str], set[str]] = {}
        self._callers: dict[tuple[str, str], set[str]] = {}
        self._nodes: dict[tuple[str, str], set[str]] = {}
        for name, environment in self._state.environments.items():
            for caller, callee in environment.edges:
                self._believe(name, caller, callee)
            for service, node in environment.nodes:
                self._nodes.setdefault((name, service), set()).add(node)

    def _prune(self, now: Nanos) -> None:
        self._state.pruned = now
        self._named.clear()
        for environment in self._state.environments.values():
            forget(environment, now)
        self._state.environments = {
            name: one for name, one in self._state.environments.items() if not one.empty()
        }
        self._index()


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
