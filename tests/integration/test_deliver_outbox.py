"""The way out end to end: store, sender and real channels, with receivers that fail as real ones do."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.analysis import ChangeKind, IncidentChange, IncidentState
from agent.deliver.announce import Announcer
from agent.deliver.channels import DeliveryError
from agent.deliver.decide import ChannelPolicy
from agent.deliver.notification import Notification, to_entry
from agent.deliver.outbox import RetryPolicy, Sender
from agent.deliver.webhook import WebhookChannel, verify
from agent.store.port import DeliveryState, OutboxEntry
from agent.store.sql import SqlStore
from ingest.record import SECOND, Nanos
from tests.support.receiver import Answer, Receiver, receiver
from tests.support.samples import T0, analysis, checkpoint, incident, notification

SECRET = b"s3cret"


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.now: Nanos = T0

    def __call__(self) -> Nanos:
        return self.now


class Scripted:
    """A channel whose answers are given: None is success."""

    def __init__(self, name: str, *answers: Exception | None) -> None:
        self.name = name
        self.answers = list(answers)
        self.taken: list[tuple[str, int]] = []

    def send(self, notification: Notification, attempt: int) -> str | None:
        self.taken.append((notification.delivery_id, attempt))
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            raise answer
        return "ok"

    def close(self) -> None:
        """Nothing to close."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    """Open a store with incident `inc_a`."""
    opened = SqlStore(f"sqlite:///{tmp_path}/store.db")
    epoch = opened.take_over("stream").epoch
    opened.checkpoint(checkpoint(epoch, incidents=(incident(), incident("inc_b"))))
    yield opened
    opened.close()


@pytest.fixture
def http() -> Iterator[Receiver]:
    """Run an HTTP receiver."""
    with receiver() as running:
        yield running


def put(store: SqlStore, *waiting: Notification) -> None:
    """Put notifications into the outbox."""
    epoch = store.take_over("stream").epoch
    store.checkpoint(checkpoint(epoch, outbox=tuple(to_entry(item) for item in waiting)))


def states(store: SqlStore, incident_id: str = "inc_a") -> list[DeliveryState]:
    """Return the states of an incident's deliveries."""
    return [row[2] for row in store.delivery_states(incident_id)]


def test_500_then_200_is_one_delivery(store: SqlStore, http: Receiver) -> None:
    """Both attempts carry the same delivery id and verify; the second comes after the wait, not before."""
    clock = Clock()
    http.answers = [Answer(500, b"oops"), Answer()]
    channel = WebhookChannel(name="ops", url=http.url, secret=SECRET, clock=clock)
    sender = Sender(store=store, channels=[channel], clock=clock)
    put(store, notification(channel="webhook:ops"))
    assert sender.send_due(clock()) == Counter(failed=1)
    assert sender.send_due(clock()) == Counter()
    clock.now += 2 * SECOND
    assert sender.send_due(clock()) == Counter(sent=1)
    assert [item.headers["Idempotency-Key"] for item in http.received] == ["dl_1", "dl_1"]
    for item in http.received:
        verify(SECRET, item.headers, item.body, clock())
    assert states(store) == [DeliveryState.SENT]
    sender.close()


def test_a_time_out_is_tried_again(store: SqlStore, http: Receiver) -> None:
    """With the cause in the store for the page."""
    clock = Clock()
    http.answers = [Answer(hang=True), Answer()]
    channel = WebhookChannel(name="ops", url=http.url, secret=SECRET, timeout_s=0.2, clock=clock)
    sender = Sender(store=store, channels=[channel], clock=clock)
    put(store, notification(channel="webhook:ops"))
    sender.send_due(clock())
    ((_, _, state, attempts, error),) = store.delivery_states("inc_a")
    assert (state, attempts) == (DeliveryState.WAITING, 1)
    assert error is not None
    assert "no answer in time" in error
    clock.now += 10 * SECOND
    assert sender.send_due(clock()) == Counter(sent=1)
    sender.close()


def test_a_refusal_is_dead_and_the_next_passes(store: SqlStore, http: Receiver) -> None:
    """One bad message does not stop an incident's line."""
    http.answers = [Answer(410, b"gone"), Answer()]
    sender = Sender(
        store=store,
        channels=[WebhookChannel(name="ops", url=http.url, secret=SECRET)],
        clock=lambda: T0,
    )
    put(store, *(notification(channel="webhook:ops", delivery_id=f"dl_{n}") for n in (1, 2)))
    assert sender.send_due(T0) == Counter(dead=1, sent=1)
    assert states(store) == [DeliveryState.DEAD, DeliveryState.SENT]
    sender.close()


def test_order_within_an_incident_survives_failures(store: SqlStore) -> None:
    """The second message waits until the first is through; other incidents do not wait."""
    clock = Clock()
    channel = Scripted("c", DeliveryError("busy", retryable=True))
    sender = Sender(store=store, channels=[channel], clock=clock)
    put(
        store,
        notification(channel="c", delivery_id="a1"),
        notification(channel="c", delivery_id="a2"),
        notification(channel="c", delivery_id="b1", incident=incident("inc_b")),
    )
    sender.send_due(clock())
    assert channel.taken == [("a1", 1), ("b1", 1)]
    clock.now += 10 * SECOND
    sender.send_due(clock())
    assert channel.taken[2:] == [("a1", 2), ("a2", 1)]


def test_a_receiver_is_left_alone_as_long_as_it_asks(store: SqlStore) -> None:
    """Retry-After counts when it is longer than our own wait."""
    clock = Clock()
    busy = DeliveryError("429", retryable=True, retry_after=60 * SECOND)
    channel = Scripted("c", busy)
    sender = Sender(store=store, channels=[channel], clock=clock)
    put(store, notification(channel="c"))
    sender.send_due(clock())
    clock.now += 60 * SECOND - 1
    assert sender.send_due(clock()) == Counter()
    clock.now += 1
    assert sender.send_due(clock()) == Counter(sent=1)


def test_it_gives_up_after_the_last_attempt(store: SqlStore) -> None:
    """Unexpected exceptions count as attempts too; the entry is dead and says why."""
    clock = Clock()
    channel = Scripted("c", RuntimeError("bug"), ConnectionError("away"), DeliveryError("x", retryable=True))
    sender = Sender(store=store, channels=[channel], clock=clock, retry=RetryPolicy(max_attempts=3))
    put(store, notification(channel="c"))
    outcomes = Counter[str]()
    for _ in range(5):
        outcomes += sender.send_due(clock())
        clock.now += 3600 * SECOND
    assert outcomes == Counter(failed=2, dead=1)
    assert store.delivery_states("inc_a")[0][2:] == (DeliveryState.DEAD, 3, "x")
    assert sender.counts == Counter({("c", "failed"): 2, ("c", "dead"): 1})


def test_what_no_version_can_read_is_dead(store: SqlStore) -> None:
    """It is not tried for ever."""
    epoch = store.take_over("stream").epoch
    broken = OutboxEntry(
        delivery_id="x", channel="c", kind="opened", incident_id="inc_a", payload=b"{", created_at=T0
    )
    store.checkpoint(checkpoint(epoch, outbox=(broken,)))
    assert Sender(store=store, channels=[Scripted("c")], clock=lambda: T0).send_due(T0) == Counter(dead=1)


def test_a_channel_that_hangs_holds_up_nobody_else(store: SqlStore, http: Receiver) -> None:
    """While one receiver does not answer, the other channel's messages arrive; both stop when told."""
    stuck = threading.Event()
    release = threading.Event()
    arrived = threading.Event()

    class Stuck(Scripted):
        def send(self, notification: Notification, attempt: int) -> str | None:
            stuck.set()
            release.wait(30)
            return super().send(notification, attempt)

    class Quick(Scripted):
        def send(self, notification: Notification, attempt: int) -> str | None:
            stuck.wait(30)
            arrived.set()
            return super().send(notification, attempt)

    slow, quick = Stuck("slow"), Quick("quick")
    put(
        store,
        notification(channel="slow", delivery_id="s1"),
        notification(channel="slow", delivery_id="s2", incident=incident("inc_b")),
        notification(channel="quick", delivery_id="q1"),
    )
    stop = threading.Event()
    sender = Sender(store=store, channels=[slow, quick], clock=lambda: T0, poll_s=0.01)
    thread = threading.Thread(target=sender.run, args=(stop,))
    thread.start()
    assert arrived.wait(30)
    assert slow.taken == []
    stop.set()
    release.set()
    thread.join(30)
    assert not thread.is_alive()
    assert slow.taken == [("s1", 1)]
    assert [item.entry.delivery_id for item in store.claim(T0, 10, SECOND)] == ["s2"]


def test_a_store_that_is_away_comes_back(store: SqlStore) -> None:
    """The loop counts the failure and goes on."""

    class Flaky:
        def __init__(self) -> None:
            self.failures = 2

        def __getattr__(self, name: str) -> object:
            if name == "claim" and self.failures:
                self.failures -= 1
                raise ConnectionError("database is away")
            return getattr(store, name)

    stop = threading.Event()

    class Last(Scripted):
        def send(self, notification: Notification, attempt: int) -> str | None:
            stop.set()
            return super().send(notification, attempt)

    channel = Last("c")
    put(store, notification(channel="c"))
    sender = Sender(store=Flaky(), channels=[channel], clock=lambda: T0, poll_s=0.01)  # type: ignore[arg-type]
    sender.run(stop)
    assert channel.taken == [("dl_1", 1)]
    assert sender.counts[("c", "store_failed")] == 2


def test_from_change_to_receiver(store: SqlStore, http: Receiver) -> None:
    """Announced in the checkpoint's transaction, repeated after a crash, each said once and in order."""
    policies = (ChannelPolicy(channel="webhook:ops"),)
    changes = [
        IncidentChange(kind=ChangeKind.OPENED, incident=incident(), at=T0, reason="opened"),
        IncidentChange(
            kind=ChangeKind.RESOLVED,
            incident=incident(state=IncidentState.RESOLVED, revision=2),
            at=T0 + SECOND,
            reason="quiet",
        ),
    ]
    for _ in range(2):
        epoch = store.take_over("stream").epoch
        store.checkpoint(checkpoint(epoch, outbox=Announcer(store, policies).changes(changes[:1])))
    made = Announcer(store, policies).analysed(incident(), analysis())
    assert store.save_analysis(analysis(), made, T0)
    assert not store.save_analysis(analysis(), made, T0)
    store.checkpoint(checkpoint(epoch, outbox=Announcer(store, policies).changes(changes)))
    channel = WebhookChannel(name="ops", url=http.url, secret=SECRET)
    Sender(store=store, channels=[channel], clock=lambda: T0).send_due(T0)
    channel.close()
    kinds = [item.headers["X-Faultline-Event"].split(".")[2] for item in http.received]
    assert kinds == ["opened", "analyzed", "resolved"]
    assert len({item.headers["Idempotency-Key"] for item in http.received}) == 3


def test_waits_double_spread_and_end() -> None:
    """Deterministic from the delivery id, never longer than the longest."""
    policy = RetryPolicy(first_wait=SECOND, longest_wait=60 * SECOND)
    waits = [policy.wait("dl_1", attempt) for attempt in range(1, 60)]
    assert waits == [policy.wait("dl_1", attempt) for attempt in range(1, 60)]
    for attempt, wait in enumerate(waits, 1):
        full = min(2 ** (attempt - 1), 60) * SECOND
        assert full // 2 <= wait <= full
    assert len({policy.wait(f"dl_{n}", 5) for n in range(50)}) > 40


def test_two_channels_of_one_name_are_refused(store: SqlStore) -> None:
    """They would take each other's messages."""
    with pytest.raises(ValueError, match="same name"):
        Sender(store=store, channels=[Scripted("c"), Scripted("c")])
