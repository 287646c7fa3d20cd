"""Metrics in JSON as Telegraf, prometheus-kafka-adapter and collectd write them."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.decode import Decode
from ingest.events import Decoded, DecodeError, MetricKind, MetricPoint, RejectReason, TopicDefaults
from ingest.record import SECOND, Nanos, Origin, Record

NOW: Nanos = 1_790_000_000 * SECOND
MODEST = settings(max_examples=60, deadline=None)
names = st.text("abcdefgh_", min_size=1, max_size=12)
numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53)
texts = st.text("abc-1.é /", min_size=1, max_size=8)
tag_names = names.map("x_".__add__)
"""No tag of these names says whose telemetry it is."""


def decode(value: Any, form: str = "auto") -> Decoded:
    """Decode one record; what is not bytes is written as JSON."""
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    record = Record(origin=Origin(topic="t", partition=0, offset=0), value=raw, received=NOW)
    return Decode({"t": TopicDefaults(format=form)}).decode(record, NOW)


def points(value: Any, form: str = "auto") -> list[MetricPoint]:
    """Decode a record of metrics without a reject; its own format's name gives what `auto` gives."""
    decoded = decode(value, form)
    assert decoded.rejects == ()
    return [event for event in decoded.events if isinstance(event, MetricPoint)]


def telegraf(**fields: Any) -> dict[str, Any]:
    """Make a metric of Telegraf's."""
    return {"fields": fields, "name": "m", "tags": {"host": "h1", "x": "y"}, "timestamp": NOW // SECOND}


@MODEST
@given(fields=st.dictionaries(names, numbers, min_size=1, max_size=5), tags=st.dictionaries(tag_names, texts))
def test_every_field_of_telegraf_is_a_series(fields: dict[str, float], tags: dict[str, str]) -> None:
    """Names, values and labels are those that were written, by either format name."""
    metric = {"fields": fields, "name": "m", "tags": tags, "timestamp": NOW // SECOND}
    found = points(metric)
    assert found == points(metric, "telegraf")
    assert {point.name: point.value for point in found} == {f"m.{name}": v for name, v in fields.items()}
    assert {point.labels for point in found} == {tuple(sorted(tags.items()))}


@pytest.mark.parametrize("unit", [1, 1_000, 1_000_000, SECOND])
def test_telegraf_in_any_unit_of_time(unit: int) -> None:
    """`json_timestamp_units` of s, ms, us and ns come to the same time."""
    (point,) = points({**telegraf(a=1), "timestamp": NOW // (SECOND // unit)})
    assert point.time == NOW


def test_telegraf_whose_and_what_is_left_out() -> None:
    """The host is the instance, not a label; booleans count, texts do not and are counted."""
    decoded = decode(telegraf(up=True, down=False, state="fine", none=None))
    assert [(e.name, e.value) for e in decoded.events if isinstance(e, MetricPoint)] == [
        ("m.up", 1.0),
        ("m.down", 0.0),
    ]
    assert dict(decoded.cuts) == {"field_not_numeric": 2}
    (point, _) = points(telegraf(a=1, b=2))
    assert (point.resource.instance, point.labels) == ("h1", (("x", "y"),))


@pytest.mark.parametrize(
    ("name", "field", "kind"),
    [
        ("net", "bytes_recv", MetricKind.CUMULATIVE),
        ("net", "speed", MetricKind.GAUGE),
        ("diskio", "reads", MetricKind.CUMULATIVE),
        ("cpu", "usage_idle", MetricKind.GAUGE),
        ("app", "requests_total", MetricKind.CUMULATIVE),
        ("mem", "huge_pages_total", MetricKind.GAUGE),
        ("disk", "inodes_total", MetricKind.GAUGE),
        ("app", "thread_count", MetricKind.GAUGE),
        ("prometheus", "request_seconds_count", MetricKind.CUMULATIVE),
        ("http_requests", "counter", MetricKind.CUMULATIVE),
    ],
)
def test_which_fields_of_telegraf_are_counters(name: str, field: str, kind: MetricKind) -> None:
    """Well-known ends and plugins are counters; whatever else might be one is a level."""
    (point,) = points({**telegraf(**{field: 3}), "name": name})
    assert point.kind is kind


def test_a_batch_of_telegraf_refuses_alone() -> None:
    """The metric without fields and the one without a time fall out of their batch."""
    broken = {"name": "m", "fields": {"a": 1}, "tags": {}}
    decoded = decode({"metrics": [telegraf(a=1), {"name": "m"}, broken, telegraf(a=2)]})
    assert len(decoded.events) == 2
    assert [reject.reason for reject in decoded.rejects] == [
        RejectReason.MALFORMED,
        RejectReason.TIME_INVALID,
    ]


def sample(name: str, value: object, **labels: str) -> dict[str, Any]:
    """Make a sample of prometheus-kafka-adapter's."""
    return {
        "timestamp": "2026-09-21T14:13:20Z",
        "value": value,
        "name": name,
        "labels": {"__name__": name, **labels},
    }


@MODEST
@given(name=names, value=numbers, labels=st.dictionaries(tag_names, texts, max_size=5))
def test_a_sample_of_prometheus_is_what_was_written(name: str, value: float, labels: dict[str, str]) -> None:
    """Go writes floats in either notation; labels but the name stay."""
    for spelled in (repr(float(value)), f"{value:e}"):
        written = sample(name, spelled, **labels)
        (point,) = points(written)
        assert [point] == points(written, "prometheus_json")
        assert (point.name, point.value, point.time) == (name, float(spelled), NOW)
        assert point.labels == tuple(sorted(labels.items()))


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf"])
def test_no_value_is_no_event_and_no_reject(value: str) -> None:
    """Prometheus writes NaN where a series ended: that is no fault, only counted."""
    decoded = decode(sample("up", value))
    assert (decoded.events, decoded.rejects, dict(decoded.cuts)) == ((), (), {"no_value": 1})


@pytest.mark.parametrize(
    ("name", "kind", "unit"),
    [
        ("http_requests_total", MetricKind.CUMULATIVE, ""),
        ("process_cpu_seconds_total", MetricKind.CUMULATIVE, "s"),
        ("request_duration_seconds_bucket", MetricKind.CUMULATIVE, "s"),
        ("request_duration_seconds_sum", MetricKind.CUMULATIVE, "s"),
        ("request_duration_seconds_count", MetricKind.CUMULATIVE, ""),
        ("process_resident_memory_bytes", MetricKind.GAUGE, "By"),
        ("go_goroutines", MetricKind.GAUGE, ""),
    ],
)
def test_the_name_tells_kind_and_unit(name: str, kind: MetricKind, unit: str) -> None:
    """Prometheus' conventions are all that a sample says about its kind."""
    (point,) = points(sample(name, "1"))
    assert (point.kind, point.unit) == (kind, unit)


@pytest.mark.parametrize(
    ("labels", "service", "left"),
    [
        ({"job": "shop/cart", "instance": "10.0.0.1:80"}, "cart", ()),
        ({"job": "kubelet", "container": "cart", "pod": "cart-7f"}, "cart", (("job", "kubelet"),)),
        ({"job": "kubelet", "container": "POD"}, "kubelet", (("container", "POD"),)),
        ({"job": "x", "service": "cart"}, "cart", (("job", "x"),)),
        ({"code": "500"}, "unknown", (("code", "500"),)),
    ],
)
def test_whose_sample_it_is(labels: dict[str, str], service: str, left: tuple[Any, ...]) -> None:
    """The workload that it names, else its container, else the job; what was read is no label."""
    (point,) = points(sample("up", "1", **labels))
    assert (point.resource.service, point.labels) == (service, left)


@pytest.mark.parametrize(
    "broken",
    [
        sample("up", "one"),
        sample("up", True),
        sample("up", None),
        {**sample("up", "1"), "timestamp": "yesterday"},
        {**sample("up", "1"), "labels": {}},
        {**sample("up", "1"), "labels": []},
        {**sample("up", "1"), "labels": {"__name__": ""}},
        7,
    ],
)
def test_a_broken_sample_is_refused_alone(broken: Any) -> None:
    """Its neighbour in the record goes on; a text that is no number has no value."""
    decoded = decode([broken, sample("up", "1")], "prometheus_json")
    assert len(decoded.events) == 1
    assert len(decoded.rejects) + sum(number for _, number in decoded.cuts) == 1


def values(kind: str, value: object, **fields: Any) -> dict[str, Any]:
    """Make a list of one value of collectd's."""
    return {
        "values": [value], "dstypes": [kind], "dsnames": ["value"], "time": 1790000000.000, "interval": 10.0,
        "host": "web-1", "plugin": "cpu", "plugin_instance": "0", "type": "cpu", "type_instance": "idle",
        **fields,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("gauge", 7, (MetricKind.GAUGE, "", 0)),
        ("gauge", 0.5, (MetricKind.GAUGE, "", 0)),
        ("derive", 7, (MetricKind.CUMULATIVE, "", 0)),
        ("counter", 7, (MetricKind.CUMULATIVE, "", 0)),
        ("derive", 0.5, (MetricKind.GAUGE, "/s", 0)),
        ("derive", 0, (MetricKind.GAUGE, "/s", 0)),
        ("absolute", 0, (MetricKind.DELTA, "", NOW - 10 * SECOND)),
        ("absolute", 7, (MetricKind.DELTA, "", NOW - 10 * SECOND)),
    ],
)
def test_collectd_counters_as_they_stand_or_as_rates(kind: str, value: float, expected: Any) -> None:
    """A whole number of a counter is the counter; a fraction is its rate, and so is 0."""
    (point,) = points([values(kind, value)])
    assert [point] == points([values(kind, value)], "collectd")
    assert (point.kind, point.unit, point.start) == expected
    assert (point.name, point.value, point.time, point.resource.instance) == ("cpu", value, NOW, "web-1")
    assert point.labels == (("plugin_instance", "0"), ("type_instance", "idle"))


def test_collectd_names_its_sources() -> None:
    """Plugin, type where it is another, source where there are several."""
    many = values("gauge", 1, values=[1, None], dstypes=["gauge"] * 2, dsnames=["rx", "tx"], plugin="net")
    decoded = decode([many])
    assert [e.name for e in decoded.events if isinstance(e, MetricPoint)] == ["net.cpu.rx"]
    assert dict(decoded.cuts) == {"no_value": 1}


@pytest.mark.parametrize(
    "wrong", [{"values": []}, {"dstypes": []}, {"dsnames": [1]}, {"plugin": ""}, {"time": None}, {"time": 1}]
)
def test_a_broken_list_of_collectd_is_refused_alone(wrong: dict[str, Any]) -> None:
    """Its neighbour in the record goes on."""
    decoded = decode([values("gauge", 1, **wrong), values("gauge", 1)], "collectd")
    assert (len(decoded.events), len(decoded.rejects)) == (1, 1)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(MODEST, max_examples=200)
@given(
    base=st.sampled_from([telegraf(a=1), sample("up", "1"), values("derive", 1)]),
    changed=st.dictionaries(st.integers(0, 9), anything, max_size=3),
    form=st.sampled_from(["auto", "telegraf", "prometheus_json", "collectd"]),
)
def test_no_value_anywhere_breaks_a_decoder(base: dict[str, Any], changed: dict[int, Any], form: str) -> None:
    """Whatever stands in a field, an item is read or refused, and what is read is finite."""
    item = dict(base)
    for place, value in changed.items():
        item[list(base)[place % len(base)]] = value
    try:
        decoded = decode([item], form)
    except DecodeError:
        return
    assert all(math.isfinite(e.value) for e in decoded.events if isinstance(e, MetricPoint))
