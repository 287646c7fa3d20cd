"""The versions of detectors' models, and what people have asked of them.

A version's state is kept only once it is retired (a live one's is in the stream's snapshot), and only for
the last few; so the tables do not grow. Requests are answered in the transaction that carries them out.
"""

from __future__ import annotations

from collections.abc import Sequence

import zstandard
from sqlalchemy import Connection, delete, insert, select, update

from agent.store.codec import from_json, to_json
from agent.store.database import upsert
from agent.store.port import ModelAction, ModelRequest, StoredModel
from agent.store.schema import model_requests, models
from detectors.manifest import ModelVersion
from ingest.record import Nanos

STATES = 5
"""Retired versions of a detector that can be rolled back to."""
VERSIONS = 100
"""Versions of a detector that history shows."""
ANSWERS = 100
"""Answered requests of an owner that are kept."""
_MAX_STATE = 1024 * 1024 * 1024
"""Bytes a state may unpack to: far above any real one, so that a damaged one cannot fill memory."""


def save(connection: Connection, owner: str, versions: Sequence[tuple[ModelVersion, bytes | None]]) -> None:
    """Write versions; a state that was stored stays where none comes with its version."""
    rows = [_row(owner, version) for version, _ in versions]
    upsert(connection, models, rows, keys=["owner", "detector", "number"], update=["status", "body"])
    for version, state in versions:
        if state is not None:
            packed = zstandard.ZstdCompressor().compress(state)
            same = (models.c.owner == owner) & (models.c.detector == version.detector)
            this = same & (models.c.number == version.number)
            connection.execute(update(models).where(this).values(state=packed))
    for detector in sorted({version.detector for version, state in versions if state is not None}):
        _forget(connection, owner, detector)


def load(connection: Connection, owner: str) -> tuple[StoredModel, ...]:
    """Return an owner's versions by detector, newest first."""
    found = connection.execute(
        select(models.c.body, models.c.state.is_not(None).label("kept"))
        .where(models.c.owner == owner)
        .order_by(models.c.detector, models.c.number.desc())
    )
    return tuple(StoredModel(version=from_json(row.body, ModelVersion), kept=bool(row.kept)) for row in found)


def ask(
    connection: Connection, owner: str, detector: str, action: ModelAction, number: int | None, now: Nanos
) -> int:
    """Put a request for the owner's stream and return its number."""
    made = connection.execute(
        insert(model_requests)
        .values(owner=owner, detector=detector, action=action.value, number=number, asked_at=now)
        .returning(model_requests.c.seq)
    )
    return int(made.scalar_one())


def requests(connection: Connection, owner: str) -> tuple[ModelRequest, ...]:
    """Return what is not answered yet, oldest first, with the version and state it is about."""
    about = models.c.number == model_requests.c.number
    same = (models.c.owner == model_requests.c.owner) & (models.c.detector == model_requests.c.detector)
    found = connection.execute(
        select(model_requests, models.c.body, models.c.state)
        .join_from(model_requests, models, same & about, isouter=True)
        .where(model_requests.c.owner == owner, model_requests.c.answer.is_(None))
        .order_by(model_requests.c.seq)
    )
    return tuple(
        ModelRequest(
            seq=row.seq,
            detector=row.detector,
            action=ModelAction(row.action),
            number=row.number,
            version=from_json(row.body, ModelVersion) if row.body is not None else None,
            state=_unpacked(row.state),
        )
        for row in found
    )


def answer(connection: Connection, owner: str, answers: Sequence[tuple[int, str]]) -> None:
    """Note what became of requests, and forget old answers."""
    if not answers:
        return
    for seq, text in answers:
        connection.execute(
            update(model_requests)
            .where(model_requests.c.owner == owner, model_requests.c.seq == seq)
            .values(answer=text)
        )
    done = (model_requests.c.owner == owner) & model_requests.c.answer.is_not(None)
    kept = select(model_requests.c.seq).where(done).order_by(model_requests.c.seq.desc()).limit(ANSWERS)
    connection.execute(delete(model_requests).where(done, model_requests.c.seq.not_in(kept)))


def answered(connection: Connection, seq: int) -> str | None:
    """Return the answer to a request, None while there is none."""
    return connection.execute(
        select(model_requests.c.answer).where(model_requests.c.seq == seq)
    ).scalar_one_or_none()


def _forget(connection: Connection, owner: str, detector: str) -> None:
    """Drop the states, and in the end the rows, of a detector's oldest versions."""
    mine = (models.c.owner == owner) & (models.c.detector == detector)
    newest = select(models.c.number).where(mine).order_by(models.c.number.desc())
    states = newest.where(models.c.state.is_not(None)).limit(STATES)
    connection.execute(update(models).where(mine, models.c.number.not_in(states)).values(state=None))
    connection.execute(delete(models).where(mine, models.c.number.not_in(newest.limit(VERSIONS))))


def _row(owner: str, version: ModelVersion) -> dict[str, object]:
    return {
        "owner": owner,
        "detector": version.detector,
        "number": version.number,
        "status": version.status.value,
        "body": to_json(version),
    }


def _unpacked(state: bytes | None) -> bytes | None:
    if state is None:
        return None
    return zstandard.ZstdDecompressor().decompress(state, max_output_size=_MAX_STATE)
