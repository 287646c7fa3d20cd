"""What every channel must do, held over a real HTTP endpoint or a recording producer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pytest

from agent.deliver.channels import Channel, DeliveryError
from agent.deliver.kafka import KafkaChannel
from agent.deliver.notification import Kind, Notification, Reason
from agent.deliver.slack import SlackChannel
from agent.deliver.webhook import WebhookChannel
from tests.support.receiver import Answer, Receiver, receiver
from tests.support.samples import analysis, evidence, notification

SECRET = b"s3cret"
ALL = ["webhook", "slack", "kafka"]
OVER_HTTP = ["webhook", "slack"]


class RecordingProducer:
    """Keeps what was sent; a flush makes it delivered, or fails as told."""

    def __init__(self) -> None:
        self.queued: list[tuple[str, bytes | None, bytes, Sequence[tuple[str, bytes]]]] = []
        self.delivered: list[tuple[str, bytes | None, bytes, Sequence[tuple[str, bytes]]]] = []
        self.failing = False

    def send(
        self, topic: str, *, key: bytes | None, value: bytes, headers: Sequence[tuple[str, bytes]] = ()
    ) -> None:
        self.queued.append((topic, key, value, headers))

    def flush(self, timeout_s: float = 30.0) -> None:
        if self.failing:
            raise ConnectionError("the broker is away")
        self.delivered += self.queued
        self.queued.clear()


@dataclass
class Rig:
    """A channel and its other end."""

    channel: Channel
    bodies: Callable[[], list[bytes]]
    ids: Callable[[], list[str]]
    http: Receiver | None


@pytest.fixture
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    """Build the channel named by the parameter."""
    if request.param == "kafka":
        producer = RecordingProducer()
        yield Rig(
            channel=KafkaChannel(producer=producer, public_url="https://faultline.test"),
            bodies=lambda: [value for _, _, value, _ in producer.delivered],
            ids=lambda: [dict(headers)["ce_id"].decode() for _, _, _, headers in producer.delivered],
            http=None,
        )
        return
    with receiver() as http:
        channel: Channel
        if request.param == "webhook":
            channel = WebhookChannel(
                name="ops", url=http.url, secret=SECRET, timeout_s=0.3, public_url="https://faultline.test"
            )
        else:
            channel = SlackChannel(
                name="ops", webhook_url=http.url, timeout_s=1, public_url="https://faultline.test"
            )
        yield Rig(
            channel=channel,
            bodies=lambda: [item.body for item in http.received],
            ids=lambda: [item.headers["Idempotency-Key"] for item in http.received],
            http=http,
        )
        channel.close()


def variants() -> list[Notification]:
    """Return one notification of each kind, with and without an analysis, with hostile text."""
    hostile = evidence("<!channel> \x1b[31m`*_~ \u202e & <http://evil.test|click> " * 40)
    return [
        notification(),
        notification(analysis=None, kind=Kind.OPENED, reason=Reason.INCIDENT_OPENED),
        notification(analysis=None, kind=Kind.UPDATED, reason=Reason.SEVERITY_RAISED),
        notification(analysis=None, kind=Kind.RESOLVED, reason=Reason.RESOLVED),
        notification(analysis=None, kind=Kind.REOPENED, reason=Reason.REOPENED),
        notification(analysis=analysis(evidence=(hostile,))),
    ]


@pytest.mark.parametrize("rig", ALL, indirect=True)
def test_every_kind_is_taken_as_json(rig: Rig) -> None:
    """Each notification arrives once, as a JSON object, and gives a receipt."""
    for item in variants():
        assert rig.channel.send(item, 1)
    bodies = [json.loads(body) for body in rig.bodies()]
    assert len(bodies) == len(variants())
    assert all(isinstance(body, dict) for body in bodies)


@pytest.mark.parametrize("rig", ALL, indirect=True)
def test_the_page_is_linked_and_the_analysis_told(rig: Rig) -> None:
    """Headline, verdict and the address of the incident's page are in every message about an analysis."""
    rig.channel.send(notification(), 1)
    told = rig.bodies()[0].decode()
    for word in ("payments refuses connections", "likely", "https://faultline.test/incidents/inc_a"):
        assert word in told


@pytest.mark.parametrize("rig", ["webhook", "kafka"], indirect=True)
def test_the_delivery_id_is_the_same_on_every_attempt(rig: Rig) -> None:
    """So that a receiver that looks at it acts once."""
    rig.channel.send(notification(), 1)
    rig.channel.send(notification(), 2)
    assert rig.ids() == ["dl_1", "dl_1"]


@pytest.mark.parametrize("status", [500, 502, 503, 429, 408])
@pytest.mark.parametrize("rig", OVER_HTTP, indirect=True)
def test_a_receiver_in_trouble_is_tried_again(rig: Rig, status: int) -> None:
    """And left alone for as long as it asks."""
    assert rig.http is not None
    rig.http.answers = [Answer(status, b"busy", {"Retry-After": "7"})]
    with pytest.raises(DeliveryError) as caught:
        rig.channel.send(notification(), 1)
    assert caught.value.retryable
    assert caught.value.retry_after == 7_000_000_000
    assert str(status) in caught.value.detail


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
@pytest.mark.parametrize("rig", OVER_HTTP, indirect=True)
def test_a_refusal_is_final(rig: Rig, status: int) -> None:
    """The same again would be refused again; what the receiver said is kept, cleaned."""
    assert rig.http is not None
    rig.http.answers = [Answer(status, b"no \x1b[31mway")]
    with pytest.raises(DeliveryError, match="no way") as caught:
        rig.channel.send(notification(), 1)
    assert not caught.value.retryable


@pytest.mark.parametrize("rig", OVER_HTTP, indirect=True)
def test_a_receiver_that_hangs_costs_its_time_out(rig: Rig) -> None:
    """And is tried again."""
    assert rig.http is not None
    rig.http.answers = [Answer(hang=True)]
    with pytest.raises(DeliveryError) as caught:
        rig.channel.send(notification(), 1)
    assert caught.value.retryable


@pytest.mark.parametrize("rig", OVER_HTTP, indirect=True)
def test_a_redirect_is_never_taken_for_success(rig: Rig) -> None:
    """The message goes to the configured address only, and the error is final."""
    assert rig.http is not None
    rig.http.answers = [
        Answer(302, b"", {"Location": rig.http.url + "/elsewhere"}),
        Answer(200, b"elsewhere"),
    ]
    with pytest.raises(DeliveryError) as caught:
        rig.channel.send(notification(), 1)
    assert not caught.value.retryable


def test_nobody_listening_is_tried_again() -> None:
    """For both HTTP channels, without the secret URL in the message."""
    with receiver() as gone:
        url = gone.url
    for channel in (
        WebhookChannel(name="x", url=url, secret=SECRET),
        SlackChannel(name="x", webhook_url=url + "/T0/SECRET"),
    ):
        with pytest.raises(DeliveryError) as caught:
            channel.send(notification(), 1)
        assert caught.value.retryable
        assert "SECRET" not in caught.value.detail
        channel.close()


def test_an_unflushed_event_is_no_success() -> None:
    """The Kafka channel reports only what the broker has."""
    producer = RecordingProducer()
    producer.failing = True
    with pytest.raises(ConnectionError):
        KafkaChannel(producer=producer).send(notification(), 1)
    assert producer.delivered == []
