"""What opens where: in the incident, on the last third of the baseline, in a quiet recording."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.app import parts
from agent.evaluate import openings
from agent.evaluate.data import DataError, Quiet
from agent.evaluate.openings import Opened, Opening, judged, stills
from agent.pipeline import Pipeline
from agent.settings import load_settings
from ingest.record import SECOND
from ingest.recordings import Interval
from ingest.times import format_time
from tests.support.labelled import BASELINE, FAULT, row, write_recording, write_truth
from tests.support.telemetry import at

LOGS = frozenset({"logs"})
BASE = {"logs": Interval(start=0, end=300), "metrics": Interval(start=-600, end=300)}
INCIDENT = Interval(start=300, end=400)


def fresh(edges: openings.Edges) -> Pipeline:
    """Return a pipeline as the service builds it."""
    return parts.pipeline(load_settings(edges=edges), b"test")()


@pytest.mark.parametrize(
    ("at", "signals", "expected"),
    [
        (300, LOGS, (False, True)),
        (301, LOGS, (True, False)),
        (400, LOGS, (True, False)),
        (401, LOGS, (False, False)),
        (200, LOGS, (False, False)),
        (201, LOGS, (False, True)),
        (100, frozenset({"metrics"}), (False, True)),
        (0, frozenset({"metrics"}), (False, False)),
        (100, frozenset({"logs", "metrics"}), (False, True)),
        (100, frozenset(), (False, True)),
        (250, frozenset({"spans"}), (False, False)),
    ],
)
def test_where_an_opening_counts(at: int, signals: frozenset[str], expected: tuple[bool, bool]) -> None:
    """Edges of the incident, and of the last third of each signal's own baseline."""
    opened = judged([Opening(at=at, signals=signals)], INCIDENT, BASE)
    assert (opened.fault, opened.baseline) == expected


def test_nothing_opened_is_nothing() -> None:
    """Without openings both are false."""
    assert judged([], INCIDENT, BASE) == Opened(fault=False, baseline=False)


def test_a_delay_counts_from_the_start_of_the_incident() -> None:
    """The first opening inside the incident sets the delay; one before it and later ones do not."""
    found = [Opening(at=at, signals=LOGS) for at in (390, 299, 342)]
    assert judged(found, INCIDENT, BASE).delay == 42
    assert judged(found[1:2], INCIDENT, BASE).delay is None


def test_what_is_soon() -> None:
    """Shares are of all faults, the median is of those that opened; without any there is none."""
    delays = [None, *(seconds * SECOND for seconds in (30, 31, 61))]
    cases = [Opened(fault=delay is not None, baseline=False, delay=delay) for delay in delays]
    figures = openings.figures(cases)
    assert (figures["within_30s"], figures["within_60s"], figures["delay_median_seconds"]) == (0.25, 0.5, 31)
    nothing = openings.figures(cases[:1])
    assert nothing["within_60s"] == 0.0
    assert "delay_median_seconds" not in nothing


def test_shares_over_recordings(tmp_path: Path) -> None:
    """One fault found, one that came too early and was a false page, one quiet, one not quiet at all."""
    late = BASELINE - 200
    write_truth(
        tmp_path / "okapi",
        [row("good", "birch"), row("early", "alder"), row("calm", None), row("loud", None)],
    )
    write_recording(tmp_path / "okapi" / "good", broken="birch")
    write_recording(tmp_path / "okapi" / "early", broken="alder", from_second=late)
    write_recording(tmp_path / "okapi" / "calm", broken=None, incident=False)
    write_recording(tmp_path / "okapi" / "loud", broken="cedar", from_second=late, incident=False)
    told: list[str] = []
    figures = openings.evaluate(tmp_path, pipeline=fresh, on_case=told.append)
    assert figures == {
        "okapi": {
            "opened_fault": 0.5,
            "opened_baseline": 0.5,
            "cases": 2,
            "within_60s": 0.5,
            "within_30s": 0.5,
            "delay_median_seconds": pytest.approx(10, abs=10),
            "opened_quiet": 0.5,
            "quiet": 2,
            "quiet_openings": 1,
            "quiet_per_hour": pytest.approx(1 / (2 * (BASELINE + FAULT) / 3600)),
        }
    }
    assert len(told) == 4


def test_what_is_held_out_counts_apart(tmp_path: Path) -> None:
    """Beside all cases stand those looked at and those held out; a quiet recording counts in both parts."""
    late = BASELINE - 200
    rows = [row("good", "birch"), row("early", "alder", held_out=True)]
    write_truth(tmp_path / "okapi", [*rows, row("loud", None, held_out_from=format_time(at(600)))])
    write_recording(tmp_path / "okapi" / "good", broken="birch")
    write_recording(tmp_path / "okapi" / "early", broken="alder", from_second=late)
    write_recording(tmp_path / "okapi" / "loud", broken="cedar", from_second=late, incident=False)
    figures = openings.evaluate(tmp_path, pipeline=fresh)
    counted = {
        group: (values["opened_fault"], values["opened_baseline"], values["opened_quiet"], values["quiet"])
        for group, values in figures.items()
    }
    assert counted == {
        "okapi": (0.5, 0.5, 1.0, 1),
        "okapi/looked_at": (1.0, 0.0, 0.0, 1),
        "okapi/held_out": (0.0, 1.0, 1.0, 1),
    }


@pytest.mark.parametrize(
    ("label", "parts"),
    [
        (Quiet(id="x"), [(3, 100, False)]),
        (Quiet(id="x", held_out=True), [(3, 100, True)]),
        (Quiet(id="x", held_out_from=40), [(2, 40, False), (1, 60, True)]),
        (Quiet(id="x", held_out_from=100), [(3, 100, False)]),
    ],
)
def test_a_quiet_recording_is_parted_where_its_label_says(
    label: Quiet, parts: list[tuple[int, int, bool]]
) -> None:
    """Openings and time go to the part that they lie in; the window that ends at the border is before it."""
    found = stills([10, 40, 41], label, [Interval(start=0, end=100)])
    assert [(one.opened, one.length, one.held_out) for one in found] == parts


def test_an_opening_says_what_it_rests_on(tmp_path: Path) -> None:
    """The planted fault shows in logs and metrics, and opens one incident for both."""
    from ingest.recordings import Recording

    write_recording(tmp_path / "case", broken="birch")
    found = openings.openings(Recording(tmp_path / "case"), fresh(()))
    assert len(found) == 1
    assert found[0].signals & {"logs", "metrics"}
    assert found[0].at > INCIDENT.start


def test_no_recordings_is_an_error(tmp_path: Path) -> None:
    """Empty labels must not pass for perfect figures."""
    write_truth(tmp_path, [])
    with pytest.raises(DataError, match="name no recordings"):
        openings.evaluate(tmp_path, pipeline=fresh)
