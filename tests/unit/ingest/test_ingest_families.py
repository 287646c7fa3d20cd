"""Prometheus' histograms, put together from one series a bucket."""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.events import MetricKind, MetricPoint
from ingest.record import Nanos
from ingest.summary import WindowSummary
from ingest.templates import Templates
from ingest.windows import Windows
from tests.support.histograms import BOUNDS, VALUES, explicit
from tests.support.telemetry import T0, at, point

MODEST = settings(max_examples=60, deadline=None)
LABELS = (("code", "200"),)


def scraped(
    time: Nanos, values: Sequence[float], *, offset: int = 0, without: frozenset[str] = frozenset()
) -> list[MetricPoint]:
    """Return one scrape of a histogram of all `values`; `without` names bounds, `count` or `sum`."""
    found: list[tuple[str, float, tuple[tuple[str, str], ...]]] = [
        ("d_bucket", float(sum(value <= bound for value in values)), (*LABELS, ("le", f"{bound:g}")))
        for bound in BOUNDS
    ]
    found.append(("d_bucket", float(len(values)), (*LABELS, ("le", "+Inf"))))
    found += [("d_count", float(len(values)), LABELS), ("d_sum", sum(values), LABELS)]
    return [
        point(
            time, value, offset=offset + place, name=name, labels=labels, kind=MetricKind.CUMULATIVE, unit="s"
        )
        for place, (name, value, labels) in enumerate(found)
        if not {name.removeprefix("d_"), labels[-1][1]} & without
    ]


def closed(points: Sequence[MetricPoint]) -> list[WindowSummary]:
    """Return the summaries of `cart` over the points."""
    windows = Windows(Templates())
    for one in points:
        windows.add(one, partition=("m", 0), wall=T0)
    return [s for window in windows.flush() for s in window.summaries if s.service == "cart"]


def series(summaries: Sequence[WindowSummary]) -> dict[str, list[tuple[Nanos, float]]]:
    """Return each series' samples by the name of the series."""
    found: dict[str, list[tuple[Nanos, float]]] = {}
    for summary in summaries:
        for one in summary.series:
            found.setdefault(one.key.name, []).extend(one.samples)
    return found


@MODEST
@given(parts=st.lists(VALUES, min_size=2, max_size=5), seed=st.integers(0, 99))
def test_a_family_is_the_histogram_that_it_was_made_of(parts: list[list[float]], seed: int) -> None:
    """In any order of arrival: the same as if it had come as one histogram with buckets."""
    buckets: list[MetricPoint] = []
    whole: list[MetricPoint] = []
    for place in range(len(parts)):
        values = [value for part in parts[: place + 1] for value in part]
        time = at(15 * place)
        buckets += scraped(time, values, offset=20 * place)
        known = msgspec.structs.replace(explicit(values), minimum=None, maximum=None)
        known = msgspec.structs.replace(known, total=sum(values))
        whole.append(
            point(
                time, len(values), offset=place, name="d", labels=LABELS,
                kind=MetricKind.CUMULATIVE, unit="s", distribution=known,
            )
        )  # fmt: skip
    random.Random(seed).shuffle(buckets)
    found = closed(buckets)
    assert [summary.series for summary in found] == [summary.series for summary in closed(whole)]
    assert {one.key.labels for summary in found for one in summary.series} <= {LABELS}


@pytest.mark.parametrize("without", ["+Inf", "count", "0.1", "sum"])
def test_a_piece_that_is_missing_costs_no_more_than_itself(without: str) -> None:
    """The whole count stands twice; a bucket may be lost and leaves a wider one; without a sum no mean."""
    first, more = [0.02] * 10, [0.3] * 10
    missing = frozenset({without})
    points = [*scraped(at(1), first), *scraped(at(11), first + more, offset=20, without=missing)]
    found = series(closed(points))
    assert found["d.rate"] == [(at(11), 1.0)]
    low = 0.05 if without == "0.1" else 0.1
    assert low <= found["d.p50"][0][1] <= 0.5
    assert ("d.mean" in found) == (without != "sum")


def test_without_any_whole_count_the_buckets_stay_counters() -> None:
    """How many values lie above the last bound cannot be known."""
    missing = frozenset({"+Inf", "count"})
    points = [*scraped(at(1), [0.02], without=missing), *scraped(at(11), [0.02] * 3, without=missing)]
    found = series(closed(points))
    assert set(found) == {"d_bucket", "d_sum"}
    assert len(found["d_bucket"]) == len(BOUNDS)


def test_buckets_that_raced_with_an_update_are_put_in_order() -> None:
    """A bucket read a moment later may say more than the next one: no count becomes negative."""
    points = [*scraped(at(1), []), *scraped(at(11), [0.02] * 4)]
    raced = [
        msgspec.structs.replace(one, value=6.0)
        if one.time == at(11) and ("le", "0.05") in one.labels
        else one
        for one in points
    ]
    found = series(closed(raced))
    assert found["d.rate"] == [(at(11), 0.4)]
    assert 0.01 <= found["d.p99"][0][1] <= BOUNDS[bisect_left(BOUNDS, 0.02)]


def test_a_restart_of_the_process_begins_the_family_anew() -> None:
    """What it says after a fall came since then; in what time is not known."""
    points = [*scraped(at(1), [4.0] * 50), *scraped(at(11), [0.02] * 4, offset=20)]
    found = series(closed(points))
    assert 0.01 <= found["d.p50"][0][1] <= 0.05
    assert "d.rate" not in found


@pytest.mark.parametrize(
    ("labels", "kind"),
    [
        ((), MetricKind.CUMULATIVE),
        ((("le", "tall"),), MetricKind.CUMULATIVE),
        ((("le", "NaN"),), MetricKind.CUMULATIVE),
        ((("le", "1"),), MetricKind.GAUGE),
    ],
)
def test_what_only_looks_like_a_bucket_stays_what_it_is(
    labels: tuple[tuple[str, str], ...], kind: MetricKind
) -> None:
    """A coal bucket is none of a histogram."""
    points = [
        point(at(seconds), seconds, name="coal_bucket", labels=labels, kind=kind) for seconds in (1, 2, 3)
    ]
    (one,) = closed(points)[0].series
    assert (one.key.name, one.key.labels) == ("coal_bucket", labels)
