"""Where a stream stands: owner epochs (fencing), offsets and the detectors' snapshot."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, delete, func, select, update

from agent.store.database import upsert
from agent.store.port import Checkpoint, FencedError, Restored
from agent.store.schema import stream_offsets, streams


def take_over(connection: Connection, owner: str) -> Restored:
    """Raise the epoch and return where the stream stands. Fences every earlier holder."""
    upsert(connection, streams, [{"owner": owner, "epoch": 0, "snapshot": None}], keys=["owner"])
    mine = streams.c.owner == owner
    connection.execute(update(streams).where(mine).values(epoch=streams.c.epoch + 1))
    row = connection.execute(select(streams.c.epoch, streams.c.snapshot).where(mine)).one()
    offsets = connection.execute(
        select(stream_offsets.c.topic, stream_offsets.c.part, stream_offsets.c.next_offset)
        .where(stream_offsets.c.owner == owner)
        .order_by(stream_offsets.c.topic, stream_offsets.c.part)
    )
    return Restored(
        epoch=row.epoch,
        offsets=tuple((topic, part, following) for topic, part, following in offsets),
        snapshot=row.snapshot,
    )


def read_up_to(connection: Connection, partitions: Sequence[tuple[str, int]]) -> dict[tuple[str, int], int]:
    """Return the furthest next offset of any owner, by partition."""
    topics = sorted({topic for topic, _ in partitions})
    rows = connection.execute(
        select(stream_offsets.c.topic, stream_offsets.c.part, func.max(stream_offsets.c.next_offset))
        .where(stream_offsets.c.topic.in_(topics))
        .group_by(stream_offsets.c.topic, stream_offsets.c.part)
    )
    wanted = set(partitions)
    return {(topic, part): offset for topic, part, offset in rows if (topic, part) in wanted}


def fence(connection: Connection, owner: str, epoch: int) -> None:
    """Raise `FencedError` unless `epoch` is the newest; nobody takes over before this transaction ends."""
    newest = connection.execute(
        select(streams.c.epoch).where(streams.c.owner == owner).with_for_update()
    ).scalar_one_or_none()
    if newest != epoch:
        raise FencedError(f"stream {owner!r} is at epoch {newest}, this worker holds {epoch}")


def save(connection: Connection, checkpoint: Checkpoint) -> None:
    """Write snapshot and offsets; partitions that the checkpoint does not name are forgotten."""
    connection.execute(
        update(streams).where(streams.c.owner == checkpoint.owner).values(snapshot=checkpoint.snapshot)
    )
    connection.execute(delete(stream_offsets).where(stream_offsets.c.owner == checkpoint.owner))
    rows = [
        {"owner": checkpoint.owner, "topic": topic, "part": part, "next_offset": following}
        for topic, part, following in checkpoint.offsets
    ]
    upsert(connection, stream_offsets, rows, keys=["owner", "topic", "part"], update=["next_offset"])
