"""Embeddings without a model: hashed words, the same vector for the same text; calls are counted."""

from __future__ import annotations

import hashlib
import math

from langchain_core.embeddings import Embeddings

from models.unavailable import ModelUnavailable, UnavailableReason

SIZE = 256


class ToyEmbeddings(Embeddings):
    """Bag of hashed words, length 1. `broken` makes every call fail as a missing file does."""

    def __init__(self, *, broken: bool = False) -> None:
        self.broken = broken
        self.embedded: list[str] = []

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Count and embed."""
        self.embedded.extend(texts)
        return [self._vector(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        """Embed without counting: a query is always embedded."""
        return self._vector(text)

    def _vector(self, text: str) -> list[float]:
        if self.broken:
            raise ModelUnavailable(UnavailableReason.FILE_MISSING, "no such file")
        vector = [0.0] * SIZE
        for word in text.lower().split():
            vector[hashlib.sha256(word.encode()).digest()[0] % SIZE] += 1.0
        length = math.sqrt(sum(part * part for part in vector)) or 1.0
        return [part / length for part in vector]
