"""Which sequences of a service are written as most are: template counts per key, learnt as they come.

A key (a trace, a session, a block) has been written so many lines of each template so far. Templates that
come a fixed number of times or not at all, for nearly all keys, are structural: their counts say what became
of the key. The others come as often as somebody asks, and are left out. A key that has paused for longer than
keys of this service do is judged by how many keys stand where it stands: rare is what few do, however many
are still on their way. It is judged again when it pauses again. Unsupervised; in the spirit of the count
vectors of W. Xu et al., Detecting large-scale system problems by mining console logs, SOSP 2009. Pure;
bounded; fades.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ingest.record import SECOND, Nanos

Vector = tuple[tuple[str, int], ...]
"""Template and count, by template."""

RARE = 0.02
"""Share of keys below which standing somewhere is rare."""
MINIMUM_KEYS = 200
"""Keys begun before any is judged; those that paused before are judged then."""
MAX_KEYS = 5_000
MAX_TEMPLATES = 500
MAX_VECTORS = 2_000
FADE_AT = 50_000.0
"""Keys counted after which all that was learnt weighs half."""

_COVERED = 0.98
_FIXED = 2
"""A template is structural where its so many commonest counts (zero is one) hold for this share of keys."""
_MOST = 10
"""Higher counts are told apart no more."""
_REFIT = 500
"""Lines after which it is looked again which templates are structural."""
_SHORTEST, _LONGEST = 30 * SECOND, 1800 * SECOND
_TURN: Nanos = 600 * SECOND
"""How old the present must be, at least, to be the past."""
_PAUSES = 0.99
"""Share of pauses within keys that one must outlast to count as over for now."""


@dataclass(slots=True)
class Key:
    """What was written under a key so far, and since when nothing more."""

    counts: dict[str, int] = field(default_factory=dict)
    stands: Vector = ()
    last: Nanos = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a key that paused was judged. `score` is −ln of the share of keys that stand where it does.

    `odd` is where few stand, `sudden` where few stood some time ago, whether or not many do now.
    """

    key: str
    odd: bool
    sudden: bool
    score: float
    stands: Vector
    last: Nanos


@dataclass(slots=True)
class Past:
    """Where keys stood at some time."""

    keys: float = 0.0
    standing: dict[Vector, float] = field(default_factory=dict)


@dataclass(slots=True)
class SequenceModel:
    """The keys of one service and what is usual among them."""

    live: dict[str, Key] = field(default_factory=dict)
    """Keys to be judged once they have paused long enough, oldest activity first."""
    judged: dict[str, Key] = field(default_factory=dict)
    """Keys that may yet speak again, oldest verdict first."""
    keys: float = 0.0
    counts: dict[str, dict[int, float]] = field(default_factory=dict)
    """Template -> how many keys have it so many times (at least once)."""
    standing: dict[Vector, float] = field(default_factory=dict)
    """How many keys stand where."""
    free: set[str] = field(default_factory=set)
    pauses: dict[int, float] = field(default_factory=dict)
    """Pauses within keys by the power of two of their seconds."""
    past: Past = field(default_factory=Past)
    coming: Past = field(default_factory=Past)
    """What the past is and what it will be next."""
    turned: Nanos = 0
    lines: int = 0
    dropped: int = 0
    """Keys let go of before they were judged, for lack of room."""

    def add(self, name: str, counts: Mapping[str, int], end: Nanos) -> None:
        """Count what a window that ends at `end` brought of a key."""
        key = self.live.pop(name, None) or self.judged.pop(name, None)
        if key is None:
            key = Key()
            self.keys += 1.0
        else:
            self._leave(key)
            bucket = max(0, (end - key.last) // SECOND).bit_length()
            self.pauses[bucket] = self.pauses.get(bucket, 0.0) + 1.0
        for template, count in counts.items():
            self._count(key, template, count)
        key.last = end
        key.stands = self._project(key)
        self.standing[key.stands] = self.standing.get(key.stands, 0.0) + 1.0
        self.live[name] = key
        self._bound()
        self.lines += sum(counts.values())
        if self.lines >= _REFIT:
            self.lines = 0
            self._refit()

    def settle(self, end: Nanos) -> Iterator[Verdict]:
        """Judge the keys that have paused long enough by `end`, oldest first."""
        if self.keys < MINIMUM_KEYS:
            return
        patience = self.patience()
        while self.live:
            name = next(iter(self.live))
            key = self.live[name]
            if key.last + patience > end:
                return
            del self.live[name]
            self.judged[name] = key
            yield self._verdict(name, key)

    def turn(self, end: Nanos) -> None:
        """Let time pass: what was the present ten minutes ago, or a bit longer, becomes the past."""
        if end - self.turned >= _TURN and self.keys >= MINIMUM_KEYS:
            self.past, self.coming, self.turned = self.coming, self._present(), end

    def accept(self) -> None:
        """Make the present the past: what was sudden is usual from now on."""
        self.past, self.coming = self._present(), self._present()

    def _present(self) -> Past:
        return Past(keys=self.keys, standing=dict(self.standing))

    def patience(self) -> Nanos:
        """Return how long a key must have paused to be judged."""
        total, below = sum(self.pauses.values()), 0.0
        for bucket in sorted(self.pauses):
            below += self.pauses[bucket]
            if below >= _PAUSES * total:
                return min(max((1 << bucket) * SECOND, _SHORTEST), _LONGEST)
        return _SHORTEST

    def _verdict(self, name: str, key: Key) -> Verdict:
        share = self.standing.get(key.stands, 0.0) / self.keys
        score = -math.log(max(share, 0.5 / self.keys))
        odd = bool(key.stands) and share <= RARE
        known = self.past.keys >= MINIMUM_KEYS
        stood = self.past.standing.get(key.stands, 0.0) / self.past.keys if known else share
        sudden = bool(key.stands) and stood <= RARE
        return Verdict(key=name, odd=odd, sudden=sudden, score=score, stands=key.stands, last=key.last)

    def _count(self, key: Key, template: str, count: int) -> None:
        before = key.counts.get(template, 0)
        after = min(before + count, _MOST)
        if after == before:
            return
        if template not in self.counts:
            if len(self.counts) >= MAX_TEMPLATES:
                return
            self.counts[template] = {}
        known = self.counts[template]
        if before:
            _less(known, before)
        known[after] = known.get(after, 0.0) + 1.0
        key.counts[template] = after

    def _project(self, key: Key) -> Vector:
        return tuple(sorted((name, count) for name, count in key.counts.items() if name not in self.free))

    def _leave(self, key: Key) -> None:
        left = self.standing.get(key.stands, 0.0) - 1.0
        if left > 0.0:
            self.standing[key.stands] = left
        else:
            self.standing.pop(key.stands, None)

    def _refit(self) -> None:
        """Look again which templates are structural; where that changed, all keys stand elsewhere."""
        free = {name for name, known in self.counts.items() if not self._structural(known)}
        if free != self.free:
            gone, self.free = free - self.free, free
            standing: dict[Vector, float] = {}
            for vector, number in self.standing.items():
                shorter = tuple(one for one in vector if one[0] not in gone)
                standing[shorter] = standing.get(shorter, 0.0) + number
            self.standing = standing
            for key in (*self.live.values(), *self.judged.values()):
                key.stands = tuple(one for one in key.stands if one[0] not in gone)
                self._leave(key)
                key.stands = self._project(key)
                self.standing[key.stands] = self.standing.get(key.stands, 0.0) + 1.0
            # Where keys stood before is not told in these templates.
            self.accept()
        if self.keys > FADE_AT:
            self._fade()

    def _structural(self, known: Mapping[int, float]) -> bool:
        absent = max(0.0, self.keys - sum(known.values()))
        commonest = sorted((absent, *known.values()), reverse=True)
        return sum(commonest[:_FIXED]) >= _COVERED * self.keys

    def _fade(self) -> None:
        self.keys /= 2
        self.counts = {
            name: {count: keys / 2 for count, keys in known.items()} for name, known in self.counts.items()
        }
        self.standing = {vector: keys / 2 for vector, keys in self.standing.items()}
        self.pauses = {bucket: pauses / 2 for bucket, pauses in self.pauses.items()}

    def _bound(self) -> None:
        while len(self.live) + len(self.judged) > MAX_KEYS:
            if self.judged:
                del self.judged[next(iter(self.judged))]
            else:
                del self.live[next(iter(self.live))]
                self.dropped += 1
        if len(self.standing) > MAX_VECTORS:
            rare = sorted(self.standing, key=lambda vector: (self.standing[vector], vector))
            for vector in rare[: MAX_VECTORS // 10]:
                del self.standing[vector]


def _less(known: dict[int, float], count: int) -> None:
    left = known.get(count, 0.0) - 1.0
    if left > 0.0:
        known[count] = left
    else:
        known.pop(count, None)
