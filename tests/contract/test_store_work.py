"""What every store must do with work: leases of investigations and the outbox, in order and once."""

from __future__ import annotations

from agent.store.port import DeliveryState
from agent.store.sql import SqlStore
from tests.support.samples import T0, checkpoint, due, entry
from tests.support.stores import NOW, TTL, opened


def test_leases_go_to_the_longest_waiting(store: SqlStore) -> None:
    """One worker an incident, oldest first, until there are none."""
    opened(store, "inc_a", "inc_b")
    first, second = store.lease("w1", NOW, TTL), store.lease("w2", NOW, TTL)
    assert first is not None
    assert second is not None
    assert (first.due.incident_id, first.attempt, first.expires_at) == ("inc_a", 1, NOW + TTL)
    assert second.due.incident_id == "inc_b"
    assert store.lease("w3", NOW, TTL) is None


def test_a_lease_that_ran_out_goes_to_the_next(store: SqlStore) -> None:
    """The attempt is counted; the former holder is told, and its finish ends nothing."""
    opened(store)
    lost = store.lease("w1", NOW, TTL)
    assert lost is not None
    assert store.lease("w2", NOW + TTL - 1, TTL) is None
    taken = store.lease("w2", NOW + TTL, TTL)
    assert taken is not None
    assert taken.attempt == 2
    assert not store.heartbeat(lost, NOW + TTL, TTL)
    store.finish(lost)
    assert store.heartbeat(taken, NOW + TTL, TTL)
    assert store.stats()["investigations_due"] == 1


def test_a_worker_takes_up_what_its_killed_predecessor_held(store: SqlStore) -> None:
    """Under the same name at once, as a further attempt; what the predecessor says ends nothing."""
    opened(store)
    left = store.lease("w1", NOW, TTL)
    assert left is not None
    taken = store.lease("w1", NOW + 1, TTL)
    assert taken is not None
    assert (taken.due, taken.attempt, taken.expires_at) == (left.due, 2, NOW + 1 + TTL)
    assert not store.heartbeat(left, NOW + 1, TTL)
    store.finish(left)
    assert store.lease("w2", NOW + 1, TTL) is None
    store.finish(taken)
    assert store.stats()["investigations_due"] == 0


def test_a_heartbeat_keeps_the_lease(store: SqlStore) -> None:
    """For another ttl from when it came."""
    opened(store)
    held = store.lease("w1", NOW, TTL)
    assert held is not None
    assert store.heartbeat(held, NOW + TTL - 1, TTL)
    assert store.lease("w2", NOW + TTL, TTL) is None
    assert store.lease("w2", NOW + 2 * TTL, TTL) is not None


def test_a_newer_revision_stays_due_after_finish(store: SqlStore) -> None:
    """What comes during an investigation is the next one; older revisions never come back."""
    epoch = opened(store)
    held = store.lease("w1", NOW, TTL)
    assert held is not None
    store.checkpoint(checkpoint(epoch, due=(due(3, as_of=T0 + 90), due(2, as_of=T0 + 50))))
    assert store.lease("w2", NOW, TTL) is None
    store.finish(held)
    following = store.lease("w2", NOW, TTL)
    assert following is not None
    assert (following.due.revision, following.due.as_of, following.attempt) == (3, T0 + 90, 1)
    store.finish(following)
    store.checkpoint(checkpoint(epoch, due=(due(3), due(2))))
    assert store.lease("w2", NOW, TTL) is None


def test_a_replaced_revision_keeps_its_place_in_the_queue(store: SqlStore) -> None:
    """An incident that keeps changing is not pushed back for ever."""
    epoch = opened(store, "inc_a", "inc_b")
    store.checkpoint(checkpoint(epoch, due=(due(2, as_of=T0 + 900),)))
    first = store.lease("w1", NOW, TTL)
    assert first is not None
    assert (first.due.incident_id, first.due.revision) == ("inc_a", 2)


def test_the_outbox_keeps_order_per_channel_and_incident(store: SqlStore) -> None:
    """One at a time each; a failure holds back only its own line."""
    entries = (entry("a1"), entry("a2"), entry("b1", incident_id="inc_b"), entry("s1", channel="slack:x"))
    opened(store, "inc_a", "inc_b", outbox=entries)
    claimed = store.claim(NOW, 10, TTL)
    assert [item.entry.delivery_id for item in claimed] == ["a1", "b1", "s1"]
    assert claimed[0].entry == entry("a1")
    store.failed("a1", "503", NOW + 5)
    store.sent("b1", NOW, "42")
    assert store.claim(NOW + 4, 10, TTL) == ()
    again = store.claim(NOW + 5, 10, TTL)
    assert [(item.entry.delivery_id, item.attempt) for item in again] == [("a1", 2)]
    store.sent("a1", NOW + 6)
    assert [item.entry.delivery_id for item in store.claim(NOW + 7, 10, TTL)] == ["a2"]
    assert store.queued("inc_a", "kafka") == (entry("a1"), entry("a2"))


def test_claims_can_be_for_one_channel(store: SqlStore) -> None:
    """And as many as asked for."""
    opened(
        store, "inc_a", "inc_b", outbox=(entry("a"), entry("b", incident_id="inc_b"), entry("s", "slack:x"))
    )
    assert [item.entry.delivery_id for item in store.claim(NOW, 10, TTL, "slack:x")] == ["s"]
    assert [item.entry.delivery_id for item in store.claim(NOW, 1, TTL, "kafka")] == ["a"]


def test_a_claim_that_nobody_answers_comes_back(store: SqlStore) -> None:
    """With the same delivery id and the next attempt."""
    opened(store, outbox=(entry("d1"),))
    assert [item.attempt for item in store.claim(NOW, 10, TTL)] == [1]
    assert store.claim(NOW + TTL - 1, 10, TTL) == ()
    assert [item.attempt for item in store.claim(NOW + TTL, 10, TTL)] == [2]


def test_dead_entries_let_the_next_pass(store: SqlStore) -> None:
    """They keep their error; what was sent stays sent, whatever a late sender says."""
    opened(store, outbox=(entry("d1"), entry("d2")))
    store.claim(NOW, 10, TTL)
    store.failed("d1", "410 gone", None)
    assert [item.entry.delivery_id for item in store.claim(NOW, 10, TTL)] == ["d2"]
    store.sent("d2", NOW)
    store.failed("d2", "late", NOW)
    assert store.delivery_states("inc_a") == (
        ("d1", "kafka", DeliveryState.DEAD, 1, "410 gone"),
        ("d2", "kafka", DeliveryState.SENT, 1, None),
    )
    assert (store.stats()["outbox_waiting"], store.stats()["outbox_dead"]) == (0, 1)
