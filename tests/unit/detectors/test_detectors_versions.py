"""A detector and its model's versions: when it learns anew, in shadow, and goes back exactly."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.anomaly import Anomaly
from detectors.manifest import ModelVersion, Status
from detectors.retraining import HOUR, Rules, _sampled
from detectors.suite import Suite
from detectors.template_rate import TemplateRate
from detectors.versioned import RefusedError, Versioned
from detectors.versions import Versions
from ingest.record import SECOND
from tests.support.learners import Doubling, feed, window
from tests.support.windows import EPOCH, WIDTH

MINUTE = 60 * SECOND
QUICK = Rules(span=15 * MINUTE, drifted_spans=2, shadow=10 * MINUTE, pause=HOUR)
SPAN = QUICK.span // WIDTH
SHADOW = QUICK.shadow // WIDTH


def _lines(detector: Versioned) -> list[tuple[int, Status]]:
    return [(one.number, one.status) for one in detector.live()]


def _grown(rules: Rules = QUICK) -> Versioned:
    """Return a detector that judged a span at 10 lines, then one at 50, and flagged all of the latter."""
    detector = Versioned(Doubling(), rules)
    feed(detector, [10] * SPAN)
    found = feed(detector, [50] * SPAN, SPAN)
    assert len(found) == SPAN
    return detector


def test_a_model_that_fits_is_left_alone() -> None:
    """A day of the same brings no new version, and says what was learned from."""
    detector = Versioned(Doubling(), QUICK)
    feed(detector, [10] * 8640)
    (active,) = detector.live()
    assert (active.number, active.status, active.why) == (1, Status.ACTIVE, "the first start")
    assert active.active_since == active.learned.since == EPOCH
    assert active.learned.until == EPOCH + 8640 * WIDTH
    assert (active.learned.windows, active.learned.records, active.learned.services) == (8640, 86400, 1)
    assert detector.retired() == ()


def test_flagging_for_long_begins_a_new_version_in_shadow() -> None:
    """What the shadow learns is heard by nobody until it has run beside the old one; then it judges."""
    detector = _grown()
    assert _lines(detector) == [(1, Status.ACTIVE), (2, Status.SHADOW)]
    assert detector.live()[1].why == "100% of windows flagged for 0.25 h"
    during = feed(detector, [50] * SHADOW, 2 * SPAN)
    assert len(during) == SHADOW
    assert _lines(detector) == [(2, Status.ACTIVE)]
    assert feed(detector, [50] * 60, 2 * SPAN + SHADOW) == []
    assert len(feed(detector, [150], 2 * SPAN + SHADOW + 60)) == 1
    ((old, state),) = detector.retired()
    assert (old.number, old.status) == (1, Status.RETIRED)
    assert old.retired_at == EPOCH + (2 * SPAN + SHADOW) * WIDTH
    assert old.retired_why == f"version 2 took over: 0 windows flagged against {SHADOW // 2} of {SHADOW // 2}"
    assert state is not None
    assert old.sha256 == hashlib.sha256(state).hexdigest()
    assert detector.retired() == ()


def test_drift_of_inputs_begins_a_new_version() -> None:
    """Inputs that moved for spans in a row suffice, with nothing flagged; one span does not."""
    rules = replace(QUICK, share=0.3)
    detector = Versioned(Doubling(factor=9.0), rules)
    feed(detector, [10] * SPAN)
    assert feed(detector, [40] * SPAN, SPAN) == []
    assert len(detector.live()) == 1
    assert detector.live()[0].drift == pytest.approx(1 / 3)
    feed(detector, [10] * SPAN + [40] * SPAN, 2 * SPAN)
    assert len(detector.live()) == 1
    feed(detector, [40] * SPAN, 4 * SPAN)
    assert detector.live()[1].why == ("drift for 0.5 h: 1 of 3 inputs moved, farthest orders lines (1.00)")
    feed(detector, [40] * SHADOW, 5 * SPAN)
    ((old, _),) = detector.retired()
    assert old.drift == pytest.approx(1 / 3)


def test_of_a_long_span_some_windows_are_measured_at_every_second_of_a_minute() -> None:
    """One in six of a day's windows of ten seconds, each place in the minute as often."""
    detector = Versioned(Doubling())
    feed(detector, [10] * 360)
    track = next(iter(detector._state.watch.inputs.tracks.values()))
    assert sum(track.recent.values()) == pytest.approx(60)
    taken = [n for n in range(360) if _sampled(window(n, 1)[0], Rules().span)]
    assert {n: [one % 6 for one in taken].count(n) for n in range(6)} == dict.fromkeys(range(6), 10)


def test_a_version_louder_than_the_old_one_is_dropped() -> None:
    """The old one goes on, nothing of it changed, and no rule tries again before the pause is over."""
    detector = Versioned(Doubling(), replace(QUICK, automatic=False))
    plain = Doubling()
    calm = [50] * 60
    noisy = [5, 50] * SHADOW
    feed(detector, calm)
    feed(plain, calm)
    detector.retrain("asked for")
    assert feed(detector, noisy[:SHADOW], 60) == feed(plain, noisy[:SHADOW], 60)
    ((dropped, state),) = detector.retired()
    assert _lines(detector) == [(1, Status.ACTIVE)]
    assert (dropped.number, dropped.active_since, state) == (2, None, None)
    assert dropped.retired_why.startswith("dropped, louder than version 1: ")
    assert detector._active.dump() == plain.dump()


def test_after_a_retraining_rules_pause() -> None:
    """A system that keeps changing does not make a new model each span; a person may ask at any time."""
    detector = _grown()
    feed(detector, [50] * SHADOW, 2 * SPAN)
    begin = 2 * SPAN + SHADOW
    feed(detector, [400] * (2 * SPAN), begin)
    assert _lines(detector) == [(2, Status.ACTIVE)]
    assert detector.retrain("asked for") == 3
    with pytest.raises(RefusedError, match="version 3 of doubling learns in shadow already"):
        detector.retrain("again")


def test_rules_can_be_switched_off() -> None:
    """Then drift and flagged windows are measured, and that is all."""
    detector = _grown(replace(QUICK, automatic=False))
    (active,) = detector.live()
    assert active.flagged == 1.0


def test_a_rollback_brings_the_old_behaviour_back_exactly() -> None:
    """The state is the old one to the byte, and so is everything it says from then on."""
    detector = _grown()
    feed(detector, [50] * SHADOW, 2 * SPAN)
    ((old, state),) = detector.retired()
    assert state is not None
    before = Doubling()
    before.load(state)
    assert detector.rollback(old, state) == 3
    assert detector._active.dump() == state
    after = [10, 12, 50, 9, 30, 21] * 5
    begin = 2 * SPAN + SHADOW
    found = feed(detector, after, begin)
    assert found == feed(before, after, begin)
    assert found
    assert detector._active.dump() == before.dump()
    (active,) = detector.live()
    assert (active.number, active.parent, active.why) == (3, 1, "rolled back to version 1")
    ((left, kept),) = detector.retired()
    assert (left.number, left.retired_why) == (2, "rolled back to version 1")
    assert kept is not None


def test_a_rollback_drops_the_shadow_and_can_be_undone() -> None:
    """What judged before it is kept too: going back to that is another rollback."""
    detector = _grown()
    feed(detector, [50] * SHADOW, 2 * SPAN)
    ((old, state),) = detector.retired()
    assert state is not None
    detector.retrain("asked for")
    detector.rollback(old, state)
    gone = detector.retired()
    assert [(one.number, kept is not None) for one, kept in gone] == [(3, False), (2, True)]
    two, two_state = gone[1]
    assert two_state is not None
    assert detector.rollback(two, two_state) == 5
    assert feed(detector, [50] * 30, 2 * SPAN + SHADOW) == []


def test_a_state_that_does_not_fit_is_refused_and_changes_nothing() -> None:
    """Other code's state is named, and the active version goes on."""
    detector = _grown()
    before = detector.dump()
    old = replace(detector.live()[0], code="0", number=7)
    with pytest.raises(RefusedError, match=r"version 7 of doubling cannot be used: .*start it afresh"):
        detector.rollback(old, TemplateRate().dump())
    assert detector.dump() == before
    assert detector.retired() == ()


def test_nothing_is_learned_anew_before_anything_was_seen() -> None:
    """A request to a stream without windows is refused."""
    with pytest.raises(RefusedError, match="has seen no window yet"):
        Versioned(Doubling()).retrain("asked for")


def test_arguments_of_the_detector_go_to_every_version() -> None:
    """A threshold that was set is not forgotten by the next version."""
    detector = Versioned(Doubling(factor=20.0), replace(QUICK, automatic=False))
    feed(detector, [10] * 30)
    detector.retrain("asked for")
    feed(detector, [10] * SHADOW, 30)
    assert _lines(detector) == [(2, Status.ACTIVE)]
    assert feed(detector, [150], 30 + SHADOW) == []


LEVELS = st.lists(
    st.tuples(st.sampled_from([5, 10, 11, 25, 50, 120]), st.integers(1, 40)), min_size=1, max_size=12
)
SWIFT = Rules(
    span=5 * MINUTE, drifted_spans=1, share=0.3, shadow=4 * MINUTE, least=5, pause=5 * MINUTE
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(LEVELS, st.data())
def test_an_interruption_changes_nothing(levels: Sequence[tuple[int, int]], data: st.DataObject) -> None:
    """Saved and restored anywhere, in shadow too: same findings, same versions, same bytes as without."""
    series = [level for level, times in levels for _ in range(times)]
    cut = data.draw(st.integers(0, len(series)))
    whole, first, second = (Versioned(Doubling(), SWIFT) for _ in range(3))
    expected = feed(whole, series)
    found = feed(first, series[:cut])
    second.load(first.dump())
    found += feed(second, series[cut:], cut)
    assert found == expected
    assert second.dump() == whole.dump()
    assert second.live() == whole.live()
    assert (*first.retired(), *second.retired()) == whole.retired()


def test_foreign_and_damaged_states_are_refused() -> None:
    """By name, so that the stream starts afresh and says so."""
    detector = Versioned(Doubling())
    for raw in (Doubling().dump(), b"", detector.dump()[:-1]):
        with pytest.raises(ValueError, match="doubling"):
            detector.load(raw)


def _stored(*statuses: Status, code: str = "1") -> list[ModelVersion]:
    return [
        ModelVersion(detector="doubling", number=number, code=code, status=status, why="")
        for number, status in enumerate(statuses, 4)
    ]


@pytest.mark.parametrize(
    ("code", "why"), [("1", "its state could not be read"), ("0", "the detector changed to 1")]
)
def test_a_lost_state_is_followed_by_the_next_number(code: str, why: str) -> None:
    """Numbers are never used twice; what was live is ended with the reason."""
    versions = Versions([Doubling()])
    versions.follow(_stored(Status.RETIRED, Status.ACTIVE, Status.SHADOW, code=code))
    assert [(one.number, one.why) for one in versions.live()] == [(7, why)]
    gone = versions.retired()
    assert [(one.number, one.retired_why, state) for one, state in gone] == [(5, why, None), (6, why, None)]


def test_a_state_taken_up_needs_no_following() -> None:
    """Its own numbers are the store's."""
    first, second = Versions([Doubling()]), Versions([Doubling()])
    feed(first.detectors[0], [10] * 5)
    second.detectors[0].load(first.detectors[0].dump())
    second.follow(_stored(Status.ACTIVE))
    assert [one.number for one in second.live()] == [1]
    assert second.retired() == ()


def test_versions_of_a_detector_that_is_gone_are_ended() -> None:
    """An upgrade may drop a detector; its model is not shown as active for ever."""
    versions = Versions([TemplateRate()])
    versions.follow(_stored(Status.ACTIVE))
    ((gone, state),) = versions.retired()
    assert (gone.status, state) == (Status.RETIRED, None)
    assert gone.retired_why == "this version of Faultline has no such detector"


def test_an_unknown_detector_is_refused_with_the_nearest_name() -> None:
    """As all errors of names are."""
    with pytest.raises(RefusedError, match="did you mean doubling"):
        Versions([Doubling()]).retrain("dubling", "asked for")


def test_the_suite_does_not_notice() -> None:
    """Wrapped and bare detectors say the same, and a wrapped suite takes its own state back."""
    bare: list[Anomaly] = []
    plain, wrapped = Doubling(), Versions([Doubling()], QUICK)
    bare += feed(plain, [10] * 30 + [50] * 5)
    assert feed(wrapped.detectors[0], [10] * 30 + [50] * 5) == bare
    suite, again = Suite(wrapped.detectors), Suite(Versions([Doubling()], QUICK).detectors)
    again.load(suite.dump())
    assert again.fresh == ()
    assert again.dump() == suite.dump()
    assert suite.versions() == ("doubling@1",)
