"""Systems that no rule was written for are grouped as their statements are, without any setting."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.evaluate.parsing import grouping
from ingest.templates import Templates
from tests.support.unseen import SYSTEMS, lines_of


def grouped(lines: list[tuple[str, int]]) -> tuple[float, float]:
    """Return group accuracy and its F1 over templates of lines that are assigned once, in order."""
    templates = Templates()
    given_out = [templates.assign("e", "s", line).template_id for line, _ in lines]
    ids = [templates.canonical("e", "s", template_id) for template_id in given_out]
    return grouping(ids, [statement for _, statement in lines])


@pytest.mark.parametrize("system", sorted(SYSTEMS))
@settings(max_examples=6, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000))
def test_statements_are_told_apart_and_their_lines_are_not(system: str, seed: int) -> None:
    """At least 93 % of lines are in a group that holds exactly the lines of their statement."""
    assert grouped(lines_of(system, seed))[0] >= 0.93


def test_all_systems_together_are_grouped_well() -> None:
    """On the mean of all systems both figures are higher still."""
    figures = [grouped(lines_of(system, 1, 600)) for system in SYSTEMS]
    assert sum(ga for ga, _ in figures) / len(figures) >= 0.98
    assert sum(fga for _, fga in figures) / len(figures) >= 0.96
