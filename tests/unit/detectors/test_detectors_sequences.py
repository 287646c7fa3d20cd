"""The detector over the model: what pages, what is only told, and what is followed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from detectors.anomaly import Anomaly, Hit
from detectors.sequence_model import MAX_KEYS
from detectors.sequences import MAX_KEPT, MAX_SERVICES, MAX_TAKEN, Sequences
from ingest.summary import SequenceCount, WindowSummary
from tests.support.windows import closed, logs, template

_ORDINARY = {"t_open": 1, "t_close": 1}
_REFUSED = {"t_open": 1, "t_refuse": 1}
_MOVED = {"t_open": 1, "t_close": 1, "t_new": 1}


def _window(
    index: int,
    odd: int,
    *,
    course: Mapping[str, int] = _REFUSED,
    ordinary: int = 20,
    share: float = 1.0,
    service: str = "orders",
) -> WindowSummary:
    """Return a window with so many ordinary keys and so many of another course."""
    usual = tuple(sorted(_ORDINARY.items()))
    keys = [SequenceCount(key=f"s{index}_{n}", counts=usual) for n in range(ordinary)]
    keys += [SequenceCount(key=f"r{index}_{n}", counts=tuple(sorted(course.items()))) for n in range(odd)]
    lines = [
        template(name, 20, index, severity=17 if name == "t_refuse" else 9)
        for name in sorted({*_ORDINARY, *course})
    ]
    return replace(logs(index, lines, service=service), sequences=tuple(keys), sequence_share=share)


def _feed(detector: Sequences, index: int, summary: WindowSummary) -> list[Anomaly]:
    window = closed(index, [summary])
    for one in window.summaries:
        detector.observe(one)
    return list(detector.tick(window.end))


def _known(windows: int = 60) -> Sequences:
    detector = Sequences()
    for index in range(windows):
        assert _feed(detector, index, _window(index, 0)) == []
    return detector


def test_odd_keys_that_are_everyday_life_are_told_but_page_nobody() -> None:
    """One odd key every minute is found each time and is no anomaly; ten at once are."""
    detector = Sequences()
    found: list[Anomaly] = []
    told = 0
    for index in range(400):
        anomalies = _feed(detector, index, _window(index, odd=index % 6 == 0))
        told += len(detector.take())
        found.extend(anomalies if index > 60 else ())
    assert told > 40
    assert found == []
    for index in range(400, 406):
        found.extend(_feed(detector, index, _window(index, odd=10)))
    assert found
    assert found[0].hit is Hit.ERROR
    assert [one.subject for one in found[0].evidence] == ["t_refuse"]
    assert found[0].evidence[0].lines


def test_two_odd_keys_are_no_surge() -> None:
    """Where none ever was, two in a minute are told and nothing more."""
    detector = _known()
    for index in range(60, 120):
        assert _feed(detector, index, _window(index, odd=2 if index == 60 else 0)) == []
    assert len(detector.take()) == 2


def test_a_new_course_without_a_failure_opens_nothing_alone() -> None:
    """All at once every request writes one more line, as after a deploy: worth a word, not a page."""
    detector, found = _known(), []
    for index in range(60, 400):
        found.extend(_feed(detector, index, _window(index, 20, course=_MOVED, ordinary=0)))
    assert found
    assert all(one.score < 2 * one.threshold for one in found)
    assert {one.hit for one in found} == {Hit.OTHER}
    assert "t_new" in {evidence.subject for evidence in found[0].evidence}
    assert max(one.end for one in found) < closed(399, []).end, "in the end it is what is usual"


def test_what_all_do_of_a_sudden_does_not_hide_itself() -> None:
    """A failure of most requests is reported as long as it lasts, however common it has become."""
    detector = _known()
    found = [bool(_feed(detector, index, _window(index, 15, ordinary=5))) for index in range(60, 160)]
    assert all(found[5:])


def test_requests_that_stop_half_way_are_told_by_what_they_lack() -> None:
    """No line says why; the evidence is the line that is missing, as last seen."""
    detector, found = _known(), []
    for index in range(60, 70):
        found.extend(_feed(detector, index, _window(index, 8, course={"t_open": 1})))
    assert found
    (evidence,) = found[0].evidence
    assert evidence.subject == "t_close"
    assert "no line of this kind" in evidence.statement
    assert found[0].score < 2 * found[0].threshold


def test_late_lines_excuse_keys_that_are_short_of_one() -> None:
    """A gateway that comes back late brings lines that no window takes any more: no surge of lacks."""
    for late, surges in ((0, True), (100, False)):
        detector, found = _known(), []
        for index in range(60, 70):
            window = replace(_window(index, 2, course={"t_open": 1}), late=late if index < 62 else 0)
            found.extend(_feed(detector, index, window))
        assert bool(found) is surges


def test_a_template_that_goes_by_another_name_is_no_surge() -> None:
    """Every key lacks the old id and has the new one from a window on, and the window says so."""
    course = {"t_open": 1, "t_shut": 1}
    for renamed, surges in (((), True), ((("t_close", "t_shut"),), False)):
        detector, found = _known(), []
        for index in range(60, 70):
            window = _window(index, 20, course=course, ordinary=0)
            found.extend(_feed(detector, index, replace(window, renamed=renamed if index == 60 else ())))
        assert bool(found) is surges


def test_only_keys_that_every_window_could_carry_are_followed() -> None:
    """Where a window holds a share of the keys, others would be judged by half of what they wrote."""
    detector = Sequences()
    for index, share in enumerate((0.25, 1.0, 0.25)):
        detector.observe(_window(index, 0, share=share))
    (service,) = detector._state.services.values()
    assert service.share == 0.25
    assert 0 < len(service.model.live) < 40


def test_of_more_keys_than_there_is_room_for_a_share_is_followed_and_judged() -> None:
    """A busy service is not watched in vain: fewer keys, each of them to its end, and a surge is found."""
    detector, found = Sequences(), []
    for index in range(30):
        assert _feed(detector, index, _window(index, 0, ordinary=2_000)) == []
    (service,) = detector._state.services.values()
    assert service.share == 0.5
    assert service.model.dropped < MAX_KEYS
    for index in range(30, 36):
        found.extend(_feed(detector, index, _window(index, 60, ordinary=1_940)))
    assert found
    assert service.share == 0.5


def test_a_share_grows_again_only_while_no_key_is_on_its_way() -> None:
    """After a rush and a pause, in which all that was followed is judged, all keys are followed again."""
    detector = Sequences()
    for index in range(12):
        _feed(detector, index, _window(index, 0, ordinary=400, share=0.25))
    (service,) = detector._state.services.values()
    _feed(detector, 12, _window(12, 0))
    assert service.share == 0.25
    for index in range(20, 80, 20):
        _feed(detector, index, _window(index, 0))
        detector.tick(closed(index + 10, []).end)
    assert service.share == 1.0


def test_windows_without_keys_cost_nothing() -> None:
    """A service whose lines have no sequence key is not followed."""
    detector = Sequences()
    detector.observe(logs(0, [template("t_open", 5, 0)]))
    assert detector._state.services == {}


def test_keys_are_bounded_over_all_services(monkeypatch: pytest.MonkeyPatch) -> None:
    """More services, fewer keys each; of too many services the one that spoke longest ago goes."""
    monkeypatch.setattr("detectors.sequences.MAX_KEPT", 1_000)
    detector = Sequences()
    for number in range(MAX_SERVICES + 5):
        detector.observe(_window(number, 0, ordinary=40, service=f"s{number}"))
    services = detector._state.services
    assert len(services) == MAX_SERVICES
    assert ("shop", "s0") not in services
    assert 0 < len(services["shop", f"s{MAX_SERVICES + 4}"].model.live) <= 1_000 // MAX_SERVICES
    assert MAX_KEPT // MAX_SERVICES >= 200, "as many as are needed before one is judged"


def test_what_nobody_takes_is_bounded() -> None:
    """Odd keys are kept for who asks, the newest of them."""
    detector = _known(20)
    for index in range(20, 26):
        _feed(detector, index, _window(index, odd=1))
    detector._taken *= MAX_TAKEN
    _feed(detector, 26, _window(26, 0))
    assert len(detector.take()) == MAX_TAKEN
    assert detector.take() == ()


def test_ever_new_failures_outside_of_all_keys_leave_nothing_behind() -> None:
    """Which templates speak of failure is remembered only of those that keys have."""
    changing, same = _known(), _known()
    for index in range(60, 90):
        for detector, name in ((changing, index), (same, 60)):
            lines = [template(f"t_bad{name}_{n}", 1, index, severity=17) for n in range(500)]
            window = _window(index, 1)
            _feed(detector, index, replace(window, templates=(*window.templates, *lines)))
    assert len(changing.dump()) < 1.1 * len(same.dump())
