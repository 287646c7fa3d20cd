"""Between redaction and windows: which template a log body belongs to. Drain3, one tree a service.

Assignment depends on the order of the bodies, so a caller that promises an order (windows do) gets
the same templates every time. A template's id is that of its birth and stays when its text becomes more
general. Two templates of one tree never come to the same text: what lets them generalise (enough equal
tokens) would have made them one at birth. Nothing is forgotten: past `limit` templates a service, what
fits none goes to one overflow template and is counted. Not thread-safe.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec
from drain3.drain import Drain, LogCluster

from ingest.ids import digest
from ingest.masking import MASKING_VERSION, mask, subject

OVERFLOW = "<overflow>"
SIMILARITY = 0.7
"""High, because masks of the same kind count as equal tokens."""
DEPTH = 5
_SEEN_LIMIT = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Assigned:
    """The template of a body: its id for good, its text as known now."""

    template_id: str
    template: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _ClusterState:
    """One Drain3 cluster: what it was at birth rebuilds the tree, what it is now decides matches."""

    birth: tuple[str, ...]
    now: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _ServiceState:
    environment: str
    service: str
    clusters: tuple[_ClusterState, ...]
    overflowed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    masking: str
    services: tuple[_ServiceState, ...]


@dataclass(slots=True)
class _Service:
    """One service's tree. Clusters are numbered from 1 in order of birth, so a number tells age."""

    service: str
    limit: int
    drain: Any
    overflow: Assigned
    births: list[tuple[str, ...]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)
    seen: dict[str, Assigned] = field(default_factory=dict)
    """Masked body -> result, valid only until the tree changes: speed, never a different answer."""
    overflowed: int = 0


class Templates:
    """Drain3 template miner over all services; give it bodies in a defined order."""

    def __init__(self, *, limit: int = 2_000) -> None:
        self._limit = limit
        self._services: dict[tuple[str, str], _Service] = {}

    @property
    def overflowed(self) -> int:
        """Count of bodies that fitted no template of a service that has reached its limit."""
        return sum(service.overflowed for service in self._services.values())

    def __len__(self) -> int:
        return sum(len(service.births) for service in self._services.values())

    def assign(self, environment: str, service: str, body: str) -> Assigned:
        """Return the template of `body`, learning from it; the body itself is not kept."""
        tree = self._services.get((environment, service))
        if tree is None:
            tree = self._services[environment, service] = _new(service, self._limit)
        text = mask(subject(body))
        known = tree.seen.get(text)
        if known is None:
            known = _assign(tree, text)
            if len(tree.seen) >= _SEEN_LIMIT:
                tree.seen.clear()
            tree.seen[text] = known
        if known.template_id == tree.overflow.template_id:
            tree.overflowed += 1
        return known

    def text(self, environment: str, service: str, template_id: str) -> str:
        """Return the template's text as known now; `KeyError` for an id that was never given out."""
        tree = self._services[environment, service]
        return OVERFLOW if template_id == tree.overflow.template_id else tree.texts[template_id]

    def dump(self) -> bytes:
        """Return everything needed to go on exactly as if never stopped."""
        services = tuple(_dump(env, tree) for (env, _), tree in sorted(self._services.items()))
        return msgspec.msgpack.encode(_State(masking=MASKING_VERSION, services=services))

    def load(self, state: bytes) -> None:
        """Replace all content by a `dump`; templates of another masking version are dropped."""
        decoded = msgspec.msgpack.decode(state, type=_State)
        self._services = {}
        if decoded.masking != MASKING_VERSION:
            return
        for item in decoded.services:
            self._services[item.environment, item.service] = _load(item, self._limit)


def _new(service: str, limit: int) -> _Service:
    drain = Drain(depth=DEPTH, sim_th=SIMILARITY, parametrize_numeric_tokens=False)
    # No body has an empty token, so none is born with the overflow's id.
    overflow_id = digest("tpl", service, MASKING_VERSION, OVERFLOW, "")
    overflow = Assigned(template_id=overflow_id, template=OVERFLOW)
    return _Service(service=service, limit=limit, drain=drain, overflow=overflow)


def _assign(tree: _Service, text: str) -> Assigned:
    if len(tree.births) >= tree.limit and not _fits(tree, text):
        return tree.overflow
    cluster, change = tree.drain.add_log_message(text)
    number: int = cluster.cluster_id
    if change != "none":
        tree.seen.clear()
        if change == "cluster_created":
            _register(tree, cluster.log_template_tokens)
        tree.texts[tree.ids[number - 1]] = cluster.get_template()
    template_id = tree.ids[number - 1]
    return Assigned(template_id=template_id, template=tree.texts[template_id])


def _fits(tree: _Service, text: str) -> bool:
    tokens = tree.drain.get_content_as_tokens(text)
    return tree.drain.tree_search(tree.drain.root_node, tokens, tree.drain.sim_th, False) is not None


def _register(tree: _Service, birth: tuple[str, ...]) -> None:
    tree.births.append(birth)
    tree.ids.append(digest("tpl", tree.service, MASKING_VERSION, *birth))


def _dump(environment: str, tree: _Service) -> _ServiceState:
    clusters = tuple(
        _ClusterState(birth=birth, now=cluster.log_template_tokens)
        for birth, cluster in zip(tree.births, tree.drain.clusters, strict=True)
    )
    return _ServiceState(
        environment=environment, service=tree.service, clusters=clusters, overflowed=tree.overflowed
    )


def _load(state: _ServiceState, limit: int) -> _Service:
    """Grow the tree again. Its shape follows from the births in order; texts never move a cluster."""
    tree = _new(state.service, limit)
    tree.overflowed = state.overflowed
    for number, item in enumerate(state.clusters, start=1):
        cluster = LogCluster(list(item.birth), number)
        tree.drain.clusters_counter = number
        tree.drain.id_to_cluster[number] = cluster
        tree.drain.add_seq_to_prefix_tree(tree.drain.root_node, cluster)
        cluster.log_template_tokens = item.now
        _register(tree, item.birth)
        tree.texts[tree.ids[-1]] = cluster.get_template()
    return tree
