"""The child process that owns llama.cpp: `python -m models.llamacpp_child`, frames in and out.

Only this module imports llama_cpp: two threads on one model, a damaged file or an odd schema can end the
process that loads it. Renders the chat template of the GGUF, holds the answer to a schema, counts tokens,
and stops within a compute step when the request is cancelled or late.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, field
from typing import Any

import llama_cpp
from llama_cpp.llama_chat_format import Jinja2ChatFormatter
from llama_cpp.llama_grammar import LlamaGrammar

from models.child_loop import Interrupt, RefusedError, serve
from models.protocol import BAD_REQUEST, Answer, Chat, Load, Message
from models.unavailable import UnavailableReason

_CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_LONGEST_SCHEMA_STRING = 999
"""A larger `maxLength` makes llama.cpp's grammar compiler overrun its stack and kills the process."""


@dataclass(slots=True, kw_only=True)
class _Generation:
    """What one request has produced so far; `text` is set where a stop string cut it."""

    first_token_at: float
    tokens: list[int] = field(default_factory=list)
    finish_reason: str = "length"
    text: str | None = None


class _Runtime:
    """One opened GGUF."""

    def __init__(self, request: Load, interrupt: Interrupt) -> None:
        self.gpu = bool(llama_cpp.llama_supports_gpu_offload())
        self._interrupt = interrupt
        self._model = llama_cpp.Llama(
            model_path=request.path,
            n_ctx=request.context_tokens,
            n_gpu_layers=-1 if self.gpu else 0,
            n_threads=request.threads,
            n_threads_batch=request.threads,
            verbose=False,
        )
        self.context_tokens = int(self._model.n_ctx())
        self._vocab = llama_cpp.llama_model_get_vocab(self._model.model)
        self._formatter = Jinja2ChatFormatter(
            template=self._model.metadata.get("tokenizer.chat_template", _CHATML),
            eos_token=self._token_text(self._model.token_eos()),
            bos_token=self._token_text(self._model.token_bos()),
        )
        self._control = self._control_pattern()
        # Kept as an attribute: llama.cpp holds the pointer, and a collected callback would be called.
        self._abort = llama_cpp.ggml_abort_callback(lambda _: self._interrupt.reason() is not None)
        llama_cpp.llama_set_abort_callback(self._model.ctx, self._abort, None)

    def count(self, text: str) -> int:
        return len(self._model.tokenize(text.encode(), add_bos=False, special=False))

    def chat(self, request: Chat) -> Answer:
        started = time.monotonic()
        prompt = self._prompt_tokens(request.messages)
        if len(prompt) + request.max_tokens > self.context_tokens:
            raise RefusedError(
                UnavailableReason.PROMPT_TOO_LONG,
                f"{len(prompt)} prompt tokens and {request.max_tokens} for the answer do not fit into "
                f"{self.context_tokens}; shorten the prompt or raise the context size.",
            )
        generation = _Generation(first_token_at=started)
        self._generate(prompt, request, generation)
        return Answer(
            id=request.id,
            text=generation.text if generation.text is not None else self._text(generation.tokens),
            finish_reason=generation.finish_reason,
            prompt_tokens=len(prompt),
            completion_tokens=len(generation.tokens),
            prompt_seconds=generation.first_token_at - started,
            seconds=time.monotonic() - started,
        )

    def _generate(self, prompt: list[int], request: Chat, generation: _Generation) -> None:
        grammar = _grammar(request.schema) if request.schema is not None else None
        self._model.set_seed(request.seed)
        for token in self._model.generate(
            prompt, temp=request.temperature, repeat_penalty=1.0, grammar=grammar
        ):
            if not generation.tokens:
                generation.first_token_at = time.monotonic()
            self._stop_if_interrupted()
            if llama_cpp.llama_vocab_is_eog(self._vocab, token):
                generation.finish_reason = "stop"
                return
            generation.tokens.append(token)
            text = self._text(generation.tokens) if request.stop else ""
            stop_at = _first_stop(text, request.stop)
            if stop_at is not None:
                generation.finish_reason, generation.text = "stop", text[:stop_at]
                return
            if len(generation.tokens) >= request.max_tokens:
                return

    def forget(self) -> None:
        """Drop the key-value cache, which an abort may have left half written."""
        self._model.reset()  # type: ignore[no-untyped-call]

    def _stop_if_interrupted(self) -> None:
        reason = self._interrupt.reason()
        if reason is not None:
            raise RefusedError(reason, f"The request was stopped: {reason}.")

    def _prompt_tokens(self, messages: tuple[Message, ...]) -> list[int]:
        turns: list[Any] = [{"role": turn.role, "content": self._defused(turn.content)} for turn in messages]
        prompt = self._formatter(messages=turns).prompt
        bos = self._formatter.bos_token
        tokens: list[int] = self._model.tokenize(
            prompt.encode(), add_bos=not (bos and prompt.startswith(bos)), special=True
        )
        return tokens

    def _defused(self, content: str) -> str:
        # A log line may spell a control token; as plain text it cannot end its turn and open another.
        return self._control.sub(lambda found: found[0][0] + " " + found[0][1:], content)

    def _control_pattern(self) -> re.Pattern[str]:
        wanted = llama_cpp.LLAMA_TOKEN_ATTR_CONTROL | llama_cpp.LLAMA_TOKEN_ATTR_USER_DEFINED
        texts = {
            self._token_text(token)
            for token in range(self._model.n_vocab())
            if llama_cpp.llama_vocab_get_attr(self._vocab, token) & wanted
        }
        marked = sorted((text for text in texts if len(text.strip()) > 2), key=len, reverse=True)
        return re.compile("|".join(map(re.escape, marked)) if marked else r"(?!)")

    def _token_text(self, token: int) -> str:
        if token < 0:
            return ""
        return (llama_cpp.llama_vocab_get_text(self._vocab, token) or b"").decode("utf-8", errors="replace")

    def _text(self, tokens: list[int]) -> str:
        raw: bytes = self._model.detokenize(tokens)
        return raw.decode("utf-8", errors="replace")


def _first_stop(text: str, stops: tuple[str, ...]) -> int | None:
    places = [place for place in map(text.find, stops) if place >= 0]
    return min(places, default=None)


def _grammar(schema: str) -> Any:
    try:
        _check_schema(json.loads(schema))
        return LlamaGrammar.from_json_schema(schema, verbose=False)
    except (ValueError, TypeError, KeyError, RecursionError, AssertionError) as error:
        raise RefusedError(BAD_REQUEST, f"The JSON schema cannot be enforced: {error!r}.") from error


def _check_schema(node: object) -> None:
    if isinstance(node, dict):
        longest = node.get("maxLength")
        if isinstance(longest, int) and longest > _LONGEST_SCHEMA_STRING:
            raise ValueError(f"maxLength {longest} is over {_LONGEST_SCHEMA_STRING}")
        for value in node.values():
            _check_schema(value)
    elif isinstance(node, list):
        for value in node:
            _check_schema(value)


def main() -> None:
    """Serve frames from standard input until it closes."""
    serve(_Runtime)


if __name__ == "__main__":
    main()
