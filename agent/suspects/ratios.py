"""Counts held against what should explain them; shared by the evidence kinds that count."""

from __future__ import annotations

import math

from agent.suspects.sides import ServiceSide

STARTING = 0.5
"""Share of a template's lines that nothing preceded from which it is what a kind of request begins with."""


def entries_of(before: ServiceSide, during: ServiceSide, coverage: float) -> list[tuple[float, float]]:
    """Return how often each kind of request came in before and during, in the logs' measure of time."""
    names = {n for side in (before, during) for n, flow in side.operations.items() if flow.entries}
    pairs = []
    for name in sorted(names):
        was, now = before.operations.get(name), during.operations.get(name)
        pairs.append((float(was.entries if was else 0), (now.entries if now else 0) * coverage))
    return pairs


def starts_of(before: ServiceSide, during: ServiceSide) -> dict[str, tuple[float, float]]:
    """Return how often each template began a sequence before and during: requests, where no span tells.

    Only templates that usually begin one count; none do where lines are in no sequence.
    """
    if not before.pairs:
        return {}
    was, now = _starts(before), _starts(during)
    return {
        template: (float(count), float(now.get(template, 0)))
        for template, count in sorted(was.items())
        if count >= STARTING * before.templates[template].count
    }


def _starts(side: ServiceSide) -> dict[str, int]:
    follows: dict[str, int] = {}
    for (_, second), count in side.pairs.items():
        follows[second] = follows.get(second, 0) + count
    return {t: max(0, seen.count - follows.get(t, 0)) for t, seen in side.templates.items()}


def ratio_deviance(counts: tuple[float, float], exposure: tuple[float, float]) -> float:
    """Return the signed root of the likelihood ratio that counts follow the exposure, positive for more.

    A test of homogeneity of two Poisson rates whose exposures are counts themselves: Sokal and Rohlf,
    Biometry, 17.4 (G-test on a two-by-two table).
    """
    (c0, c1), (a0, a1) = counts, exposure
    total = c0 + c1 + a0 + a1
    if not total or not (c0 + c1) or not (a0 + a1):
        return 0.0
    g = 0.0
    for observed, row, column in (
        (c0, c0 + c1, c0 + a0),
        (c1, c0 + c1, c1 + a1),
        (a0, a0 + a1, c0 + a0),
        (a1, a0 + a1, c1 + a1),
    ):
        if observed:
            g += observed * math.log(observed * total / (row * column))
    return math.copysign(math.sqrt(2 * max(0.0, g)), c1 * a0 - c0 * a1)
