"""Which template ids mean the same where several processes met the same lines, each in its own order.

A template's id is a hash of its first line's masked words, so most lines have one id everywhere. Where words
turned out to be values, the id depends on which came first; but every process knows the forms that its
templates have taken since, and the ids that these forms would have been born with. Processes that exchange
these (`Templates.names`) agree on every template of which they know a common form. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def united(names: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Return every id of any process with the one id for it, the least of those that mean the same.

    The same whatever the order of the maps; ids that no map connects stay apart.
    """
    above: dict[str, str] = {}

    def top(name: str) -> str:
        above.setdefault(name, name)
        while above[name] != name:
            above[name] = above[above[name]]
            name = above[name]
        return name

    for known in names:
        for name, canonical in known.items():
            one, other = sorted((top(name), top(canonical)))
            above[other] = one
    return {name: top(name) for name in sorted(above)}
