"""Deciding: every answer has a reason, and what was decided once is decided again."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.analysis import ChangeKind, Incident, IncidentChange, IncidentState, Severity, Stage, Verdict
from agent.deliver.announce import Announcer
from agent.deliver.decide import Analysed, ChannelPolicy, News, content, decide
from agent.deliver.notification import (
    Kind,
    Notification,
    NotificationError,
    Reason,
    Silence,
    Suppressed,
    decode,
    encode,
)
from agent.store.port import OutboxEntry
from ingest.record import SECOND
from tests.support.samples import T0, analysis, incident, notification

PEOPLE = ChannelPolicy(channel="slack:ops", minimum_severity=Severity.WARNING)
MACHINES = ChannelPolicy(channel="kafka", every=True)


def change(kind: ChangeKind, revision: int = 1, at: int = T0, **fields: Any) -> IncidentChange:
    """Return a change of `inc_a`."""
    return IncidentChange(kind=kind, incident=incident(revision=revision, **fields), at=at, reason="test")


def analysed(**fields: Any) -> Analysed:
    """Return news of an analysis."""
    made = analysis(**fields)
    return Analysed(incident=incident(revision=made.revision), analysis=made)


def tell(policy: ChannelPolicy, *news: News) -> list[Reason | Silence]:
    """Return what each piece of news leads to, one after the other."""
    sent: list[Notification] = []
    reasons: list[Reason | Silence] = []
    for item in news:
        decided = decide(item, sent, policy)
        if isinstance(decided, Notification):
            sent.append(decided)
        reasons.append(decided.reason)
    return reasons


def test_an_incident_s_whole_life() -> None:
    """People hear of its beginning, both analyses and its end, and of nothing in between."""
    assert tell(
        PEOPLE,
        change(ChangeKind.OPENED),
        change(ChangeKind.UPDATED, 2),
        analysed(stage=Stage.STATISTICS, revision=2, headline="payments looks exhausted"),
        analysed(revision=2),
        change(ChangeKind.RESOLVED, 3, state=IncidentState.RESOLVED),
        change(ChangeKind.REOPENED, 4),
    ) == [
        Reason.INCIDENT_OPENED,
        Silence.NO_NEWS,
        Reason.ANALYSIS_STATISTICS,
        Reason.ANALYSIS_EXPLAINED,
        Reason.RESOLVED,
        Reason.REOPENED,
    ]


def test_machines_hear_everything() -> None:
    """Below every minimum and however little changed."""
    quiet: dict[str, Any] = {"severity": Severity.INFO}
    news = [change(kind, number, **quiet) for number, kind in enumerate(ChangeKind)]
    same = [analysed(), analysed(revision=2)]
    assert not [item for item in tell(MACHINES, *news, *same) if isinstance(item, Silence)]


def test_a_channel_s_minimum_severity() -> None:
    """Below it nothing is said, not even the end; rising above it is news."""
    low: dict[str, Any] = {"severity": Severity.INFO}
    assert tell(PEOPLE, change(ChangeKind.OPENED, **low), change(ChangeKind.RESOLVED, 2, **low)) == [
        Silence.BELOW_MINIMUM_SEVERITY,
        Silence.NOTHING_WAS_SAID,
    ]
    assert tell(
        PEOPLE,
        change(ChangeKind.OPENED, **low),
        change(ChangeKind.UPDATED, 2, severity=Severity.ERROR),
        change(ChangeKind.UPDATED, 3, severity=Severity.WARNING),
        change(ChangeKind.UPDATED, 4, severity=Severity.ERROR),
        change(ChangeKind.UPDATED, 5, severity=Severity.CRITICAL),
        change(ChangeKind.RESOLVED, 6, **low),
    ) == [
        Silence.BELOW_MINIMUM_SEVERITY,
        Reason.SEVERITY_RAISED,
        Silence.NO_NEWS,
        Silence.NO_NEWS,
        Reason.SEVERITY_RAISED,
        Reason.RESOLVED,
    ]  # fmt: skip


def test_the_same_again_is_not_said_again() -> None:
    """A new revision whose analysis says the same is silence; one that says something else is not."""
    assert tell(
        PEOPLE,
        analysed(),
        analysed(revision=2, as_of=T0 + 900 * SECOND),
        analysed(revision=3, verdict=Verdict.CONFIRMED),
        analysed(revision=4),
    ) == [
        Reason.ANALYSIS_EXPLAINED,
        Silence.SAME_CONTENT,
        Reason.ANALYSIS_EXPLAINED,
        Reason.ANALYSIS_EXPLAINED,
    ]


def test_an_unhelped_explanation_is_the_same_content() -> None:
    """When the model was down and the second stage repeats the first, people hear it once."""
    assert tell(PEOPLE, analysed(stage=Stage.STATISTICS), analysed()) == [
        Reason.ANALYSIS_STATISTICS,
        Silence.SAME_CONTENT,
    ]


def test_numbers_that_grow_are_no_new_content() -> None:
    """Counts and times in texts change all the time; services and words do not."""
    assert content(analysis(headline="412 errors since 10:00")) == content(
        analysis(headline="977 errors since 10:02")
    )
    assert content(analysis(headline="a")) != content(analysis(headline="b"))
    assert content(analysis(confidence=0.71)) == content(analysis(confidence=0.74))
    assert content(analysis(confidence=0.71)) != content(analysis(confidence=0.91))


def test_repeat_interval() -> None:
    """After it an open incident and an unchanged analysis are said again."""
    policy = dataclasses.replace(PEOPLE, repeat_interval=3600 * SECOND)
    later = T0 + 3600 * SECOND
    assert tell(
        policy,
        change(ChangeKind.OPENED),
        change(ChangeKind.UPDATED, 2, later - 1),
        change(ChangeKind.UPDATED, 3, later),
        change(ChangeKind.UPDATED, 4, later + 1),
    ) == [Reason.INCIDENT_OPENED, Silence.NO_NEWS, Reason.STILL_OPEN, Silence.NO_NEWS]
    assert tell(policy, analysed(as_of=T0), analysed(revision=2, as_of=later)) == [
        Reason.ANALYSIS_EXPLAINED,
        Reason.ANALYSIS_EXPLAINED,
    ]


def test_inconclusive_can_stay_below_a_channel_s_minimum() -> None:
    """For a channel that wakes people; others hear it."""
    pager = dataclasses.replace(PEOPLE, minimum_verdict=Verdict.LIKELY)
    news = analysed(verdict=Verdict.INCONCLUSIVE)
    assert tell(pager, news) == [Silence.INCONCLUSIVE_BELOW_CHANNEL_MINIMUM]
    assert tell(PEOPLE, news) == [Reason.ANALYSIS_EXPLAINED]


def test_a_merge_is_told_where_the_incident_was_known() -> None:
    """Else it is nobody's business."""
    merged = change(ChangeKind.UPDATED, 2, state=IncidentState.MERGED, merged_into="inc_b")
    assert tell(PEOPLE, change(ChangeKind.OPENED), merged)[1] is Reason.MERGED
    assert tell(PEOPLE, merged) == [Silence.NOTHING_WAS_SAID]


NEWS = st.one_of(
    st.builds(
        change,
        st.sampled_from(ChangeKind),
        st.integers(1, 6),
        st.integers(T0, T0 + 10),
        severity=st.sampled_from(Severity),
        state=st.sampled_from(IncidentState),
    ),
    st.builds(
        analysed,
        stage=st.sampled_from(Stage),
        revision=st.integers(1, 6),
        verdict=st.sampled_from(Verdict),
        headline=st.sampled_from(["a", "b"]),
    ),
)
POLICIES = st.builds(
    ChannelPolicy,
    channel=st.just("c"),
    every=st.booleans(),
    minimum_severity=st.sampled_from(Severity),
    minimum_verdict=st.sampled_from(Verdict),
    repeat_interval=st.one_of(st.none(), st.integers(1, 20)),
)


@given(st.lists(NEWS, max_size=8), POLICIES)
def test_a_repeated_step_says_nothing_new(news: list[News], policy: ChannelPolicy) -> None:
    """Whatever was said since: what once led to a message leads to that same message again."""
    sent: list[Notification] = []
    led: list[tuple[News, Notification]] = []
    for item in news:
        decided = decide(item, sent, policy)
        if isinstance(decided, Notification):
            led.append((item, decided))
            if decided not in sent:
                sent.append(decided)
    assert len({item.delivery_id for item in sent}) == len(sent)
    for item, message in led:
        assert decide(item, sent, policy) == message


@given(NEWS, POLICIES)
def test_ids_tell_channels_and_news_apart(news: News, policy: ChannelPolicy) -> None:
    """Another channel, or another revision, is another delivery."""
    everything = dataclasses.replace(policy, every=True, minimum_severity=Severity.INFO)
    other = dataclasses.replace(everything, channel="d")
    first, second = decide(news, (), everything), decide(news, (), other)
    assert isinstance(first, Notification)
    assert isinstance(second, Notification)
    assert first.delivery_id != second.delivery_id
    assert decide(news, (first,), everything) == first


def test_a_machines_channel_has_a_minimum_severity_too() -> None:
    """With `every`, news below the channel's minimum stay unsaid; the end of what was said does not."""
    policy = ChannelPolicy(channel="w", every=True, minimum_severity=Severity.CRITICAL)
    opened = IncidentChange(
        kind=ChangeKind.OPENED, incident=incident(severity=Severity.INFO), at=1, reason="x"
    )
    assert isinstance(decide(opened, (), policy), Suppressed)
    loud = dataclasses.replace(opened, incident=incident(severity=Severity.CRITICAL))
    said = decide(loud, (), policy)
    assert isinstance(said, Notification)
    over = dataclasses.replace(opened, kind=ChangeKind.RESOLVED)
    assert isinstance(decide(over, (said,), policy), Notification)


def test_notifications_survive_the_outbox() -> None:
    """As JSON, whole; anything else is refused."""
    assert decode(encode(notification())) == notification()
    for junk in (b"", b"{}", b"\xff", b'{"delivery_id": 1}'):
        with pytest.raises(NotificationError):
            decode(junk)


class Queue:
    """An outbox that remembers; the reading half that the announcer needs."""

    def __init__(self) -> None:
        self.entries: list[OutboxEntry] = []

    def queued(self, incident_id: str, channel: str) -> tuple[OutboxEntry, ...]:
        return tuple(e for e in self.entries if (e.incident_id, e.channel) == (incident_id, channel))


def announcer(queue: Queue) -> Announcer:
    """Return an announcer for people and machines."""
    return Announcer(queue, (PEOPLE, MACHINES))


def test_changes_of_one_step_see_each_other() -> None:
    """An incident that opens, changes and ends within one commit is told in order, without false news."""
    news = [
        change(ChangeKind.OPENED),
        change(ChangeKind.UPDATED, 2),
        change(ChangeKind.RESOLVED, 3, state=IncidentState.RESOLVED),
    ]
    made = announcer(Queue()).changes(news)
    assert [(e.channel, e.kind) for e in made] == [
        ("slack:ops", "opened"),
        ("kafka", "opened"),
        ("kafka", "updated"),
        ("slack:ops", "resolved"),
        ("kafka", "resolved"),
    ]


def test_a_step_repeated_makes_the_same_entries() -> None:
    """Byte for byte, whether or not the first try was saved."""
    queue = Queue()
    news = [change(ChangeKind.OPENED), change(ChangeKind.RESOLVED, 2, state=IncidentState.RESOLVED)]
    first = announcer(queue).changes(news)
    assert announcer(queue).changes(news) == first
    queue.entries += first
    assert {e.delivery_id for e in announcer(queue).changes(news)} == {e.delivery_id for e in first}


def test_history_of_another_version_does_not_stop_the_stream() -> None:
    """It is counted and taken as not there."""
    queue = Queue()
    queue.entries.append(
        OutboxEntry(
            delivery_id="x",
            channel="slack:ops",
            kind="opened",
            incident_id="inc_a",
            payload=b"?",
            created_at=1,
        )
    )
    asked = announcer(queue)
    assert asked.analysed(incident(), analysis())
    assert asked.counts[("slack:ops", "unreadable_history")] == 1
    assert asked.counts[("slack:ops", "analysis_explained")] == 1


def test_silences_are_counted_with_their_reason() -> None:
    """So that somebody who misses a message can see why."""
    asked = announcer(Queue())
    asked.changes([change(ChangeKind.OPENED, severity=Severity.INFO)])
    assert asked.counts[("slack:ops", Silence.BELOW_MINIMUM_SEVERITY.value)] == 1


def test_a_silence_is_a_value() -> None:
    """With channel and reason."""
    known: Incident = incident(severity=Severity.INFO)
    news = IncidentChange(kind=ChangeKind.OPENED, incident=known, at=T0, reason="test")
    assert decide(news, (), PEOPLE) == Suppressed(channel="slack:ops", reason=Silence.BELOW_MINIMUM_SEVERITY)
    assert Kind("opened") is Kind.OPENED
