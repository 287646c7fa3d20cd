"""Change events as CloudEvents: three modes, which change a type tells of, and whose it is."""

from __future__ import annotations

import base64
import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.events import ChangeEvent, DecodeError, RejectReason, Resource
from ingest.record import SECOND
from ingest.times import format_time
from tests.support.decoding import NOW, Headers, decode, only_change

EVENT = {
    "specversion": "1.0",
    "id": "e-1",
    "source": "/ci/pipeline",
    "type": "com.example.deployment.finished.v1",
    "subject": "cart",
    "time": "2026-09-21T14:13:19Z",
}
DATA = {"version": "1.4.2", "author": "ann"}


def headers(attributes: dict[str, str], content: str = "application/json") -> Headers:
    """Return the headers of Kafka's binary mode."""
    named = {f"ce_{name}": value for name, value in attributes.items()}
    return tuple((name, value.encode()) for name, value in {**named, "content-type": content}.items())


@pytest.mark.parametrize("form", ["auto", "cloudevents"])
def test_all_modes_say_the_same(form: str) -> None:
    """Binary, structured, structured with base64, and a batch of one."""
    encoded = base64.b64encode(orjson.dumps(DATA)).decode()
    structured = (("content-type", b"application/cloudevents+json; charset=utf-8"),)
    batch = (("content-type", b"application/cloudevents-batch+json"),)
    changes = [
        only_change(DATA, headers(EVENT), format=form),
        only_change({**EVENT, "data": DATA}, structured, format=form),
        only_change({**EVENT, "data": DATA}, format=form),
        only_change({**EVENT, "data_base64": encoded}, structured, format=form),
        only_change([{**EVENT, "data": DATA}], batch, format=form),
    ]
    assert all(change == changes[0] for change in changes)
    assert changes[0].resource == Resource(environment="default", service="cart")
    assert (changes[0].kind, changes[0].title, changes[0].time) == (
        "deploy",
        "deploy cart 1.4.2",
        NOW - SECOND,
    )
    assert changes[0].attributes == (
        ("author", "ann"),
        ("cloudevents.event_id", "e-1"),
        ("cloudevents.event_source", "/ci/pipeline"),
        ("cloudevents.event_subject", "cart"),
        ("cloudevents.event_type", "com.example.deployment.finished.v1"),
        ("version", "1.4.2"),
    )


@pytest.mark.parametrize(
    ("event_type", "kind"),
    [
        ("dev.cdevents.service.deployed.0.1.1", "deploy"),
        ("dev.cdevents.service.upgraded.0.2.0", "deploy"),
        ("dev.cdevents.service.rolledback.0.2.0", "rollback"),
        ("dev.cdevents.environment.modified.0.2.0", "config"),
        ("com.example.FeatureFlagUpdated.v1", "flag"),
        ("com.example.feature_flag.toggled", "flag"),
        ("com.example.flag.deployed", "flag"),
        ("Microsoft.AppConfiguration.KeyValueModified", "config"),
        ("com.example.config.changed", "config"),
        ("io.k8s.deployment.scaled", "scale"),
        ("com.example.app.restarted", "restart"),
        ("com.example.release", "deploy"),
        ("sh.keptn.event.deployment.finished", "deploy"),
        ("com.example.thing.updated", "change"),
    ],
)
def test_a_types_words_tell_the_kind(event_type: str, kind: str) -> None:
    """CDEvents, camel case, and dots; the more special word decides."""
    assert only_change({**EVENT, "type": event_type}).kind == kind


@pytest.mark.parametrize(
    "event_type",
    [
        "dev.cdevents.pipelinerun.started.0.2.0",
        "dev.cdevents.artifact.published.0.2.0",
        "dev.cdevents.change.merged.0.2.0",
        "dev.cdevents.incident.detected.0.1.0",
        "sh.keptn.event.deployment.triggered",
        "com.example.invoice.paid",
        "faultline.incident.updated.v1",
    ],
)
def test_what_is_no_change_is_counted_and_left_out(event_type: str) -> None:
    """Builds, plans and business events are nobody's deploy; nor are our own incidents."""
    decoded = decode({**EVENT, "type": event_type})
    assert (decoded.events, decoded.rejects, decoded.cuts) == ((), (), (("not_a_change", 1),))


@pytest.mark.parametrize(
    ("stated", "kind"), [("deployment", "deploy"), ("flag", "flag"), ("dns-switch", "dns-switch")]
)
def test_the_data_may_state_the_kind(stated: str, kind: str) -> None:
    """A kind that we do not know is believed as it is."""
    assert only_change({**EVENT, "type": "com.example.x", "data": {"kind": stated}}).kind == kind


@pytest.mark.parametrize(
    ("fields", "service"),
    [
        ({"data": {"service": "pay"}}, "pay"),
        ({"data": {"service": {"name": "pay"}}}, "pay"),
        ({"subject": "namespaces/shop/deployments/pay"}, "pay"),
        ({"subject": "pay@1.2"}, "pay"),
        ({"subject": "", "source": "https://ci.example.com/services/pay/runs/7"}, "pay"),
        ({"type": "com.example.flag.changed", "subject": "new-checkout"}, "topic"),
        ({"type": "com.example.flag.changed", "subject": "services/pay/flags/new"}, "pay"),
        ({"subject": "", "data": None}, "topic"),
    ],
)
def test_whose_change_it_is(fields: dict[str, Any], service: str) -> None:
    """The data first, then a path in subject or source, then a subject that is a service."""
    assert only_change({**EVENT, **fields}, service="topic").resource.service == service


def test_cdevents_keep_the_environment_in_their_subject() -> None:
    """Subject id, artifact and environment are found where CDEvents put them."""
    change = only_change({
        **EVENT,
        "type": "dev.cdevents.service.deployed.0.2.0",
        "subject": "",
        "data": {
            "context": {"id": "1", "source": "/x", "type": "t", "timestamp": "2026-09-21T14:13:19Z"},
            "subject": {"id": "cart", "content": {"environment": {"id": "prod"}, "artifactId": "cart@1"}},
        },
    })  # fmt: skip
    assert change.resource == Resource(environment="prod", service="cart")
    assert change.title == "deploy cart cart@1"


def test_data_that_is_text_or_cannot_be_read() -> None:
    """Text is the title; Avro is left alone; broken JSON that says it is JSON is refused."""
    assert only_change(b"cart v2 is out", headers(EVENT, "text/plain")).title == "cart v2 is out"
    assert only_change(b"\x00\x01", headers(EVENT, "application/avro")).title == "deploy cart"
    assert only_change(b"", headers(EVENT)).title == "deploy cart"
    with pytest.raises(DecodeError) as caught:
        decode(b"{", headers(EVENT))
    assert caught.value.reject.reason is RejectReason.MALFORMED


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"specversion": "2.0"}, RejectReason.UNKNOWN_FORMAT),
        ({"id": ""}, RejectReason.MALFORMED),
        ({"source": 5}, RejectReason.MALFORMED),
        ({"time": "noon"}, RejectReason.TIME_INVALID),
        ({"time": "1970-01-01T00:00:00Z"}, RejectReason.TIME_INVALID),
        ({"data_base64": "%"}, RejectReason.MALFORMED),
    ],
)
@pytest.mark.parametrize("form", ["auto", "cloudevents"])
def test_broken_events_are_refused(fields: dict[str, Any], reason: RejectReason, form: str) -> None:
    """Each with its reason, and in a batch each alone."""
    with pytest.raises(DecodeError) as caught:
        decode({**EVENT, **fields}, format=form)
    assert caught.value.reject.reason is reason
    assert len(decode([{**EVENT, **fields}, EVENT], format=form).events) == 1


def test_an_event_without_a_time_takes_its_datas_or_the_brokers() -> None:
    """`time` is optional in CloudEvents."""
    untimed = {name: value for name, value in EVENT.items() if name != "time"}
    assert only_change(untimed).time == NOW
    assert only_change({**untimed, "data": {"deployed_at": "2026-09-21T14:13:19Z"}}).time == NOW - SECOND


@settings(max_examples=60, deadline=None)
@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40),
    st.sampled_from(["deploy", "flag", "config", "restart", "scale", "rollback"]),
    st.text("abc-xyz", min_size=1, max_size=20),
    st.integers(946_684_800 * SECOND, NOW),
)
def test_structured_and_binary_read_back(title: str, kind: str, service: str, time: int) -> None:
    """Whatever title, kind, service and time: both modes give them back, and agree."""
    event = {**EVENT, "type": "com.example.x", "time": format_time(time)}
    data = {"kind": kind, "title": title, "service.name": service}
    structured = only_change({**event, "data": data})
    assert structured == only_change(data, headers(event))
    assert (structured.kind, structured.title, structured.time) == (kind, title, time)
    assert structured.resource.service == service


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([*EVENT, "data", "data_base64"]), st.none() | st.integers() | st.text(max_size=9)
    ),
    st.lists(
        st.tuples(
            st.sampled_from(["ce_specversion", "ce_id", "ce_type", "content-type"]), st.binary(max_size=9)
        )
    ),
    st.binary(max_size=40),
)
def test_no_attributes_or_headers_break_the_decoder(
    fields: dict[str, Any], given_: list[Any], raw: bytes
) -> None:
    """Any value of any attribute is taken or refused, in every mode."""
    for value in (json.dumps({**EVENT, **fields}).encode(), raw):
        for form in ("auto", "cloudevents"):
            try:
                events = decode(value, tuple(given_), format=form).events
            except DecodeError:
                continue
            assert form == "auto" or all(isinstance(event, ChangeEvent) for event in events)
