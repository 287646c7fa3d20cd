"""Mutations of JSON that stay JSON (mostly): values, keys, types and depth change, the syntax holds."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from random import Random
from typing import Any

from tests.fuzz.bytes_mutations import LARGEST

_NUMBERS: tuple[Any, ...] = (
    0, -1, 1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64, -(2**63) - 1, 10**40, 10**400, 0.1, -0.0, 1e308,
    5e-324,
    1e19, 1.7e18, 1_790_000_000, 1_790_000_000_000, 1_790_000_000_000_000_000, float("nan"), float("inf"),
    float("-inf"),
)  # fmt: skip
_TEXTS: tuple[Any, ...] = (
    "", " ", "\x00", "\ud800", "\u202e", "a" * 300, "é" * 40_000, "9" * 5000, "0x1F", "1e5", "١٢٣", "²", "-",
    "NaN", "Infinity", "true", "null", "{}", "[1]", "2026-06-01T12:00:00.000000001Z",
    "2026-06-01T24:00:00+99:99",
    "00000000000000000000000000000000", "5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174", "zz",
    "unknown_service:x",
    "AQIDBA==", "Mon, 32 Foo 99999 25:61:61 +9999", "password=hunter2 token: eyJhbGciOiJIUzI1NiJ9.e30.x",
)  # fmt: skip
_OTHER: tuple[Any, ...] = (
    None,
    True,
    False,
    [],
    {},
    [[]],
    [None],
    {"": None},
    {"a": {"b": {"c": 1}}},
    [1, "2", {}],
)


def mutate_json(value: bytes, rng: Random, others: Sequence[bytes]) -> bytes | None:
    """Return the document (or one of its lines) with a few nodes changed; None where it is no JSON."""
    lines = value.split(b"\n")
    place = rng.randrange(len(lines)) if len(lines) > 1 and rng.random() < 0.7 else None
    document = _parsed(value if place is None else lines[place])
    if document is _NONE:
        return None
    try:
        for _ in range(rng.choice((1, 1, 2, 3, 6))):
            document = _changed(document, rng, others)
    except RecursionError:
        return None
    made = _written(document, rng)
    if place is None or made is None:
        return made
    lines[place] = made
    return b"\n".join(lines)


_NONE = object()
_DEEPER = 0.8
"""Chance to go on from a container that is not empty: most values of OTLP lie six levels down."""
_ROOM = 32 * 1024
"""Bytes that one repetition may add; several come together."""


def _parsed(value: bytes) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return _NONE


def _written(document: Any, rng: Random) -> bytes | None:
    try:
        between = rng.choice((", ", ", ", ",", ",\n "))
        text = json.dumps(document, ensure_ascii=rng.random() < 0.5, separators=(between, ": "))
    except (RecursionError, ValueError):
        return None
    made = text.encode("utf-8", "surrogatepass")
    return made if len(made) <= LARGEST else None


def _node(document: Any, rng: Random) -> tuple[Any, Any] | None:
    """Return (container, key or index) of a node on a random way down; None where there is none."""
    at: tuple[Any, Any] | None = None
    node = document
    while isinstance(node, dict | list) and node and (at is None or rng.random() < _DEEPER):
        key = rng.choice(list(node)) if isinstance(node, dict) else rng.randrange(len(node))
        at, node = (node, key), node[key]
    return at


def _changed(document: Any, rng: Random, others: Sequence[bytes]) -> Any:
    found = _node(document, rng)
    if found is None or rng.random() < 0.02:
        return rng.choice((_fresh(rng), [document, copy.deepcopy(document)], _deep(document, rng)))
    holder, key = found
    what = rng.randrange(10)
    if what < 4:
        holder[key] = _fresh(rng)
    elif what == 4:
        other_holder, other_key = _node(document, rng) or found
        holder[key] = copy.deepcopy(other_holder[other_key])  # moved, a node could come to hold itself
    elif what == 5:
        del holder[key]
    elif what == 6:
        holder[key] = _deep(holder[key], rng)
    elif what == 7:
        _renamed(holder, key, _node(document, rng), rng)
    elif what == 8:
        _repeated(holder, key, rng)
    else:
        other = _parsed(rng.choice(others))
        holder[key] = _fresh(rng) if other is _NONE else other
    return document


def _fresh(rng: Random) -> Any:
    return copy.deepcopy(rng.choice(rng.choice((_NUMBERS, _TEXTS, _OTHER))))


def _deep(node: Any, rng: Random) -> Any:
    for _ in range(rng.choice((1, 2, 9, 60, 101, 260))):
        node = (
            [node]
            if rng.random() < 0.5
            else {rng.choice(("a", "body", "kvlistValue", "values", "log")): node}
        )
    return node


def _renamed(holder: Any, key: Any, other: tuple[Any, Any] | None, rng: Random) -> None:
    name = rng.choice((*_TEXTS, "time", "value", "message"))
    if other is not None and isinstance(other[1], str) and rng.random() < 0.6:
        name = other[1]
    if isinstance(holder, dict):
        holder[name] = holder.pop(key)
    else:
        holder[key] = {name: holder[key]}


def _repeated(holder: Any, key: Any, rng: Random) -> None:
    node = holder[key]
    text = json.dumps(node)
    times = min(rng.choice((2, 5, 40, 400)), _ROOM // (len(text) + len(str(key))))
    if times < 2:
        return
    if isinstance(node, str) and rng.random() < 0.5:
        holder[key] = node * times
        return
    # Each is a node of its own: what then changes in one would else multiply with every repetition.
    nodes = json.loads(f"[{', '.join([text] * times)}]")
    if isinstance(holder, dict) and rng.random() < 0.5:
        holder.update({f"{key}{number}": one for number, one in enumerate(nodes)})
    else:
        holder[key] = nodes
