"""Correlation: how incidents open, join, merge, resolve and reopen."""

from __future__ import annotations

import pytest

from agent.analysis import ChangeKind, IncidentState, Severity
from agent.incidents import Correlator, Reason, alert_anomaly
from agent.incidents.state import MAX_MEMBERS, MAX_PENDING
from detectors.anomaly import Hit
from ingest.events import AlertEvent, Resource
from ingest.record import Origin
from tests.support.correlation import Incidents, anomaly_at, at_second
from tests.support.windows import call, traffic


def test_one_strong_anomaly_opens() -> None:
    """Twice the threshold suffices; the incident's id is its first anomaly's."""
    stream = Incidents()
    strong = anomaly_at("orders", "errors", 0, score=2.0)
    (change,) = stream.changes(10, strong)
    assert change.kind is ChangeKind.OPENED
    assert change.reason == Reason.STRONG.value
    assert change.incident.id == f"inc_{strong.id.removeprefix('an_')}"
    assert change.incident.anomaly_ids == (strong.id,)
    assert (change.incident.onset, change.incident.opened_at) == (at_second(0), at_second(10))
    assert change.incident.severity is Severity.ERROR
    assert change.incident.revision == 1
    assert stream.attached == {strong.id: change.incident.id}


def test_one_weak_anomaly_waits_a_minute_and_is_forgotten() -> None:
    """A lone weak anomaly opens nothing, and after a minute helps nobody."""
    stream = Incidents()
    assert stream.changes(10, anomaly_at("orders", "errors", 0)) == ()
    assert stream.changes(80, anomaly_at("orders", "latency", 70)) == ()
    assert set(stream.attached.values()) == {""}


def test_two_weak_anomalies_within_a_minute_open() -> None:
    """Two subjects of neighbours within 60 s are an incident; both become members."""
    stream = Incidents()
    assert stream.changes(10, anomaly_at("orders", "errors", 0)) == ()
    (change,) = stream.changes(60, anomaly_at("payments", "latency", 50))
    assert change.kind is ChangeKind.OPENED
    assert change.reason == Reason.PAIR.value
    assert change.incident.services == ("orders", "payments")
    assert len(change.incident.anomaly_ids) == 2


def test_the_same_subject_twice_is_not_two() -> None:
    """An anomaly that goes on, or comes again, does not confirm itself."""
    stream = Incidents()
    for second in range(0, 100, 10):
        again = anomaly_at("orders", "errors", 0, end=second + 10)
        assert stream.changes(second + 10, again) == ()
    assert stream.changes(110, anomaly_at("orders", "errors", 100)) == ()


def test_an_ongoing_anomaly_is_there_to_be_joined() -> None:
    """A weak anomaly that has lasted for minutes still pairs with a new one beside it."""
    stream = Incidents()
    for second in range(0, 200, 10):
        stream.feed(second + 10, anomaly_at("orders", "errors", 0, end=second + 10))
    (change,) = stream.changes(210, anomaly_at("payments", "latency", 200))
    assert change.kind is ChangeKind.OPENED
    assert change.incident.onset == at_second(0)


def test_one_source_that_says_it_several_times_counts_for_little_more_than_once() -> None:
    """Percentiles of one latency do not confirm each other; the stronger they are, the less it takes."""
    weak, strong = Incidents(), Incidents()
    told = [anomaly_at("orders", name, 0) for name in ("p90", "p95", "p99")]
    assert weak.changes(10, *told) == ()
    louder = [anomaly_at("orders", name, 0, score=1.7) for name in ("p90", "p95")]
    (change,) = strong.changes(10, *louder)
    assert change.reason == Reason.PAIR.value


def test_unrelated_services_have_their_own_incidents() -> None:
    """Neither the same service nor neighbours nor on one node: two incidents."""
    stream = Incidents()
    changes = stream.changes(
        10, anomaly_at("catalog", "errors", 0, score=3), anomaly_at("orders", "errors", 0, score=3)
    )
    assert [change.kind for change in changes] == [ChangeKind.OPENED, ChangeKind.OPENED]
    assert {change.incident.services for change in changes} == {("catalog",), ("orders",)}


def test_environments_never_mix() -> None:
    """The same service in another environment is another incident."""
    stream = Incidents()
    changes = stream.changes(
        10,
        anomaly_at("orders", "errors", 0, score=3),
        anomaly_at("orders", "errors", 0, score=3, environment="staging"),
    )
    assert len({change.incident.environment for change in changes}) == 2


def test_anomalies_on_one_node_belong_together() -> None:
    """A node in common joins services that never call each other."""
    stream = Incidents()
    stream.feed(10, anomaly_at("orders", "errors", 0, score=3, node="node-1"))
    (change,) = stream.changes(20, anomaly_at("search", "cpu", 10, node="node-1"))
    assert change.kind is ChangeKind.UPDATED
    assert change.reason == Reason.SERVICE.value
    assert change.incident.services == ("orders", "search")


def test_joining_ends_two_minutes_after_the_last_anomaly() -> None:
    """Within 120 s a weak neighbour joins; after it, the anomaly is on its own."""
    stream = Incidents()
    stream.feed(10, anomaly_at("orders", "errors", 0, score=3))
    (change,) = stream.changes(130, anomaly_at("payments", "errors", 120))
    assert change.incident.services == ("orders", "payments")
    assert stream.changes(260, anomaly_at("cart", "errors", 250, end=260)) == ()


def test_severity_rises_with_what_is_hit_and_never_falls() -> None:
    """User-facing trouble makes an incident critical and gives it its title."""
    stream = Incidents()
    stream.feed(10, anomaly_at("orders", "cpu", 0, score=3, hit=Hit.SATURATION))
    (change,) = stream.changes(20, anomaly_at("cart", "latency", 10, hit=Hit.USER))
    assert change.incident.severity is Severity.CRITICAL
    assert change.reason == Reason.SEVERITY.value
    assert change.incident.title == "cart is odd"
    (change,) = stream.changes(30, anomaly_at("orders", "other", 20, hit=Hit.OTHER))
    assert change.incident.severity is Severity.CRITICAL


def test_learning_pages_nobody_unless_fatal() -> None:
    """What is found during a warm-up counts for nothing, silence and fatal lines excepted."""
    stream = Incidents()
    assert stream.changes(10, anomaly_at("orders", "errors", 0, score=9, learning=True)) == ()
    (change,) = stream.changes(20, anomaly_at("orders", "gone", 10, score=2, learning=True, fatal=True))
    assert change.kind is ChangeKind.OPENED
    assert len(change.incident.anomaly_ids) == 1


def test_resolves_after_five_quiet_minutes_and_reopens_with_its_id() -> None:
    """The life of an incident: opened, resolved, reopened under the same id, resolved, forgotten."""
    stream = Incidents()
    (opened,) = stream.changes(10, anomaly_at("orders", "errors", 0, score=3))
    assert stream.changes(300) == ()
    (resolved,) = stream.changes(310)
    assert resolved.kind is ChangeKind.RESOLVED
    assert resolved.incident.resolved_at == at_second(310)
    (again,) = stream.changes(1_000, anomaly_at("orders", "latency", 990, score=3))
    assert again.kind is ChangeKind.REOPENED
    assert again.incident.id == opened.incident.id
    assert (again.incident.state, again.incident.resolved_at) == (IncidentState.OPEN, None)
    assert again.incident.revision == resolved.incident.revision + 1
    (resolved,) = stream.changes(1_400)
    (new,) = stream.changes(1_400 + 1_810, anomaly_at("orders", "errors", 3_200, score=3))
    assert new.kind is ChangeKind.OPENED
    assert new.incident.id != opened.incident.id


def test_a_neighbour_does_not_reopen() -> None:
    """Only trouble of the same services is the same incident again."""
    stream = Incidents()
    stream.feed(10, anomaly_at("orders", "errors", 0, score=3))
    stream.feed(400)
    (change,) = stream.changes(500, anomaly_at("payments", "errors", 490, score=3))
    assert change.kind is ChangeKind.OPENED


def test_incidents_that_turn_out_adjacent_merge_into_the_older() -> None:
    """When calls between two incidents' services are learned, the younger one is merged and says so."""
    stream = Incidents()
    (older,) = stream.changes(10, anomaly_at("catalog", "errors", 0, score=3))
    (younger,) = stream.changes(20, anomaly_at("search", "errors", 10, score=3))
    stream.topology.add(traffic(2, calls=[call("catalog", "GET /", [0.1])], service="search"))
    changes = {change.incident.id: change for change in stream.changes(30)}
    merged, kept = changes[younger.incident.id], changes[older.incident.id]
    assert merged.incident.state is IncidentState.MERGED
    assert merged.incident.merged_into == older.incident.id
    assert merged.incident.anomaly_ids == ()
    assert merged.reason == Reason.MERGED.value
    assert set(kept.incident.anomaly_ids) == set(older.incident.anomaly_ids + younger.incident.anomaly_ids)
    assert set(stream.attached.values()) == {older.incident.id}
    assert [incident.id for incident in stream.correlator.incidents()] == [older.incident.id]


def test_an_anomaly_between_two_incidents_joins_them() -> None:
    """An anomaly that belongs to two incidents makes one of them."""
    stream = Incidents()
    (older,) = stream.changes(10, anomaly_at("cart", "errors", 0, score=3))
    stream.feed(20, anomaly_at("payments", "errors", 10, score=3))
    stream.feed(30, anomaly_at("orders", "errors", 20))
    assert set(stream.attached.values()) == {older.incident.id}


def test_analyses_are_due_soon_then_seldom() -> None:
    """15 s after opening, then on a change of kind, at most every two minutes, each once."""
    stream = Incidents()
    (opened,) = stream.changes(10, anomaly_at("orders", "errors", 0, score=3))
    assert stream.due(24) == ()
    (first,) = stream.due(25)
    assert (first.incident_id, first.as_of, first.revision) == (opened.incident.id, at_second(25), 1)
    assert stream.due(26) == ()
    stream.feed(30, anomaly_at("orders", "latency", 20))
    assert stream.due(200) == ()
    stream.feed(210, anomaly_at("orders", "errors", 0, end=205), anomaly_at("payments", "errors", 200))
    (second,) = stream.due(210)
    assert second.reason == Reason.SERVICE.value
    stream.feed(220, anomaly_at("cart", "errors", 210, hit=Hit.USER))
    assert stream.due(329) == ()
    (third,) = stream.due(330)
    assert third.revision == stream.correlator.incidents()[0].revision


def test_a_new_leading_suspect_makes_an_analysis_due() -> None:
    """The first suspect told is noted; another one later asks for an analysis."""
    stream = Incidents()
    (opened,) = stream.changes(10, anomaly_at("orders", "errors", 0, score=3))
    stream.due(25)
    stream.correlator.lead(opened.incident.id, "orders")
    assert stream.due(200) == ()
    stream.correlator.lead(opened.incident.id, "payments")
    (due,) = stream.due(200)
    assert due.reason == Reason.SUSPECT.value
    stream.correlator.lead("inc_unknown", "orders")


def _alert(*, firing: bool, severity: str = "critical") -> AlertEvent:
    return AlertEvent(
        origin=Origin(topic="alerts", partition=0, offset=1),
        resource=Resource(environment="shop", service="orders"),
        time=at_second(0),
        fingerprint="f00d",
        firing=firing,
        labels=(("alertname", "HighErrorRate"), ("severity", severity)),
        annotations=(("summary", "5 % of orders fail"),),
        ends=None if firing else at_second(4_000),
    )


def test_an_alert_opens_at_once_and_holds_its_incident() -> None:
    """A firing alert is an incident; it resolves five minutes after the alert did, not before."""
    stream = Incidents()
    alert = alert_anomaly(_alert(firing=True))
    assert alert is not None
    (opened,) = stream.changes(200, alert)
    assert (opened.kind, opened.reason) == (ChangeKind.OPENED, Reason.ALERT.value)
    assert opened.incident.severity is Severity.CRITICAL
    assert stream.changes(4_000) == ()
    assert alert_anomaly(_alert(firing=False)) is None
    stream.correlator.release(_alert(firing=False), at_second(4_010))
    assert stream.changes(4_200) == ()
    (resolved,) = stream.changes(4_300)
    assert resolved.kind is ChangeKind.RESOLVED


def test_an_alert_that_is_never_told_again_lets_go() -> None:
    """An alert whose end was lost does not hold an incident open for ever."""
    stream = Incidents()
    alert = alert_anomaly(_alert(firing=True, severity="warning"))
    assert alert is not None
    (opened,) = stream.changes(0, alert)
    assert opened.incident.severity is Severity.WARNING
    (resolved,) = stream.changes(6 * 3_600)
    assert resolved.kind is ChangeKind.RESOLVED


def test_limits_hold_and_are_counted() -> None:
    """Neither pending anomalies nor members of an incident grow without end."""
    stream = Incidents()
    flood = [anomaly_at(f"s{number}", "errors", 0) for number in range(MAX_PENDING + 50)]
    assert stream.feed(10, *flood).dropped == 50
    crowd = [anomaly_at("orders", f"subject {number}", 10, score=3) for number in range(MAX_MEMBERS + 20)]
    result = stream.feed(20, *crowd)
    assert result.dropped == 20
    (change,) = result.changes
    assert len(change.incident.anomaly_ids) == MAX_MEMBERS


def test_damaged_state_is_refused() -> None:
    """Bytes that are no state raise ValueError with what to do."""
    with pytest.raises(ValueError, match="start without it"):
        Correlator().load(b"\x00\x01")
