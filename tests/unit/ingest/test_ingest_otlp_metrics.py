"""OTLP metrics: what each kind of point becomes, and which points are refused."""

from __future__ import annotations

from typing import Any

import pytest

from ingest.distribution import Buckets, Distribution
from ingest.events import DecodeError, MetricKind, MetricPoint, RejectReason
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


def _histograms(request: Any) -> list[MetricPoint]:
    return [event for event in decode(request.SerializeToString()).events if isinstance(event, MetricPoint)]


@pytest.mark.parametrize(("temporality", "kind"), [(1, MetricKind.DELTA), (2, MetricKind.CUMULATIVE)])
def test_a_histogram_keeps_buckets_and_temporality(temporality: int, kind: MetricKind) -> None:
    """Bounds, counts, sum, extremes and since when it counts are what was sent."""
    request, metric = metrics_request()
    metric.histogram.aggregation_temporality = temporality
    metric.histogram.data_points.add(
        time_unix_nano=NOW,
        start_time_unix_nano=NOW - 10,
        count=3,
        sum=1.5,
        min=0.1,
        max=0.9,
        explicit_bounds=[0.5, 1.0],
        bucket_counts=[2, 1, 0],
    )
    (found,) = _histograms(request)
    assert (found.kind, found.unit, found.start, found.value) == (kind, "s", NOW - 10, 3.0)
    assert found.distribution == Distribution(
        count=3, total=1.5, minimum=0.1, maximum=0.9, bounds=(0.5, 1.0), counts=(2, 1, 0)
    )


def test_an_exponential_histogram_keeps_scale_and_sides() -> None:
    """Empty buckets at the ends say nothing and are left out."""
    request, metric = metrics_request()
    metric.exponential_histogram.aggregation_temporality = 2
    point = metric.exponential_histogram.data_points.add(
        time_unix_nano=NOW, count=6, sum=-2.0, scale=3, zero_count=1
    )
    point.positive.offset = -2
    point.positive.bucket_counts.extend([0, 2, 1])
    point.negative.offset = 4
    point.negative.bucket_counts.extend([2, 0])
    (found,) = _histograms(request)
    assert found.distribution == Distribution(
        count=6,
        total=-2.0,
        scale=3,
        zero=1,
        positive=Buckets(offset=-1, counts=(2, 1)),
        negative=Buckets(offset=4, counts=(2,)),
    )


def test_a_histogram_without_buckets_is_a_count_and_a_sum() -> None:
    """Only the count is required; one bucket without bounds says no more."""
    request, metric = metrics_request()
    metric.histogram.data_points.add(time_unix_nano=NOW, count=4)
    metric.histogram.data_points.add(time_unix_nano=NOW, count=3, sum=1.5, bucket_counts=[3])
    assert [found.distribution for found in _histograms(request)] == [
        Distribution(count=4),
        Distribution(count=3, total=1.5),
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"explicit_bounds": [1.0, 1.0], "bucket_counts": [1, 1, 1]},
        {"explicit_bounds": [2.0, 1.0], "bucket_counts": [1, 1, 1]},
        {"explicit_bounds": [1.0], "bucket_counts": [1]},
        {"explicit_bounds": [1.0]},
        {"explicit_bounds": [float("nan")], "bucket_counts": [1, 1]},
        {"bucket_counts": [1 << 63]},
    ],
)
def test_a_histogram_that_contradicts_itself_is_refused_alone(wrong: dict[str, Any]) -> None:
    """Its neighbour goes on."""
    request, metric = metrics_request()
    metric.histogram.data_points.add(time_unix_nano=NOW, count=1, **wrong)
    metric.histogram.data_points.add(time_unix_nano=NOW, count=4)
    decoded = decode(request.SerializeToString())
    assert (len(decoded.events), [reject.reason for reject in decoded.rejects]) == (
        1,
        [RejectReason.MALFORMED],
    )


@pytest.mark.parametrize("scale", [-21, 21, 2**31 - 1])
def test_an_exponential_histogram_of_no_known_scale_is_refused(scale: int) -> None:
    """Its base would be no number."""
    request, metric = metrics_request()
    metric.exponential_histogram.data_points.add(time_unix_nano=NOW, count=1, scale=scale)
    with pytest.raises(DecodeError, match="scale"):
        decode(request.SerializeToString())


def test_a_counter_says_since_when_it_counts() -> None:
    """A start after the time itself is not believed, and a gauge has none."""
    request, metric = metrics_request()
    metric.sum.aggregation_temporality = 2
    metric.sum.is_monotonic = True
    for start in (NOW - 5, NOW + 5):
        metric.sum.data_points.add(time_unix_nano=NOW, start_time_unix_nano=start, as_int=1)
    assert [found.start for found in _histograms(request)] == [NOW - 5, 0]
    request, metric = metrics_request()
    metric.gauge.data_points.add(time_unix_nano=NOW, start_time_unix_nano=NOW - 5, as_int=1)
    assert _histograms(request)[0].start == 0


def test_a_summary_becomes_counters_and_quantiles() -> None:
    """Each quantile is a gauge of its own label; one that is NaN had no values."""
    request, metric = metrics_request()
    point = metric.summary.data_points.add(time_unix_nano=NOW, count=3, sum=1.5)
    point.quantile_values.add(quantile=0.99, value=0.8)
    point.quantile_values.add(quantile=0.5, value=float("nan"))
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
