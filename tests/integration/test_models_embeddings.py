"""MiniLM on real weights: meaning, determinism, limits, bad files."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from models.embeddings import DIMENSIONS, MiniLmEmbeddings
from models.registry import EMBEDDING_MODEL
from models.unavailable import ModelUnavailable, UnavailableReason


@pytest.fixture(scope="module")
def minilm(models_home: Path) -> MiniLmEmbeddings:
    """Return the embeddings on real weights."""
    return MiniLmEmbeddings.from_home(models_home)


@pytest.mark.parametrize(
    ("query", "related", "unrelated"),
    [
        (
            "database connection pool exhausted",
            "no free connections to PostgreSQL, raise max_connections",
            "certificate expires in three days",
        ),
        (
            "pod is killed because it used too much memory",
            "container OOMKilled, raise the memory limit",
            "consumer group lag grows on the orders topic",
        ),
        ("disk is full", "no space left on device", "login fails with a wrong password"),
    ],
)
def test_related_sentences_are_closer(
    minilm: MiniLmEmbeddings, query: str, related: str, unrelated: str
) -> None:
    """A sentence of the same matter is nearer than one of another, by a clear margin."""
    asked = np.array(minilm.embed_query(query))
    near, far = np.array(minilm.embed_documents([related, unrelated]))
    assert asked @ near > asked @ far + 0.1


def test_vectors_have_length_one_and_do_not_depend_on_company(minilm: MiniLmEmbeddings) -> None:
    """A text has the same vector alone, in a batch, and as a query."""
    text = "latency of checkout rose after the deploy"
    batch = minilm.embed_documents(["short", text, "a much longer text " * 60])
    assert batch[1] == minilm.embed_query(text) == minilm.embed_documents([text])[0]
    assert all(len(vector) == DIMENSIONS for vector in batch)
    assert np.linalg.norm(batch, axis=1) == pytest.approx([1.0, 1.0, 1.0], abs=1e-5)


def test_empty_and_overlong_texts_have_vectors(minilm: MiniLmEmbeddings) -> None:
    """No text is an error; what is over the limit is cut."""
    empty, long, longer = minilm.embed_documents(["", "error " * 500, "error " * 5000])
    assert np.isfinite(empty).all()
    assert long == longer


def test_threads_may_share_one(minilm: MiniLmEmbeddings) -> None:
    """Several threads get the vectors that one gets."""
    texts = [f"service {number} is down" for number in range(16)]
    with ThreadPoolExecutor(max_workers=4) as pool:
        assert list(pool.map(minilm.embed_query, texts)) == minilm.embed_documents(texts)


def test_missing_and_wrong_files(models_home: Path, tmp_path: Path) -> None:
    """Missing files and files of another sum are reasons, with what to run."""
    with pytest.raises(ModelUnavailable, match="faultline models pull") as missing:
        MiniLmEmbeddings.from_home(tmp_path).embed_query("x")
    assert missing.value.reason is UnavailableReason.FILE_MISSING
    folder = tmp_path / EMBEDDING_MODEL
    folder.mkdir()
    for origin in (models_home / EMBEDDING_MODEL).iterdir():
        (folder / origin.name).write_bytes(origin.read_bytes())
    with (folder / "model.onnx").open("r+b") as stream:
        stream.seek(1000)
        stream.write(b"damage")
    with pytest.raises(ModelUnavailable, match="sha256") as wrong:
        MiniLmEmbeddings.from_home(tmp_path).embed_query("x")
    assert wrong.value.reason is UnavailableReason.FILE_CORRUPT
