"""Floors under the published figures, on any labelled data: `FAULTLINE_DATA=… pytest -m evals`.

Opt-in, because labelled data do not come with the project and some of it takes minutes. The floors are
below what was measured: they catch what breaks, they are not goals.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.app import parts
from agent.evaluate import openings, parsing, rca
from agent.evaluate.data import labels, systems
from agent.pipeline import Pipeline
from agent.settings import load_settings

pytestmark = [pytest.mark.evals, pytest.mark.timeout(1800)]

OWN = Path(__file__).parent.parent / "recordings"


@pytest.fixture(scope="module")
def data() -> Path:
    """Return the folder of labelled data; without one the evaluations cannot be done, and say so."""
    named = os.environ.get("FAULTLINE_DATA")
    if not named:
        pytest.fail("set FAULTLINE_DATA to a folder of labelled data (its layout: README, Evaluation)")
    return Path(named)


def fresh(edges: openings.Edges) -> Pipeline:
    """Return a pipeline as the service builds it."""
    return parts.pipeline(load_settings(edges=edges), b"evaluation")()


def test_root_causes_of_our_own_faults_come_first() -> None:
    """Every recorded fault of the shop is ranked among the first three, most of them first."""
    figures = rca.evaluate(OWN)
    own = [group for name, group in figures.items() if name != "all"]
    assert all(group["ac3"] == 1.0 for group in own)
    assert all(group["ac1"] >= 0.6 for group in own)


def test_our_own_faults_open_incidents_and_quiet_does_not() -> None:
    """Every recorded fault is found; no false page before it or in a quiet run."""
    for group in openings.evaluate(OWN, pipeline=fresh).values():
        assert group.get("opened_fault", 1.0) == 1.0
        assert group.get("opened_baseline", 0.0) == 0.0
        assert group.get("opened_quiet", 0.0) == 0.0


def test_root_causes_of_public_faults_beat_chance_by_far(data: Path) -> None:
    """In every system the true service is first at least three times as often as by chance."""
    figures = rca.evaluate(data)
    for system in systems(data):
        causes = {truth.service for truth in labels(system).truths}
        if causes:
            assert figures[system.name]["ac1"] >= min(0.5, 3 / len(causes))


def test_grouping_of_public_logs(data: Path) -> None:
    """One configuration for all systems groups at least as well as Drain with rules for each (.865)."""
    assert parsing.evaluate(data)["mean"]["ga"] >= 0.865
