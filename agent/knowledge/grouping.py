"""Turns found chunks into hits, one a runbook, and a runbook's chunks into steps in order. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from agent.analysis import Citation, Mechanism
from agent.knowledge.markdown import plain
from agent.knowledge.port import Hit, OfferedStep
from agent.knowledge.runbook import SectionKind
from agent.knowledge.stored import Found, StoredChunk

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


def group(found: Iterable[Found], *, limit: int, prefer: Sequence[Mechanism]) -> tuple[Hit, ...]:
    """Return up to `limit` hits, a runbook scoring as its best chunk; ties go by runbook id."""
    by_runbook: dict[str, list[Found]] = {}
    for one in found:
        by_runbook.setdefault(one.chunk.runbook, []).append(one)
    hits = [_hit(chunks, prefer) for chunks in by_runbook.values()]
    return tuple(sorted(hits, key=lambda hit: (-hit.score, hit.runbook))[:limit])


def _hit(found: list[Found], prefer: Sequence[Mechanism]) -> Hit:
    ordered = sorted(found, key=lambda one: (-one.score, one.chunk.position, one.chunk.part))
    best = ordered[0].chunk
    factor = PREFERRED if set(prefer) & set(best.mechanisms) else 1.0
    others = dict.fromkeys(one.chunk.section for one in ordered if one.chunk.section != best.section)
    return Hit(
        runbook=best.runbook,
        title=best.title,
        section=best.section,
        kind=best.kind,
        score=ordered[0].score * factor,
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
