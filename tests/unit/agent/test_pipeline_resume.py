"""An interruption anywhere changes nothing: same anomalies, changes and state as without it (property)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.pipeline import Outcome, Pipeline
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
    """Return what commits had to say, in order; where they were cut is not part of it."""
    names = ("anomalies", "changes", "due", "refused", "retired")
    return [[one for outcome in outcomes for one in getattr(outcome, name)] for name in names]


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
    assert second.models.live() == whole.models.live()
    assert second.dump() == whole.dump()


def test_the_property_is_about_something() -> None:
    """The streams it plays do lead to anomalies, incidents and new versions of models."""
    made = _pipeline()
    made.load(_warm())
    _play(made, list(_records([(30, 12)] * 20 + [(0, 0), (5, 0)], WARM)))
    outcome = made.outcome()
    assert outcome.anomalies
    assert outcome.changes
    assert outcome.retired
