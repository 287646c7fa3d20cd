"""One way to ask any chat model for JSON of a given schema.

The schema goes out as OpenAI's `response_format`, which our llama.cpp model understands as well, so the
call site is the same for both. Nothing is repaired: text that is no complete JSON gives no data.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import BaseMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class StructuredReply:
    """A model's answer. `data` is None where the text is cut (see `finish_reason`) or no JSON object."""

    data: dict[str, Any] | None
    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    model_name: str
    model_sha256: str | None


def complete_json(
    model: BaseChatModel,
    messages: Sequence[BaseMessage],
    schema: Mapping[str, Any],
    max_tokens: int,
    deadline: float,
    *,
    name: str = "answer",
    clock: Callable[[], float] = time.monotonic,
) -> StructuredReply:
    """Ask within `deadline` seconds for an object of `schema`; `ModelUnavailable` where none comes."""
    started = clock()
    message = model.invoke(
        list(messages),
        response_format={
            "type": "json_schema",
            "json_schema": {"name": name, "schema": dict(schema), "strict": True},
        },
        max_tokens=max_tokens,
        timeout=deadline,
    )
    usage = message.usage_metadata
    about = message.response_metadata
    text = str(message.text)
    finish = str(about.get("finish_reason", "unknown"))
    return StructuredReply(
        data=_object(text) if finish == "stop" else None,
        text=text,
        finish_reason=finish,
        prompt_tokens=usage["input_tokens"] if usage else 0,
        completion_tokens=usage["output_tokens"] if usage else 0,
        seconds=clock() - started,
        model_name=str(about.get("model_name", model._llm_type)),  # noqa: SLF001 - part of the port
        model_sha256=about.get("sha256"),
    )


def _object(text: str) -> dict[str, Any] | None:
    try:
        # strict=False: the grammar lets raw newlines into strings.
        data = json.loads(text, strict=False)
    except ValueError:
        return None
    return data if isinstance(data, dict) else None
