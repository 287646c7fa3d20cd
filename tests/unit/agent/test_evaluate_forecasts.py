"""`faultline eval forecasts`: what failed, what was warned of how early, and which warnings were wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from agent.cli import main
from agent.evaluate.data import Truth
from agent.evaluate.forecasts import Course, Forecasted, Warned, course, figures, judged, still
from ingest.record import SECOND, Nanos
from ingest.recording_writer import RecordingWriter
from ingest.summary import WindowSummary
from ingest.times import format_time
from tests.support.labelled import row, write_truth
from tests.support.telemetry import at, point, resource
from tests.support.windows import metrics, series, start_of

BEGIN, END = 60, 140
LEAK = Truth(id="leak", service="orders", fault="leak", metric="memory.usage")


def windows(level: Callable[[int], float], count: int = END) -> Iterator[WindowSummary]:
    """Yield windows of one service whose memory is at this level of 100."""
    for index in range(count):
        used = series("memory.usage", index, [level(index)], unit="By")
        yield metrics(index, [used, series("memory.limit", index, [100.0], unit="By")])


def ramp(index: int) -> float:
    """Return 20 until the fault begins, then 2 more a window until 99, reached 40 windows later."""
    return min(20.0 + max(index - BEGIN, 0) * 2.0, 99.0)


def in_fault(found: Course, truth: Truth = LEAK) -> Forecasted:
    """Judge a course whose fault lies where the ramp does."""
    return judged(found, truth, start_of(BEGIN), start_of(END))


def test_a_leak_is_told_before_it_ends() -> None:
    """One warning, some minutes before the first sample at 97 %, and its time is about right."""
    one = in_fault(course(windows(ramp)))
    assert (one.failed, one.right, one.wrong, one.false) == (True, 1, 0, 0)
    # Full in window 60 + 38.5, so at the 99th; told after no more than a third of the way.
    assert one.lead is not None
    assert 240 <= one.lead <= 380
    assert one.error[0] < 0.25
    assert one.calm == pytest.approx(BEGIN * 10 / 3600)


def test_a_rise_that_stops_halfway_was_wrongly_told() -> None:
    """Nothing failed, and the warning's time passed."""
    one = in_fault(course(windows(lambda index: min(ramp(index), 60.0))))
    assert (one.failed, one.lead, one.right, one.wrong) == (False, None, 0, 1)


def test_what_the_recording_does_not_show_is_undecided() -> None:
    """It ended before the warning's time did."""
    one = in_fault(course(windows(ramp, BEGIN + 18)))
    assert (one.failed, one.right, one.wrong, one.undecided) == (False, 0, 0, 1)


def test_a_failure_without_a_warning_counts() -> None:
    """From one window to the next full: failed, and nothing led up to it."""
    one = in_fault(course(windows(lambda index: 99.0 if index > BEGIN else 20.0)))
    assert (one.failed, one.lead, one.right + one.wrong) == (True, None, 0)


def test_another_series_than_the_labelled_one_is_no_failure() -> None:
    """Of another service or name; what was told about it is judged all the same."""
    for truth in (
        Truth(id="x", service="cart", fault="leak", metric="memory.usage"),
        Truth(id="x", service="orders", fault="leak", metric="disk.usage"),
    ):
        one = in_fault(course(windows(ramp)), truth)
        assert (one.failed, one.right) == (False, 1)


def test_a_warning_before_the_fault_is_false() -> None:
    """It counts among the wrong ones and among those of calm time."""
    found = Course(start=start_of(0), end=start_of(END))
    found.warnings.append(Warned(subject=("orders", "x"), name="x", at=start_of(5), told=SECOND))
    one = in_fault(found)
    assert (one.wrong, one.false) == (1, 1)
    quiet = still(found, start_of(0), start_of(5) + 1, held_out=False)
    assert quiet.false == 1
    assert quiet.calm == pytest.approx(50 / 3600)
    assert still(found, start_of(6), start_of(END), held_out=True).false == 0


def test_figures_by_hand() -> None:
    """Shares over failures, precision over decided warnings, medians of leads and errors."""
    group = figures(
        [
            Forecasted(failed=True, lead=60.0, right=1, error=(0.1,), calm=0.5),
            Forecasted(failed=True, lead=None, wrong=1, calm=0.5),
            Forecasted(failed=True, lead=20.0, right=2, error=(0.3, 0.2), undecided=1),
            Forecasted(calm=2.0, false=1, wrong=1),
        ]
    )
    assert group == {
        "failures": 3,
        "warned": pytest.approx(2 / 3),
        "lead_seconds_median": 40.0,
        "lead_seconds_least": 20.0,
        "precision": 0.6,
        "time_error_median": 0.2,
        "right": 3,
        "wrong": 2,
        "undecided": 1,
        "calm_hours": 3.0,
        "calm_warnings": 1,
    }
    assert set(figures([Forecasted()])) == {
        "failures",
        "right",
        "wrong",
        "undecided",
        "calm_hours",
        "calm_warnings",
    }


def write(folder: Path, level: Callable[[int], float], *, incident: bool) -> None:
    """Write a recording of 20 minutes of one service's memory, a sample every 5 s."""
    with RecordingWriter(folder) as writer:
        for second in range(0, 1200, 5):
            where = resource("orders", instance="orders-0")
            writer.write(point(at(second), level(second // 10), name="memory.usage", unit="By", of=where))
            writer.write(point(at(second), 100.0, name="memory.limit", unit="By", of=where))
        interval: tuple[Nanos, Nanos] = (at(BEGIN * 10), at(1200))
        baseline = (at(0), interval[0] if incident else at(1200))
        writer.close(id=folder.name, system="t", baseline=[baseline], incident=interval if incident else None)


def test_the_command_reads_recordings(tmp_path: Path) -> None:
    """A leak and a quiet recording that is partly held out; groups for both parts and for the fault."""
    leak = row("leak", "orders", "leak")
    leak["root_cause"]["metric_or_code"] = "memory.usage"
    write_truth(tmp_path / "okapi", [leak, row("calm", None, held_out_from=format_time(at(400)))])
    write(tmp_path / "okapi" / "leak", ramp, incident=True)
    write(tmp_path / "okapi" / "calm", lambda index: 20.0 + index % 3, incident=False)
    result = CliRunner().invoke(main, ["eval", "forecasts", "--data", str(tmp_path), "--json", "-"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert set(found) == {"okapi", "okapi/looked_at", "okapi/held_out", "okapi leak"}
    assert (found["okapi"]["failures"], found["okapi"]["warned"], found["okapi"]["precision"]) == (1, 1, 1)
    assert found["okapi"]["calm_hours"] == pytest.approx((600 + 1200) / 3600, rel=0.02)
    assert found["okapi/held_out"]["calm_hours"] == pytest.approx(800 / 3600, rel=0.03)
    assert found["okapi/held_out"]["failures"] == 0
