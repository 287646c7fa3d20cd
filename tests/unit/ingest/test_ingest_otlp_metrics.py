"""OTLP metrics: what each kind of point becomes, and which points are refused."""

from __future__ import annotations

import pytest

from ingest.events import MetricKind, RejectReason
from tests.support.otlp import NOW, attributes, decode, metrics_request, points


def test_a_gauge_keeps_integers_and_doubles() -> None:
    """Values become floats; attributes become sorted labels."""
    request, metric = metrics_request()
    metric.gauge.data_points.add(time_unix_nano=NOW, as_int=7, attributes=attributes(b="2", a="1"))
    metric.gauge.data_points.add(time_unix_nano=NOW, as_double=0.5)
    assert points(request) == [
        ("m", 7.0, MetricKind.GAUGE, "s", (("a", "1"), ("b", "2"))),
        ("m", 0.5, MetricKind.GAUGE, "s", ()),
    ]


@pytest.mark.parametrize(
    ("temporality", "rising", "kind"),
    [
        (2, True, MetricKind.CUMULATIVE),
        (2, False, MetricKind.GAUGE),
        (1, True, MetricKind.DELTA),
        (1, False, MetricKind.DELTA),
        (0, True, MetricKind.CUMULATIVE),
    ],
)
def test_a_sum_is_a_counter_only_when_it_rises(temporality: int, rising: bool, kind: MetricKind) -> None:
    """An up-down counter's total is a level, not a count."""
    request, metric = metrics_request()
    metric.sum.aggregation_temporality = temporality
    metric.sum.is_monotonic = rising
    metric.sum.data_points.add(time_unix_nano=NOW, as_int=1)
    assert points(request) == [("m", 1.0, kind, "s", ())]


@pytest.mark.parametrize("form", ["histogram", "exponential_histogram"])
def test_a_histogram_becomes_its_count_and_sum(form: str) -> None:
    """Two counters, with the sum left out where the sender leaves it out."""
    request, metric = metrics_request()
    data = getattr(metric, form)
    data.aggregation_temporality = 1
    data.data_points.add(time_unix_nano=NOW, count=3, sum=1.5)
    data.data_points.add(time_unix_nano=NOW, count=4)
    assert points(request) == [
        ("m.count", 3.0, MetricKind.DELTA, "1", ()),
        ("m.sum", 1.5, MetricKind.DELTA, "s", ()),
        ("m.count", 4.0, MetricKind.DELTA, "1", ()),
    ]


def test_a_summary_becomes_counters_and_quantiles() -> None:
    """Each quantile is a gauge of its own label."""
    request, metric = metrics_request()
    point = metric.summary.data_points.add(time_unix_nano=NOW, count=3, sum=1.5)
    point.quantile_values.add(quantile=0.99, value=0.8)
    assert points(request) == [
        ("m.count", 3.0, MetricKind.CUMULATIVE, "1", ()),
        ("m.sum", 1.5, MetricKind.CUMULATIVE, "s", ()),
        ("m", 0.8, MetricKind.GAUGE, "s", (("quantile", "0.99"),)),
    ]


def test_a_point_without_a_recorded_value_is_no_event_and_no_reject() -> None:
    """The flag says that a series ended, not that its value is zero."""
    request, metric = metrics_request()
    metric.gauge.data_points.add(time_unix_nano=NOW, flags=1)
    metric.gauge.data_points.add(time_unix_nano=NOW, as_int=1)
    decoded = decode(request.SerializeToString())
    assert (len(decoded.events), decoded.rejects) == (1, ())


def test_a_point_without_time_or_value_is_refused_alone() -> None:
    """Both are required; the rest of the metric goes on."""
    request, metric = metrics_request()
    metric.gauge.data_points.add(as_int=1)
    metric.gauge.data_points.add(time_unix_nano=NOW)
    metric.gauge.data_points.add(time_unix_nano=NOW, as_int=1)
    decoded = decode(request.SerializeToString())
    assert len(decoded.events) == 1
    assert [reject.reason for reject in decoded.rejects] == [
        RejectReason.TIME_MISSING,
        RejectReason.MALFORMED,
    ]
