"""All services' templates and their state; part of `ingest.templates`."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from ingest.masking import MASKING_VERSION, subject
from ingest.shapes import Shape, compiled_body_shape, reference_shape
from ingest.templates.miner import Miner
from ingest.templates.variants import Assigned, Forms, Words

MAX_SERVICES = 5_000
"""Services of a worker that have templates of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _ClusterState:
    """One Drain3 cluster: what it was at birth rebuilds the tree, what it is now decides matches."""

    birth: str
    now: str
    forms: tuple[str, ...]
    """Words are joined by blanks, which no word holds."""
    open: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _ServiceState:
    environment: str
    service: str
    clusters: tuple[_ClusterState, ...]
    templates: tuple[tuple[str, str, str, int], ...]
    """Id, birth, text as known now, and the number of the template that it is an alias of."""
    known: tuple[tuple[str, int], ...]
    families: tuple[tuple[str, int], ...]
    overflowed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Head:
    masking: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    masking: str
    services: tuple[_ServiceState, ...]
    others: int = 0
    """Bodies of services beyond the limit."""


class Templates:
    """Template miner over all services; give it bodies in a defined order."""

    def __init__(
        self,
        *,
        limit: int = 2_000,
        services: int = MAX_SERVICES,
        compiled: bool = True,
        remember: bool = True,
    ) -> None:
        """Make an empty one for so many `services`, each with up to `limit` templates.

        `compiled=False` and `remember=False` are slower ways to the same.
        """
        self._limit, self._most = limit, services
        self._remember = remember
        fast = compiled_body_shape() if compiled else None
        self._shape: Shape = fast or _body_shape
        self._services: dict[tuple[str, str], Miner] = {}
        self._others = Miner("", 0, self._shape, remember=False)
        """Stands for every service beyond the limit: whoever makes up names fills no memory."""

    @property
    def overflowed(self) -> int:
        """Count of bodies that fitted no template: of a service at its limit, or beyond that of services."""
        return self._others.overflowed + sum(miner.overflowed for miner in self._services.values())

    @property
    def merged(self) -> int:
        """Count of ids that have become aliases; when it has risen, ids given out before need `canonical`."""
        return sum(miner.variants.merged for miner in self._services.values())

    def __len__(self) -> int:
        """Return the number of templates, aliases not counted."""
        kept = (miner.variants for miner in self._services.values())
        return sum(len(variants.templates) - variants.merged for variants in kept)

    def of(self, environment: str, service: str) -> Miner:
        """Return what assigns the templates of one service."""
        miner = self._services.get((environment, service))
        if miner is None:
            if len(self._services) >= self._most:
                return self._others
            miner = Miner(service, self._limit, self._shape, remember=self._remember)
            self._services[environment, service] = miner
        return miner

    def assign(self, environment: str, service: str, body: str) -> Assigned:
        """Return the template of `body`, learning from it; the body itself is not kept."""
        return self.of(environment, service).assign(body)

    def canonical(self, environment: str, service: str, template_id: str) -> str:
        """Return the id that `template_id` goes by now; `KeyError` for one that was never given out."""
        return self._named(environment, service, template_id).template_id

    def text(self, environment: str, service: str, template_id: str) -> str:
        """Return the template's text as known now; `KeyError` for an id that was never given out."""
        return self._named(environment, service, template_id).template

    def aliases(self, environment: str, service: str) -> dict[str, str]:
        """Return every id of a service that has become an alias, with the id that it goes by now."""
        templates = self._services.get((environment, service), self._others).variants.templates
        return {item.template_id: item.assigned.template_id for item in templates if item.root != item.number}

    def unite(self, environment: str, service: str, one: str, other: str) -> None:
        """Take two templates for one, because another process found that they are; unknown ids are left."""
        variants = self._services.get((environment, service), self._others).variants
        first, second = variants.numbers.get(one), variants.numbers.get(other)
        if first is None or second is None:
            return
        if len(variants.root(first).shown) == len(variants.root(second).shown):
            variants.unite(first, second)

    def renamed(self, environment: str, service: str) -> tuple[tuple[str, str], ...]:
        """Return the ids that became aliases since the last call, with the id that each goes by now."""
        variants = self._services.get((environment, service), self._others).variants
        gone, variants.renamed = variants.renamed, []
        return tuple(sorted((one, self.canonical(environment, service, one)) for one in gone))

    def dump(self) -> bytes:
        """Return everything needed to go on exactly as if never stopped."""
        services = tuple(_dump(env, self._services[env, name]) for env, name in sorted(self._services))
        return msgspec.msgpack.encode(
            _State(masking=MASKING_VERSION, services=services, others=self._others.overflowed)
        )

    def load(self, state: bytes) -> None:
        """Replace all content by a `dump`; templates of another masking version are dropped."""
        decoded = msgspec.msgpack.decode(state, type=_Head)
        self._services = {}
        if decoded.masking != MASKING_VERSION:
            return
        saved = msgspec.msgpack.decode(state, type=_State)
        self._others.overflowed = saved.others
        for item in saved.services:
            _load(item, self.of(item.environment, item.service))

    def _named(self, environment: str, service: str, template_id: str) -> Assigned:
        variants = self._services.get((environment, service), self._others).variants
        if template_id == variants.overflow.template_id:
            return variants.overflow.assigned
        return variants.templates[variants.numbers[template_id]].assigned


def _body_shape(body: str) -> str:
    return reference_shape(subject(body))


def _dump(environment: str, miner: Miner) -> _ServiceState:
    variants = miner.variants
    clusters = []
    for cluster, birth in zip(miner.drain.clusters, miner.births, strict=True):
        forms = variants.clusters.get(cluster.cluster_id, Forms())
        clusters.append(
            _ClusterState(
                birth=_joined(birth),
                now=_joined(cluster.log_template_tokens),
                forms=tuple(map(_joined, forms.keys)),
                open=tuple(sorted(forms.open)),
            )
        )
    return _ServiceState(
        environment=environment,
        service=miner.service,
        clusters=tuple(clusters),
        templates=tuple(
            (t.template_id, _joined(t.birth), _joined(t.shown), t.root) for t in variants.templates
        ),
        known=tuple((_joined(key), number) for key, number in variants.known.items()),
        families=tuple((_joined(key), number) for key, number in variants.families.items()),
        overflowed=miner.overflowed,
    )


def _load(state: _ServiceState, miner: Miner) -> None:
    variants = miner.variants
    for template_id, birth, shown, root in state.templates:
        variants.put_back(template_id, _split(birth), _split(shown), root)
    # Before the forms: those of a family are no candidates for another one.
    variants.families.update((_split(key), number) for key, number in state.families)
    for key, number in state.known:
        variants.know(_split(key), number)
    for number, item in enumerate(state.clusters, start=1):
        miner.plant(_split(item.birth), _split(item.now))
        keys = dict.fromkeys(map(_split, item.forms))
        variants.clusters[number] = Forms(keys=keys, open=set(item.open))
    miner.overflowed = state.overflowed


def _joined(words: Words) -> str:
    return " ".join(words)


def _split(text: str) -> Words:
    return tuple(text.split(" ")) if text else ()
