"""Ranking over labelled recordings: a planted fault is found, labels are read once, nothing is named."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from agent.analysis import Mechanism
from agent.evaluate import rca
from agent.evaluate.cases import load
from agent.evaluate.data import DataError, Truth, labels
from agent.evaluate.mechanisms import MECHANISMS, right_mechanism
from agent.evaluate.rca_report import CasePages, ordinal
from agent.evaluate.rivals import RIVALS
from ingest.recordings import RecordingError
from tests.support.labelled import BASELINE, FAULT, row, write_recording, write_truth
from tests.support.telemetry import at


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write two systems: one with two labelled cases, one that is only quiet."""
    folder = tmp_path_factory.mktemp("data")
    write_truth(
        folder / "okapi",
        [
            row("first", "birch"),
            row("second", "cedar", fold={"alder": "cedar"}),
            row("still", None),
        ],
    )
    write_recording(folder / "okapi" / "first", broken="birch")
    write_recording(folder / "okapi" / "second", broken="alder", seed=8)
    write_truth(folder / "tapir", [row("calm", None)])
    return folder


def test_both_sides_of_a_case_are_summarised(data: Path) -> None:
    """Everything before the onset is one side, everything from it on the other; nothing is lost."""
    case = load(data / "okapi", labels(data / "okapi").truths[0])
    assert (case.start, case.end) == (at(BASELINE), at(BASELINE + FAULT))
    assert max(window.end for window in case.before) <= case.start
    assert min(window.start for window in case.during) >= case.start
    lines = sum(window.lines for window in (*case.before, *case.during))
    assert lines == 3 * (BASELINE + FAULT) // 5 + 90 // 5
    assert case.telemetry("default", case.start, case.end) == case.during
    assert case.telemetry("default", 0, case.start) == case.before


def test_the_planted_service_is_found_and_folded(data: Path, tmp_path: Path) -> None:
    """Both faults come first, one by folding; systems without labels give no group; predictions agree."""
    told: list[str] = []
    written = tmp_path / "predictions.jsonl"
    figures = rca.evaluate(data, predictions=written, on_case=told.append)
    assert {group for group in figures if "/" not in group} == {"okapi", "all"}
    assert figures["okapi/fault/cpu"]["ac1"] == 1.0
    assert {group for group in figures if "/rival/" in group} == {f"okapi/rival/{name}" for name in RIVALS}
    okapi = figures["okapi"]
    assert (okapi["ac1"], okapi["avg5"], okapi["cases"], okapi["mechanism"]) == (1.0, 1.0, 2, 1.0)
    assert okapi["seconds_median"] > 0
    assert okapi["mb_peak"] > 10
    assert set(figures["all"]) == {"ece", "brier", "auroc"}
    assert len(told) == 2
    rows = [json.loads(line) for line in written.read_text().splitlines()]
    assert [(one["id"], one["ranking"][0]) for one in rows] == [("first", "birch"), ("second", "cedar")]
    for one in rows:
        assert set(one) == {"id", "ranking", "confidence", "verdict", "mechanism"}
        assert len(one["ranking"]) == len(set(one["ranking"]))


def parts_of(group: str) -> bool:
    return group == "okapi" or group.endswith(("looked_at", "held_out"))


def test_held_out_cases_are_also_counted_apart(data: Path, tmp_path: Path) -> None:
    """The figures over all cases stay; beside them stand the looked-at and the held-out ones."""
    write_truth(tmp_path / "okapi", [row("first", "birch"), row("second", "nobody", held_out=True)])
    for name in ("first", "second"):
        (tmp_path / "okapi" / name).symlink_to(data / "okapi" / name, target_is_directory=True)
    figures = rca.evaluate(tmp_path)
    assert {group: (one["ac1"], one["cases"]) for group, one in figures.items() if parts_of(group)} == {
        "okapi": (0.5, 2),
        "okapi/looked_at": (1.0, 1),
        "okapi/held_out": (0.0, 1),
    }


def test_a_wrong_label_is_a_miss(data: Path, tmp_path: Path) -> None:
    """The figures follow the labels, not the recording's looks."""
    write_truth(tmp_path / "okapi", [row("first", "somewhere-else")])
    (tmp_path / "okapi" / "first").symlink_to(data / "okapi" / "first", target_is_directory=True)
    okapi = rca.evaluate(tmp_path)["okapi"]
    assert (okapi["ac1"], okapi["ac5"], okapi["mechanism"]) == (0.0, 0.0, 0.0)


def test_without_labels_or_recording_it_says_so(data: Path, tmp_path: Path) -> None:
    """Only quiet recordings, a missing folder, a label without incident: each is an error with its place."""
    with pytest.raises(DataError, match="no case with a root cause"):
        rca.evaluate(data, ["tapir"])
    write_truth(tmp_path, [row("gone", "birch")])
    with pytest.raises(RecordingError, match=r"gone.case\.json: missing"):
        rca.evaluate(tmp_path)
    write_truth(tmp_path, [row("calm", "birch")])
    write_recording(tmp_path / "calm", broken=None, incident=False)
    with pytest.raises(DataError, match="no incident interval"):
        rca.evaluate(tmp_path)


@pytest.mark.parametrize(
    ("fault", "mechanism", "named", "right"),
    [
        ("cpu_contention", "", Mechanism.CPU, True),
        ("exception", "", Mechanism.CHANGE, True),
        ("leak", "pool_saturation", Mechanism.POOL, True),
        ("lock", "", Mechanism.LOCK, True),
        ("delay", "", Mechanism.CPU, False),
        ("", "", Mechanism.UNKNOWN, False),
    ],
)
def test_a_mechanism_is_right_by_its_name_or_by_what_public_data_call_it(
    fault: str, mechanism: str, named: Mechanism, right: bool
) -> None:
    """Our own names stand for themselves, whether in `fault` or in `mechanism`."""
    truth = Truth(id="x", service="birch", fault=fault, mechanism=mechanism)
    assert right_mechanism(named, truth) is right


def test_the_documented_table_of_faults_is_the_one_that_counts() -> None:
    """ARCHITECTURE.md names each fault of public data with the mechanisms that are right for it."""
    text = (Path(rca.__file__).parents[2] / "ARCHITECTURE.md").read_text()
    rows = text.split("| fault in a label |")[1].split("\n\n")[0].splitlines()[2:]
    told: dict[str, frozenset[Mechanism]] = {}
    for line in rows:
        faults, right = (re.findall(r"`(\w+)`", cell) for cell in line.strip("|").split("|"))
        told.update(dict.fromkeys(faults, frozenset(map(Mechanism, right))))
    assert told == MECHANISMS


def test_options_hide_signals_leave_out_kinds_and_held_out_cases(data: Path, tmp_path: Path) -> None:
    """Without metrics the logs find it; each kind left out has its group; held-out cases are left alone."""
    write_truth(tmp_path / "okapi", [row("first", "birch"), row("second", "cedar", held_out=True)])
    (tmp_path / "okapi" / "first").symlink_to(data / "okapi" / "first", target_is_directory=True)
    options = rca.Options(ablate=True, without=frozenset({"metrics"}), looked_at=True)
    figures = rca.evaluate(tmp_path, options=options)
    assert (figures["okapi"]["ac1"], figures["okapi"]["cases"]) == (1.0, 1)
    assert figures["okapi/without/logs"]["ac1"] == 0.0
    assert figures["okapi/without/latency"]["ac1"] == 1.0
    assert figures["okapi/rival/n_sigma"]["ac5"] == 0.0


def test_the_report_has_a_page_for_every_case_and_an_index(data: Path, tmp_path: Path) -> None:
    """Each page says the truth and shows the ranking with its parts; the index links them all; no script."""
    report = CasePages(tmp_path / "out")
    figures = rca.evaluate(data, on_analysis=report.add)
    index = report.finish(figures).read_text()
    for name in ("first", "second"):
        page = (tmp_path / "out" / f"okapi-{name}.html").read_text()
        assert f'href="okapi-{name}.html"' in index
        assert "What was really broken" in page
        assert "parts of its score" in page or "part of its score" in page
        assert "<script" not in page
    assert "2 of 2 cases right first" in index
    assert "<circle" in index
    assert "<script" not in index


def test_places_read_as_people_say_them() -> None:
    """Teens are all alike, of other numbers the last figure counts."""
    places = [None, 1, 2, 3, 4, 11, 12, 13, 21, 22, 33, 111, 112]
    told = "nowhere 1st 2nd 3rd 4th 11th 12th 13th 21st 22nd 33rd 111th 112th"
    assert " ".join(map(ordinal, places)) == told
