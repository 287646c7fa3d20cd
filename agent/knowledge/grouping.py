"""Turns found chunks into hits, one a runbook, and a runbook's chunks into steps in order. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from agent.analysis import Citation, Mechanism
from agent.knowledge.markdown import plain
from agent.knowledge.port import Hit, OfferedStep
from agent.knowledge.runbook import SectionKind
from agent.knowledge.stored import StoredChunk

FUSION_K = 60
PREFERRED = 1.1
"""Factor for a runbook that serves a suspected mechanism: worth about six places at the top of a list."""
_SNIPPET = 240
_NOT_PROSE = re.compile(r"^\s*(`{3,}|~{3,}).*?(^\s*\1|\Z)|^\s*\*\*Risk:[^\n]*$", re.DOTALL | re.MULTILINE)
_ORDER = (
    SectionKind.DIAGNOSIS,
    SectionKind.MITIGATION,
    SectionKind.VERIFY,
    SectionKind.UNDO,
    SectionKind.OTHER,
    SectionKind.MEANING,
    SectionKind.IMPACT,
)


def group(
    rankings: Sequence[Sequence[StoredChunk]], *, limit: int, prefer: Sequence[Mechanism]
) -> tuple[Hit, ...]:
    """Return up to `limit` hits by reciprocal rank fusion of `rankings`; ties go by runbook id.

    Ranks are those of runbooks, not of chunks: one half of the search may find a runbook by its meaning and
    the other by its diagnosis, and both must count for it.
    """
    runbooks = _fused([[chunk.runbook for chunk in ranking] for ranking in rankings])
    chunks = _fused([[chunk.content for chunk in ranking] for ranking in rankings])
    by_runbook: dict[str, dict[str, StoredChunk]] = {}
    for chunk in (chunk for ranking in rankings for chunk in ranking):
        by_runbook.setdefault(chunk.runbook, {})[chunk.content] = chunk
    hits = []
    for runbook, found in by_runbook.items():
        ordered = sorted(
            found.values(), key=lambda chunk: (-chunks[chunk.content], chunk.position, chunk.part)
        )
        hits.append(_hit(ordered, runbooks[runbook], prefer))
    return tuple(sorted(hits, key=lambda hit: (-hit.score, hit.runbook))[:limit])


def _fused(rankings: Sequence[Sequence[str]]) -> dict[str, float]:
    """Return each key's sum of 1 / (60 + place), its place in a ranking being that of its first mention."""
    scores: dict[str, float] = {}
    for ranking in rankings:
        for place, key in enumerate(dict.fromkeys(ranking), start=1):
            scores[key] = scores.get(key, 0.0) + 1.0 / (FUSION_K + place)
    return scores


def _hit(ordered: Sequence[StoredChunk], score: float, prefer: Sequence[Mechanism]) -> Hit:
    best = ordered[0]
    factor = PREFERRED if set(prefer) & set(best.mechanisms) else 1.0
    others = dict.fromkeys(chunk.section for chunk in ordered if chunk.section != best.section)
    return Hit(
        runbook=best.runbook,
        title=best.title,
        section=best.section,
        kind=best.kind,
        score=score * factor,
        snippet=snippet(best.text),
        mechanisms=best.mechanisms,
        also=tuple(others),
    )


def snippet(text: str) -> str:
    """Return the beginning of `text` without code, on one line of up to 240 characters."""
    prose = _NOT_PROSE.sub(" ", text)
    line = " ".join(plain(prose).split())
    return line if len(line) <= _SNIPPET else line[: _SNIPPET - 1].rstrip() + "…"


def ordered_steps(chunks: Iterable[StoredChunk]) -> tuple[OfferedStep, ...]:
    """Return the chunks' steps: diagnosis, mitigation, verify, undo, the rest; then as written."""
    ordered = sorted(chunks, key=lambda chunk: (_ORDER.index(chunk.kind), chunk.position, chunk.part))
    return tuple(
        OfferedStep(
            step=step,
            kind=chunk.kind,
            citation=Citation(runbook=chunk.runbook, section=chunk.section, title=chunk.title),
        )
        for chunk in ordered
        for step in chunk.steps
    )
