"""Mutes and maintenance as asked for by people: kept with who, why and until when, also after their end."""

from __future__ import annotations

from sqlalchemy import Connection, delete, select

from agent.mutes import LONGEST, Mute
from agent.store.codec import from_json, to_json
from agent.store.database import upsert
from agent.store.schema import mutes
from ingest.record import Nanos


def save(connection: Connection, mute: Mute) -> None:
    """Write a mute, new or changed, and forget those that ended long ago."""
    row = {"id": mute.id, "starts": mute.starts, "ends": mute.ends, "body": to_json(mute)}
    upsert(connection, mutes, [row], keys=["id"], update=["starts", "ends", "body"])
    connection.execute(delete(mutes).where(mutes.c.ends < mute.created - LONGEST))


def find(connection: Connection, mute_id: str) -> Mute | None:
    """Return a mute, None when there is none of that id."""
    body = connection.execute(select(mutes.c.body).where(mutes.c.id == mute_id)).scalar_one_or_none()
    return None if body is None else from_json(body, Mute)


def since(connection: Connection, ended_after: Nanos) -> tuple[Mute, ...]:
    """Return the mutes that end after a time, soonest end first."""
    bodies = connection.execute(
        select(mutes.c.body).where(mutes.c.ends > ended_after).order_by(mutes.c.ends, mutes.c.id)
    ).scalars()
    return tuple(from_json(body, Mute) for body in bodies)
