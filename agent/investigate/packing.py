"""Packing evidence for a small model: short aliases, a token budget, telemetry fenced off as data.

The model sees `E1` … `E40` and `S1` …; full ids stay outside. What does not fit the budget is left out
from the weakest up and counted. Sample lines are quoted data: control characters and the quote marks
themselves are taken out, so a line cannot end its own quotation.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from agent.analysis import Mechanism, Ranking
from agent.investigate.state import OfferedStep
from detectors.anomaly import Evidence

MAX_ALIASES = 40
SUSPECTS = 3
LINE_CHARACTERS = 140
STATEMENT_CHARACTERS = 200

MECHANISM_WORDS = {
    Mechanism.CPU: "CPU contention",
    Mechanism.MEMORY: "memory pressure",
    Mechanism.DISK: "disk pressure",
    Mechanism.NETWORK: "network delay or loss",
    Mechanism.DEPENDENCY: "waiting for a slow or failing dependency",
    Mechanism.EXCEPTION: "exceptions in its code",
    Mechanism.BAD_RETURN: "wrong results from its code",
    Mechanism.CHANGE: "a bad deploy or configuration",
    Mechanism.POOL: "an exhausted connection pool",
    Mechanism.LOCK: "lock contention",
    Mechanism.TRAFFIC: "a change in traffic",
    Mechanism.SILENCE: "it stopped reporting",
    Mechanism.UNKNOWN: "an unknown mechanism",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """A prompt's variable part, and how its aliases resolve."""

    text: str
    aliases: tuple[tuple[str, str], ...]
    """(alias, evidence id), in the order shown."""
    services: tuple[str, ...]
    left_out: int


def pack(
    ranking: Ranking, offered: tuple[OfferedStep, ...], *, budget: int, count: Callable[[str], int]
) -> Packed:
    """Return as much evidence as fits `budget` tokens as counted by `count`, best suspects first."""
    suspects = ranking.suspects[:SUSPECTS]
    evidence = {item.id: item for item in ranking.evidence}
    chosen = _ordered(ranking)[:MAX_ALIASES]
    while True:
        aliases = tuple((f"E{n}", item) for n, item in enumerate(chosen, start=1))
        text = _text(ranking, offered, aliases)
        if len(chosen) <= 1 or count(text) <= budget:
            break
        chosen = chosen[: max(1, len(chosen) - max(1, len(chosen) // 8))]
    return Packed(
        text=text,
        aliases=tuple((alias, item) for alias, item in aliases),
        services=tuple(suspect.service for suspect in suspects),
        left_out=len(evidence) - len(chosen),
    )


def _ordered(ranking: Ranking) -> list[str]:
    """Evidence ids, the strongest of each suspect in turn, so that every suspect keeps some."""
    queues = []
    for suspect in ranking.suspects[:SUSPECTS]:
        parts = sorted(suspect.parts, key=lambda part: -part.value)
        queues.append([found for part in parts for found in part.evidence_ids])
    shares = [6, 3, 2]
    ordered: list[str] = []
    while any(queues):
        for share, waiting in zip(shares, queues, strict=False):
            for _ in range(min(share, len(waiting))):
                found = waiting.pop(0)
                if found not in ordered:
                    ordered.append(found)
    return ordered


def _text(ranking: Ranking, offered: tuple[OfferedStep, ...], aliases: tuple[tuple[str, str], ...]) -> str:
    by_id = {identity: alias for alias, identity in aliases}
    lines = ["Suspects, best first:"]
    for place, suspect in enumerate(ranking.suspects[:SUSPECTS], start=1):
        cited = [by_id[i] for part in suspect.parts for i in part.evidence_ids if i in by_id]
        words = MECHANISM_WORDS[suspect.mechanism]
        seen = " ".join(dict.fromkeys(cited))
        lines.append(f"{place}. {quoted(suspect.service, 80)}: {words} (score {suspect.score:.1f}; {seen})")
    lines.append("Evidence:")
    evidence = {item.id: item for item in ranking.evidence}
    lines.extend(_evidence_line(alias, evidence[identity]) for alias, identity in aliases)
    if offered:
        lines.append("Runbook steps:")
        lines.extend(f"{step.alias} {step.citation.title}: {quoted(step.step, 80)}" for step in offered)
    return "\n".join(lines)


def _evidence_line(alias: str, item: Evidence) -> str:
    text = f"{alias} [{quoted(item.service, 80)}] {quoted(item.statement, STATEMENT_CHARACTERS)}"
    if item.lines:
        text += f" «{quoted(item.lines[0].text, LINE_CHARACTERS)}»"
    return text


def quoted(text: str, limit: int) -> str:
    """Return `text` on one line, without control characters or quotation marks of ours, cut at `limit`."""
    flat = "".join(" " if unicodedata.category(c)[0] == "C" else c for c in text)
    flat = re.sub(r"[«»<>|]+", " ", flat)
    flat = " ".join(flat.split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"
