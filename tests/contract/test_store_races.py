"""What every store must hold when processes race: owners, workers, senders."""

from __future__ import annotations

from agent.store.port import FencedError
from agent.store.sql import SqlStore
from tests.support.samples import analysis, checkpoint, entry
from tests.support.stores import NOW, TTL, opened, together


def test_workers_never_share_an_incident(store: SqlStore, second_store: SqlStore) -> None:
    """Eight at a time in two processes take twelve incidents, each once; nobody asks twice under one name."""
    ids = [f"inc_{n:02}" for n in range(12)]
    opened(store, *ids)

    def drain(number: int) -> list[str]:
        own = (store, second_store)[number % 2]
        taken: list[str] = []
        # A name that asks again gets what it holds already.
        while (held := own.lease(f"w{number}.{len(taken)}", NOW, TTL)) is not None:
            taken.append(held.due.incident_id)
        return taken

    assert sorted(taken for each in together(8, drain) for taken in each) == ids


def test_senders_never_share_a_delivery(store: SqlStore, second_store: SqlStore) -> None:
    """Eight senders in two processes claim thirty entries of ten incidents: each once, each line in order."""
    ids = [f"inc_{n:02}" for n in range(10)]
    opened(store, *ids, outbox=tuple(entry(f"{i}-{n}", incident_id=i) for n in range(3) for i in ids))
    said: list[str] = []

    def drain(number: int) -> None:
        own = (store, second_store)[number % 2]
        while store.stats()["outbox_waiting"]:
            for claimed in own.claim(NOW, 4, TTL):
                said.append(claimed.entry.delivery_id)
                own.sent(claimed.entry.delivery_id, NOW)

    together(8, drain)
    assert sorted(said) == sorted(f"{i}-{n}" for n in range(3) for i in ids)
    for i in ids:
        assert [item for item in said if item.startswith(i)] == [f"{i}-{n}" for n in range(3)]


def test_racing_owners_leave_one(store: SqlStore, second_store: SqlStore) -> None:
    """Of owners that take over at once all get different epochs, and only the newest can commit."""
    stores = (store, second_store)
    epochs = together(6, lambda n: stores[n % 2].take_over("stream").epoch)
    assert sorted(epochs) == [1, 2, 3, 4, 5, 6]

    def commit(number: int) -> bool:
        try:
            stores[number % 2].checkpoint(checkpoint(epochs[number], outbox=(entry(f"d{epochs[number]}"),)))
        except FencedError:
            return False
        return True

    assert [epochs[n] for n, done in enumerate(together(6, commit)) if done] == [6]
    assert [item.delivery_id for item in store.queued("inc_a", "kafka")] == ["d6"]


def test_checkpoints_race_a_take_over_cleanly(store: SqlStore, second_store: SqlStore) -> None:
    """What the former owner got in before the take-over is exactly what the next one starts from."""
    epoch = store.take_over("stream").epoch
    store.checkpoint(checkpoint(epoch, offsets=(("logs", 0, 0),)))

    def race(number: int) -> int:
        if number == 1:
            return second_store.take_over("stream").offsets[0][2]
        committed = 0
        for step in range(200):
            try:
                store.checkpoint(checkpoint(epoch, offsets=(("logs", 0, step),)))
            except FencedError:
                break
            committed = step
        return committed

    committed, restored = together(2, race)
    assert restored == committed


def test_the_same_analysis_from_two_workers_is_one(store: SqlStore, second_store: SqlStore) -> None:
    """Exactly one of the racing writers is told that it was first, and only its messages go out."""
    opened(store)
    stores = (store, second_store)
    first = together(6, lambda n: stores[n % 2].save_analysis(analysis(), (entry(f"d{n}"),), NOW))
    assert first.count(True) == 1
    assert [row[0] for row in store.delivery_states("inc_a")] == [f"d{first.index(True)}"]
