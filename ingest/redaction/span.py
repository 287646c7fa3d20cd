"""What every redaction rule yields: a stretch of text and why it must go."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """Characters [start, end) of a text. `kind` names the rule; `personal` data keeps a stable pseudonym.

    Where spans overlap the union goes, under the kind of the higher `rank`.
    """

    start: int
    end: int
    kind: str
    rank: int = 1
    personal: bool = False
    value: str | None = None
    """The canonical form that a pseudonym stands for, where it is not the text itself."""
