"""Correlation: how incidents open, join, merge, resolve and reopen; held for any stream of anomalies."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.analysis import ChangeKind, IncidentChange, IncidentState, InvestigationDue, Severity
from agent.incidents import Correlated, Correlator, Reason, alert_anomaly
from agent.incidents.state import MAX_MEMBERS, MAX_PENDING
from agent.topology import Topology
from detectors.anomaly import Anomaly, Direction, Hit, anomaly_id
from ingest.events import AlertEvent, Resource
from ingest.record import SECOND, Nanos, Origin
from tests.support.windows import EPOCH, call, traffic

SERVICES = ("cart", "catalog", "orders", "payments", "search")


def _anomaly(
    service: str,
    subject: str,
    at: int,
    *,
    score: float = 1.2,
    end: int | None = None,
    hit: Hit = Hit.ERROR,
    learning: bool = False,
    fatal: bool = False,
    node: str | None = None,
    environment: str = "shop",
) -> Anomaly:
    """Return an anomaly whose window begins `at` seconds after the epoch of the tests; threshold is 1."""
    start = EPOCH + at * SECOND
    return Anomaly(
        id=anomaly_id(environment, service, "test", subject, start),
        environment=environment,
        service=service,
        detector="test",
        subject=subject,
        direction=Direction.UP,
        hit=hit,
        start=start,
        end=EPOCH + (at + 10 if end is None else end) * SECOND,
        score=score,
        threshold=1.0,
        reason=f"{service} is odd.",
        evidence=(),
        node=node,
        learning=learning,
        fatal=fatal,
    )


def _topology() -> Topology:
    """Return a chain: cart calls orders, orders calls payments; catalog and search are alone."""
    return Topology({"shop": [("cart", "orders"), ("orders", "payments")]})


def _at(seconds: int) -> Nanos:
    return EPOCH + seconds * SECOND


class _Stream:
    """A correlator with its topology, fed by seconds."""

    def __init__(self) -> None:
        self.correlator = Correlator()
        self.topology = _topology()
        self.attached: dict[str, str] = {}

    def feed(self, seconds: int, *anomalies: Anomaly) -> Correlated:
        result = self.correlator.correlate(anomalies, _at(seconds), self.topology)
        for incident_id, anomaly in result.attached:
            self.attached[anomaly.id] = incident_id
        return result

    def changes(self, seconds: int, *anomalies: Anomaly) -> tuple[IncidentChange, ...]:
        return self.feed(seconds, *anomalies).changes

    def due(self, seconds: int) -> tuple[InvestigationDue, ...]:
        return self.correlator.due(_at(seconds))


def test_one_strong_anomaly_opens() -> None:
    """Twice the threshold suffices; the incident's id is its first anomaly's."""
    stream = _Stream()
    strong = _anomaly("orders", "errors", 0, score=2.0)
    (change,) = stream.changes(10, strong)
    assert change.kind is ChangeKind.OPENED
    assert change.reason == Reason.STRONG.value
    assert change.incident.id == f"inc_{strong.id.removeprefix('an_')}"
    assert change.incident.anomaly_ids == (strong.id,)
    assert (change.incident.onset, change.incident.opened_at) == (_at(0), _at(10))
    assert change.incident.severity is Severity.ERROR
    assert change.incident.revision == 1
    assert stream.attached == {strong.id: change.incident.id}


def test_one_weak_anomaly_waits_a_minute_and_is_forgotten() -> None:
    """A lone weak anomaly opens nothing, and after a minute helps nobody."""
    stream = _Stream()
    assert stream.changes(10, _anomaly("orders", "errors", 0)) == ()
    assert stream.changes(80, _anomaly("orders", "latency", 70)) == ()
    assert set(stream.attached.values()) == {""}


def test_two_weak_anomalies_within_a_minute_open() -> None:
    """Two subjects of neighbours within 60 s are an incident; both become members."""
    stream = _Stream()
    assert stream.changes(10, _anomaly("orders", "errors", 0)) == ()
    (change,) = stream.changes(60, _anomaly("payments", "latency", 50))
    assert change.kind is ChangeKind.OPENED
    assert change.reason == Reason.PAIR.value
    assert change.incident.services == ("orders", "payments")
    assert len(change.incident.anomaly_ids) == 2


def test_the_same_subject_twice_is_not_two() -> None:
    """An anomaly that goes on, or comes again, does not confirm itself."""
    stream = _Stream()
    for second in range(0, 100, 10):
        again = _anomaly("orders", "errors", 0, end=second + 10)
        assert stream.changes(second + 10, again) == ()
    assert stream.changes(110, _anomaly("orders", "errors", 100)) == ()


def test_an_ongoing_anomaly_is_there_to_be_joined() -> None:
    """A weak anomaly that has lasted for minutes still pairs with a new one beside it."""
    stream = _Stream()
    for second in range(0, 200, 10):
        stream.feed(second + 10, _anomaly("orders", "errors", 0, end=second + 10))
    (change,) = stream.changes(210, _anomaly("orders", "latency", 200))
    assert change.kind is ChangeKind.OPENED
    assert change.incident.onset == _at(0)


def test_unrelated_services_have_their_own_incidents() -> None:
    """Neither the same service nor neighbours nor on one node: two incidents."""
    stream = _Stream()
    changes = stream.changes(
        10, _anomaly("catalog", "errors", 0, score=3), _anomaly("orders", "errors", 0, score=3)
    )
    assert [change.kind for change in changes] == [ChangeKind.OPENED, ChangeKind.OPENED]
    assert {change.incident.services for change in changes} == {("catalog",), ("orders",)}


def test_environments_never_mix() -> None:
    """The same service in another environment is another incident."""
    stream = _Stream()
    changes = stream.changes(
        10,
        _anomaly("orders", "errors", 0, score=3),
        _anomaly("orders", "errors", 0, score=3, environment="staging"),
    )
    assert len({change.incident.environment for change in changes}) == 2


def test_anomalies_on_one_node_belong_together() -> None:
    """A node in common joins services that never call each other."""
    stream = _Stream()
    stream.feed(10, _anomaly("orders", "errors", 0, score=3, node="node-1"))
    (change,) = stream.changes(20, _anomaly("search", "cpu", 10, node="node-1"))
    assert change.kind is ChangeKind.UPDATED
    assert change.reason == Reason.SERVICE.value
    assert change.incident.services == ("orders", "search")


def test_joining_ends_two_minutes_after_the_last_anomaly() -> None:
    """Within 120 s a weak neighbour joins; after it, the anomaly is on its own."""
    stream = _Stream()
    stream.feed(10, _anomaly("orders", "errors", 0, score=3))
    (change,) = stream.changes(130, _anomaly("payments", "errors", 120))
    assert change.incident.services == ("orders", "payments")
    assert stream.changes(260, _anomaly("cart", "errors", 250, end=260)) == ()


def test_severity_rises_with_what_is_hit_and_never_falls() -> None:
    """User-facing trouble makes an incident critical and gives it its title."""
    stream = _Stream()
    stream.feed(10, _anomaly("orders", "cpu", 0, score=3, hit=Hit.SATURATION))
    (change,) = stream.changes(20, _anomaly("cart", "latency", 10, hit=Hit.USER))
    assert change.incident.severity is Severity.CRITICAL
    assert change.reason == Reason.SEVERITY.value
    assert change.incident.title == "cart is odd"
    (change,) = stream.changes(30, _anomaly("orders", "other", 20, hit=Hit.OTHER))
    assert change.incident.severity is Severity.CRITICAL


def test_learning_pages_nobody_unless_fatal() -> None:
    """What is found during a warm-up counts for nothing, silence and fatal lines excepted."""
    stream = _Stream()
    assert stream.changes(10, _anomaly("orders", "errors", 0, score=9, learning=True)) == ()
    (change,) = stream.changes(20, _anomaly("orders", "gone", 10, score=2, learning=True, fatal=True))
    assert change.kind is ChangeKind.OPENED
    assert len(change.incident.anomaly_ids) == 1


def test_resolves_after_five_quiet_minutes_and_reopens_with_its_id() -> None:
    """The life of an incident: opened, resolved, reopened under the same id, resolved, forgotten."""
    stream = _Stream()
    (opened,) = stream.changes(10, _anomaly("orders", "errors", 0, score=3))
    assert stream.changes(300) == ()
    (resolved,) = stream.changes(310)
    assert resolved.kind is ChangeKind.RESOLVED
    assert resolved.incident.resolved_at == _at(310)
    (again,) = stream.changes(1_000, _anomaly("orders", "latency", 990, score=3))
    assert again.kind is ChangeKind.REOPENED
    assert again.incident.id == opened.incident.id
    assert (again.incident.state, again.incident.resolved_at) == (IncidentState.OPEN, None)
    assert again.incident.revision == resolved.incident.revision + 1
    (resolved,) = stream.changes(1_400)
    (new,) = stream.changes(1_400 + 1_810, _anomaly("orders", "errors", 3_200, score=3))
    assert new.kind is ChangeKind.OPENED
    assert new.incident.id != opened.incident.id


def test_a_neighbour_does_not_reopen() -> None:
    """Only trouble of the same services is the same incident again."""
    stream = _Stream()
    stream.feed(10, _anomaly("orders", "errors", 0, score=3))
    stream.feed(400)
    (change,) = stream.changes(500, _anomaly("payments", "errors", 490, score=3))
    assert change.kind is ChangeKind.OPENED


def test_incidents_that_turn_out_adjacent_merge_into_the_older() -> None:
    """When calls between two incidents' services are learned, the younger one is merged and says so."""
    stream = _Stream()
    (older,) = stream.changes(10, _anomaly("catalog", "errors", 0, score=3))
    (younger,) = stream.changes(20, _anomaly("search", "errors", 10, score=3))
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
    stream = _Stream()
    (older,) = stream.changes(10, _anomaly("cart", "errors", 0, score=3))
    stream.feed(20, _anomaly("payments", "errors", 10, score=3))
    stream.feed(30, _anomaly("orders", "errors", 20))
    assert set(stream.attached.values()) == {older.incident.id}


def test_analyses_are_due_soon_then_seldom() -> None:
    """15 s after opening, then on a change of kind, at most every two minutes, each once."""
    stream = _Stream()
    (opened,) = stream.changes(10, _anomaly("orders", "errors", 0, score=3))
    assert stream.due(24) == ()
    (first,) = stream.due(25)
    assert (first.incident_id, first.as_of, first.revision) == (opened.incident.id, _at(25), 1)
    assert stream.due(26) == ()
    stream.feed(30, _anomaly("orders", "latency", 20))
    assert stream.due(200) == ()
    stream.feed(210, _anomaly("orders", "errors", 0, end=205), _anomaly("payments", "errors", 200))
    (second,) = stream.due(210)
    assert second.reason == Reason.SERVICE.value
    stream.feed(220, _anomaly("cart", "errors", 210, hit=Hit.USER))
    assert stream.due(329) == ()
    (third,) = stream.due(330)
    assert third.revision == stream.correlator.incidents()[0].revision


def test_a_new_leading_suspect_makes_an_analysis_due() -> None:
    """The first suspect told is noted; another one later asks for an analysis."""
    stream = _Stream()
    (opened,) = stream.changes(10, _anomaly("orders", "errors", 0, score=3))
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
        time=_at(0),
        fingerprint="f00d",
        firing=firing,
        labels=(("alertname", "HighErrorRate"), ("severity", severity)),
        annotations=(("summary", "5 % of orders fail"),),
        ends=None if firing else _at(4_000),
    )


def test_an_alert_opens_at_once_and_holds_its_incident() -> None:
    """A firing alert is an incident; it resolves five minutes after the alert did, not before."""
    stream = _Stream()
    alert = alert_anomaly(_alert(firing=True))
    assert alert is not None
    (opened,) = stream.changes(200, alert)
    assert (opened.kind, opened.reason) == (ChangeKind.OPENED, Reason.ALERT.value)
    assert opened.incident.severity is Severity.CRITICAL
    assert stream.changes(4_000) == ()
    assert alert_anomaly(_alert(firing=False)) is None
    stream.correlator.release(_alert(firing=False), _at(4_010))
    assert stream.changes(4_200) == ()
    (resolved,) = stream.changes(4_300)
    assert resolved.kind is ChangeKind.RESOLVED


def test_an_alert_that_is_never_told_again_lets_go() -> None:
    """An alert whose end was lost does not hold an incident open for ever."""
    stream = _Stream()
    alert = alert_anomaly(_alert(firing=True, severity="warning"))
    assert alert is not None
    (opened,) = stream.changes(0, alert)
    assert opened.incident.severity is Severity.WARNING
    (resolved,) = stream.changes(6 * 3_600)
    assert resolved.kind is ChangeKind.RESOLVED


def test_limits_hold_and_are_counted() -> None:
    """Neither pending anomalies nor members of an incident grow without end."""
    stream = _Stream()
    flood = [_anomaly(f"s{number}", "errors", 0) for number in range(MAX_PENDING + 50)]
    assert stream.feed(10, *flood).dropped == 50
    crowd = [_anomaly("orders", f"subject {number}", 10, score=3) for number in range(MAX_MEMBERS + 20)]
    result = stream.feed(20, *crowd)
    assert result.dropped == 20
    (change,) = result.changes
    assert len(change.incident.anomaly_ids) == MAX_MEMBERS


def test_damaged_state_is_refused() -> None:
    """Bytes that are no state raise ValueError with what to do."""
    with pytest.raises(ValueError, match="start without it"):
        Correlator().load(b"\x00\x01")


_anomalies = st.builds(
    _anomaly,
    service=st.sampled_from(SERVICES),
    subject=st.sampled_from(("errors", "latency", "cpu")),
    at=st.just(0),
    score=st.sampled_from((1.0, 1.5, 2.0, 5.0)),
    hit=st.sampled_from(tuple(Hit)),
    learning=st.booleans(),
    fatal=st.booleans(),
    node=st.sampled_from((None, "node-1", "node-2")),
)
_steps = st.lists(
    st.tuples(
        st.sampled_from((10, 10, 10, 50, 130, 310, 2_000)),
        st.lists(_anomalies, max_size=4, unique_by=lambda one: one.id),
    ),
    max_size=14,
)


def _moved(anomaly: Anomaly, at: int) -> Anomaly:
    """Return the anomaly as if found in the window that ends at second `at`."""
    return _anomaly(
        anomaly.service,
        anomaly.subject,
        at - 10,
        score=anomaly.score,
        hit=anomaly.hit,
        learning=anomaly.learning,
        fatal=anomaly.fatal,
        node=anomaly.node,
    )


def _timeline(steps: Sequence[tuple[int, list[Anomaly]]]) -> list[tuple[int, list[Anomaly]]]:
    now, timeline = 0, []
    for gap, anomalies in steps:
        now += gap
        timeline.append((now, [_moved(anomaly, now) for anomaly in anomalies]))
    return timeline


@settings(max_examples=60, deadline=None)
@given(steps=_steps, seed=st.integers(0, 1_000))
def test_order_within_a_window_does_not_matter(steps: list[tuple[int, list[Anomaly]]], seed: int) -> None:
    """Shuffled anomalies of a window give the same changes, attachments, dues and state."""
    ordered, shuffled = _Stream(), _Stream()
    for now, anomalies in _timeline(steps):
        mixed = random.Random(seed).sample(anomalies, len(anomalies))
        assert ordered.feed(now, *anomalies) == shuffled.feed(now, *mixed)
        assert ordered.due(now) == shuffled.due(now)
    assert ordered.correlator.dump() == shuffled.correlator.dump()


@settings(max_examples=60, deadline=None)
@given(steps=_steps)
def test_no_anomaly_is_in_two_incidents(steps: list[tuple[int, list[Anomaly]]]) -> None:
    """At any time every anomaly has at most one incident, which is where it was last attached."""
    stream = _Stream()
    for now, anomalies in _timeline(steps):
        stream.feed(now, *anomalies)
        owners: dict[str, str] = {}
        for incident in stream.correlator.incidents():
            assert len(set(incident.anomaly_ids)) == len(incident.anomaly_ids)
            for one in incident.anomaly_ids:
                assert one not in owners
                owners[one] = incident.id
                assert stream.attached[one] == incident.id


@settings(max_examples=60, deadline=None)
@given(steps=_steps)
def test_lives_are_told_in_order(steps: list[tuple[int, list[Anomaly]]]) -> None:
    """Changes of an incident: opened first, revisions rise by one, resolved and reopened alternate."""
    stream = _Stream()
    told: dict[str, list[IncidentChange]] = {}
    for now, anomalies in _timeline(steps):
        for change in stream.changes(now, *anomalies):
            told.setdefault(change.incident.id, []).append(change)
    for changes in told.values():
        assert changes[0].kind is ChangeKind.OPENED
        assert [change.incident.revision for change in changes] == list(range(1, len(changes) + 1))
        is_open = False
        for change in changes:
            if change.kind in (ChangeKind.OPENED, ChangeKind.REOPENED):
                assert not is_open
            else:
                assert is_open
            is_open = change.incident.state is IncidentState.OPEN


@settings(max_examples=60, deadline=None)
@given(steps=_steps, cut=st.integers(0, 14))
def test_a_restart_changes_nothing(steps: list[tuple[int, list[Anomaly]]], cut: int) -> None:
    """State dumped and loaded between any two windows goes on identically."""
    through, restarted = _Stream(), _Stream()
    for number, (now, anomalies) in enumerate(_timeline(steps)):
        if number == cut:
            fresh = Correlator()
            fresh.load(restarted.correlator.dump())
            restarted.correlator = fresh
        assert through.feed(now, *anomalies) == restarted.feed(now, *anomalies)
        assert through.due(now) == restarted.due(now)
    assert through.correlator.dump() == restarted.correlator.dump()
