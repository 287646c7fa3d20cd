"""`faultline eval metrics` on series of any name: reading, scoring, drawing, and bad folders."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from click.testing import CliRunner

from agent.cli import main
from agent.evaluate import nab_peers
from agent.evaluate.data import DataError
from agent.evaluate.nab_data import load
from agent.evaluate.nab_plots import picture
from agent.evaluate.nab_score import weights

START = datetime(2026, 3, 1, tzinfo=UTC)
ROWS = 400
SPIKE = 300


def write(folder: Path, *, rows: int = ROWS, spike: int = SPIKE) -> Path:
    """Write one category with a series that has a labelled spike, and a quiet one with a gap."""
    base = folder / "metrics" / "nab"
    (base / "okapi").mkdir(parents=True)
    noise = np.random.default_rng(4).normal(50.0, 2.0, (2, rows))
    noise[0, spike : spike + 5] += 60.0
    times = [START + timedelta(minutes=5 * row) for row in range(rows)]
    for name, values in zip(("first", "second"), noise, strict=True):
        lines = [f"{time:%Y-%m-%d %H:%M:%S},{value:.3f}" for time, value in zip(times, values, strict=True)]
        if name == "second":
            lines[100] = f"{times[100]:%Y-%m-%d %H:%M:%S},"
        (base / "okapi" / f"{name}.csv").write_text("timestamp,value\n" + "\n".join(lines) + "\n")
    window = [f"{times[row]:%Y-%m-%d %H:%M:%S.000000}" for row in (spike - 5, spike + 15)]
    labels = {"okapi/first.csv": [window], "okapi/second.csv": []}
    (base / "windows.json").write_text(json.dumps(labels))
    return folder


def test_series_are_read_with_their_windows(tmp_path: Path) -> None:
    """By name, with the rows that lie in a window; times without a zone are UTC; a missing value is NaN."""
    first, second = load(write(tmp_path))
    assert (first.name, first.windows) == ("okapi/first.csv", ((SPIKE - 5, SPIKE + 15),))
    assert first.times[0] == int(START.timestamp()) * 10**9
    assert second.windows == ()
    assert np.isnan(second.values[100])


def test_the_folder_of_the_windows_will_do_too(tmp_path: Path) -> None:
    """`--data` may name it directly."""
    folder = write(tmp_path)
    assert [one.name for one in load(folder / "metrics" / "nab")] == [one.name for one in load(folder)]


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("windows.json", "[]", "needs an object"),
        ("windows.json", '{"okapi/none.csv": []}', "none.csv: cannot be read"),
        ("windows.json", '{"okapi/first.csv": [["x", "y"]]}', "first.csv needs pairs of times"),
        ("okapi/first.csv", "timestamp,value\nnoon,3\n", "first.csv:2: needs"),
        ("okapi/first.csv", "timestamp,value\n", "holds no samples"),
    ],
)
def test_what_is_amiss_is_named(tmp_path: Path, file: str, text: str, said: str) -> None:
    """File, line and what it needs."""
    folder = write(tmp_path)
    (folder / "metrics" / "nab" / file).write_text(text)
    with pytest.raises(DataError, match=said):
        load(folder)


def test_the_command_scores_and_draws(tmp_path: Path) -> None:
    """The clear spike is found at once; one JSON object, one drawing a series."""
    folder, plots = write(tmp_path), tmp_path / "plots"
    arguments = ["eval", "metrics", "--data", str(folder), "--no-peers", "--plots", str(plots), "--json", "-"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    assert set(figures) == {"faultline", "faultline (budget)"}
    assert figures["faultline"]["nab_standard"] > 85
    assert figures["faultline"]["found"] == figures["faultline"]["windows"] == 1
    drawn = sorted(path.name for path in plots.iterdir())
    assert drawn == ["okapi__first.svg", "okapi__second.svg"]
    for name in drawn:
        ElementTree.parse(plots / name)
    assert "1 of 1 windows found" in (plots / drawn[0]).read_text()


def test_no_series_is_an_error_with_advice(tmp_path: Path) -> None:
    """An empty folder names what it looked for."""
    result = CliRunner().invoke(main, ["eval", "metrics", "--data", str(tmp_path)])
    assert result.exit_code != 0
    assert "windows.json" in result.output


def test_a_drawing_escapes_names_and_tells_true_from_false(tmp_path: Path) -> None:
    """A detection inside is green, outside red, in the probation grey; so are the budget's alarms, below."""
    (first, _) = load(write(tmp_path))
    weighed = weights(ROWS, first.windows)
    detected = np.zeros(ROWS, dtype=np.bool_)
    detected[[10, 200, SPIKE]] = True
    alarms = np.zeros(ROWS, dtype=np.bool_)
    alarms[[11, 12, SPIKE]] = True
    drawing = picture(first, weighed, detected, alarms)
    assert [drawing.count(f'stroke="{color}"') for color in ("#1a7f37", "#cf222e", "#8c959f")] == [1, 1, 1]
    above = {
        color: drawing.count(f'l-4 -8h8z" fill="{color}"') for color in ("#1a7f37", "#cf222e", "#8c959f")
    }
    below = {color: drawing.count(f'l-4 8h8z" fill="{color}"') for color in above}
    assert list(above.values()) == [1, 1, 1]
    assert list(below.values()) == [1, 0, 2]
    assert "1 of 1 windows found, 1 false alarms" in drawing
    assert "2026-03-01 00:00" in drawing
    ElementTree.fromstring(drawing)


@pytest.mark.parametrize(
    "name", ["windowed_gaussian", "knn_cad", "pyod_mad", "pyod_ecod", "pyod_spectral_residual"]
)
def test_peers_see_a_spike_and_no_future(name: str) -> None:
    """The spike is among their highest scores; changing what comes in later blocks changes nothing before."""
    values = np.random.default_rng(4).normal(50.0, 2.0, ROWS)
    values[SPIKE] += 80.0
    peer = nab_peers.peers()[name]
    scores = peer(values)
    assert len(scores) == ROWS
    assert np.isfinite(scores).all()
    assert scores[SPIKE : SPIKE + 2].max() >= np.quantile(scores, 0.97)
    later = values.copy()
    later[300:] *= 2.0
    assert peer(later)[:300].tolist() == scores[:300].tolist()


def test_a_peer_may_be_silent_after_it_spoke() -> None:
    """Only what is above the last said passes for so many rows; as many rows later anything does."""
    scores = np.array([0.0, 3.0, 2.0, 4.0, 4.0, 1.0, 1.0, 1.0])
    assert nab_peers.told_once(scores, 0).tolist() == scores.tolist()
    assert nab_peers.told_once(scores, 2).tolist() == [0.0, 3.0, 0.0, 4.0, 0.0, 0.0, 1.0, 0.0]
    readings = nab_peers.readings(np.ones(1000))
    # Of 150 rows of probation: no pause, then 15, 30 and 60 rows.
    assert [int(one.sum()) for one in readings] == [1000, 63, 33, 17]


def test_rarity_is_the_share_of_the_history_that_reaches_it() -> None:
    """By hand over four values: ranks of five, and beyond all of them one of five."""
    found = nab_peers.rarity(np.array([9.0, 4.0, 2.5, 0.0]), np.array([1.0, 4.0, 2.0, 3.0]))
    assert found.tolist() == pytest.approx([-np.log10(share) for share in (1 / 5, 2 / 5, 3 / 5, 1.0)])


def test_the_size_of_a_series_does_not_matter_to_a_peer() -> None:
    """One threshold holds for all series, so a thousand times larger values must not score higher."""
    values = np.random.default_rng(4).normal(50.0, 2.0, ROWS)
    for name in ("pyod_mad", "pyod_ecod"):
        peer = nab_peers.peers()[name]
        assert peer(1000.0 * values) == pytest.approx(peer(values), abs=0.01)
