"""A chat model that answers from a script, for tests of everything above the model port.

Held to the same contract as the real ones: same metadata, same errors, same cut at `max_tokens`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import PrivateAttr

from models.unavailable import ModelUnavailable, UnavailableReason

Hang = threading.Event
"""As a reply: wait for the event, or for the call's deadline and then fail like a hung model."""

Reply = str | BaseException | Hang
Script = Sequence[Reply] | Callable[[list[BaseMessage]], Reply]


class ScriptedChat(BaseChatModel):
    """Gives the replies of a list in turn, or whatever a callable says about the messages."""

    model_name: str = "scripted"
    timeout: float = 5.0
    _script: Script = PrivateAttr()
    _seen: list[list[BaseMessage]] = PrivateAttr(default_factory=list)
    _settings: list[dict[str, Any]] = PrivateAttr(default_factory=list)

    def __init__(self, script: Script, **settings: Any) -> None:
        super().__init__(**settings)
        self._script = script

    @property
    def _llm_type(self) -> str:
        return "scripted"

    @property
    def seen(self) -> list[list[BaseMessage]]:
        """The messages of every call, in order."""
        return self._seen

    @property
    def settings(self) -> list[dict[str, Any]]:
        """The keyword settings of every call, in order."""
        return self._settings

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,  # noqa: ARG002 - the port's signature
        run_manager: CallbackManagerForLLMRun | None = None,  # noqa: ARG002
        **settings: Any,
    ) -> ChatResult:
        self._seen.append(list(messages))
        self._settings.append(dict(settings))
        reply = self._next(messages)
        if isinstance(reply, BaseException):
            raise reply
        if isinstance(reply, Hang):
            if not reply.wait(settings.get("timeout", self.timeout)):
                raise ModelUnavailable(UnavailableReason.TIMED_OUT, "the scripted model hung.")
            reply = ""
        return self._result(messages, reply, settings.get("max_tokens"))

    def _next(self, messages: list[BaseMessage]) -> Reply:
        if callable(self._script):
            return self._script(messages)
        turn = len(self._seen) - 1
        if turn >= len(self._script):
            raise AssertionError(f"The script has {len(self._script)} replies; this is call {turn + 1}.")
        return self._script[turn]

    def _result(self, messages: list[BaseMessage], text: str, max_tokens: int | None) -> ChatResult:
        words = text.split(" ")
        cut = max_tokens is not None and len(words) > max_tokens
        words = words[:max_tokens] if cut else words
        prompt = sum(len(message.text.split()) for message in messages)
        message = AIMessage(
            content=" ".join(words),
            usage_metadata={
                "input_tokens": prompt,
                "output_tokens": len(words),
                "total_tokens": prompt + len(words),
            },
            response_metadata={
                "model_name": self.model_name,
                "sha256": None,
                "finish_reason": "length" if cut else "stop",
                "seconds": 0.0,
            },
        )
        return ChatResult(generations=[ChatGeneration(message=message)])
