"""What Filebeat, Fluent Bit and Vector wrap around a line: whose it is, when it was, and the line itself."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.events import DecodeError, MetricPoint, RejectReason, Resource
from ingest.record import SECOND
from tests.support.decoding import NOW, decode, only_log

AT = "2026-09-21T14:13:19Z"
TIME = NOW - SECOND
FILEBEAT: dict[str, Any] = {
    "@timestamp": "2026-09-21T14:13:19.000Z",
    "@metadata": {"beat": "filebeat", "type": "_doc", "version": "8.15.0"},
    "message": "payment failed",
    "log": {"level": "error", "file": {"path": "/var/log/pay.log"}, "offset": 12},
    "service": {"name": "payment", "environment": "prod"},
    "host": {"name": "n1", "os": {"family": "debian"}, "ip": ["10.0.0.1"]},
    "kubernetes": {"pod": {"name": "payment-1", "uid": "u"}, "node": {"name": "n1"}, "namespace": "shop"},
    "container": {"id": "c1", "image": {"name": "shop/payment:3"}, "runtime": "containerd"},
    "trace": {"id": "AA"},
    "span": {"id": "BB"},
    "error": {"type": "IOError", "message": "disk", "stack_trace": "IOError: disk\n\tat pay"},
    "event": {"dataset": "payment.log", "created": AT},
    "labels": {"team": "red"},
    "tags": ["beats_input"],
    "agent": {"name": "n1", "type": "filebeat"},
    "ecs": {"version": "8.0.0"},
    "input": {"type": "container"},
}
FLUENT: dict[str, Any] = {
    "@timestamp": 1789999999.0,
    "log": "cart is full\n",
    "stream": "stderr",
    "kubernetes": {
        "pod_name": "cart-1",
        "namespace_name": "shop",
        "pod_id": "u",
        "labels": {"app": "cart", "pod-template-hash": "5f"},
        "annotations": {"prometheus.io/scrape": "true"},
        "host": "n1",
        "container_name": "main",
        "docker_id": "c1",
        "container_image": "shop/cart:3",
    },
}
VECTOR: dict[str, Any] = {
    "timestamp": "2026-09-21T14:13:19.000Z",
    "message": "cart is full",
    "source_type": "kubernetes_logs",
    "stream": "stderr",
    "file": "/var/log/pods/x/0.log",
    "kubernetes": {
        "pod_name": "cart-7f9c6d5b8-abcde",
        "pod_namespace": "shop",
        "pod_owner": "ReplicaSet/cart-7f9c6d5b8",
        "pod_node_name": "n1",
        "container_name": "main",
        "container_image": "shop/cart:3",
        "pod_uid": "u",
    },
}


def dotted(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested objects as dotted names, as ECS loggers write some of them."""
    flat: dict[str, Any] = {}
    for name, inner in value.items():
        flat.update(dotted(inner, f"{prefix}{name}.") if isinstance(inner, dict) else {prefix + name: inner})
    return flat


@pytest.mark.parametrize("form", ["auto", "ecs"])
@pytest.mark.parametrize("nested", [True, False])
def test_ecs_says_everything_a_person_needs(form: str, nested: bool) -> None:
    """Nested or dotted, with the stack trace below the text and without what Filebeat says of itself."""
    labels = FILEBEAT["labels"]
    written = FILEBEAT if nested else {**dotted({**FILEBEAT, "labels": {}}), "labels": labels}
    event = only_log(written, format=form)
    assert event.resource == Resource(environment="prod", service="payment", instance="payment-1", node="n1")
    assert (event.time, event.severity_number, event.trace_id, event.span_id) == (TIME, 17, "aa", "bb")
    assert event.body == "payment failed\nIOError: disk\n\tat pay"
    assert event.attributes == (
        ("container.image.name", "shop/payment:3"),
        ("error.message", "disk"),
        ("error.type", "IOError"),
        ("event.dataset", "payment.log"),
        ("k8s.namespace.name", "shop"),
        ("log.file.path", "/var/log/pay.log"),
        ("team", "red"),
    )


def test_an_ecs_message_may_be_json_itself() -> None:
    """The application's own time, level, text and fields, in Filebeat's envelope."""
    inner = {"ts": "2026-09-21T14:13:18Z", "level": "warn", "msg": "slow", "took": 5}
    event = only_log({**FILEBEAT, "log": {}, "error": {}, "message": orjson.dumps(inner).decode()})
    assert (event.body, event.severity_number, event.time) == ("slow", 13, TIME - SECOND)
    assert event.resource.service == "payment"
    assert ("took", "5") in event.attributes
    parsed = {name: value for name, value in FILEBEAT.items() if name not in {"message", "log", "error"}}
    assert only_log({**parsed, "json": inner}) == event


def test_ecs_falls_back_to_the_module_for_a_service() -> None:
    """A Filebeat module without a service name is known by what it reads."""
    event = only_log({"@timestamp": AT, "message": "x", "ecs": {}, "event": {"module": "nginx"}})
    assert event.resource.service == "nginx"
    assert only_log({"@timestamp": AT, "log.level": "info", "error.message": "boom"}).body == "boom"


@pytest.mark.parametrize("form", ["auto", "fluent_bit"])
def test_fluent_bit_says_whose_the_line_is(form: str) -> None:
    """The Kubernetes filter's map, the float time of the Kafka output."""
    event = only_log(FLUENT, format=form)
    assert event.resource == Resource(environment="default", service="cart", instance="cart-1", node="n1")
    assert (event.time, event.body) == (TIME, "cart is full")
    assert event.attributes == (("container.image.name", "shop/cart:3"), ("k8s.namespace.name", "shop"))


@pytest.mark.parametrize(
    "time", [1789999999.25, "2026-09-21T14:13:19.250Z", "2026-09-21T14:13:19.250000000Z"]
)
def test_fluent_bits_time_has_three_forms(time: object) -> None:
    """Double, iso8601 and iso8601_ns, as its Timestamp_Format says."""
    assert only_log({**FLUENT, "@timestamp": time}).time == TIME + SECOND // 4
    assert only_log({"date": time, "log": "x"}).time == TIME + SECOND // 4


def test_a_batch_of_fluent_bit_is_an_array() -> None:
    """Each record stands by itself."""
    decoded = decode([FLUENT, {"log": 5}, {**FLUENT, "@timestamp": "2199-01-01T00:00:00Z"}])
    assert len(decoded.events) == 2
    assert [reject.reason for reject in decoded.rejects] == [RejectReason.TIME_INVALID]


@pytest.mark.parametrize(
    "line",
    [
        '{"level":"warn","msg":"slow","trace_id":"FF"}',
        '2026-09-21T14:13:18.5Z stdout F {"level":"warn","msg":"slow","trace_id":"FF"}\n',
        r'{"time":"2026-09-21T14:13:18Z","stream":"x","log":"{\"level\":\"warn\",\"msg\":\"slow\",\"trace_id\":\"FF\"}"}',
    ],
)
def test_a_line_may_be_wrapped_again(line: str) -> None:
    """JSON, a container runtime's prefix or docker's wrapper inside the shipper's."""
    event = only_log({**FLUENT, "log": line})
    assert (event.body, event.severity_number, event.trace_id) == ("slow", 13, "ff")
    assert event.resource.service == "cart"


def test_journald_through_fluent_bit_or_vector() -> None:
    """Unit or identifier, host and priority, under journald's own names."""
    journal = {"PRIORITY": "3", "_SYSTEMD_UNIT": "nginx.service", "_HOSTNAME": "web", "_PID": "7"}
    for fields in (
        {"@timestamp": 1789999999.0, "MESSAGE": "down", **journal},
        {"timestamp": AT, "message": "down", "source_type": "journald", "host": "web", **journal},
    ):
        event = only_log(fields)
        assert event.resource == Resource(environment="default", service="nginx", instance="web", node="web")
        assert (event.body, event.severity_number, event.time) == ("down", 17, TIME)
        assert event.attributes == ()


def test_syslog_that_fluent_bit_or_vector_parsed() -> None:
    """Priority or severity word, program and host."""
    fluent = {
        "@timestamp": 1789999999.0,
        "pri": "27",
        "host": "web",
        "ident": "app",
        "pid": "7",
        "message": "x",
    }
    vector = {"timestamp": AT, "message": "x", "source_type": "syslog", "hostname": "web", "appname": "app",
              "severity": "err", "facility": "daemon", "procid": 7, "version": 1}  # fmt: skip
    for fields in (fluent, vector):
        event = only_log(fields)
        assert event.resource == Resource(environment="default", service="app", instance="web", node="web")
        assert (event.body, event.severity_number, event.time) == ("x", 17, TIME)


@pytest.mark.parametrize("form", ["auto", "vector"])
def test_vector_says_whose_the_line_is(form: str) -> None:
    """A ReplicaSet's name without its hash is the workload."""
    event = only_log(VECTOR, format=form)
    assert event.resource == Resource(
        environment="default", service="cart", instance="cart-7f9c6d5b8-abcde", node="n1"
    )
    assert (event.time, event.body) == (TIME, "cart is full")
    assert event.attributes == (
        ("container.image.name", "shop/cart:3"),
        ("file", "/var/log/pods/x/0.log"),
        ("k8s.namespace.name", "shop"),
    )


def test_docker_logs_through_vector_and_fluentd() -> None:
    """A compose service is better than a container's name, which docker begins with a slash."""
    vector = {
        "timestamp": AT,
        "message": "x",
        "source_type": "docker_logs",
        "stream": "stdout",
        "container_id": "c1",
        "container_name": "shop-cart-1",
        "label": {"com.docker.compose.service": "cart"},
    }
    assert only_log(vector).resource.service == "cart"
    fluentd = {"container_id": "c1", "container_name": "/cart", "source": "stdout", "log": "x"}
    assert only_log(fluentd).resource == Resource(environment="default", service="cart", instance="c1")


def test_a_metric_in_a_line_is_a_metric() -> None:
    """What an application prints as a metric keeps the envelope's time and names."""
    (event,) = decode({**FLUENT, "log": '{"name":"queue","value":7}'}).events
    assert isinstance(event, MetricPoint)
    assert (event.name, event.value, event.time, event.resource.service) == ("queue", 7.0, TIME, "cart")


@pytest.mark.parametrize("form", ["ecs", "fluent_bit", "vector", "syslog_json"])
def test_an_envelope_without_a_line_says_which_field_is_missing(form: str) -> None:
    """A wrong format setting shows in the reason."""
    with pytest.raises(DecodeError, match="message") as caught:
        decode({"time": AT, "value": 1}, format=form)
    assert caught.value.reject.reason is RejectReason.MALFORMED


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**18) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
known_names = st.sampled_from(
    sorted(
        {
            *FILEBEAT,
            *FLUENT,
            *VECTOR,
            "level",
            "severity",
            "syslogtag",
            "facility",
            "MESSAGE",
            "PRIORITY",
            "pri",
        }
    )
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(known_names, json_values, max_size=8))
def test_any_values_under_known_names_are_taken_or_refused(fields: dict[str, Any]) -> None:
    """No type of any field breaks a decoder."""
    for form in ("auto", "ecs", "fluent_bit", "vector", "syslog_json", "docker"):
        try:
            decode(fields, format=form)
        except DecodeError:
            continue


@settings(max_examples=60, deadline=None)
@given(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=60).filter(
        lambda text: not text.lstrip("[").startswith(("{", "@cee")) and not text[:1].isdigit()
    ),
    st.sampled_from(["debug", "info", "warn", "error"]),
)
def test_a_line_comes_out_of_every_envelope_as_it_went_in(text: str, level: str) -> None:
    """The same text, level and service from all three shippers."""
    severity = {"debug": 5, "info": 9, "warn": 13, "error": 17}[level]
    for fields in (
        {**FILEBEAT, "message": text, "log": {"level": level}, "error": {}},
        {**FLUENT, "log": text, "level": level},
        {**VECTOR, "message": text, "level": level},
    ):
        event = only_log(fields)
        assert (event.body, event.severity_number, event.time) == (text, severity, TIME)
