"""Between redaction and windows: which template a log body belongs to. Drain3, one tree a service.

Assignment depends on the order of the bodies, so a caller that promises an order (windows do) gets
the same templates every time. A template id is made at birth and stays; when Drain3 generalises two
templates to one text, the younger becomes an alias of the older and `canonical` says so. Not
thread-safe. Nothing is forgotten: past `limit` templates a service, what fits none goes to one overflow
template and is counted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec
from drain3.drain import Drain, LogCluster

from ingest.ids import digest
from ingest.masking import MASKING_VERSION, mask, subject

OVERFLOW = "<overflow>"
_SIMILARITY = 0.7
"""High, because masks of the same kind count as equal tokens."""
_DEPTH = 5
_SEEN_LIMIT = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Assigned:
    """The canonical template of a body and its text as known now."""

    template_id: str
    template: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _ClusterState:
    """One Drain3 cluster: what it was at birth rebuilds the tree, what it is now decides matches."""

    birth: tuple[str, ...]
    now: tuple[str, ...]
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _ServiceState:
    environment: str
    service: str
    clusters: tuple[_ClusterState, ...]
    aliases: tuple[tuple[str, str], ...]
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
    births: list[tuple[str, ...]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    by_id: dict[str, int] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    by_text: dict[str, set[int]] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
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
        return known

    def canonical(self, environment: str, service: str, template_id: str) -> Assigned:
        """Return the oldest template that `template_id` has become one with, and its text now.

        An id that was never given out comes back as it is, with an empty text.
        """
        tree = self._services.get((environment, service))
        if tree is None:
            return Assigned(template_id=template_id, template="")
        return _canonical(tree, template_id)

    def aliases(self) -> dict[str, str]:
        """Return every retired template id with the canonical one it stands for."""
        found: dict[str, str] = {}
        for tree in self._services.values():
            found.update((young, _canonical(tree, young).template_id) for young in tree.aliases)
        return found

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
    drain = Drain(depth=_DEPTH, sim_th=_SIMILARITY, parametrize_numeric_tokens=False)
    return _Service(service=service, limit=limit, drain=drain)


def _assign(tree: _Service, text: str) -> Assigned:
    if len(tree.births) >= tree.limit and not _fits(tree, text):
        tree.overflowed += 1
        return Assigned(template_id=digest("tpl", tree.service, MASKING_VERSION, OVERFLOW), template=OVERFLOW)
    cluster, change = tree.drain.add_log_message(text)
    number: int = cluster.cluster_id
    if change != "none":
        tree.seen.clear()
        if change == "cluster_created":
            _register(tree, number, cluster.log_template_tokens, cluster.get_template())
        else:
            _reword(tree, number, cluster.get_template())
        _unify(tree, number)
    return _canonical(tree, tree.ids[number - 1])


def _fits(tree: _Service, text: str) -> bool:
    tokens = tree.drain.get_content_as_tokens(text)
    return tree.drain.tree_search(tree.drain.root_node, tokens, tree.drain.sim_th, False) is not None


def _register(tree: _Service, number: int, birth: tuple[str, ...], text: str) -> None:
    """Two clusters can be born with the same tokens (the first has generalised away since): one id, then."""
    template_id = digest("tpl", tree.service, MASKING_VERSION, *birth)
    tree.births.append(birth)
    tree.ids.append(template_id)
    tree.by_id.setdefault(template_id, number)
    tree.texts.append(text)
    tree.by_text.setdefault(text, set()).add(number)


def _reword(tree: _Service, number: int, text: str) -> None:
    before = tree.texts[number - 1]
    tree.by_text[before].discard(number)
    if not tree.by_text[before]:
        del tree.by_text[before]
    tree.texts[number - 1] = text
    tree.by_text.setdefault(text, set()).add(number)


def _unify(tree: _Service, number: int) -> None:
    """Make the younger of two clusters with the same text an alias of the older."""
    same = tree.by_text[tree.texts[number - 1]]
    if len(same) == 1:
        return
    other = min(same - {number})
    old_id, young_id = _canonical_id(tree, tree.ids[other - 1]), _canonical_id(tree, tree.ids[number - 1])
    if old_id == young_id:
        return
    if tree.by_id[old_id] > tree.by_id[young_id]:
        old_id, young_id = young_id, old_id
    tree.aliases[young_id] = old_id


def _canonical_id(tree: _Service, template_id: str) -> str:
    while (older := tree.aliases.get(template_id)) is not None:
        template_id = older
    return template_id


def _canonical(tree: _Service, template_id: str) -> Assigned:
    template_id = _canonical_id(tree, template_id)
    number = tree.by_id.get(template_id)
    if number is None:
        known = template_id == digest("tpl", tree.service, MASKING_VERSION, OVERFLOW)
        return Assigned(template_id=template_id, template=OVERFLOW if known else "")
    return Assigned(template_id=template_id, template=tree.texts[number - 1])


def _dump(environment: str, tree: _Service) -> _ServiceState:
    clusters = tuple(
        _ClusterState(birth=birth, now=cluster.log_template_tokens, size=cluster.size)
        for birth, cluster in zip(tree.births, tree.drain.clusters, strict=True)
    )
    return _ServiceState(
        environment=environment,
        service=tree.service,
        clusters=clusters,
        aliases=tuple(sorted(tree.aliases.items())),
        overflowed=tree.overflowed,
    )


def _load(state: _ServiceState, limit: int) -> _Service:
    """Grow the tree again. Its shape follows from the births in order; texts never move a cluster."""
    tree = _new(state.service, limit)
    tree.overflowed = state.overflowed
    tree.aliases = dict(state.aliases)
    for number, item in enumerate(state.clusters, start=1):
        cluster = LogCluster(list(item.birth), number)
        tree.drain.clusters_counter = number
        tree.drain.id_to_cluster[number] = cluster
        tree.drain.add_seq_to_prefix_tree(tree.drain.root_node, cluster)
        cluster.log_template_tokens, cluster.size = item.now, item.size
        _register(tree, number, item.birth, cluster.get_template())
    return tree
