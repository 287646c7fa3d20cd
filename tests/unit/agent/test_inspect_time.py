"""Bins that widen, and time laid out without gaps and with room for the incident."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from agent.evaluate.inspection.bins import MOST, WIDTHS, Bins
from agent.evaluate.inspection.shape import Layout, Span, layout, stretches
from ingest.record import SECOND

_MINUTE = 60 * SECOND
_times = st.lists(st.integers(0, 10**6).map(lambda second: second * SECOND), min_size=1, max_size=400)
_spans = st.lists(st.tuples(st.integers(0, 10**5), st.integers(1, 10**4)), min_size=1, max_size=12)


@given(_times, st.randoms())
def test_bins_are_the_same_in_any_order(times: list[int], chance: object) -> None:
    """Which bins there are depends on the times, not on who came first; they are never too many."""
    first, second = Bins(), Bins()
    for time in times:
        first.of(time)
    for time in sorted(times, reverse=True):
        second.of(time)
    assert first.width == second.width
    assert first.occupied == second.occupied == {time // first.width for time in times}
    assert len(first.occupied) <= MOST or first.step == len(WIDTHS) - 1


def test_listeners_hear_how_many_bins_become_one() -> None:
    """Counts kept by bin can follow a widening exactly."""
    bins = Bins()
    heard: list[int] = []
    bins.listeners.append(heard.append)
    for second in range(MOST * 5 + 5):
        bins.of(second * SECOND)
    assert np.prod(heard) * SECOND == bins.width
    assert all(wide % narrow == 0 for narrow, wide in itertools.pairwise(WIDTHS))


def _laid(spans: list[tuple[int, int]], incident: Span | None) -> Layout:
    covered = stretches([(a * SECOND, (a + length) * SECOND) for a, length in spans], _MINUTE)
    return layout(covered, incident)


@given(_spans, st.none() | st.tuples(st.integers(0, 10**5), st.integers(1, 2000)))
def test_layout_keeps_order_and_fills_the_drawing(
    spans: list[tuple[int, int]], incident: tuple[int, int] | None
) -> None:
    """Later times never stand left of earlier ones, and the pieces fill 0 to 1 without overlap."""
    span = None if incident is None else (incident[0] * SECOND, sum(incident) * SECOND)
    made = _laid(spans, span)
    edges = [edge for piece in made.pieces for edge in (piece.left, piece.right)]
    assert edges[0] == 0.0
    assert abs(edges[-1] - 1.0) < 1e-9
    assert edges == sorted(edges)
    times = np.linspace(made.start - _MINUTE, made.end + _MINUTE, 200).astype(np.int64)
    places = made.places(times)
    assert (np.diff(places) >= 0).all()
    assert places.min() >= 0
    assert places.max() <= 1


def test_a_day_without_telemetry_takes_no_room() -> None:
    """A baseline of another day stands beside the incident, with the cut told and the date on the axis."""
    made = _laid([(0, 600), (86_400, 300)], None)
    assert len(made.pieces) == 2
    assert [seam.cut for seam in made.seams] == [85_800 * SECOND]
    assert made.place(600 * SECOND) == made.place(80_000 * SECOND)
    assert any("Jan" in tick.label for tick in made.ticks(340.0, 60.0))


def test_short_gaps_are_drawn() -> None:
    """A pause of a minute in an hour is seen as a pause."""
    made = _laid([(0, 1800), (1900, 1700)], None)
    assert len(made.pieces) == 1


def test_a_short_incident_gets_room() -> None:
    """Three minutes in an hour take at least a fifth of the width, and the scale's change is a seam."""
    made = _laid([(0, 3600)], (3000 * SECOND, 3180 * SECOND))
    assert made.place(3180 * SECOND) - made.place(3000 * SECOND) > 0.2
    assert made.seams
    assert all(seam.cut == 0 for seam in made.seams)


def test_ticks_keep_their_distance() -> None:
    """Labels never stand on each other, whatever the pieces."""
    made = _laid([(0, 600), (5000, 30), (9000, 600)], (9100 * SECOND, 9200 * SECOND))
    at = [tick.at for tick in made.ticks(360.0, 60.0)]
    assert all(b - a >= 60 for a, b in itertools.pairwise(at))
    assert len(at) >= 2
