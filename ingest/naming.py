"""One name for a template that several processes met each by itself; part of `ingest.merged`.

A process numbers nothing: a template's id is a hash of its first line's words, so two processes mostly give
the same one, but not where words that vary stood in the line that each saw first. So a sample line of every
id that is new here is assigned once more, and the id that comes of it is the one that detectors see. Ids
whose templates hold values in the same places of the same words are one, whatever these were.
"""

from __future__ import annotations

from dataclasses import replace
from functools import reduce

import msgspec

from ingest.collect import ServiceKey
from ingest.merge import merge
from ingest.summary import PairCount, SequenceCount, TemplateCount, WindowSummary
from ingest.templates import Templates
from ingest.templates.templates import MAX_SERVICES
from ingest.templates.variants import ANY, Words, key_of

MAX_IDS = 4_000
"""Ids of one service that are remembered; a forgotten one is assigned again."""


class Naming:
    """Knows which id each process's ids go by here. Deterministic in the order of windows."""

    def __init__(self, templates: Templates) -> None:
        self._templates = templates
        self._ids: dict[ServiceKey, dict[str, str]] = {}
        self._forms: dict[ServiceKey, dict[Words, str]] = {}
        """The name of each form in which some process's lines hold a value."""

    @property
    def overflowed(self) -> int:
        """Count of sample lines that fitted no template of a service at its limit."""
        return self._templates.overflowed

    def named(self, summary: WindowSummary) -> WindowSummary:
        """Return the summary with all template ids as they are called here; those of one name are one."""
        if not summary.templates:
            return summary
        key = (summary.environment, summary.service)
        ids = self._ids.get(key)
        if ids is None:
            if len(self._ids) >= MAX_SERVICES:
                first = next(iter(self._ids))
                del self._ids[first]
                self._forms.pop(first, None)
            ids = self._ids[key] = {}
        for template in summary.templates:
            if template.template_id not in ids and template.lines:
                ids[template.template_id] = self._templates.assign(*key, template.lines[0].text).template_id
                if len(ids) > MAX_IDS:
                    del ids[next(iter(ids))]
        for old, now in summary.renamed:
            if old in ids and now in ids:
                self._templates.unite(*key, ids[old], ids[now])
        self._unite_alike(key, ids, summary)
        called = {given: self._templates.canonical(*key, name) for given, name in ids.items()}
        renamed = self._templates.renamed(*key)
        if not all(
            called.get(template.template_id) == template.template_id for template in summary.templates
        ):
            summary = _renamed(summary, called)
        # A process's own aliases mean nothing to whoever knows these names.
        return replace(summary, renamed=renamed) if renamed or summary.renamed else summary

    def _unite_alike(self, key: ServiceKey, ids: dict[str, str], summary: WindowSummary) -> None:
        forms = self._forms.setdefault(key, {})
        for template in summary.templates:
            name = ids.get(template.template_id)
            if name is not None and ANY in template.template:
                known = forms.setdefault(key_of(template.template.split()), name)
                self._templates.unite(*key, known, name)
                if len(forms) > MAX_IDS:
                    del forms[next(iter(forms))]

    def dump(self) -> bytes:
        """Return templates and names."""
        names = [
            (*key, list(ids.items()), list(self._forms.get(key, {}).items()))
            for key, ids in sorted(self._ids.items())
        ]
        return msgspec.msgpack.encode((self._templates.dump(), names))

    def load(self, state: bytes) -> None:
        """Replace everything by a `dump`; names of templates that were dropped are given anew."""
        templates, names = msgspec.msgpack.decode(
            state,
            type=tuple[bytes, list[tuple[str, str, list[tuple[str, str]], list[tuple[Words, str]]]]],
        )
        self._templates.load(templates)
        self._ids, self._forms = {}, {}
        for environment, service, ids, forms in names:
            # A name that is known no more unites nothing.
            self._forms[environment, service] = dict(forms)
            self._ids[environment, service] = {
                given: name for given, name in ids if self._knows(environment, service, name)
            }

    def _knows(self, environment: str, service: str, name: str) -> bool:
        try:
            self._templates.canonical(environment, service, name)
        except KeyError:
            return False
        return True


def _renamed(summary: WindowSummary, called: dict[str, str]) -> WindowSummary:
    """Return the summary under other ids; merging layers of unlike names unites what has one name now."""
    empty = WindowSummary(
        environment=summary.environment, service=summary.service, start=summary.start, end=summary.end
    )
    layers: list[list[TemplateCount]] = []
    times: dict[str, int] = {}
    for template in summary.templates:
        name = called.get(template.template_id, template.template_id)
        depth = times[name] = times.get(name, -1) + 1
        if depth == len(layers):
            layers.append([])
        layers[depth].append(msgspec.structs.replace(template, template_id=name))
    pairs: dict[tuple[str, str], int] = {}
    for pair in summary.pairs:
        names = called.get(pair.first, pair.first), called.get(pair.second, pair.second)
        pairs[names] = pairs.get(names, 0) + pair.count
    united = reduce(
        merge,
        [replace(empty, templates=tuple(sorted(layer, key=lambda one: one.template_id))) for layer in layers],
    )
    return replace(
        summary,
        templates=united.templates,
        pairs=tuple(PairCount(first=a, second=b, count=n) for (a, b), n in sorted(pairs.items())),
        sequences=tuple(
            SequenceCount(key=one.key, counts=_united(one.counts, called)) for one in summary.sequences
        ),
    )


def _united(counts: tuple[tuple[str, int], ...], called: dict[str, str]) -> tuple[tuple[str, int], ...]:
    found: dict[str, int] = {}
    for name, count in counts:
        found[called.get(name, name)] = found.get(called.get(name, name), 0) + count
    return tuple(sorted(found.items()))
