"""Where a stream stands: owner epochs (fencing), offsets and the detectors' snapshot."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, delete, func, select, update

from agent.store.database import upsert
from agent.store.port import Checkpoint, FencedError, Restored
from agent.store.schema import stream_bases, stream_offsets, stream_windows, streams


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
    base = connection.execute(
        select(stream_bases.c.base).where(stream_bases.c.owner == owner)
    ).scalar_one_or_none()
    windows = connection.execute(
        select(stream_windows.c.number, stream_windows.c.packed)
        .where(stream_windows.c.owner == owner)
        .order_by(stream_windows.c.number)
    )
    return Restored(
        epoch=row.epoch,
        offsets=tuple((topic, part, following) for topic, part, following in offsets),
        snapshot=row.snapshot,
        base=base,
        windows=tuple((number, packed) for number, packed in windows),
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
    if checkpoint.base is not None:
        row = {"owner": checkpoint.owner, "base": checkpoint.base}
        upsert(connection, stream_bases, [row], keys=["owner"], update=["base"])
        connection.execute(delete(stream_windows).where(stream_windows.c.owner == checkpoint.owner))
    since = [
        {"owner": checkpoint.owner, "number": number, "packed": packed}
        for number, packed in checkpoint.windows
    ]
    upsert(connection, stream_windows, since, keys=["owner", "number"], update=["packed"])
    connection.execute(delete(stream_offsets).where(stream_offsets.c.owner == checkpoint.owner))
    rows = [
        {"owner": checkpoint.owner, "topic": topic, "part": part, "next_offset": following}
        for topic, part, following in checkpoint.offsets
    ]
    upsert(connection, stream_offsets, rows, keys=["owner", "topic", "part"], update=["next_offset"])
