"""Which sequences of a service are written as most are: template counts per key, learnt as they come.

A key (a trace, a session, a block) has been written so many lines of each template so far. One that has
paused for longer than keys of this service do is judged by what `sequence_known` knows of all keys, those
that are still on their way included: rare is what few have, lack or combine. It is judged again when it
pauses again. Where many do now what few did ten minutes ago, that is sudden: whoever has an anomaly to report
holds the past (`turn`) until it is over. Unsupervised; in the spirit of the count vectors of W. Xu et al.,
Detecting large-scale system problems by mining console logs, SOSP 2009. Pure; bounded; fades.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from detectors.sequence_known import Deviation, Known
from ingest.record import SECOND, Nanos

MINIMUM_KEYS = 200
"""Keys begun before any is judged; those that paused before are judged then."""
MAX_KEYS = 5_000
FADE_AT = 50_000.0
"""Keys counted after which all that was learnt weighs half."""

_MOST = 10
"""Higher counts are told apart no more."""
_SHORTEST, _LONGEST = 30 * SECOND, 1800 * SECOND
_TURN: Nanos = 600 * SECOND
"""How old the present must be, at least, to be the past."""
_PAUSES = 0.99
"""Share of pauses within keys that one must outlast to count as over for now."""
_MAX_PAUSES = 100_000.0
_FORGOTTEN = 40
"""Times as long as keys pause at most as a rule, after which one is over for good."""


@dataclass(slots=True)
class Key:
    """What was written under a key so far, and since when nothing more."""

    counts: dict[str, int] = field(default_factory=dict)
    last: Nanos = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a key that paused was judged.

    `odd` is what few do, `sudden` what few did some time ago, whether or not many do now. `why` is the
    rarest thing about the key as things are now, or were then where only that is rare.
    """

    key: str
    odd: bool
    sudden: bool
    why: Deviation | None
    last: Nanos


@dataclass(slots=True)
class SequenceModel:
    """The keys of one service and what is usual among them."""

    live: dict[str, Key] = field(default_factory=dict)
    """Keys to be judged once they have paused long enough, oldest activity first."""
    judged: dict[str, Key] = field(default_factory=dict)
    """Keys that may yet speak again, oldest verdict first."""
    known: Known = field(default_factory=Known)
    past: Known = field(default_factory=Known)
    coming: Known = field(default_factory=Known)
    """What is usual now, was some time ago, and will be the past next."""
    turned: Nanos = 0
    grave: set[str] = field(default_factory=set)
    """Templates that speak of failure."""
    lost: float = 0.0
    """Share of lines that came too late to be counted."""
    pauses: dict[int, float] = field(default_factory=dict)
    """Pauses within keys by the power of two of their seconds."""
    dropped: int = 0
    """Keys let go of before they were judged, for lack of room."""

    def add(self, name: str, counts: Mapping[str, int], end: Nanos) -> None:
        """Count what a window that ends at `end` brought of a key."""
        key = self.live.pop(name, None) or self.judged.pop(name, None)
        if key is None:
            key = Key()
            self.known.keys += 1.0
        else:
            bucket = max(0, (end - key.last) // SECOND).bit_length()
            self.pauses[bucket] = self.pauses.get(bucket, 0.0) + 1.0
        for template, count in counts.items():
            before = key.counts.get(template, 0)
            after = min(before + count, _MOST)
            if after != before and self.known.count(key.counts, template, before, after):
                key.counts[template] = after
        key.last = max(key.last, end)
        self.live[name] = key
        if self.known.keys > FADE_AT:
            self.known.fade()
            self.grave &= self.known.having.keys()

    def rename(self, old: str, now: str) -> None:
        """Let a template go by another name, in what is known and in every key."""
        learnt = (self.known, self.past, self.coming)
        if not any(old in known.having for known in learnt):
            return
        for known in learnt:
            known.rename(old, now)
        if old in self.grave:
            self.grave.remove(old)
            self.grave.add(now)
        for key in (*self.live.values(), *self.judged.values()):
            if old in key.counts:
                key.counts[now] = min(key.counts.get(now, 0) + key.counts.pop(old), _MOST)

    def keep(self, wanted: Callable[[str], bool]) -> None:
        """Let go of the keys that are not wanted."""
        self.live = {name: key for name, key in self.live.items() if wanted(name)}
        self.judged = {name: key for name, key in self.judged.items() if wanted(name)}

    def bound(self, limit: int = MAX_KEYS) -> int:
        """Let go of the oldest keys beyond `limit`, judged ones first; return how many of them were not."""
        before = self.dropped
        while len(self.live) + len(self.judged) > limit:
            if self.judged:
                del self.judged[next(iter(self.judged))]
            else:
                del self.live[next(iter(self.live))]
                self.dropped += 1
        if sum(self.pauses.values()) > _MAX_PAUSES:
            self.pauses = {bucket: pauses / 2 for bucket, pauses in self.pauses.items()}
        return self.dropped - before

    def settle(self, end: Nanos) -> Iterator[Verdict]:
        """Judge the keys that have paused long enough by `end`, oldest first."""
        if self.known.keys < MINIMUM_KEYS:
            return
        patience = self.patience()
        self._forget(end - _FORGOTTEN * patience)
        same: dict[frozenset[tuple[str, int]], tuple[Deviation | None, Deviation | None]] = {}
        while self.live:
            name = next(iter(self.live))
            key = self.live[name]
            if key.last + patience > end:
                return
            self.judged[name] = self.live.pop(name)
            # Most keys are written alike, and nothing is learnt between two verdicts of one call.
            vector = frozenset(key.counts.items())
            if vector not in same:
                same[vector] = self._deviations(key)
            now, then = same[vector]
            yield Verdict(
                key=name, odd=now is not None, sudden=then is not None, why=now or then, last=key.last
            )

    def _forget(self, before: Nanos) -> None:
        """Let go of judged keys that wrote nothing since."""
        while self.judged:
            name = next(iter(self.judged))
            if self.judged[name].last >= before:
                return
            del self.judged[name]

    def turn(self, end: Nanos) -> None:
        """Let time pass: what was the present ten minutes ago, or a bit longer, becomes the past."""
        if end - self.turned >= _TURN and self.known.keys >= MINIMUM_KEYS:
            self.past, self.coming, self.turned = self.coming, self.known.copy(), end

    def accept(self) -> None:
        """Make the present the past: what was sudden is usual from now on."""
        self.past, self.coming = self.known.copy(), self.known.copy()

    def patience(self) -> Nanos:
        """Return how long a key must have paused to be judged."""
        total, below = sum(self.pauses.values()), 0.0
        for bucket in sorted(self.pauses):
            below += self.pauses[bucket]
            if below >= _PAUSES * total:
                return min(max((1 << bucket) * SECOND, _SHORTEST), _LONGEST)
        return _SHORTEST

    def _deviations(self, key: Key) -> tuple[Deviation | None, Deviation | None]:
        now = self.known.deviation(key.counts, self.grave, self.lost)
        for earlier in (self.past, self.coming):
            if earlier.keys >= MINIMUM_KEYS:
                return now, earlier.deviation(key.counts, self.grave, self.lost)
        return now, now
