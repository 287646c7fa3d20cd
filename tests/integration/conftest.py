"""Fixtures of the integration tests: real weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.registry import EMBEDDING_MODEL, SMALL_CHAT_MODEL
from tests.support.weights import weights_home


@pytest.fixture(scope="session")
def models_home() -> Path:
    """Return a models folder with the small chat model and the embeddings in it."""
    return weights_home(SMALL_CHAT_MODEL, EMBEDDING_MODEL)
