"""What a runbook is once it is read: sections, and steps with their command and risk.

Values only. They come from `load.py`, go through `lint.py` and into the index; nothing here touches a disk.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from agent.analysis import Mechanism, Risk, Severity


class SectionKind(StrEnum):
    """What a section is for, told by its heading."""

    MEANING = "meaning"
    IMPACT = "impact"
    DIAGNOSIS = "diagnosis"
    MITIGATION = "mitigation"
    VERIFY = "verify"
    UNDO = "undo"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing to do. `risk` is as stated, else judged from the command and never too low."""

    number: int
    text: str
    """One paragraph, without the command and the risk line."""
    command: str | None
    risk: Risk
    risk_stated: bool
    judged: Risk
    """What the step looks like on its own; lint compares it with what is stated."""
    line: int
    """Line in the file where the step begins, from 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """The part of a runbook below one heading. `text` is its Markdown, without the heading."""

    heading: str
    kind: SectionKind
    text: str
    steps: tuple[Step, ...]
    line: int
    """Line of the heading, from 1."""
    text_line: int
    """Line where `text` begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runbook:
    """One Markdown file. Fields that its front matter does not give are empty."""

    id: str
    """Unique in its folder: from the front matter, else the path without `.md`."""
    title: str
    names: tuple[str, ...]
    """Other names it goes by: first heading and file name, where they differ from the title."""
    alerts: tuple[str, ...]
    symptoms: tuple[str, ...]
    services: tuple[str, ...]
    mechanisms: tuple[Mechanism, ...]
    severity: Severity | None
    sections: tuple[Section, ...]
    path: str
    """Path of the file below the folder it was loaded from."""
    ours: bool
    """Whether it has our front matter (an `id`), so that lint may expect our sections."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something wrong at one place of one file, and what to do about it."""

    path: str
    line: int
    message: str
    fatal: bool = True
    """Whether lint fails because of it; the others are advice."""

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {'error' if self.fatal else 'advice'}: {self.message}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """All runbooks of a folder, in path order, and why some files are not among them."""

    runbooks: tuple[Runbook, ...]
    problems: tuple[Problem, ...]
