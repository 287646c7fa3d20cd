"""What travels between the nodes of an investigation, and is checkpointed after each.

Plain JSON throughout: LangGraph's serializer turns tuples into lists and unknown classes into dicts
without an error, so values cross node borders only through `packed` and `unpacked`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypedDict, TypeVar

import msgspec

from agent.analysis import Citation, Incident, Risk
from ingest.record import Nanos

T = TypeVar("T")

CLAIM_LENGTH = 110
"""Characters of a model's sentence. With the other limits the longest answer stays within 200 tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to investigate: an incident as of a time, and which intervals count as normal."""

    incident: Incident
    as_of: Nanos
    window: tuple[Nanos, Nanos]
    baseline: tuple[tuple[Nanos, Nanos], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedStep:
    """A runbook step the model may choose; the text is the runbook's, never a model's."""

    alias: str
    step: str
    risk: Risk
    command: str | None
    citation: Citation
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReply:
    """What the language model said, after the schema held and before anything was believed."""

    suspect: str
    headline: str
    claims: tuple[tuple[str, tuple[str, ...]], ...]
    """(text, evidence ids)."""
    steps: tuple[str, ...]
    """Aliases of offered steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What the model cost and which it was."""

    model: str
    sha256: str | None
    prompt: str
    prompt_tokens: int
    completion_tokens: int


class State(TypedDict, total=False):
    """Keys are written by the node named in the comment."""

    request: dict[str, Any]  # the caller
    started: float  # the caller
    findings: list[dict[str, Any]]  # gather
    edges: list[list[str]]  # gather
    missing: list[str]  # gather
    services: list[str]  # gather
    ranking: dict[str, Any]  # rank
    offered: list[dict[str, Any]]  # retrieve
    degraded: list[str]  # any node adds
    reply: dict[str, Any] | None  # hypothesise
    usage: dict[str, Any] | None  # hypothesise
    claims: list[dict[str, Any]]  # verify
    headline: str | None  # verify
    dropped: list[str]  # verify
    steps: list[dict[str, Any]]  # remediate
    analysis: dict[str, Any]  # state_facts, then write


def packed(value: object) -> Any:
    """Return `value` as plain JSON types."""
    return msgspec.to_builtins(value, str_keys=True)


def unpacked(data: object, kind: type[T]) -> T:
    """Return the value that `packed` was given. Raises msgspec.ValidationError on other data."""
    return msgspec.convert(data, kind, strict=False)
