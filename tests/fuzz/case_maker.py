"""From (seed, target, index) to one case, the same on every run with the same samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from tests.fuzz import bytes_mutations
from tests.fuzz.case import Case, Headers
from tests.fuzz.grammar_text import hostile
from tests.fuzz.json_mutations import mutate_json
from tests.fuzz.protobuf_mutations import mutate_protobuf

_PURE = 0.02
"""Share of samples that stay as they are: a corpus that nobody takes any more would show."""
_GROWN = 0.0005
_STRANGE = 0.1
"""Share of cases that begin with a sample of another format."""
_PROTOBUF = frozenset({"otlp", "otlp_logs", "otlp_metrics", "otlp_traces"})
_TEXTUAL = frozenset({"redact", "mask", "templates"})
_HOSTILE = 0.5
_STRUCTURED = 0.8
"""Share of mutations that keep the syntax: the others are refused at the door, and test no more than that."""


class CaseMaker:
    """Makes the cases of one target from its own samples and those of others."""

    def __init__(self, target: str, own: Sequence[Case], rest: Sequence[Case], *, seed: int) -> None:
        self.target, self.seed = target, seed
        self._own, self._rest = own, rest
        self._own_values = [case.value for case in own]
        self._rest_values = [case.value for case in rest]

    def make(self, index: int) -> Case:
        """Return case number `index`."""
        rng = Random(f"{self.seed}/{self.target}/{index}")
        if self.target in _TEXTUAL and self.target != "templates" and rng.random() < _HOSTILE:
            return hostile(rng)
        strange = rng.random() < _STRANGE
        case = rng.choice(self._rest if strange else self._own)
        if rng.random() < _PURE:
            return case
        value = case.value
        for _ in range(rng.choice((1, 1, 1, 1, 2, 2, 4))):
            value = self._mutated(value, rng)
        if rng.random() < _GROWN:
            value = bytes_mutations.grow(value, rng, self._own_values)
        return Case(value=value, key=case.key, headers=_headers(case.headers, rng))

    def _mutated(self, value: bytes, rng: Random) -> bytes:
        others = self._own_values if rng.random() < 0.8 else self._rest_values
        made = None
        if len(value) <= bytes_mutations.LARGEST and rng.random() < _STRUCTURED:
            if self.target.partition(":")[2] in _PROTOBUF or (
                value[:1] == b"\n" and self.target == "decode:auto"
            ):
                made = mutate_protobuf(value, rng, others)
            elif value[:1] in {b"{", b"["}:
                made = mutate_json(value, rng, others)
        if made is None:
            made = rng.choice(bytes_mutations.ANY)(value, rng, others)
        return made[: 4 * bytes_mutations.LARGEST]


def _headers(headers: Headers, rng: Random) -> Headers:
    """Change what stands in headers, seldom their names."""
    if not headers or rng.random() < 0.5:
        return headers
    made = list(headers)
    at = rng.randrange(len(made))
    name, value = made[at]
    what = rng.randrange(4)
    if what == 0:
        del made[at]
    elif what == 1:
        made.append((name, rng.choice(bytes_mutations.TOKENS)))
    elif what == 2:
        made[at] = (rng.choice((name.upper(), name + "x", "", "ce_" * 300)), value)
    else:
        made[at] = (name, bytes_mutations.insert(value, rng, [value]))
    return tuple(made)


def shorter(case: Case, start: int, end: int) -> Case:
    """Return the case without the bytes [start, end) of its value."""
    return replace(case, value=case.value[:start] + case.value[end:])
