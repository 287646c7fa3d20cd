"""The langchain-core chat model on our supervised llama.cpp child.

Blocks the calling thread until the answer or the deadline (`timeout`, in seconds). A `response_format`
in OpenAI's or in llama.cpp's form holds the answer to a JSON schema. Failures are `ModelUnavailable`.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import PrivateAttr

from models.protocol import Answer, Message
from models.supervisor import ChatRequest, Supervisor

_ROLES = {"system": "system", "human": "user", "ai": "assistant"}


class LlamaCppChat(BaseChatModel):
    """A GGUF as `BaseChatModel`; per-call settings come through `bind` or `invoke`."""

    model_name: str
    max_tokens: int = 256
    temperature: float = 0.0
    seed: int = 1
    timeout: float = 60.0
    """Deadline of a call in seconds, waiting for other calls included."""
    _supervisor: Supervisor = PrivateAttr()

    def __init__(self, supervisor: Supervisor, **settings: Any) -> None:
        super().__init__(**{"model_name": supervisor.path.name, **settings})
        self._supervisor = supervisor

    @property
    def _llm_type(self) -> str:
        return "llamacpp"

    @property
    def _identifying_params(self) -> Mapping[str, Any]:
        return {"model_name": self.model_name, "seed": self.seed, "temperature": self.temperature}

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,  # noqa: ARG002 - the port's signature
        *,
        response_format: Mapping[str, Any] | None = None,
        max_tokens: int | None = None,
        temperature: float | None = None,
        seed: int | None = None,
        timeout: float | None = None,
        cancel: threading.Event | None = None,
        **unknown: Any,
    ) -> ChatResult:
        if unknown:
            raise TypeError(f"llama.cpp takes no {', '.join(sorted(unknown))}.")
        request = ChatRequest(
            messages=to_wire(messages),
            schema=schema_text(response_format),
            max_tokens=self.max_tokens if max_tokens is None else max_tokens,
            temperature=self.temperature if temperature is None else temperature,
            seed=self.seed if seed is None else seed,
            stop=tuple(stop or ()),
            seconds=self.timeout if timeout is None else timeout,
        )
        return self._result(self._supervisor.chat(request, cancel))

    def _result(self, answer: Answer) -> ChatResult:
        message = AIMessage(
            content=answer.text,
            usage_metadata={
                "input_tokens": answer.prompt_tokens,
                "output_tokens": answer.completion_tokens,
                "total_tokens": answer.prompt_tokens + answer.completion_tokens,
            },
            response_metadata={
                "model_name": self.model_name,
                "model_provider": "llamacpp",
                "sha256": self._supervisor.sha256,
                "finish_reason": answer.finish_reason,
                "seconds": answer.seconds,
                "prompt_seconds": answer.prompt_seconds,
            },
        )
        return ChatResult(generations=[ChatGeneration(message=message)])

    def get_num_tokens(self, text: str) -> int:
        """Count tokens in the model's own vocabulary."""
        return self._supervisor.count_tokens([text])[0]

    def count_tokens(self, texts: Sequence[str]) -> tuple[int, ...]:
        """Count the tokens of many texts in one exchange with the child."""
        return self._supervisor.count_tokens(texts)


def to_wire(messages: Sequence[BaseMessage]) -> tuple[Message, ...]:
    """Turn langchain messages into turns; ValueError for roles a plain chat template has no place for."""
    turns = []
    for message in messages:
        role = _ROLES.get(message.type)
        if role is None:
            raise ValueError(f"llama.cpp chats take system, human and ai messages, not {message.type!r}.")
        turns.append(Message(role=role, content=str(message.text)))
    return tuple(turns)


def schema_text(response_format: Mapping[str, Any] | None) -> str | None:
    """Return the JSON schema that a `response_format` asks for as text, None for free text.

    Takes OpenAI's `json_schema` and `json_object` forms and llama.cpp's `json_object` with `schema`.
    """
    match response_format:
        case None | {"type": "text"}:
            return None
        case {"type": "json_schema", "json_schema": {"schema": schema}}:
            return json.dumps(schema)
        case {"type": "json_object", "schema": schema}:
            return json.dumps(schema)
        case {"type": "json_object"}:
            return json.dumps({"type": "object"})
    raise ValueError(f"response_format {response_format!r} is none that llama.cpp can hold an answer to.")
