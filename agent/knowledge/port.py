"""What an investigation asks of runbooks: search by what is seen, and steps with where they stand.

Held by `tests/contract/test_runbook_index.py`. Methods may be called from any thread and block until done.
Query text is data: it may hold anything and is only ever compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from agent.analysis import Citation, Mechanism
from agent.knowledge.runbook import Runbook, SectionKind, Step


class IndexUnavailable(Exception):  # noqa: N818 - reads as a condition, not as a bug
    """The index cannot be reached or opened; the message says what to do."""


class IndexLocked(IndexUnavailable):
    """Another process has this index folder open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One runbook that a search found, by its best section."""

    runbook: str
    title: str
    section: str
    kind: SectionKind
    score: float
    """Of fused ranks; comparable within one search only."""
    snippet: str
    """The section's beginning, up to 240 characters on one line."""
    mechanisms: tuple[Mechanism, ...]
    also: tuple[str, ...]
    """The runbook's other sections that were found, best first."""

    @property
    def citation(self) -> Citation:
        """Where the hit stands, as an analysis cites it."""
        return Citation(runbook=self.runbook, section=self.section, title=self.title)


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedStep:
    """A runbook's step, what its section is for, and where it stands."""

    step: Step
    kind: SectionKind
    citation: Citation


@dataclass(frozen=True, slots=True, kw_only=True)
class Synced:
    """What bringing the index up to date did, in chunks (a section, or part of a long one)."""

    added: int
    removed: int
    unchanged: int


class RunbookIndex(Protocol):
    """Runbooks, searchable."""

    @property
    def degraded(self) -> tuple[str, ...]:
        """Why answers are weaker than usual; empty when all is well."""
        ...

    def sync(self, runbooks: Sequence[Runbook]) -> Synced:
        """Make the index hold exactly these runbooks; only changed content is embedded again."""
        ...

    def search(
        self,
        query: str,
        *,
        limit: int = 5,
        prefer: Sequence[Mechanism] = (),
        only: Sequence[Mechanism] = (),
    ) -> tuple[Hit, ...]:
        """Return up to `limit` runbooks, best first: `prefer` moves up, `only` leaves others out."""
        ...

    def steps_for(self, hit: Hit) -> tuple[OfferedStep, ...]:
        """Return the steps of the hit's runbook in the order diagnosis, mitigation, verify, undo, rest."""
        ...

    def close(self) -> None:
        """Release the index; it cannot be used afterwards."""
        ...
