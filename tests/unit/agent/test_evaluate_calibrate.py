"""Confidence from held-apart cases: what is fitted, on whom, and what the thresholds mean."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.evaluate.calibrate import Judged, fit, held_apart, with_thresholds, write
from agent.evaluate.figures import auroc, expected_calibration_error
from agent.evaluate.reliability import reliability
from agent.suspects.calibration import Calibration, shipped


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    system: str
    place: int | None
    features: Mapping[str, float] = field(default_factory=dict)
    lacking: int = 0
    poorer: Sequence[Answer] = ()


def answers(systems: str = "abc", seed: int = 3) -> list[Answer]:
    """Return cases in which a wide margin is usually right."""
    chance = random.Random(seed)
    made = []
    for system in systems:
        for _ in range(40):
            margin = chance.random()
            right = chance.random() < 0.2 + 0.75 * margin
            made.append(
                Answer(system=system, place=1 if right else 2, features={"margin": margin, "strength": 0.5})
            )
    return made


def test_a_wider_margin_makes_surer_and_the_figures_hold() -> None:
    """Held apart by system, confidence separates right from wrong and means about what it says."""
    judged = held_apart(answers())
    confidences, right = [j.confidence for j in judged], [j.right for j in judged]
    assert len(judged) == 120
    assert auroc(confidences, right) > 0.6
    assert expected_calibration_error(confidences, right) < 0.12
    assert fit(answers()).weights["margin"] > 0


def test_a_system_is_judged_by_the_others_alone() -> None:
    """What one system's cases say cannot change that system's own confidences."""
    known = answers()
    turned = [
        Answer(system=a.system, place=2 if a.place == 1 else 1, features=a.features) if a.system == "c" else a
        for a in known
    ]
    before = [j.confidence for j in held_apart(known)][-40:]
    assert before == [j.confidence for j in held_apart(turned)][-40:]
    assert held_apart(answers("a")) == []


def test_weights_are_never_negative() -> None:
    """Cases in which a wide margin is wrong do not make a wide margin count against."""
    odd = [
        Answer(system="a", place=2 if n % 2 else 1, features={"margin": float(n % 2), "strength": 0.5})
        for n in range(40)
    ]
    assert all(weight >= 0 for weight in fit(odd).weights.values())


def test_confirmed_is_where_nearly_all_were_right() -> None:
    """Above the threshold at least 95 of 100 held-apart cases were right; without cases it stays."""
    judged = [Judged(confidence=0.95, right=True)] * 40 + [Judged(confidence=0.85, right=False)] * 10
    learned = with_thresholds(fit(answers()), judged)
    assert learned.confirmed == pytest.approx(0.95)
    assert with_thresholds(fit(answers()), []).confirmed == fit(answers()).confirmed


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    """The file holds the parameters whole; what ships can be read and names what it was fitted on."""
    learned = fit(answers())
    write(learned, tmp_path / "c.json")
    assert msgspec.json.decode((tmp_path / "c.json").read_bytes(), type=Calibration) == learned
    assert sum(shipped().fitted_on.values()) > 50
    assert 0.5 <= shipped().likely < shipped().confirmed < 1


@given(st.floats(0, 1), st.floats(0, 1), st.integers(0, 6))
def test_confidence_is_a_chance_that_missing_telemetry_lowers(
    margin: float, strength: float, lacking: int
) -> None:
    """Any features give 0..1; more missing is never surer; no suspect is no confidence."""
    features = {"margin": margin, "strength": strength}
    value = shipped().confidence(features, lacking)
    assert 0.0 < value < 1.0
    assert shipped().confidence(features, lacking + 1) <= value
    assert shipped().confidence({}, 0) == 0.0


def test_the_reliability_plot_stands_where_the_cases_are() -> None:
    """Bins are of equal mass, and a bin that is right as often as it says lies on the even line."""
    plot = reliability([(0.5, n % 2 == 0) for n in range(40)], bins=4)
    assert [one.cases for one in plot.bins] == [10, 10, 10, 10]
    first = reliability([(0.5, True), (0.5, False)], bins=1).bins[0]
    assert first.confidence == first.right == 0.5
    assert 0 < first.x < plot.size
    assert 0 < first.y < plot.size
