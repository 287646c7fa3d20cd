"""What every store must do, held on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest

from agent.analysis import IncidentState, Severity, Stage
from agent.store.port import (
    CursorError,
    DeliveryState,
    FencedError,
    IncidentQuery,
    Store,
    StoreError,
    TelemetryRow,
)
from agent.store.retention import DAY, HOUR
from agent.store.sql import SqlStore
from ingest.record import SECOND
from tests.support.samples import (
    T0,
    analysis,
    anomaly,
    checkpoint,
    due,
    entry,
    incident,
    telemetry_row,
    window,
)

T = TypeVar("T")
TTL = 60 * SECOND
NOW = T0 + HOUR


def opened(store: Store, *ids: str, **fields: object) -> int:
    """Save incidents of those ids with their due investigations; return the epoch."""
    epoch = store.take_over("stream").epoch
    incidents = tuple(incident(identity) for identity in ids or ("inc_a",))
    dues = tuple(due(incident_id=item.id, as_of=T0 + n) for n, item in enumerate(incidents))
    store.checkpoint(checkpoint(epoch, **{"incidents": incidents, "due": dues, **fields}))
    return epoch


def together(count: int, task: Callable[[int], T]) -> list[T]:
    """Run `task(0)` … `task(count - 1)` in threads that start at the same moment."""
    gate = threading.Barrier(count)

    def run(number: int) -> T:
        gate.wait()
        return task(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def test_satisfies_the_port(store: SqlStore) -> None:
    """The class is a `Store` to the type checker and starts empty."""
    held: Store = store
    assert held.incidents(IncidentQuery()).incidents == ()
    assert set(held.stats().values()) == {0}


def test_a_new_stream_starts_from_nothing(store: SqlStore) -> None:
    """The first owner gets epoch 1, no offsets and no snapshot."""
    restored = store.take_over("stream")
    assert (restored.epoch, restored.offsets, restored.snapshot) == (1, (), None)


def test_a_checkpoint_is_where_the_next_owner_starts(store: SqlStore, second_store: SqlStore) -> None:
    """Offsets and snapshot come back to whoever takes over, in another process too."""
    epoch = store.take_over("stream").epoch
    store.checkpoint(checkpoint(epoch, offsets=(("logs", 1, 7), ("logs", 0, 5)), snapshot=b"\x00state"))
    store.checkpoint(checkpoint(epoch, offsets=(("logs", 0, 9),), snapshot=b"later"))
    restored = second_store.take_over("stream")
    assert (restored.epoch, restored.offsets, restored.snapshot) == (2, (("logs", 0, 9),), b"later")
    assert second_store.take_over("other").offsets == ()


def test_an_older_epoch_is_fenced_and_writes_nothing(store: SqlStore, second_store: SqlStore) -> None:
    """After a take-over the former owner can commit nothing, nor can one that never took over."""
    old = store.take_over("stream").epoch
    second_store.take_over("stream")
    with pytest.raises(FencedError, match="epoch 2"):
        store.checkpoint(checkpoint(old, incidents=(incident(),), outbox=(entry("d1"),)))
    with pytest.raises(FencedError):
        store.checkpoint(checkpoint(1, owner="nobody"))
    assert store.incident("inc_a") is None
    assert store.stats()["outbox_waiting"] == 0


def test_a_checkpoint_saved_again_changes_nothing(store: SqlStore) -> None:
    """Not even when what it asked for was done in between."""
    epoch = store.take_over("stream").epoch
    whole = checkpoint(
        epoch,
        offsets=(("logs", 0, 5),),
        incidents=(incident(),),
        anomalies=(("inc_a", anomaly()),),
        telemetry=(telemetry_row(windows=2),),
        outbox=(entry("d1"),),
        due=(due(),),
    )
    store.checkpoint(whole)
    lease = store.lease("w", NOW, TTL)
    assert lease is not None
    store.finish(lease)
    store.sent("d1", NOW)
    before = (store.incidents(IncidentQuery()), store.anomalies("inc_a"), store.stats())
    store.checkpoint(whole)
    assert (store.incidents(IncidentQuery()), store.anomalies("inc_a"), store.stats()) == before
    assert store.lease("w", NOW, TTL) is None
    assert store.claim(NOW, 10, TTL) == ()
    assert len(store.telemetry("prod", T0, T0 + HOUR)) == 2


def test_a_checkpoint_is_all_or_nothing(store: SqlStore) -> None:
    """A part that the database refuses takes the whole checkpoint with it, and says so without its data."""
    epoch = store.take_over("stream").epoch
    with pytest.raises(StoreError) as caught:
        store.checkpoint(
            checkpoint(
                epoch,
                snapshot=b"half",
                incidents=(incident("inc_secret"),),
                outbox=(entry("d1"),),
                due=(due(incident_id="inc_unknown"),),
            )
        )
    assert "inc_secret" not in str(caught.value)
    assert store.incident("inc_secret") is None
    assert store.stats()["outbox_waiting"] == 0
    assert store.take_over("stream").snapshot is None


def test_values_come_back_as_they_were(store: SqlStore) -> None:
    """Incident, anomalies and analyses round-trip whole."""
    opened(store, anomalies=(("inc_a", anomaly()), ("", anomaly("tp_loose"))))
    assert store.save_analysis(analysis(), (), NOW)
    assert store.incident("inc_a") == incident()
    assert store.anomalies("inc_a") == (anomaly(),)
    assert store.analyses("inc_a") == (analysis(),)
    assert store.incident("inc_none") is None


def test_text_that_databases_refuse_is_replaced_not_refused(store: SqlStore) -> None:
    """NUL and lone surrogates from telemetry, and infinite scores, cannot stop the stream."""
    odd = incident(services=("ca\x00rt", "pay\ud800"), environment="pr\x00od")
    found = anomaly(subject="tp\x00", score=float("inf"))
    row = telemetry_row("ca\x00rt")
    bad = window("ca\x00rt", T0 + 10 * SECOND, text="a\ud800b")
    epoch = store.take_over("stream").epoch
    store.checkpoint(
        checkpoint(
            epoch,
            offsets=(("t\x00", 0, 1),),
            incidents=(odd,),
            anomalies=((odd.id, found),),
            telemetry=(
                row,
                telemetry_row("x\ud800"),
                TelemetryRow(environment="prod", service="y", minute=T0, windows=(bad,)),
            ),
        )
    )
    page = store.incidents(IncidentQuery(service="ca\x00rt", environment="pr\x00od"))
    assert [item.services for item in page.incidents] == [("ca\ufffdrt", "pay\ufffd")]
    assert store.anomalies(odd.id)[0].score > 1e308
    assert len(store.telemetry("prod", T0, T0 + HOUR, ["ca\x00rt"])) == 1
    assert store.telemetry("prod", T0, T0 + HOUR, ["y"])[0].templates[0].lines[0].text == "a\ufffdb"


def test_an_older_revision_never_replaces_a_newer(store: SqlStore) -> None:
    """Whatever the order in which checkpoints of two owners arrive."""
    epoch = opened(store)
    newer = incident(revision=3, services=("cart", "payments", "db"), severity=Severity.CRITICAL)
    store.checkpoint(checkpoint(epoch, incidents=(newer, incident(revision=2))))
    store.checkpoint(checkpoint(epoch, incidents=(incident(revision=2),)))
    assert store.incident("inc_a") == newer
    assert store.incidents(IncidentQuery(service="db")).incidents == (newer,)


def test_a_loose_anomaly_joins_and_stays(store: SqlStore) -> None:
    """An anomaly that found its incident does not fall back to none."""
    epoch = opened(store, anomalies=(("", anomaly()),))
    assert store.anomalies("inc_a") == ()
    store.checkpoint(checkpoint(epoch, anomalies=(("inc_a", anomaly()),)))
    store.checkpoint(checkpoint(epoch, anomalies=(("", anomaly()),)))
    assert store.anomalies("inc_a") == (anomaly(),)


def test_a_merged_incident_brings_its_anomalies_along(store: SqlStore) -> None:
    """The survivor shows all, the merged one still shows its own."""
    first, second = anomaly("one", T0), anomaly("two", T0 + 10 * SECOND)
    epoch = opened(store, "inc_a", "inc_b", anomalies=(("inc_a", first), ("inc_b", second)))
    merged = incident(
        "inc_b", state=IncidentState.MERGED, merged_into="inc_a", revision=2, anomaly_ids=(second.id,)
    )
    store.checkpoint(checkpoint(epoch, incidents=(merged,)))
    assert store.anomalies("inc_a") == (first, second)
    assert store.anomalies("inc_b") == (second,)


def test_analyses_are_saved_once_with_their_messages(store: SqlStore) -> None:
    """A second worker's analysis of the same revision and stage leaves no trace, nor do its messages."""
    opened(store)
    assert store.save_analysis(analysis(Stage.EXPLAINED), (entry("d1"),), NOW)
    assert store.save_analysis(analysis(Stage.STATISTICS), (entry("d2"),), NOW)
    assert not store.save_analysis(analysis(headline="other"), (entry("d3"),), NOW)
    assert store.save_analysis(analysis(revision=2, stage=Stage.STATISTICS), (), NOW)
    kept = [(item.revision, item.stage) for item in store.analyses("inc_a")]
    assert kept == [(1, Stage.STATISTICS), (1, Stage.EXPLAINED), (2, Stage.STATISTICS)]
    assert [row[0] for row in store.delivery_states("inc_a")] == ["d1", "d2"]


def test_pages_walk_all_incidents_newest_first(store: SqlStore) -> None:
    """Every incident once, ties by id, whatever the page size."""
    epoch = store.take_over("stream").epoch
    many = tuple(incident(f"inc_{n}", onset=T0 + (n // 2) * SECOND) for n in range(7))
    store.checkpoint(checkpoint(epoch, incidents=many))
    seen, cursor = [], None
    while True:
        page = store.incidents(IncidentQuery(limit=3, cursor=cursor))
        seen += [item.id for item in page.incidents]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == [f"inc_{n}" for n in (6, 5, 4, 3, 2, 1, 0)]


@pytest.mark.parametrize("cursor", ["", "x", "W10", "WyJhIiwxXQ", "bnVsbA", "ÿ", "WzFlOTk5LCJhIl0"])
def test_a_foreign_cursor_is_refused(store: SqlStore, cursor: str) -> None:
    """It names the way out instead of showing some page."""
    with pytest.raises(CursorError, match="start without one"):
        store.incidents(IncidentQuery(cursor=cursor))


def test_filters_narrow_the_list(store: SqlStore) -> None:
    """Environment, state, severity and service, alone and together."""
    epoch = store.take_over("stream").epoch
    several = (
        incident("inc_1", severity=Severity.CRITICAL),
        incident("inc_2", state=IncidentState.RESOLVED, resolved_at=T0 + HOUR),
        incident("inc_3", environment="stage", services=("mail",)),
    )
    store.checkpoint(checkpoint(epoch, incidents=several))

    def ids(query: IncidentQuery) -> set[str]:
        return {item.id for item in store.incidents(query).incidents}

    assert ids(IncidentQuery(environment="prod")) == {"inc_1", "inc_2"}
    assert ids(IncidentQuery(state=IncidentState.RESOLVED)) == {"inc_2"}
    assert ids(IncidentQuery(severity=Severity.CRITICAL)) == {"inc_1"}
    assert ids(IncidentQuery(service="mail")) == {"inc_3"}
    assert ids(IncidentQuery(service="mail", environment="prod")) == set()
    assert store.stats()["incidents_open"] == 2


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


def test_telemetry_rows_are_replaced_whole_and_read_in_order(store: SqlStore) -> None:
    """By window start across minutes, for all services or some, never another environment's."""
    epoch = store.take_over("stream").epoch
    rows = (
        telemetry_row("b", windows=6),
        telemetry_row("a", windows=1),
        telemetry_row("b", T0 + 60 * SECOND),
    )
    store.checkpoint(checkpoint(epoch, telemetry=rows))
    store.checkpoint(checkpoint(epoch, telemetry=(telemetry_row("a", windows=3),)))
    seen = store.telemetry("prod", T0 + 10 * SECOND, T0 + 70 * SECOND)
    assert [(w.start - T0) // SECOND for w in seen] == [10, 10, 20, 20, 30, 40, 50, 60]
    assert [w.service for w in seen[:2]] == ["a", "b"]
    assert seen[0] == window("a", T0 + 10 * SECOND)
    assert {w.service for w in store.telemetry("prod", T0, T0 + HOUR, ["b"])} == {"b"}
    assert store.telemetry("prod", T0, T0 + HOUR, []) == ()
    assert store.telemetry("stage", T0, T0 + HOUR) == ()


def test_retention_keeps_what_incidents_refer_to(store: SqlStore) -> None:
    """48 h for the rest; the baseline hour before onset, until resolution, for 30 days; open ones to now."""
    old = incident(state=IncidentState.RESOLVED, resolved_at=T0 + HOUR, onset=T0)
    minutes = [T0 - 2 * HOUR, T0 - HOUR + 60 * SECOND, T0 + HOUR, T0 + 2 * HOUR, T0 + 3 * DAY]
    rows = tuple(telemetry_row(minute=minute) for minute in minutes)
    other = TelemetryRow(environment="stage", service="mail", minute=T0, windows=(window("mail"),))
    loose = ("", anomaly("loose"))
    epoch = store.take_over("stream").epoch
    whole = checkpoint(epoch, incidents=(old,), telemetry=(*rows, other), anomalies=(loose,))
    store.checkpoint(whole)

    def left() -> list[int]:
        windows = store.telemetry("prod", T0 - DAY, T0 + 40 * DAY)
        return [w.start for w in windows]

    assert store.prune(T0 + DAY) == 0
    assert store.prune(T0 + 4 * DAY) == 3
    assert left() == [minutes[1], minutes[2], minutes[4]]
    assert store.telemetry("stage", T0, T0 + HOUR) == ()
    store.checkpoint(checkpoint(epoch, incidents=(incident(revision=2),)))
    assert store.prune(T0 + 20 * DAY) == 0
    assert store.prune(T0 + 31 * DAY) == 3
    assert left() == [minutes[4]]


def test_old_deliveries_are_pruned_waiting_ones_never(store: SqlStore) -> None:
    """30 days after they were sent."""
    opened(store, outbox=(entry("d1"), entry("d2")))
    store.claim(NOW, 10, TTL)
    store.sent("d1", NOW)
    assert store.prune_deliveries(NOW + 29 * DAY) == 0
    assert store.prune_deliveries(NOW + 31 * DAY) == 1
    assert [row[0] for row in store.delivery_states("inc_a")] == ["d2"]


def test_workers_never_share_an_incident(store: SqlStore, second_store: SqlStore) -> None:
    """Eight workers in two processes take twelve incidents, each once."""
    ids = [f"inc_{n:02}" for n in range(12)]
    opened(store, *ids)

    def drain(number: int) -> list[str]:
        own = (store, second_store)[number % 2]
        taken = []
        while (held := own.lease(f"w{number}", NOW, TTL)) is not None:
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
