"""What is told of a detector's model: its number, where it comes from, what it learned from, how it ended.

A value without the model's state; the store keeps it for every version, the state only of the last few.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ingest.record import Nanos


class Status(StrEnum):
    """Where a version stands."""

    ACTIVE = "active"
    """Its findings count."""
    SHADOW = "shadow"
    """Learns and judges beside the active one; its findings are counted only."""
    RETIRED = "retired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What a version has learned from since it began (its parent's learning not included)."""

    since: Nanos = 0
    until: Nanos = 0
    windows: int = 0
    """Windows of one service that had anything for the detector."""
    records: int = 0
    """Lines, spans and samples in them that the detector reads."""
    services: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion:
    """One version of one detector's model. Times are stream time; numbers begin at 1 and are never reused."""

    detector: str
    number: int
    code: str
    """The detector's own version: a state fits the same code only."""
    status: Status
    why: str
    """Why it was begun."""
    parent: int | None = None
    """The version whose state it began with (a rollback); None began empty."""
    active_since: Nanos | None = None
    """None: it never took over."""
    retired_at: Nanos | None = None
    retired_why: str = ""
    learned: Learned = Learned()
    drift: float = 0.0
    """Share of its inputs that had moved: at the end of its last span, or when it was retired."""
    flagged: float = 0.0
    """Share of windows it flagged, at the same time."""
    sha256: str = ""
    """Of its state as last stored; empty where none was."""
