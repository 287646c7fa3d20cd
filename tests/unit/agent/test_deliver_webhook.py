"""The webhook's signature, template and retry times."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.deliver.channels import MAX_RETRY_AFTER, DeliveryError
from agent.deliver.signature import SIGNATURE, TIMESTAMP, TOLERANCE, SignatureError, sign, verify
from agent.deliver.webhook import WebhookChannel, retry_after
from ingest.record import SECOND
from tests.support.receiver import receiver
from tests.support.samples import T0, analysis, evidence, notification

SECRET = b"s3cret"
NOW = T0 + 5


def signed(body: bytes, secret: bytes = SECRET, at: int = NOW) -> dict[str, str]:
    """Return the headers of a signed body."""
    seconds = at // SECOND
    return {TIMESTAMP: str(seconds), SIGNATURE: sign(secret, seconds, body)}


def test_the_signature_is_what_the_documentation_says() -> None:
    """Hex HMAC-SHA256 of `timestamp.body`: a known value, so that other languages can check theirs."""
    assert sign(b"key", 1700000000, b'{"a":1}') == (
        "v1=a438e398bfafc57e4396bb7fc2304422f0f768e965d073ca313cb52e22e6ad03"
    )


@given(st.binary(max_size=200), st.binary(min_size=1, max_size=40))
def test_what_was_signed_verifies(body: bytes, secret: bytes) -> None:
    """Whatever the body; header names in any case."""
    headers = {name.lower(): value for name, value in signed(body, secret).items()}
    verify(secret, headers, body, NOW)


@given(st.binary(min_size=1, max_size=60), st.data())
def test_any_change_of_the_body_is_seen(body: bytes, data: st.DataObject) -> None:
    """Down to a bit."""
    place = data.draw(st.integers(0, len(body) - 1))
    bit = data.draw(st.integers(0, 7))
    changed = bytearray(body)
    changed[place] ^= 1 << bit
    with pytest.raises(SignatureError, match="does not fit"):
        verify(SECRET, signed(body), bytes(changed), NOW)


def test_another_secret_or_time_does_not_verify() -> None:
    """The time is part of what is signed."""
    with pytest.raises(SignatureError, match="does not fit"):
        verify(b"other", signed(b"x"), b"x", NOW)
    moved = {**signed(b"x"), TIMESTAMP: str(NOW // SECOND + 1)}
    with pytest.raises(SignatureError, match="does not fit"):
        verify(SECRET, moved, b"x", NOW)


@pytest.mark.parametrize("age", [TOLERANCE + SECOND, -TOLERANCE - SECOND])
def test_old_and_future_messages_are_refused(age: int) -> None:
    """A recorded message cannot be played again later."""
    with pytest.raises(SignatureError, match="too old"):
        verify(SECRET, signed(b"x"), b"x", NOW + age)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {TIMESTAMP: "1700000000"},
        {SIGNATURE: "v1=00"},
        {TIMESTAMP: "-1", SIGNATURE: "v1=00"},
        {TIMESTAMP: "1e9", SIGNATURE: "v1=00"},
        {TIMESTAMP: "9" * 30, SIGNATURE: "v1=00"},
        {TIMESTAMP: str(NOW // SECOND), SIGNATURE: "v2=00"},
        {TIMESTAMP: str(NOW // SECOND), SIGNATURE: "v1=ü"},
        {TIMESTAMP: str(NOW // SECOND), SIGNATURE: "v1="},
    ],
)
def test_missing_or_broken_headers_are_refused(headers: dict[str, str]) -> None:
    """With an error of ours, never another."""
    with pytest.raises(SignatureError):
        verify(SECRET, headers, b"x", NOW)


def test_a_secret_can_be_changed_without_a_gap() -> None:
    """One of several signatures is enough."""
    headers = signed(b"x")
    both = {**headers, SIGNATURE: f"{sign(b'new', NOW // SECOND, b'x')}, {headers[SIGNATURE]}"}
    verify(SECRET, both, b"x", NOW)
    verify(b"new", both, b"x", NOW)


def test_what_arrives_verifies() -> None:
    """End to end: the receiver checks the raw body with the headers it got."""
    with receiver() as http:
        channel = WebhookChannel(name="ops", url=http.url, secret=SECRET, clock=lambda: NOW)
        assert channel.send(notification(), 3) == "200 OK"
        channel.close()
    (got,) = http.received
    verify(SECRET, got.headers, got.body, NOW)
    assert got.headers["Idempotency-Key"] == json.loads(got.body)["delivery_id"] == "dl_1"
    assert got.headers["X-Faultline-Event"] == "faultline.incident.analyzed.v1"
    assert got.headers["X-Faultline-Attempt"] == "3"


def test_a_template_makes_the_body() -> None:
    """Telemetry is quoted by `tojson`; what was signed is what the template made."""
    template = '{"summary": {{ event.analysis.headline | tojson }}, "sev": "{{ event.incident.severity }}"}'
    told = notification(analysis=analysis(headline='say "hi" {{ 7*7 }}', evidence=(evidence(),)))
    with receiver() as http:
        channel = WebhookChannel(
            name="ops", url=http.url, secret=SECRET, template=template, clock=lambda: NOW
        )
        channel.send(told, 1)
        channel.close()
    (got,) = http.received
    assert json.loads(got.body) == {"summary": 'say "hi" {{ 7*7 }}', "sev": "error"}
    verify(SECRET, got.headers, got.body, NOW)


@pytest.mark.parametrize(
    "template",
    ["{{ event.nothing.there }}", "{{ event.__class__.__mro__ }}", "{{ 1/0 }}", "{{ range(10**9)|list }}"],
)
def test_a_template_that_fails_is_a_final_error(template: str) -> None:
    """And one that reaches out of its sandbox fails."""
    channel = WebhookChannel(name="ops", url="http://127.0.0.1:9/", secret=SECRET, template=template)
    with pytest.raises(DeliveryError, match="template") as caught:
        channel.send(notification(), 1)
    assert not caught.value.retryable
    channel.close()


def test_wrong_settings_are_refused_at_once() -> None:
    """Before anything waits to be sent."""
    with pytest.raises(ValueError, match="http://"):
        WebhookChannel(name="ops", url="ftp://x", secret=SECRET)
    with pytest.raises(ValueError, match="secret"):
        WebhookChannel(name="ops", url="http://x", secret=b"")
    with pytest.raises(ValueError, match="template line 1"):
        WebhookChannel(name="ops", url="http://x", secret=SECRET, template="{{")


def test_retry_after_takes_seconds_and_dates() -> None:
    """Anything else, and the past, is no wait."""
    later = datetime.fromtimestamp(NOW // SECOND + 90, UTC)
    assert retry_after("120", NOW) == 120 * SECOND
    assert retry_after(format_datetime(later, usegmt=True), NOW // SECOND * SECOND) == 90 * SECOND
    assert retry_after("Thu, 01 Jan 1970 00:00:00 GMT", NOW) == 0
    assert retry_after("soon", NOW) is None
    assert retry_after(None, NOW) is None
    assert DeliveryError("x", retryable=True, retry_after=10**18).retry_after == MAX_RETRY_AFTER
