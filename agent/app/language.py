"""The investigation's language model, opened as the settings say: llama.cpp, a server, or none.

Opening never fails on a missing or broken model: the first use says what is wrong, and the analysis
carries it. `TokenBudget` is the daily limit over all investigations of this process.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog
from langchain_core.language_models.chat_models import BaseChatModel

from agent.settings import ModelSettings
from models.llamacpp import LlamaCppChat
from models.openai import openai_chat
from models.registry import CATALOGUE, UnknownModelError, file_path, find_model
from models.supervisor import ChildOptions, Supervisor

log = structlog.get_logger(__name__)

CHARACTERS_PER_TOKEN = 3.2
"""For servers whose tokenizer we do not have; English text needs about four, so this is careful."""
DAY_NS = 86_400 * 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """A chat model (None: statistics only), how to count its tokens, and how to let go of it."""

    model: BaseChatModel | None
    count: Callable[[str], int]
    close: Callable[[], None]
    warm: Callable[[], None]
    """Loads the model ahead of the first question; failures surface with the question."""


def open_language(settings: ModelSettings, models_home: Path) -> Language:
    """Return the model that `settings` name. Raises `UnknownModelError` on a name no one knows."""
    if settings.kind == "none":
        return Language(model=None, count=estimated_tokens, close=_nothing, warm=_nothing)
    if settings.kind == "openai":
        chat = openai_chat(
            settings.base_url,
            settings.name,
            settings.api_key.get_secret_value() or None,
            settings.deadline_seconds,
        )
        return Language(model=chat, count=estimated_tokens, close=_nothing, warm=_nothing)
    path, expected = weights_of(settings, models_home)
    options = ChildOptions(context_tokens=settings.context_tokens, threads=settings.threads or 2)
    supervisor = Supervisor(path, expected_sha256=expected, options=options)
    llama = LlamaCppChat(supervisor, model_name=settings.name, timeout=settings.deadline_seconds)
    return Language(model=llama, count=llama.get_num_tokens, close=supervisor.close, warm=_warmer(supervisor))


def weights_of(settings: ModelSettings, models_home: Path) -> tuple[Path, str | None]:
    """Return the GGUF's path and the sum it must have, where one is pinned."""
    if settings.path is not None:
        known = {file.name: file.sha256 for entry in CATALOGUE for file in entry.files}
        return settings.path.expanduser(), known.get(settings.path.name)
    entry = find_model(settings.name)
    file = entry.files[0]
    return file_path(models_home, entry, file), file.sha256


def estimated_tokens(text: str) -> int:
    """Return a careful estimate for models whose tokenizer is elsewhere."""
    return int(len(text) / CHARACTERS_PER_TOKEN) + 1


class TokenBudget:
    """Counts tokens per UTC day. Thread-safe."""

    def __init__(self, per_day: int, clock: Callable[[], int]) -> None:
        self._per_day, self._clock = per_day, clock
        self._lock = threading.Lock()
        self._day = 0
        self.spent = 0

    def ask(self, tokens: int) -> str | None:
        """Reserve `tokens`, or say why not."""
        with self._lock:
            today = self._clock() // DAY_NS
            if today != self._day:
                self._day, self.spent = today, 0
            if self.spent + tokens > self._per_day:
                return f"language model: the day's limit of {self._per_day} tokens is used up"
            self.spent += tokens
            return None


def _warmer(supervisor: Supervisor) -> Callable[[], None]:
    def warm() -> None:
        threading.Thread(target=_load, args=(supervisor,), name="model-warm-up", daemon=True).start()

    return warm


def _load(supervisor: Supervisor) -> None:
    from models.unavailable import ModelUnavailable

    try:
        loaded = supervisor.start()
    except ModelUnavailable as error:
        log.warning("model.unavailable", reason=error.reason, cause=str(error))
        return
    log.info("model.loaded", path=supervisor.path.name, gpu=loaded.gpu)


def _nothing() -> None:
    """Do nothing."""


__all__ = ["Language", "TokenBudget", "UnknownModelError", "estimated_tokens", "open_language"]
