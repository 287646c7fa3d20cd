"""Geometry: whatever telemetry holds, every coordinate is finite and inside the drawing."""

from __future__ import annotations

import math
import re

from hypothesis import given
from hypothesis import strategies as st

from agent.serve.plots import Axis, Chart, Curve, Point, chart, quantity
from agent.serve.timeline import Happening, Mark, timeline
from ingest.record import SECOND

T0 = 1_700_000_000 * SECOND
_TIMES = st.integers(-4000, 40_000).map(lambda s: T0 + s * SECOND)
_VALUES = st.floats(allow_nan=True, allow_infinity=True)
_POINTS = st.lists(st.builds(lambda t, v: Point(time=t, value=v), _TIMES, _VALUES), max_size=40).map(
    lambda points: tuple(sorted(points, key=lambda p: p.time))
)
_CURVES = st.lists(
    st.builds(lambda p, b: Curve(label="x", points=p, bars=b), _POINTS, st.sampled_from([0, 10 * SECOND])),
    max_size=3,
)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?|nan|inf")


def _path_numbers(drawn: Chart) -> list[tuple[float, float]]:
    pairs = []
    for stroke in drawn.strokes:
        for command in re.findall(r"[ML][^MLh]*", stroke.path):
            x, y = (float(number) for number in _NUMBER.findall(command))
            pairs.append((x, y))
    return pairs


@given(_CURVES, _TIMES, st.integers(0, 50_000), _TIMES, _TIMES, st.none() | _VALUES)
def test_chart_stays_inside(
    curves: list[Curve], start: int, span: int, onset: int, until: int, expected: float | None
) -> None:
    """Strokes, bars, shade, marks and ticks lie within the viewBox for any samples and spans."""
    drawn = chart(
        curves, start=start, end=start + span * SECOND, onset=onset, until=until, unit="s", expected=expected
    )
    for x, y in _path_numbers(drawn):
        assert drawn.left <= x <= drawn.right
        assert drawn.top <= y <= drawn.bottom
    for bar in (*drawn.bars, drawn.shade):
        assert bar.width >= 0
        assert bar.height >= 0
        assert drawn.left <= bar.x
        assert bar.x + bar.width <= drawn.right + 0.11
        assert drawn.top <= bar.y
        assert bar.y + bar.height <= drawn.bottom + 0.11
    for tick in drawn.y_ticks:
        assert drawn.top <= tick.at <= drawn.bottom
    for tick in drawn.x_ticks:
        assert drawn.left <= tick.at <= drawn.right
    assert 1 <= len(drawn.y_ticks) <= 5
    for place in (drawn.onset, drawn.expected):
        assert place is None or math.isfinite(place)


@given(
    st.lists(
        st.builds(
            lambda s, a, n, k: Happening(service=s, start=a, end=a + n * SECOND, kind=k, title="t"),
            st.sampled_from([f"s{n}" for n in range(20)]),
            _TIMES,
            st.integers(0, 5000),
            st.sampled_from(["log", "metric"]),
        ),
        max_size=60,
    ),
    st.lists(_TIMES, max_size=4),
    st.integers(0, 50_000),
    st.sampled_from([360.0, 1040.0]),
)
def test_timeline_stays_inside(
    happenings: list[Happening], marks: list[int], span: int, width: float
) -> None:
    """Bars lie on their own lane, lanes below each other, services without room are counted."""
    services = list(dict.fromkeys(h.service for h in happenings))
    drawn = timeline(
        services,
        happenings,
        happenings[:5],
        [Mark(time=time, label="onset") for time in marks],
        start=T0,
        end=T0 + span * SECOND,
        width=width,
    )
    assert len(drawn.lanes) + drawn.hidden == len(services)
    below = drawn.top
    for lane in drawn.lanes:
        assert lane.y == below
        below += lane.height
        assert sum(h.service == lane.service for h in happenings) == len(lane.bars)
        for one in lane.bars:
            assert drawn.left <= one.bar.x
            assert one.bar.x + one.bar.width <= drawn.right + 0.11
            assert lane.y <= one.bar.y
            assert one.bar.y + one.bar.height <= lane.y + lane.height
        for diamond in lane.diamonds:
            assert drawn.left <= diamond.x <= drawn.right
    assert below == drawn.bottom < drawn.height
    assert all(drawn.left <= tick.at <= drawn.right for tick in (*drawn.ticks, *drawn.marks))


def test_overlapping_anomalies_get_rows() -> None:
    """Two anomalies at the same time stand above each other, a later one goes back to the first row."""
    spans = [(0, 100), (50, 150), (120, 200)]
    happenings = [
        Happening(service="cart", start=T0 + a * SECOND, end=T0 + b * SECOND, kind="log", title=str(a))
        for a, b in spans
    ]
    (lane,) = timeline(["cart"], happenings, (), (), start=T0, end=T0 + 200 * SECOND).lanes
    rows = {one.title: one.bar.y for one in lane.bars}
    assert rows["0"] == rows["120"] < rows["50"]


def test_gap_lifts_the_pen() -> None:
    """Where samples are missing, no line pretends to know better."""
    times = [0, 10, 20, 200, 210]
    points = tuple(Point(time=T0 + t * SECOND, value=1.0) for t in times)
    drawn = chart([Curve(label="x", points=points)], start=T0, end=T0 + 300 * SECOND, onset=T0, until=T0)
    assert drawn.strokes[0].path.count("M") == 2


def test_ticks_are_round_times() -> None:
    """Labels are whole minutes where the span allows it, and none is before the start."""
    ticks = Axis(T0 + 7 * SECOND, T0 + 900 * SECOND, 0.0, 400.0).ticks(80.0)
    assert [tick.label for tick in ticks] == ["22:15", "22:20", "22:25"]


def test_quantity_reads_well() -> None:
    """Units get a fitting size; annotations and counts have none."""
    assert quantity(0.0123, "s") == "12.3 ms"
    assert quantity(2.5, "s") == "2.5 s"
    assert quantity(3 * 1024**2, "By") == "3 MiB"
    assert quantity(97.5, "%") == "97.5 %"
    assert quantity(12_000.0) == "12k"
    assert quantity(3.0, "{request}") == "3"
    assert quantity(math.inf) == "–"
