"""Cuts runbooks into the pieces that are indexed: a section, or part of a long one, with its context. Pure.

A chunk's id is a hash over everything that is stored or embedded for it: changed content is an unknown id.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from agent.knowledge.runbook import Runbook, Section, Step
from agent.knowledge.tokens import document_weights

LAYOUT = "1"
"""Part of every id: raised when chunking, tokens or weights change, so that all content is indexed anew."""
LONGEST_CHUNK = 1_000
"""Characters; about what the embedding model reads (256 tokens)."""
NAME_WEIGHT = 2.0
SYMPTOM_WEIGHT = 1.5
_NAMESPACE = uuid.UUID("6f1ad3f0-52e4-4f0e-9d0b-2f6b7c3d9a51")
_SPLIT = re.compile(r"\n(?=#{2,6} )|\n\s*\n(?![ \t`~])")
"""Where a piece may begin: a list item stays with what is indented below it, a command with its paragraph."""
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """One indexed piece. Steps travel with the first part of their section."""

    id: str
    runbook: Runbook
    section: Section
    position: int
    """The section's place in its runbook."""
    part: int
    text: str
    steps: tuple[Step, ...]

    def dense_text(self) -> str:
        """Return what is embedded: names apart into words, symptoms, then the text."""
        names = ", ".join(dict.fromkeys(map(spoken, _names(self.runbook))))
        symptoms = "; ".join(self.runbook.symptoms)
        context = f"{names}. {symptoms}." if symptoms else f"{names}."
        return f"{context}\n{self.section.heading}: {self.text}"

    def sparse_weights(self) -> Mapping[int, float]:
        """Return the BM25 weights of names, symptoms, heading and text."""
        return document_weights(
            (
                (" ".join(_names(self.runbook)), NAME_WEIGHT),
                (" ".join(self.runbook.symptoms), SYMPTOM_WEIGHT),
                (f"{self.section.heading} {self.text}", 1.0),
            )
        )


def spoken(name: str) -> str:
    """Return an alert's name as words: `KubePodCrashLooping` becomes `Kube Pod Crash Looping`."""
    return _CAMEL.sub(" ", name).replace("_", " ")


def _names(runbook: Runbook) -> tuple[str, ...]:
    return (runbook.title, *runbook.names, *runbook.alerts)


def chunks_of(runbook: Runbook) -> tuple[Chunk, ...]:
    """Cut one runbook; the same content gives the same ids."""
    found: list[Chunk] = []
    for position, section in enumerate(runbook.sections):
        for part, text in enumerate(split(section.text)):
            steps = section.steps if part == 0 else ()
            identity = msgspec.json.encode(
                (LAYOUT, _head(runbook), section.heading, section.kind, position, part, text, steps)
            )
            chunk_id = str(uuid.uuid5(_NAMESPACE, identity.decode()))
            found.append(
                Chunk(
                    id=chunk_id,
                    runbook=runbook,
                    section=section,
                    position=position,
                    part=part,
                    text=text,
                    steps=steps,
                )
            )
    return tuple(found)


def _head(runbook: Runbook) -> tuple[object, ...]:
    names = (runbook.title, runbook.names, runbook.alerts)
    return (runbook.id, *names, runbook.symptoms, runbook.services, runbook.mechanisms, runbook.severity)


def split(text: str) -> list[str]:
    """Cut `text` at headings and blank lines into pieces of up to `LONGEST_CHUNK` characters."""
    pieces: list[str] = []
    for paragraph in _SPLIT.split(text):
        paragraph = paragraph.strip("\n")
        if not paragraph.strip():
            continue
        if pieces and len(pieces[-1]) + len(paragraph) + 2 <= LONGEST_CHUNK:
            pieces[-1] += "\n\n" + paragraph
        else:
            pieces.extend(
                paragraph[at : at + LONGEST_CHUNK] for at in range(0, len(paragraph), LONGEST_CHUNK)
            )
    return pieces
