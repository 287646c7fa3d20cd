"""The payload of an indexed chunk: what a search gives back without reading the files again. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from agent.analysis import Mechanism
from agent.knowledge.chunks import Chunk
from agent.knowledge.runbook import SectionKind, Step


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredChunk:
    """A chunk as the index keeps it; `content` is its id, a hash of everything below."""

    content: str
    runbook: str
    title: str
    section: str
    kind: SectionKind
    position: int
    part: int
    text: str
    mechanisms: tuple[Mechanism, ...]
    steps: tuple[Step, ...]

    @classmethod
    def of(cls, chunk: Chunk) -> StoredChunk:
        """Return what to store for `chunk`."""
        return cls(
            content=chunk.id,
            runbook=chunk.runbook.id,
            title=chunk.runbook.title,
            section=chunk.section.heading,
            kind=chunk.section.kind,
            position=chunk.position,
            part=chunk.part,
            text=chunk.text,
            mechanisms=chunk.runbook.mechanisms,
            steps=chunk.steps,
        )
