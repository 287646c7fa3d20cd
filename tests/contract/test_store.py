"""What every store must do, held on SQLite and on a real PostgreSQL: checkpoints, values, lists."""

from __future__ import annotations

import pytest

from agent.analysis import IncidentState, Severity, Stage
from agent.store.port import CursorError, FencedError, IncidentQuery, Store, StoreError, TelemetryRow
from agent.store.retention import HOUR
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
from tests.support.stores import NOW, TTL, opened


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


def test_a_base_stands_until_another_comes(store: SqlStore, second_store: SqlStore) -> None:
    """Windows gather after an owner's base and go with it; saying one again adds nothing."""
    epoch = store.take_over("stream").epoch
    store.checkpoint(checkpoint(epoch, snapshot=b"1", base=b"\x00whole"))
    for _ in range(2):
        store.checkpoint(checkpoint(epoch, snapshot=b"2", windows=((0, b"a"), (1, b"b"))))
    store.checkpoint(checkpoint(epoch, snapshot=b"3", windows=((2, b"c"),)))
    restored = second_store.take_over("stream")
    assert (restored.snapshot, restored.base) == (b"3", b"\x00whole")
    assert restored.windows == ((0, b"a"), (1, b"b"), (2, b"c"))
    second_store.checkpoint(checkpoint(restored.epoch, snapshot=b"4", base=b"new", windows=((0, b"d"),)))
    again = store.take_over("stream")
    assert (again.base, again.windows) == (b"new", ((0, b"d"),))
    assert store.take_over("other").base is None


def test_the_furthest_offset_of_any_owner_is_told(store: SqlStore, second_store: SqlStore) -> None:
    """Who gets a partition that others have read finds out how far they were."""
    for owner, offset in (("one", 9), ("two", 40)):
        epoch = store.take_over(owner).epoch
        store.checkpoint(checkpoint(epoch, owner=owner, offsets=(("logs", 0, offset), ("spans", 1, 3))))
    wanted = [("logs", 0), ("logs", 1), ("metrics", 0)]
    assert second_store.read_up_to(wanted) == {("logs", 0): 40}


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
