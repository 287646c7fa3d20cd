"""The only node that asks a language model. Whatever goes wrong with it costs words, not the analysis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog
from langchain_core.language_models.chat_models import BaseChatModel

from agent.investigate.gather import ranking_of
from agent.investigate.packing import Packed, pack
from agent.investigate.state import CLAIM_LENGTH, ModelReply, OfferedStep, State, Usage, packed, unpacked
from models.prompts import Prompt
from models.structured import StructuredReply, complete_json
from models.unavailable import ModelUnavailable

log = structlog.get_logger(__name__)

TEMPLATE_TOKENS = 40
"""What a chat template adds around two messages, generously."""
HEADLINE_LENGTH, CLAIMS = 100, 2
"""The longest answer must end within 200 tokens: text full of digits has a token for every 2.5 characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What one investigation may spend on the model."""

    prompt_tokens: int = 1200
    answer_tokens: int = 200
    deadline: float = 120.0
    """Seconds."""


@dataclass(frozen=True, slots=True)
class Hypothesise:
    """Let the model word the leading suspect within the evidence, its answer bound by a JSON schema."""

    model: BaseChatModel
    prompt: Prompt
    budget: Budget
    count: Callable[[str], int]
    allowed: Callable[[int], str | None] = lambda _: None
    """Asks the daily budget for this many tokens; a text says why not."""

    def __call__(self, state: State) -> State:
        ranking = ranking_of(state)
        degraded = list(state.get("degraded", []))
        if not ranking.suspects:
            return State(reply=None, usage=None, degraded=degraded)
        offered = tuple(unpacked(step, OfferedStep) for step in state["offered"])
        refusal = self.allowed(self.budget.prompt_tokens + self.budget.answer_tokens)
        if refusal:
            return State(reply=None, usage=None, degraded=[*degraded, refusal])
        try:
            room = self.budget.prompt_tokens - self.count(self.prompt.system) - TEMPLATE_TOKENS
            bundle = pack(ranking, offered, budget=room, count=self.count)
            reply = complete_json(
                self.model,
                self.prompt.messages({"evidence": bundle.text}),
                answer_schema(bundle, offered),
                max_tokens=self.budget.answer_tokens,
                deadline=self.budget.deadline,
            )
        except ModelUnavailable as error:
            log.warning("explain.model_unavailable", reason=error.reason, cause=str(error))
            return State(reply=None, usage=None, degraded=[*degraded, f"language model: {error}"])
        usage = Usage(
            model=reply.model_name,
            sha256=reply.model_sha256,
            prompt=self.prompt.label,
            prompt_tokens=reply.prompt_tokens,
            completion_tokens=reply.completion_tokens,
        )
        understood = read_reply(reply, bundle)
        if understood is None:
            degraded.append(f"language model: its answer was unusable ({reply.finish_reason})")
        return State(reply=packed(understood) if understood else None, usage=packed(usage), degraded=degraded)


def answer_schema(bundle: Packed, offered: tuple[OfferedStep, ...]) -> dict[str, Any]:
    """Return the JSON schema of an answer: its enums are this incident's own aliases and services."""
    properties: dict[str, Any] = {
        "suspect": {"enum": list(bundle.services)},
        "headline": {"type": "string", "minLength": 10, "maxLength": HEADLINE_LENGTH},
        "claims": {
            "type": "array",
            "minItems": 1,
            "maxItems": CLAIMS,
            "items": {
                "type": "object",
                "properties": {
                    "text": {"type": "string", "minLength": 10, "maxLength": CLAIM_LENGTH},
                    "evidence": {
                        "type": "array",
                        "minItems": 1,
                        "maxItems": 2,
                        "items": {"enum": [alias for alias, _ in bundle.aliases]},
                    },
                },
                "required": ["text", "evidence"],
                "additionalProperties": False,
            },
        },
    }
    if offered:
        properties["steps"] = {
            "type": "array",
            "minItems": 1,
            "maxItems": 2,
            "items": {"enum": [step.alias for step in offered]},
        }
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def read_reply(reply: StructuredReply, bundle: Packed) -> ModelReply | None:
    """Return the answer with aliases resolved, or None where it is cut or does not hold to the schema."""
    data, ids = reply.data, dict(bundle.aliases)
    if data is None or data.get("suspect") not in bundle.services:
        return None
    claims = []
    for claim in data.get("claims", []):
        cited = tuple(dict.fromkeys(ids[alias] for alias in claim["evidence"] if alias in ids))
        if cited:
            claims.append((" ".join(str(claim["text"]).split()), cited))
    return ModelReply(
        suspect=str(data["suspect"]),
        headline=" ".join(str(data.get("headline", "")).split()),
        claims=tuple(claims),
        steps=tuple(dict.fromkeys(str(alias) for alias in data.get("steps", []))),
    )
