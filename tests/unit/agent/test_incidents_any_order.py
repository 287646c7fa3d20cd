"""Correlation, held for any stream of anomalies: order, membership, lives and restarts."""

from __future__ import annotations

import random
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.analysis import ChangeKind, IncidentChange, IncidentState
from agent.incidents import Correlator
from detectors.anomaly import Anomaly, Hit
from tests.support.correlation import Incidents, anomaly_at

SERVICES = ("cart", "catalog", "orders", "payments", "search")
_anomalies = st.builds(
    anomaly_at,
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
    return anomaly_at(
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
    ordered, shuffled = Incidents(), Incidents()
    for now, anomalies in _timeline(steps):
        mixed = random.Random(seed).sample(anomalies, len(anomalies))
        assert ordered.feed(now, *anomalies) == shuffled.feed(now, *mixed)
        assert ordered.due(now) == shuffled.due(now)
    assert ordered.correlator.dump() == shuffled.correlator.dump()


@settings(max_examples=60, deadline=None)
@given(steps=_steps)
def test_no_anomaly_is_in_two_incidents(steps: list[tuple[int, list[Anomaly]]]) -> None:
    """At any time every anomaly has at most one incident, which is where it was last attached."""
    stream = Incidents()
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
    stream = Incidents()
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
    through, restarted = Incidents(), Incidents()
    for number, (now, anomalies) in enumerate(_timeline(steps)):
        if number == cut:
            fresh = Correlator()
            fresh.load(restarted.correlator.dump())
            restarted.correlator = fresh
        assert through.feed(now, *anomalies) == restarted.feed(now, *anomalies)
        assert through.due(now) == restarted.due(now)
    assert through.correlator.dump() == restarted.correlator.dump()
