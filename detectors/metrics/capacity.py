"""Which series fill something up, and how large that is: usage beside its limit, or a share of the whole.

Names are read as words (`container.filesystem.usage`, `node_filesystem_size_bytes`): two series of one
instance whose names differ only in a word for use and a word for a limit belong together. Nothing here
knows a system's names.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ingest.summary import SeriesWindow

_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
_USED = frozenset(
    {"usage", "used", "use", "in", "current", "count", "active", "live", "working", "set", "rss"}
)
_FREE = frozenset({"free", "available", "avail", "remaining", "left"})
_LIMIT = frozenset({"limit", "capacity", "max", "maximum", "size", "total", "quota"})
_PADDING = frozenset({"bytes", "byte", "spec", "stats", "status", "num", "number", "hard"})
_SHARE = frozenset({"utilization", "utilisation", "usage", "used", "percent", "pct", "ratio", "fill", "full"})
_FILLABLE = frozenset(
    {"disk", "filesystem", "fs", "volume", "memory", "mem", "heap", "swap", "inodes", "inode", "storage"}
    | {"pool", "queue", "buffer", "tablespace", "partition", "descriptors", "connections", "space", "log"}
)
_WHOLE = {"1": 1.0, "ratio": 1.0, "%": 100.0, "percent": 100.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Filling:
    """A series that may run full. `bound` is the whole, 0 where nothing tells it.

    `falls` when what the series tells is how much is left.
    """

    window: SeriesWindow
    bound: float
    falls: bool = False


def fillings(series: Sequence[SeriesWindow]) -> Iterator[Filling]:
    """Yield the series of one service's window whose bound is known, in their order."""
    limits: dict[tuple[str, tuple[str, ...], object], float] = {}
    for one in series:
        stem, role = _read(one.key.name)
        if role == "limit":
            limits[(one.key.instance, stem, one.key.labels)] = _last(one)
    for one in series:
        stem, role = _read(one.key.name)
        limit = limits.get((one.key.instance, stem, one.key.labels))
        if limit is None and role == "used":
            # A pool tells its use by state, its size only once.
            limit = limits.get((one.key.instance, stem, ()))
        if role == "free" and not _is_cache(one.key.name):
            yield Filling(window=one, bound=limit or 0.0, falls=True)
        elif role == "used" and limit is not None and limit > 0 and _last(one) <= limit * 1.001:
            yield Filling(window=one, bound=limit)
        elif limit is None and _is_share(one):
            yield Filling(window=one, bound=_WHOLE[one.unit])


def _read(name: str) -> tuple[tuple[str, ...], str]:
    """Return the words of a name without those for use and limit, and which of the two it tells."""
    words = [word.lower() for word in _WORDS.findall(name)]
    plain = [word for word in words if word not in _PADDING]
    for role, known in (("limit", _LIMIT), ("free", _FREE), ("used", _USED)):
        if any(word in known for word in plain):
            return tuple(word for word in plain if word not in known), role
    return tuple(plain), ""


def _last(window: SeriesWindow) -> float:
    """Return the latest sample that is a number, NaN where none is."""
    return next((value for _, value in reversed(window.samples) if math.isfinite(value)), math.nan)


def _is_cache(name: str) -> bool:
    """Say whether a name tells of memory that a kernel leaves free: it uses nearly all, and gives it back."""
    words = {word.lower() for word in _WORDS.findall(name)}
    return "free" in words and bool(words & {"mem", "memory"})


def _is_share(window: SeriesWindow) -> bool:
    words = {word.lower() for word in _WORDS.findall(window.key.name)}
    inside = window.unit in _WHOLE and _last(window) <= _WHOLE[window.unit]
    return inside and bool(words & _SHARE) and bool(words & _FILLABLE)
