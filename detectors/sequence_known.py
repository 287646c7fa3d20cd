"""What is usual among the sequences of a service: which templates, how often, and with which others.

A template that few keys have, a count that few have of a template that comes a fixed number of times, a lack
of what nearly all have: each is rare by itself. Where a service writes sequences of several kinds, what every
sequence of a kind has (one template never without another, both a fixed number of times) is an invariant in
the sense of J.-G. Lou et al., Mining invariants from console logs for system problem detection, USENIX ATC
2010; breaking one is rare too. Single templates and pairs are judged and not whole vectors: what comes to
every sequence at random (a read, a check) makes every vector rare sooner or later. Pure; bounded; fades.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

RARE = 0.02
"""Share of keys up to which it is rare to have more or less of a template than is usual."""
RARE_CALM, RARE_GRAVE = 0.01, 0.05
"""Share of keys up to which it is rare to have a template at all; a grave one speaks of failure."""
RARE_LACK = 0.05
"""Share of keys up to which it is rare to lack a template that the others have; of the keys with one template
up to which it is rare to lack another that comes with it, or to have one that does not."""
MAX_TEMPLATES = 500
MAX_PAIRED = 64
"""Templates whose pairs are counted."""

_FIXED = 0.95
"""A template comes a fixed number of times where this share of those that have it have as many."""
_SEEN = 100.0
"""Keys that must have a template before its usual count, and what it comes with, is known."""
_LOST = 10.0
"""A key that is short of one line is odd only where so many times more keys are than lines are lost."""
_MORE = 10.0
"""Keys more than there are, and times more, that chance would bring together were there no invariant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviation:
    """The rarest thing about a key. `score` is 1 where it is just rare, more the rarer it is."""

    score: float
    template: str
    count: int
    """How often the key has the template; 0 where it lacks it."""
    given: str = ""
    """The other template of the invariant that it breaks."""
    share: float = 0.0
    """Share of the keys (with the other template) that are like it."""


@dataclass(slots=True)
class Known:
    """How many keys have what."""

    keys: float = 0.0
    counts: dict[str, dict[int, float]] = field(default_factory=dict)
    """Template -> how many keys have it so many times (at least once)."""
    having: dict[str, float] = field(default_factory=dict)
    """Template -> how many keys have it."""
    together: dict[str, dict[str, float]] = field(default_factory=dict)
    """Template -> other template -> how many keys have both."""

    def copy(self) -> Known:
        """Return what is known now, to be kept."""
        return Known(
            keys=self.keys,
            counts={name: dict(known) for name, known in self.counts.items()},
            having=dict(self.having),
            together={name: dict(known) for name, known in self.together.items()},
        )

    def count(self, others: Mapping[str, int], template: str, before: int, after: int) -> bool:
        """Let a key with these templates have one `after` times instead of `before`; False without room."""
        known = self.counts.get(template)
        if known is None:
            before = 0
            if len(self.counts) >= MAX_TEMPLATES:
                return False
            known = self.counts[template] = {}
            self.having[template] = 0.0
            if len(self.together) < MAX_PAIRED:
                self.together[template] = {}
        if before:
            left = known.get(before, 0.0) - 1.0
            known[before] = max(left, 0.0)
        else:
            self.having[template] += 1.0
            self._meet(others, template)
        known[after] = known.get(after, 0.0) + 1.0
        return True

    def deviation(
        self, counts: Mapping[str, int], grave: Collection[str], lost: float = 0.0
    ) -> Deviation | None:
        """Return the rarest thing that a key with these counts has, else lacks, None if it is usual.

        `lost` is the share of lines that never came: where some do, one line short may be no more than that.
        """
        found = [
            *self._lacking(counts),
            *self._having(counts, grave),
            *self._broken(counts),
        ]
        if lost and sum(self._short(counts, name) for name in {one.template for one in found}) == 1:
            found = [
                one for one in found if one.share > _LOST * lost or not self._short(counts, one.template)
            ]
        # A line that is there says more than one that is not.
        return max(found, key=lambda one: (one.count > 0, one.score, one.template, one.given), default=None)

    def rename(self, old: str, now: str) -> None:
        """Let a template go by another name; where both are known, keys that had both count twice at most."""
        if old == now or old not in self.having:
            return
        counts = self.counts.setdefault(now, {})
        for count, keys in self.counts.pop(old).items():
            counts[count] = counts.get(count, 0.0) + keys
        self.having[now] = min(self.having.get(now, 0.0) + self.having.pop(old), self.keys)
        pairs = self.together.pop(old, None)
        if pairs is None:
            return
        target = self.together.setdefault(now, {})
        for other, both in pairs.items():
            self.together[other].pop(old, None)
            if other != now:
                target[other] = self.together[other][now] = target.get(other, 0.0) + both

    def fade(self) -> None:
        """Let everything learnt weigh half, and forget templates that hardly any key has any more."""
        self.keys /= 2
        self.having = {name: keys / 2 for name, keys in self.having.items() if keys >= 2.0}
        self.counts = {
            name: {count: keys / 2 for count, keys in known.items() if keys > 0.0}
            for name, known in self.counts.items()
            if name in self.having
        }
        self.together = {
            name: {other: keys / 2 for other, keys in known.items() if other in self.having}
            for name, known in self.together.items()
            if name in self.having
        }

    def _meet(self, others: Mapping[str, int], template: str) -> None:
        pairs = self.together.get(template)
        if pairs is None:
            return
        for other in others:
            if other in self.together and other != template:
                pairs[other] = pairs.get(other, 0.0) + 1.0
                self.together[other][template] = self.together[other].get(template, 0.0) + 1.0

    def _lacking(self, counts: Mapping[str, int]) -> Iterator[Deviation]:
        for name, having in self.having.items():
            if name not in counts and having >= (1.0 - RARE_LACK) * self.keys:
                yield self._rare(1.0 - having / self.keys, RARE_LACK, name, 0)

    def _having(self, counts: Mapping[str, int], grave: Collection[str]) -> Iterator[Deviation]:
        for name, count in counts.items():
            having = self.having.get(name, 0.0)
            limit = RARE_GRAVE if name in grave else RARE_CALM
            if having <= limit * self.keys:
                yield self._rare(having / self.keys, limit, name, count)
            elif having >= _SEEN:
                as_far = self._as_far(name, count, having)
                if as_far <= RARE * self.keys:
                    yield self._rare(as_far / self.keys, RARE, name, count)

    def _as_far(self, name: str, count: int, having: float) -> float:
        """Return how many keys are as far from the usual count, on this side; all where none is usual."""
        known = self.counts[name]
        usual = self._usual(name, having)
        if usual in (count, 0):
            return self.keys
        above = count > usual
        return sum(keys for one, keys in known.items() if (one >= count if above else one <= count))

    def _usual(self, name: str, having: float) -> int:
        """Return how often the template comes where it comes a fixed number of times, else 0."""
        known = self.counts[name]
        usual = max(known, key=lambda one: (known[one], one))
        return usual if known[usual] >= _FIXED * having else 0

    def _broken(self, counts: Mapping[str, int]) -> Iterator[Deviation]:
        for name in counts:
            pairs, having = self.together.get(name), self.having.get(name, 0.0)
            if pairs is None or having < _SEEN or not self._usual(name, having):
                continue
            for other in self.together:
                if other == name:
                    continue
                both, all_of = pairs.get(other, 0.0), self.having[other]
                there = other in counts
                found = both if there else having - both
                by_chance = (all_of if there else self.keys - all_of) * having / self.keys
                if found > RARE_LACK * having or by_chance < max(found + _MORE, found * _MORE):
                    continue
                if self._usual(other, all_of):
                    yield self._rare(found / having, RARE_LACK, other, counts.get(other, 0), given=name)

    def _short(self, counts: Mapping[str, int], name: str) -> int:
        """Return how many lines of a template a key has less than is usual."""
        if name not in self.having:
            return 0
        return max((self._usual(name, self.having[name]) or 1) - counts.get(name, 0), 0)

    def _rare(self, share: float, limit: float, template: str, count: int, given: str = "") -> Deviation:
        share = min(max(share, 0.5 / self.keys), limit)
        score = math.log(share) / math.log(limit)
        return Deviation(score=score, template=template, count=count, given=given, share=share)
