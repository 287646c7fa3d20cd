"""What every store must keep and for how long: the telemetry memory and what was delivered."""

from __future__ import annotations

from agent.analysis import IncidentState
from agent.store.port import TelemetryRow
from agent.store.retention import DAY, HOUR
from agent.store.sql import SqlStore
from ingest.record import SECOND
from tests.support.samples import T0, anomaly, checkpoint, entry, incident, telemetry_row, window
from tests.support.stores import NOW, TTL, opened


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
