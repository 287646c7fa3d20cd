"""Mutes: what they cover, what is refused, and that they silence pages without hiding anything."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agent.analysis import ChangeKind, IncidentChange, IncidentState, Severity
from agent.deliver.decide import Analysed, ChannelPolicy, decide
from agent.deliver.notification import Notification, Reason, Silence
from agent.incidents import Correlator
from agent.incidents import Reason as Why
from agent.mutes import LONGEST, Mute, MuteError, MuteKind, lifted, marked, moment, mute, muted_by
from agent.pipeline import Pipeline
from agent.topology import Topology
from detectors.anomaly import Anomaly
from detectors.suite import Suite
from ingest.decode import Decode
from ingest.events import TopicDefaults
from ingest.minutes import Minutes
from ingest.record import SECOND, Origin, Record
from ingest.redaction import Redactor
from ingest.templates import Templates
from ingest.times import format_time
from ingest.windows import Windows
from tests.support.correlation import Incidents, anomaly_at, at_second
from tests.support.samples import analysis, incident

PEOPLE = ChannelPolicy(channel="slack:ops")
HOOK = ChannelPolicy(channel="webhook:x", every=True)
TOPIC = ChannelPolicy(channel="kafka", every=True, muted_too=True)
NOW = at_second(0)


def asked(**fields: Any) -> Mute:
    """Return maintenance of `orders` over the first 100 s, or what `fields` say."""
    given: dict[str, Any] = {
        "kind": MuteKind.MAINTENANCE,
        "starts": NOW,
        "ends": at_second(100),
        "reason": "moving the database",
        "author": "ana",
        "now": NOW,
        "services": ("orders",),
    }
    return mute(**{**given, **fields})


def quiet(anomaly: Anomaly, *mutes: Mute) -> Anomaly:
    """Return the anomaly as the pipeline marks it."""
    return marked(anomaly, mutes)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"reason": " "}, "reason is empty"),
        ({"author": ""}, "author is empty"),
        ({"reason": "x" * 501}, "shorter"),
        ({"ends": NOW}, "before it begins"),
        ({"starts": at_second(-90), "ends": at_second(-10)}, "still to come"),
        ({"ends": NOW + LONGEST + 1}, "more than 90 days"),
        ({"services": ()}, "maintenance of everything"),
        ({"services": ("",)}, "a name is empty"),
        ({"detector": "severity"}, "maintenance covers all"),
        ({"kind": MuteKind.MUTE}, "name what to mute"),
        ({"kind": MuteKind.MUTE, "services": (), "detector": "severity"}, "name what to mute"),
    ],
)
def test_what_would_hide_too_much_is_refused(fields: dict[str, Any], says: str) -> None:
    """Without a reason, an author, an end or a name nothing is muted, and the message says what to give."""
    with pytest.raises(MuteError, match=says):
        asked(**fields)


def test_the_same_request_is_the_same_mute() -> None:
    """Asking twice adds nothing; another time is another mute."""
    assert asked().id == asked(reason="said otherwise").id
    assert asked().id != asked(ends=at_second(101)).id


@pytest.mark.parametrize(
    ("text", "time"), [("2h", 7200), ("45m", 2700), ("1d", 86_400), ("2023-11-14T23:13:20+01:00", None)]
)
def test_times_are_spans_or_moments(text: str, time: int | None) -> None:
    """A span counts from now; a moment needs its zone."""
    base = 1_700_000_000 * SECOND
    assert moment(text, base) == base + (0 if time is None else time * SECOND)
    for wrong in ("soon", "2023-11-14T23:13:20", "5 h", "9" * 5_000 + "h", "\N{ARABIC-INDIC DIGIT THREE}h"):
        with pytest.raises(MuteError, match=r"give 45m|time zone"):
            moment(wrong, base)


def test_a_mute_covers_what_fits_for_as_long_as_it_lasts() -> None:
    """Another service, environment, detector or subject is not covered, nor what goes on after the end."""
    one = anomaly_at("orders", "errors", 0)
    assert muted_by(quiet(one, asked())) == f"maintenance {asked().id}"
    assert muted_by(quiet(anomaly_at("cart", "errors", 0), asked())) is None
    assert muted_by(quiet(one, asked(environment="elsewhere"))) is None
    narrow = asked(kind=MuteKind.MUTE, services=(), subject="errors")
    assert muted_by(quiet(one, narrow)) == f"mute {narrow.id}"
    assert muted_by(quiet(anomaly_at("orders", "latency", 0), narrow)) is None
    assert muted_by(quiet(replace(one, end=at_second(120)), asked())) is None
    assert muted_by(quiet(replace(one, start=at_second(-20), end=at_second(-10)), asked())) is None
    assert muted_by(quiet(one, narrow, asked())) == f"maintenance {asked().id}"


def test_an_incident_in_maintenance_is_kept_and_pages_nobody() -> None:
    """It opens and has its anomalies; people and webhooks hear nothing, the topic hears all."""
    stream = Incidents()
    (opened,) = stream.changes(10, quiet(anomaly_at("orders", "errors", 0, score=2.0), asked()))
    assert opened.kind is ChangeKind.OPENED
    assert opened.incident.muted_by == (f"maintenance {asked().id}",)
    for policy in (PEOPLE, HOOK):
        assert decide(opened, (), policy).reason is Silence.MAINTENANCE
    told = Analysed(incident=opened.incident, analysis=analysis(incident_id=opened.incident.id))
    for policy in (PEOPLE, HOOK):
        assert decide(told, (), policy).reason is Silence.MAINTENANCE
    assert decide(opened, (), TOPIC).reason is Reason.INCIDENT_OPENED
    mixed = replace(opened.incident, muted_by=("maintenance mu_a", "mute mu_b"))
    assert decide(replace(opened, incident=mixed), (), PEOPLE).reason is Silence.MUTED


def test_what_is_not_covered_pages_at_once() -> None:
    """A service outside the maintenance joins: the incident is told as if it had opened now."""
    stream = Incidents()
    stream.changes(10, quiet(anomaly_at("orders", "errors", 0, score=2.0), asked()))
    (change,) = stream.changes(30, anomaly_at("payments", "errors", 20, score=2.0))
    assert change.incident.muted_by == ()
    assert isinstance(decide(change, (), PEOPLE), Notification)


def test_trouble_that_outlasts_its_maintenance_pages() -> None:
    """The same finding going on after the end is told, though nothing new joined, and analysed anew."""
    stream = Incidents()
    one = anomaly_at("orders", "errors", 0, score=2.0)
    (opened,) = stream.changes(10, quiet(one, asked()))
    (change,) = stream.changes(120, quiet(replace(one, end=at_second(120)), asked()))
    assert change.reason == Why.UNMUTED.value
    assert change.incident.id == opened.incident.id
    assert isinstance(decide(change, (), PEOPLE), Notification)


def _alerting() -> tuple[Pipeline, Record]:
    """Return a pipeline that heeds maintenance over the first 100 s, and an alert that began within it."""
    stages = Pipeline(
        decode=Decode({"^.*": TopicDefaults(format="alertmanager")}),
        redactor=Redactor(b"key"),
        windows=Windows(Templates()),
        suite=Suite([]),
        correlator=Correlator(),
        topology=Topology(),
        minutes=Minutes(),
    )
    stages.heed_mutes((asked(),))
    body = (
        '{"version": "4", "alerts": [{"status": "firing", "labels": {"alertname": "Down", '
        '"service": "orders"},'
        f' "annotations": {{}}, "startsAt": "{format_time(at_second(5))}",'
        ' "endsAt": "0001-01-01T00:00:00Z", "fingerprint": "f1"}]}'
    )
    origin = Origin(topic="alerts", partition=0, offset=0)
    return stages, Record(origin=origin, value=body.encode(), received=at_second(10))


@pytest.mark.parametrize(("mutes", "at"), [((asked(),), 130), ((), 60)])
def test_an_alert_that_outlasts_its_maintenance_pages(mutes: tuple[Mute, ...], at: int) -> None:
    """It is told once the maintenance has ended, or was lifted, though nobody sends it again for hours."""
    stages, alert = _alerting()
    stages.take(alert, at_second(10))
    (opened,) = stages.outcome().changes
    assert opened.incident.muted_by == (f"maintenance {asked().id}",)
    stages.tick(at_second(50))
    assert stages.outcome().changes == []
    stages.heed_mutes(mutes)
    stages.tick(at_second(at))
    (change,) = stages.outcome().changes
    assert (change.reason, change.incident.muted_by) == (Why.UNMUTED.value, ())
    assert isinstance(decide(change, (), PEOPLE), Notification)
    stages.take(alert, at_second(at + 5))
    stages.tick(at_second(at + 10))
    assert stages.outcome().changes == []


def test_an_alert_that_fires_already_can_be_muted() -> None:
    """A mute of its fingerprint covers it from then on, whenever it began, and ends as others do."""
    stages, alert = _alerting()
    stages.heed_mutes(())
    stages.take(alert, at_second(10))
    (opened,) = stages.outcome().changes
    assert opened.incident.muted_by == ()
    noise = asked(kind=MuteKind.MUTE, subject="f1", services=(), starts=at_second(20), ends=at_second(100))
    stages.heed_mutes((noise,))
    stages.tick(at_second(30))
    (known,) = stages.outcome().incidents
    assert known.muted_by == (f"mute {noise.id}",)


def test_who_was_told_hears_of_the_end_in_spite_of_a_mute() -> None:
    """An incident that was told and then falls under a mute does not stay open in anybody's picture."""
    stream = Incidents()
    (opened,) = stream.changes(10, anomaly_at("orders", "errors", 0, score=2.0))
    for policy in (PEOPLE, HOOK):
        said = decide(opened, (), policy)
        assert isinstance(said, Notification)
        muted = replace(opened.incident, muted_by=("mute mu_a",), state=IncidentState.RESOLVED, revision=9)
        over = replace(opened, kind=ChangeKind.RESOLVED, incident=muted)
        assert decide(over, (said,), policy).reason is Reason.RESOLVED


def test_a_mute_is_lifted_once() -> None:
    """It ends when it is lifted, by somebody; afterwards there is nothing to lift."""
    ended = lifted(asked(), "bo", at_second(50))
    assert (ended.ends, ended.lifted_by) == (at_second(50), "bo")
    assert not ended.active(at_second(50))
    with pytest.raises(MuteError, match="ended at"):
        lifted(ended, "bo", at_second(60))
    with pytest.raises(MuteError, match="author is empty"):
        lifted(asked(), "", at_second(50))


def _cycle(number: int, **fields: Any) -> list[IncidentChange]:
    """Return the return and the end of an incident, ten minutes apart from the next."""
    at = number * 600 * SECOND
    over = incident(revision=2 * number + 2, state=IncidentState.RESOLVED, **fields)
    return [
        IncidentChange(
            kind=ChangeKind.REOPENED,
            incident=incident(revision=2 * number + 1, **fields),
            at=at,
            reason="again",
        ),
        IncidentChange(kind=ChangeKind.RESOLVED, incident=over, at=at + 400 * SECOND, reason="quiet"),
    ]


def test_an_incident_that_comes_and_goes_is_told_no_more() -> None:
    """After three returns within the hour people hear of none, nor of its ends, until an hour has passed."""
    said: list[Notification] = []
    reasons = []
    for change in [one for number in range(1, 12) for one in _cycle(number)]:
        decided = decide(change, said, PEOPLE)
        reasons.append(decided.reason)
        if isinstance(decided, Notification):
            said.append(decided)
    both = [Reason.REOPENED, Reason.RESOLVED]
    assert reasons[:6] == both * 3
    assert reasons[6:12] == [Silence.FLAPPING] * 6
    assert reasons[12:14] == both
    (worse, _) = _cycle(12, severity=Severity.CRITICAL)
    assert decide(worse, said, PEOPLE).reason is Reason.REOPENED
    assert decide(worse, said, HOOK).reason is Reason.REOPENED


def test_a_return_that_was_not_told_is_told_once_it_stays() -> None:
    """An open incident whose last word was its end is said to be back after an hour."""
    told: list[Notification] = []
    for change in [one for number in range(1, 5) for one in _cycle(number)][:7]:
        decided = decide(change, told, PEOPLE)
        if isinstance(decided, Notification):
            told.append(decided)
    assert len(told) == 6
    still = IncidentChange(
        kind=ChangeKind.UPDATED,
        incident=incident(revision=20),
        at=5 * 600 * SECOND,
        reason="an anomaly joined",
    )
    assert decide(still, told, PEOPLE).reason is Silence.FLAPPING
    later = replace(still, at=3 * 3600 * SECOND)
    assert decide(later, told, PEOPLE).reason is Reason.REOPENED
    news = Analysed(incident=incident(revision=20), analysis=analysis())
    assert decide(news, told, PEOPLE).reason is Silence.FLAPPING
