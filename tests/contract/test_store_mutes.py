"""Mutes on both databases: kept with all they say, changed in place, listed after their end too."""

from __future__ import annotations

from agent.mutes import LONGEST, MuteKind, lifted, mute
from agent.store.sql import SqlStore
from ingest.record import SECOND
from tests.support.samples import T0

HOUR = 3600 * SECOND


def test_mutes_come_back_whole_soonest_end_first(store: SqlStore, second_store: SqlStore) -> None:
    """Another process sees them at once, with every field, odd names included."""
    late = mute(
        kind=MuteKind.MUTE,
        starts=T0,
        ends=T0 + 3 * HOUR,
        reason="ticket 4711 \x00 ü",
        author="ana",
        now=T0,
        environment="prod",
        services=("cart", "shop"),
        detector="severity",
        subject="errors",
    )
    soon = mute(
        kind=MuteKind.MAINTENANCE,
        starts=T0 + HOUR,
        ends=T0 + 2 * HOUR,
        reason="moving",
        author="bo",
        now=T0,
        services=("db",),
    )
    for one in (late, soon, late):
        store.save_mute(one)
    assert [one.id for one in second_store.mutes(T0)] == [soon.id, late.id]
    found = second_store.mute(late.id)
    assert found is not None
    assert (found.services, found.environment, found.detector, found.subject) == (
        ("cart", "shop"),
        "prod",
        "severity",
        "errors",
    )
    assert second_store.mute(soon.id) == soon
    assert second_store.mute("mu_none") is None


def test_a_lifted_mute_is_over_and_old_ones_are_forgotten(store: SqlStore) -> None:
    """Lifting changes the end; what ended long before a new mute is made goes."""
    old = mute(kind=MuteKind.MUTE, starts=T0, ends=T0 + HOUR, reason="r", author="a", now=T0, subject="tpl_1")
    store.save_mute(old)
    store.save_mute(lifted(old, "bo", T0 + 60 * SECOND))
    assert store.mutes(T0 + 60 * SECOND) == ()
    (kept,) = store.mutes(T0)
    assert (kept.ends, kept.lifted_by) == (T0 + 60 * SECOND, "bo")
    later = T0 + LONGEST + 2 * HOUR
    store.save_mute(
        mute(
            kind=MuteKind.MUTE,
            starts=later,
            ends=later + HOUR,
            reason="r",
            author="a",
            now=later,
            subject="x",
        )
    )
    assert len(store.mutes(0)) == 1
