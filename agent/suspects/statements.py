"""Templates as the statements of a program: parameters split one statement into several templates.

Pure. A statement is known again by where it stands in the source, where its lines say so, else by its first
words.
"""

from __future__ import annotations

import re

from agent.suspects.sides import ServiceSide, TemplateSide

BEGINNING = 10
"""Words by which a statement is known again."""
LONGEST = 40
SOURCE = re.compile(
    r"(?:[A-Za-z_$]#|\.(?:c|cc|cpp|cs|go|groovy|java|js|kt|php|py|rb|rs|scala|ts):)[0-9]+\W*\Z"
)
"""`Cart.java:12`, `c.s.Cart#12`: a place in the source."""
SAID = 3
"""Literal words after its place: one place may write for many, as a wrapper of a logger does."""


def beginnings(*sides: ServiceSide) -> dict[str, str]:
    """Return each template's first words, as its latest form has them: templates become more general."""
    latest = {identity: seen.template for side in sides for identity, seen in side.templates.items()}
    return {identity: beginning(text) for identity, text in latest.items()}


def beginning(template: str) -> str:
    """Return its first words, or those up to its place in the source and what it says there."""
    words = template.split()[:LONGEST]
    for place, word in enumerate(words[:BEGINNING]):
        if SOURCE.search(word):
            said = [w for w in words[place + 1 :] if "<" not in w]
            return " ".join([*words[: place + 1], *said[:SAID]])
    return " ".join(words[:BEGINNING])


def statements(side: ServiceSide, names: dict[str, str]) -> dict[str, TemplateSide]:
    """Return what a service wrote by statement: templates that begin alike differ in parameters only."""
    merged: dict[str, TemplateSide] = {}
    for identity, seen in sorted(side.templates.items()):
        key = names[identity]
        known = merged.get(key)
        if known is None:
            merged[key] = TemplateSide(
                template=seen.template,
                id=identity,
                count=seen.count,
                windows=seen.windows,
                severity_number=seen.severity_number,
                first=seen.first,
                lines=list(seen.lines),
            )
            continue
        if seen.count > known.count:
            known.template, known.id = seen.template, identity
        known.count += seen.count
        known.severity_number = max(known.severity_number, seen.severity_number)
        known.first = min(known.first, seen.first)
        known.lines.extend(seen.lines[: 3 - len(known.lines)])
    return merged
