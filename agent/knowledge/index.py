"""The runbook index in Qdrant: dense MiniLM and sparse BM25 vectors, ranks fused (RRF, k = 60).

The only module that knows qdrant_client. It works by folder (one process at a time), in memory, or on a
server by URL. One lock is held around every call: the embedded client is not thread-safe. Without an
embedding model it searches by words only and says so in `degraded`.
"""

from __future__ import annotations

import fcntl
import hashlib
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import msgspec
from langchain_core.embeddings import Embeddings
from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from agent.analysis import Mechanism
from agent.knowledge.chunks import LAYOUT, Chunk, chunks_of
from agent.knowledge.grouping import group, ordered_steps
from agent.knowledge.port import Hit, IndexLocked, IndexUnavailable, OfferedStep, Synced
from agent.knowledge.runbook import Runbook
from agent.knowledge.stored import StoredChunk
from agent.knowledge.tokens import query_weights
from models.unavailable import ModelUnavailable

WORDS_ONLY = "runbook search by words only: no embedding model"
IN_MEMORY = "runbook index folder is in use by another process: searching a copy in memory"
LONGEST_QUERY = 4_096
"""Characters of a query that are read (CONTRACTS: log body)."""
_CANDIDATES = 100
"""Chunks each half puts forward; a runbook has about five."""
_WORDS = "words"
"""Name of the collection without an embedding model."""
_BATCH = 64
_PAGE = 256


class QdrantRunbookIndex:
    """A `RunbookIndex`. `embedding_model` names what is behind `embeddings`; another name, another index."""

    def __init__(
        self,
        client: QdrantClient,
        embeddings: Embeddings | None,
        embedding_model: str,
        degraded: tuple[str, ...],
    ) -> None:
        self._client = client
        self._embeddings = embeddings
        self._degraded = degraded if embeddings is not None else (*degraded, WORDS_ONLY)
        self._lock = threading.Lock()
        self._model = embedding_model if embeddings is not None else _WORDS
        self._collection = _collection(self._model)

    @property
    def degraded(self) -> tuple[str, ...]:
        return self._degraded

    def sync(self, runbooks: Sequence[Runbook]) -> Synced:
        by_id = {runbook.id: runbook for runbook in runbooks}
        wanted = {chunk.id: chunk for runbook in by_id.values() for chunk in chunks_of(runbook)}
        with self._lock:
            try:
                return self._bring(wanted)
            except ModelUnavailable as error:
                self._go_without(error)
                return self._bring(wanted)

    def search(
        self,
        query: str,
        *,
        limit: int = 5,
        prefer: Sequence[Mechanism] = (),
        only: Sequence[Mechanism] = (),
    ) -> tuple[Hit, ...]:
        # Lone surrogates, which a log may hold, cannot be encoded by a tokenizer or a client.
        text = query[:LONGEST_QUERY].encode("utf-8", "replace").decode("utf-8")
        weights = query_weights(text)
        if not text.strip() or limit < 1:
            return ()
        with self._lock:
            if not self._exists():
                return ()
            rankings = self._query(text, weights, _only(only))
        return group(rankings, limit=limit, prefer=prefer)

    def steps_for(self, hit: Hit) -> tuple[OfferedStep, ...]:
        condition = models.FieldCondition(key="runbook", match=models.MatchValue(value=hit.runbook))
        with self._lock:
            points = self._scroll(models.Filter(must=[condition])) if self._exists() else []
        return ordered_steps(_stored(point.payload) for point in points)

    def close(self) -> None:
        with self._lock:
            self._client.close()

    def _bring(self, wanted: Mapping[str, Chunk]) -> Synced:
        """Add what is missing, then remove what is stale: a reader meanwhile sees too much, never less."""
        there = self._ids() if self._exists() else set[str]()
        missing = [chunk for chunk_id, chunk in wanted.items() if chunk_id not in there]
        stale = sorted(there - wanted.keys())
        for start in range(0, len(missing), _BATCH):
            self._upsert(missing[start : start + _BATCH])
        if stale:
            gone = models.PointIdsList(points=list(stale))
            self._call(self._client.delete, self._collection, points_selector=gone, wait=True)
        return Synced(added=len(missing), removed=len(stale), unchanged=len(wanted) - len(missing))

    def _go_without(self, error: ModelUnavailable) -> None:
        """Turn to the words-only collection for good: half a collection embedded would rank unfairly."""
        self._embeddings = None
        self._model, self._collection = _WORDS, _collection(_WORDS)
        self._degraded = (*self._degraded, f"{WORDS_ONLY} ({error})")

    def _query(
        self, text: str, weights: Mapping[int, float], only: models.Filter | None
    ) -> list[list[StoredChunk]]:
        """Return one ranking of chunks by words and one by meaning, as far as each can be had."""
        asked: list[tuple[str, Any]] = []
        if weights:
            asked.append(("words", models.SparseVector(indices=list(weights), values=list(weights.values()))))
        dense = self._embedded(text)
        if dense is not None:
            asked.append(("meaning", dense))
        if not asked:
            return []
        requests = [
            models.QueryRequest(query=query, using=using, filter=only, limit=_CANDIDATES, with_payload=True)
            for using, query in asked
        ]
        answers = self._call(self._client.query_batch_points, self._collection, requests=requests)
        return [[_stored(point.payload) for point in answer.points] for answer in answers]

    def _embedded(self, query: str) -> list[float] | None:
        """Return the query's vector; None, and a reason in `degraded`, when the model fails on it."""
        if self._embeddings is None:
            return None
        try:
            return self._embeddings.embed_query(query)
        except ModelUnavailable as error:
            reason = f"{WORDS_ONLY} ({error})"
            self._degraded = tuple(dict.fromkeys((*self._degraded, reason)))
            return None

    def _exists(self) -> bool:
        return bool(self._call(self._client.collection_exists, self._collection))

    def _ids(self) -> set[str]:
        return {str(point.id) for point in self._scroll(None, payload=False)}

    def _scroll(self, matching: models.Filter | None, *, payload: bool = True) -> list[models.Record]:
        found: list[models.Record] = []
        offset: Any = None
        while True:
            page, offset = self._call(
                self._client.scroll,
                self._collection,
                scroll_filter=matching,
                limit=_PAGE,
                offset=offset,
                with_payload=payload,
            )
            found.extend(page)
            if offset is None:
                return found

    def _upsert(self, chunks: Sequence[Chunk]) -> None:
        dense = (
            self._embeddings.embed_documents([chunk.dense_text() for chunk in chunks])
            if self._embeddings
            else None
        )
        if not self._exists():
            self._create(len(dense[0]) if dense else None)
        points = []
        for position, chunk in enumerate(chunks):
            weights = chunk.sparse_weights()
            sparse = models.SparseVector(indices=list(weights), values=list(weights.values()))
            vectors: dict[str, Any] = {"words": sparse}
            if dense is not None:
                vectors["meaning"] = dense[position]
            payload = msgspec.to_builtins(StoredChunk.of(chunk))
            points.append(models.PointStruct(id=chunk.id, vector=vectors, payload=payload))
        self._call(self._client.upsert, self._collection, points=points, wait=True)

    def _create(self, size: int | None) -> None:
        meaning = {"meaning": models.VectorParams(size=size, distance=models.Distance.COSINE)} if size else {}
        words = {"words": models.SparseVectorParams(modifier=models.Modifier.IDF)}
        try:
            self._call(
                self._client.create_collection,
                self._collection,
                vectors_config=meaning,
                sparse_vectors_config=words,
                metadata={"embedding_model": self._model, "layout": LAYOUT},
            )
        except IndexUnavailable:
            if not self._exists():  # another worker may have made it on the same server meanwhile
                raise

    @staticmethod
    def _call(request: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Run one client call; a server that is away or refuses becomes `IndexUnavailable`."""
        try:
            return request(*arguments, **named)
        except (ResponseHandlingException, UnexpectedResponse, httpx.HTTPError) as error:
            message = f"the Qdrant server did not answer as expected ({error}): check its URL, key and health"
            raise IndexUnavailable(message) from error


def _collection(model: str) -> str:
    """Another model or layout is another collection, so vectors of different origin never meet."""
    return f"faultline_runbooks_{hashlib.sha256(f'{LAYOUT}|{model}'.encode()).hexdigest()[:12]}"


def _only(mechanisms: Sequence[Mechanism]) -> models.Filter | None:
    if not mechanisms:
        return None
    match = models.MatchAny(any=[mechanism.value for mechanism in mechanisms])
    return models.Filter(must=[models.FieldCondition(key="mechanisms", match=match)])


def _stored(payload: dict[str, Any] | None) -> StoredChunk:
    return msgspec.convert(payload or {}, type=StoredChunk)


def open_index(
    location: str,
    embeddings: Embeddings | None,
    *,
    embedding_model: str = "",
    api_key: str | None = None,
    copy_when_locked: bool = False,
) -> QdrantRunbookIndex:
    """Open the index at a folder, `:memory:` or a URL.

    Raises `IndexLocked` when another process has the folder, or answers from memory (and says so) with
    `copy_when_locked`; `IndexUnavailable` when the folder cannot be used.
    """
    if embeddings is not None and not embedding_model:
        raise ValueError("embedding_model must name the model behind embeddings")
    degraded: tuple[str, ...] = ()
    try:
        client = _client(location, api_key)
    except IndexLocked:
        if not copy_when_locked:
            raise
        client, degraded = QdrantClient(location=":memory:"), (IN_MEMORY,)
    return QdrantRunbookIndex(client, embeddings, embedding_model, degraded)


def _client(location: str, api_key: str | None) -> QdrantClient:
    if location == ":memory:":
        return QdrantClient(location=":memory:")
    if re.match(r"https?://", location):
        return QdrantClient(url=location, api_key=api_key, timeout=10, check_compatibility=False)
    try:
        Path(location).mkdir(parents=True, exist_ok=True)
        _refuse_locked(Path(location))
        return QdrantClient(path=location, force_disable_check_same_thread=True)
    except RuntimeError as error:
        if "already accessed" not in str(error):
            raise
        raise _locked(location) from error
    except OSError as error:
        message = (
            f"the runbook index folder {location} cannot be used ({error.strerror}): give a writable folder"
        )
        raise IndexUnavailable(message) from error


def _refuse_locked(folder: Path) -> None:
    """Look at the client's lock file first: a client that fails on it leaks what it had opened by then."""
    with (folder / ".lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise _locked(str(folder)) from error


def _locked(location: str) -> IndexLocked:
    return IndexLocked(
        f"the runbook index in {location} is in use by another process: stop that one, give another "
        "folder, or run a Qdrant server and give its URL"
    )
