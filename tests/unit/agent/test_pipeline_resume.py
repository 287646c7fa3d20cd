"""An interruption anywhere changes nothing: same anomalies, changes and state as without it (property)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.journal import Snapshot
from agent.pipeline import Outcome, Pipeline
from agent.store.port import ModelAction, ModelRequest
from detectors.new_template import NewTemplate
from detectors.retraining import Rules
from detectors.severity import SeverityRise
from detectors.silence import Silence
from detectors.suite import Suite
from detectors.template_rate import TemplateRate
from detectors.versions import Versions
from ingest.record import SECOND, Origin, Record
from ingest.times import format_time
from tests.support.bench import T0, pipeline
from tests.support.learners import Doubling

WINDOW = 10
WARM = 40
"""Windows after which everything is known."""
RULES = Rules(span=60 * SECOND, flagged=0.1, shadow=80 * SECOND, least=3, pause=30 * SECOND)


def _pipeline() -> Pipeline:
    versions = Versions([NewTemplate(), TemplateRate(), SeverityRise(), Silence(), Doubling()], RULES)
    made = pipeline()
    made.models, made._suite = versions, Suite(versions.detectors)
    return made


def _records(levels: Sequence[tuple[int, int]], begin: int) -> Iterator[Record]:
    """Yield records of windows from number `begin` on: so many ordinary lines and errors in each."""
    for index, (ordinary, errors) in enumerate(levels, begin):
        texts = [("order", "order paid", "info")] * ordinary
        texts += [("order", f"payment refused with code e{index % 3}", "error")] * errors
        texts += [("cart", "cart opened", "info")] * (3 if ordinary != 1 else 0)
        for number, (service, text, level) in enumerate(texts):
            time = T0 + round((index * WINDOW + number * WINDOW / len(texts)) * SECOND)
            yield Record(
                origin=Origin(topic="a", partition=0, offset=index * 1000 + number),
                value=(
                    f'{{"time": "{format_time(time)}", "message": "{text}", "level": "{level}", '
                    f'"service.name": "{service}"}}'
                ).encode(),
                received=time,
            )


def _play(made: Pipeline, records: Sequence[Record]) -> None:
    for record in records:
        made.tick(record.received)
        made.take(record, record.received)


@cache
def _warm() -> bytes:
    made = _pipeline()
    _play(made, list(_records([(5, 0)] * WARM, 0)))
    made.outcome()
    return made.dump()


def _told(outcomes: Sequence[Outcome]) -> list[object]:
    """Return what commits had to say, in order; where they were cut is not part of it.

    Versions that end within one commit come by detector, so of them only each detector's order counts.
    """
    names = ("anomalies", "changes", "due", "refused")
    retired = [one for outcome in outcomes for one in outcome.retired]
    said = [[one for outcome in outcomes for one in getattr(outcome, name)] for name in names]
    return [*said, sorted(retired, key=lambda one: one[0].detector)]


LEVELS = st.lists(
    st.tuples(st.sampled_from([0, 1, 5, 6, 30]), st.sampled_from([0, 0, 1, 12])), min_size=2, max_size=25
)


@settings(max_examples=40, deadline=None)
@given(LEVELS, st.data())
def test_an_interrupted_stream_finds_what_an_uninterrupted_one_does(
    levels: Sequence[tuple[int, int]], data: st.DataObject
) -> None:
    """Between any two records: findings, incidents, model versions and in the end every byte of state."""
    records = list(_records(levels, WARM))
    cut = data.draw(st.integers(0, len(records)))
    whole, first, second = _pipeline(), _pipeline(), _pipeline()
    for made in (whole, first):
        made.load(_warm())
    _play(whole, records)
    whole.finish()
    _play(first, records[:cut])
    before = first.outcome()
    second.load(first.dump())
    _play(second, records[cut:])
    second.finish()
    assert _told([before, second.outcome()]) == _told([whole.outcome()])
    assert second.dump() == whole.dump()
    assert second.models.live() == whole.models.live()


@settings(max_examples=40, deadline=None)
@given(LEVELS, st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=8))
def test_windows_after_a_whole_state_are_as_good_as_the_state(
    levels: Sequence[tuple[int, int]], cuts: list[tuple[float, bool]]
) -> None:
    """Checkpoints at any records, a restart after some: findings, versions and all bytes are the same."""
    records = list(_records(levels, WARM))
    whole, made = _pipeline(), _pipeline()
    for one in (whole, made):
        one.load(_warm())
    _play(whole, records)
    whole.finish()
    told, begun, base = [], 0, None
    windows: tuple[tuple[int, bytes], ...] = ()
    for place, restart in sorted(cuts):
        cut = round(place * len(records))
        _play(made, records[begun:cut])
        begun = cut
        told.append(made.outcome())
        snapshot = made.snapshot()
        if snapshot.base is not None:
            base, windows = snapshot.base, ()
        windows = (*windows, *snapshot.windows)
        if restart:
            made = _pipeline()
            made.restore(Snapshot(recent=snapshot.recent, base=base, windows=windows))
    _play(made, records[begun:])
    made.finish()
    assert _told([*told, made.outcome()]) == _told([whole.outcome()])
    assert made.dump() == whole.dump()
    assert made.models.live() == whole.models.live()


def test_most_snapshots_write_no_detectors_state() -> None:
    """The whole state comes first, after two minutes of windows, and when another version was asked for."""
    made = _pipeline()
    wholes = []
    for index in range(40):
        _play(made, list(_records([(5, 0)], index)))
        wholes.append(made.snapshot().base is not None)
    assert wholes[0]
    assert 3 <= sum(wholes) <= 4
    made.heed(ModelRequest(seq=1, detector="severity", action=ModelAction.RETRAIN))
    assert made.snapshot().base is not None
    assert made.snapshot().base is None
    assert made.snapshot(whole=True).base is not None


def test_a_state_that_does_not_go_with_its_windows_is_refused() -> None:
    """Another base, damaged bytes or nonsense raise ValueError: the stream then learns afresh."""
    made = _pipeline()
    _play(made, list(_records([(5, 0)] * 3, 0)))
    first = made.snapshot()
    _play(made, list(_records([(5, 0)] * 3, 3)))
    other = made.snapshot(whole=True)
    _play(made, list(_records([(5, 0)] * 3, 6)))
    third = made.snapshot()
    for recent, base in (
        (first.recent, other.base),
        (first.recent, b"junk"),
        (b"junk", first.base),
        (third.recent, other.base),
    ):
        with pytest.raises(ValueError, match="start without it"):
            _pipeline().restore(Snapshot(recent=recent, base=base))
    _pipeline().restore(Snapshot(recent=third.recent, base=other.base, windows=third.windows))


def test_the_property_is_about_something() -> None:
    """The streams it plays do lead to anomalies, incidents and new versions of models."""
    made = _pipeline()
    made.load(_warm())
    _play(made, list(_records([(30, 12)] * 20 + [(0, 0), (5, 0)], WARM)))
    outcome = made.outcome()
    assert outcome.anomalies
    assert outcome.changes
    assert outcome.retired
