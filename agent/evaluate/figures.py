"""Figures about rankings and confidences, as the contract counts them. Pure arithmetic."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

Group = dict[str, float]
Figures = dict[str, Group]
"""{group: {figure: number}}: what every evaluation command prints and writes."""


class Judged(Protocol):
    """What was judged, and whether it is kept out of tuning."""

    @property
    def held_out(self) -> bool:
        """Whether nobody looked at it."""


J = TypeVar("J", bound=Judged)


def parts(name: str, judged: Sequence[J]) -> dict[str, list[J]]:
    """Return the group of all and, where some are held out, those of both parts.

    A part's name holds a slash, as no folder's can: it meets no other group.
    """
    found = {name: list(judged)}
    if any(one.held_out for one in judged):
        found[f"{name}/looked_at"] = [one for one in judged if not one.held_out]
        found[f"{name}/held_out"] = [one for one in judged if one.held_out]
    return {group: members for group, members in found.items() if members}


def folded(ranking: Iterable[str], fold: Mapping[str, str]) -> list[str]:
    """Return the ranking with services folded and repeats dropped, order kept."""
    return list(dict.fromkeys(fold.get(service, service) for service in ranking))


def accuracy(places: Sequence[int | None]) -> Group:
    """Return ac1, ac3, ac5 and avg5 of 1-based places; None is a miss."""
    at = [share(place is not None and place <= k for place in places) for k in range(1, 6)]
    return {"ac1": at[0], "ac3": at[2], "ac5": at[4], "avg5": sum(at) / 5}


def share(truths: Iterable[bool]) -> float:
    """Return the share of true ones, 0 for none at all."""
    values = list(truths)
    return sum(values) / len(values) if values else 0.0


def expected_calibration_error(confidences: Sequence[float], right: Sequence[bool], bins: int = 5) -> float:
    """Return the ECE over `bins` of equal mass (Naeini, Cooper, Hauskrecht, AAAI 2015)."""
    ordered = sorted(zip(confidences, right, strict=True))
    total, error = len(ordered), 0.0
    for number in range(bins):
        part = ordered[number * total // bins : (number + 1) * total // bins]
        if part:
            mean = sum(confidence for confidence, _ in part) / len(part)
            error += len(part) / total * abs(mean - share(hit for _, hit in part))
    return error


def brier(confidences: Sequence[float], right: Sequence[bool]) -> float:
    """Return the mean squared difference between confidence and outcome."""
    pairs = list(zip(confidences, right, strict=True))
    return sum((confidence - hit) ** 2 for confidence, hit in pairs) / len(pairs) if pairs else 0.0


def auroc(confidences: Sequence[float], right: Sequence[bool]) -> float:
    """Return the chance that a right case has more confidence than a wrong one; .5 where one kind lacks."""
    pairs = list(zip(confidences, right, strict=True))
    good = [confidence for confidence, hit in pairs if hit]
    bad = [confidence for confidence, hit in pairs if not hit]
    if not good or not bad:
        return 0.5
    wins = sum((g > b) + 0.5 * (g == b) for g in good for b in bad)
    return wins / (len(good) * len(bad))
