"""From lines to incidents: what is rare and normal wakes nobody, whatever its severity."""

from __future__ import annotations

import random

import pytest

from agent.incidents import Correlator
from agent.topology import Topology
from detectors.suite import Suite
from ingest.summary import ClosedWindow
from tests.support.windows import closed, logs, template

KINDS = 6
"""Rare kinds of lines beside two common ones."""


def _window(index: int, rng: random.Random, severity: int, every: int) -> ClosedWindow:
    written = [template("t_ok", rng.randint(40, 60), index), template("t_paid", rng.randint(5, 15), index)]
    written += [
        template(f"t_rare{kind}", rng.randint(1, 3), index, severity=severity, text=f"job {kind} took <*>")
        for kind in range(KINDS)
        if rng.random() < 1 / every
    ]
    return closed(index, [logs(index, written)])


@pytest.mark.parametrize("severity", [9, 13, 17])
@pytest.mark.parametrize("every", [12, 60, 300])
def test_rare_lines_that_are_normal_open_no_incident(severity: int, every: int) -> None:
    """Two hours of kinds that come every two minutes to every hour: known ones are not told at all."""
    rng, suite, correlator, topology = random.Random(every), Suite(), Correlator(), Topology()
    met: dict[str, int] = {}
    for index in range(720):
        window = _window(index, rng, severity, every)
        found = suite.observe(window)
        assert correlator.correlate(found, window.end, topology).changes == ()
        for one in found:
            assert one.learning or one.score < 2 * one.threshold
            assert index - met.get(one.evidence[0].subject, index) <= 12, "a known kind was told again"
        for each in window.summaries[0].templates:
            met.setdefault(each.template_id, index)
