"""Sentence vectors for runbook search: MiniLM on onnxruntime, behind langchain-core's `Embeddings`.

Deterministic: a text's vector does not depend on what it is embedded with. Long texts are cut at
`max_tokens`. The files are read at the first use; threads may share one instance.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from langchain_core.embeddings import Embeddings
from numpy.typing import NDArray
from tokenizers import Tokenizer

from models.integrity import checked_sum
from models.registry import EMBEDDING_MODEL, EMBEDDING_TOKENIZER, EMBEDDING_WEIGHTS, file_path, find_model
from models.unavailable import ModelUnavailable, UnavailableReason

DIMENSIONS = 384
_LONGEST_INPUT = 256
_ERRORS_ONLY = 3


class MiniLmEmbeddings(Embeddings):
    """all-MiniLM-L6-v2 in int8: 384 numbers a text, length 1, mean over the text's tokens."""

    def __init__(
        self,
        weights: Path,
        tokenizer: Path,
        *,
        threads: int = 1,
        max_tokens: int = _LONGEST_INPUT,
        expected_sha256: tuple[str, str] | None = None,
    ) -> None:
        self._weights = weights
        self._tokenizer_file = tokenizer
        self._threads = threads
        self._max_tokens = max_tokens
        self._expected = expected_sha256
        self._opening = threading.Lock()
        self._opened: tuple[Any, Tokenizer] | None = None

    @classmethod
    def from_home(cls, home: Path, *, threads: int = 1) -> MiniLmEmbeddings:
        """Use the catalogued files under the models folder `home`, held to their pinned sums."""
        entry = find_model(EMBEDDING_MODEL)
        files = {file.name: file for file in entry.files}
        weights, tokenizer = files[EMBEDDING_WEIGHTS], files[EMBEDDING_TOKENIZER]
        return cls(
            file_path(home, entry, weights),
            file_path(home, entry, tokenizer),
            threads=threads,
            expected_sha256=(weights.sha256, tokenizer.sha256),
        )

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return one vector a text, in order; `ModelUnavailable` where the files are missing or wrong."""
        return [vector.tolist() for vector in map(self._embed, texts)]

    def embed_query(self, text: str) -> list[float]:
        """Return the text's vector; queries and documents are embedded alike."""
        vector: list[float] = self._embed(text).tolist()
        return vector

    def _embed(self, text: str) -> NDArray[np.float32]:
        # One text a run: int8 activations are scaled over the whole batch, so batch mates and their
        # padding would leak into the vector, and an index built in another order would differ.
        session, tokenizer = self._open()
        encoded = tokenizer.encode(text)
        ids = np.asarray([encoded.ids], dtype=np.int64)
        mask = np.asarray([encoded.attention_mask], dtype=np.int64)
        feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        wanted = {known.name for known in session.get_inputs()}
        (states, *_) = session.run(None, {name: feed for name, feed in feeds.items() if name in wanted})
        weight = mask[0][:, None].astype(np.float32)
        mean = (states[0] * weight).sum(axis=0) / max(float(weight.sum()), 1.0)
        unit: NDArray[np.float32] = mean / max(float(np.linalg.norm(mean)), 1e-12)
        return unit.astype(np.float32)

    def _open(self) -> tuple[Any, Tokenizer]:
        with self._opening:
            if self._opened is None:
                self._check()
                tokenizer = Tokenizer.from_file(str(self._tokenizer_file))
                tokenizer.no_padding()
                tokenizer.enable_truncation(self._max_tokens)
                self._opened = (self._session(), tokenizer)
            return self._opened

    def _session(self) -> Any:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _ERRORS_ONLY
        return onnxruntime.InferenceSession(
            str(self._weights), sess_options=options, providers=["CPUExecutionProvider"]
        )

    def _check(self) -> None:
        for position, path in enumerate((self._weights, self._tokenizer_file)):
            try:
                found = checked_sum(path)
            except OSError as error:
                raise ModelUnavailable(
                    UnavailableReason.FILE_MISSING,
                    f"{path.name}: {error.strerror}; run `faultline models pull {EMBEDDING_MODEL}`.",
                ) from error
            wanted = self._expected[position] if self._expected else found
            if found != wanted:
                raise ModelUnavailable(
                    UnavailableReason.FILE_CORRUPT,
                    f"{path.name}: its sha256 is {found}, wanted is {wanted}; delete it and run "
                    f"`faultline models pull {EMBEDDING_MODEL}`.",
                )
