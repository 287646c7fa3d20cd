"""Chat models behind any server that speaks OpenAI's protocol: llama-server, vLLM and the like.

Same behaviour as our own runtime as far as callers see: failures are `ModelUnavailable`, an answer cut
at its token limit comes back with `finish_reason` `length`. No retries; the caller's deadline rules.
"""

from __future__ import annotations

from typing import Any

import httpx
import openai
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.exceptions import ContextOverflowError
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatResult
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from models.unavailable import ModelUnavailable, UnavailableReason

_NO_KEY = "none"
"""Local servers want no key, the client library insists on one."""

_TOO_LONG = ("maximum context length", "available context size", "exceed_context_size")
"""How vLLM and llama-server word it; OpenAI's own words langchain knows."""

_LONGEST_MESSAGE = 300


class OpenAiServerChat(ChatOpenAI):
    """`ChatOpenAI` that fails and cuts off like every other model here."""

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **settings: Any,
    ) -> ChatResult:
        try:
            return super()._generate(messages, stop=stop, run_manager=run_manager, **settings)
        except openai.LengthFinishReasonError as cut:
            return self._create_chat_result(cut.completion)
        except ContextOverflowError as error:
            raise self._unavailable(UnavailableReason.PROMPT_TOO_LONG, error) from error
        except openai.APITimeoutError as error:
            raise self._unavailable(UnavailableReason.TIMED_OUT, error) from error
        except (openai.APIConnectionError, httpx.TransportError) as error:
            raise self._unavailable(UnavailableReason.UNREACHABLE, error) from error
        except openai.OpenAIError as error:
            if any(words in str(error) for words in _TOO_LONG):
                raise self._unavailable(UnavailableReason.PROMPT_TOO_LONG, error) from error
            raise self._unavailable(UnavailableReason.REFUSED, error) from error

    def _unavailable(self, reason: UnavailableReason, error: Exception) -> ModelUnavailable:
        said = str(error)[:_LONGEST_MESSAGE]  # a server may quote the prompt
        return ModelUnavailable(
            reason, f"{self.model_name} at {self.openai_api_base}: {said} Check its base URL, key and log."
        )


def openai_chat(base_url: str, model: str, api_key: str | None, timeout: float) -> BaseChatModel:
    """Return a chat model on the server at `base_url` (with its `/v1`); `timeout` in seconds a call."""
    return OpenAiServerChat(
        base_url=base_url,
        model=model,
        api_key=SecretStr(api_key or _NO_KEY),
        timeout=timeout,
        max_retries=0,
        temperature=0.0,
        seed=1,
    )
