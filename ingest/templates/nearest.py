"""Finds the cluster that a line is most like, without looking at those it cannot be like; for `.miner`.

Drain3 compares a line with every cluster that begins as it does. A line that is like one has at least the
threshold's share of its words at the same places; so among any few more places than may differ, one holds the
same word. Clusters are found by their words at the places whose words are rarest: the answer is Drain3's own,
and lines without end that are all different stay cheap.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from math import ceil
from typing import Any

FEW = 24
"""Clusters up to which looking at each is cheaper."""


class Nearest:
    """Takes the place of a tree's search among the clusters of one leaf."""

    def __init__(self, drain: Any, births: Sequence[Sequence[str]]) -> None:
        """Watch the tree whose clusters, numbered from 1, were born with these words; `births` grows."""
        self._compare = drain.fast_match
        drain.fast_match = self.match
        self._births = births
        self._places: dict[int, list[dict[str, list[int]]]] = {}
        """By number of words and place: clusters born with a word there. Words only ever leave clusters."""

    def add(self, number: int) -> None:
        """Note a cluster that was born just now."""
        birth = self._births[number - 1]
        # Few numbers of words have so many clusters that it pays to know their places.
        if len(birth) in self._places:
            self._note(number, birth)

    def _note(self, number: int, birth: Sequence[str]) -> None:
        for place, word in zip(self._places[len(birth)], birth, strict=True):
            place.setdefault(word, []).append(number)

    def match(self, leaf: Sequence[int], words: Sequence[str], threshold: float, include_params: bool) -> Any:
        """Return the cluster of a leaf that is most alike, None where none is alike enough."""
        if len(leaf) > FEW and not include_params:
            leaf = self._likely(leaf, words, threshold)
        return self._compare(leaf, words, threshold, include_params)

    def _likely(self, leaf: Sequence[int], words: Sequence[str], threshold: float) -> Sequence[int]:
        length = len(words)
        if length not in self._places:
            self._places[length] = [{} for _ in words]
            for number, birth in enumerate(self._births, start=1):
                if len(birth) == length:
                    self._note(number, birth)
        found = [place.get(word, ()) for place, word in zip(self._places[length], words, strict=True)]
        differing = length - ceil(threshold * length - 1e-9)
        rarest = sorted(found, key=len)[: differing + 1]
        likely = sorted(set().union(*rarest))
        return [number for number in likely if _holds(leaf, number)]


def _holds(leaf: Sequence[int], number: int) -> bool:
    at = bisect_left(leaf, number)
    return at < len(leaf) and leaf[at] == number
