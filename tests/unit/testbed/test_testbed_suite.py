"""The suite: which recordings there are, what is made again, and that one that breaks ends alone."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

import pytest

from tests.testbed.recording import is_whole
from tests.testbed.suite import CONSOLES, Job, Shape, Suite, jobs, remaining_s

SHAPE = Shape(runs=3, quiet_s=7200, baseline_s=420, duration_s=150, rate=4, traces=0.4, without=("logs",))
RECORD = """
import gzip, json, pathlib, sys
arguments = dict(zip(sys.argv[1::2], sys.argv[2::2]))
dataset, name = pathlib.Path(arguments["--out"]), arguments["--name"]
tries = dataset / f"{name}.tries"
tries.write_text(tries.read_text() + "x" if tries.exists() else "x")
if name == "broken" or name == "flaky" and tries.read_text() == "x":
    sys.exit("the shop fell over")
(dataset / name).mkdir(exist_ok=True)
(dataset / name / "logs.jsonl.gz").write_bytes(gzip.compress(b"{}"))
(dataset / name / "case.json").write_text(json.dumps({"signals": ["logs"]}))
with (dataset / "truth.jsonl").open("a") as truth:
    truth.write(json.dumps({"id": name}) + chr(10))
"""


def _option(job: Job, name: str) -> str | None:
    pairs = dict(zip(job.arguments[::2], job.arguments[1::2], strict=True))
    return pairs.get(name)


def test_every_fault_comes_in_every_round() -> None:
    """The day first, then all faults once, twice, three times; the first run alone may be looked at."""
    made = jobs(SHAPE, ["a", "b"])
    assert [job.name for job in made] == [
        *("quiet-1", "quiet-2", "quiet-3"),
        *("a-1", "b-1", "a-2", "b-2", "a-3", "b-3"),
    ]
    held_out = [_option(job, "--held-out-after") for job in made]
    assert held_out == [None, "0", "0", None, None, "0", "0", "0", "0"]
    assert len({_option(job, "--seed") for job in made}) == len(made)
    assert {_option(job, "--without") for job in made} == {"logs"}
    assert jobs(SHAPE, ["a", "b"]) == made


def test_the_held_out_quiet_runs_make_a_day() -> None:
    """Nothing is injected, and what may be looked at is another recording of the first third."""
    (first, *halves) = jobs(SHAPE, ["a"])[:3]
    for quiet in (first, *halves):
        assert (_option(quiet, "--fault"), _option(quiet, "--duration")) == ("quiet", "0")
        assert _option(quiet, "--day") == "7200"
    assert (_option(first, "--begins"), _option(first, "--baseline")) == ("0", "2400")
    assert [(_option(half, "--begins"), _option(half, "--baseline")) for half in halves] == [
        ("0", "3600"),
        ("12", "3600"),
    ]


def _suite(dataset: Path, names: list[str], said: list[str]) -> Suite:
    wanted = [Job(name=name, arguments=("--name", name), expected_s=1) for name in names]
    command = (sys.executable, "-c", RECORD)
    return Suite(dataset, wanted, 2, said.append, command=command, stagger_s=0)


def test_one_that_breaks_is_tried_again_and_ends_alone(tmp_path: Path) -> None:
    """The flaky one comes right, the broken one is named with its console, the others are there."""
    said: list[str] = []
    assert _suite(tmp_path, ["broken", "flaky", "good"], said).record() == ["broken"]
    assert [name for name in ("broken", "flaky", "good") if is_whole(tmp_path, name)] == ["flaky", "good"]
    assert (tmp_path / "broken.tries").read_text() == "xx"
    assert (tmp_path / CONSOLES / "broken.2").read_text().strip() == "the shop fell over"
    assert any("failed for good" in line for line in said)
    assert any("2 of 3 there" in line for line in said)


def test_what_is_there_and_whole_is_left_alone(tmp_path: Path) -> None:
    """A second suite makes only what is missing or damaged."""
    assert _suite(tmp_path, ["good", "cut"], []).record() == []
    (tmp_path / "cut" / "logs.jsonl.gz").write_bytes(gzip.compress(b"{}" * 9)[:-5])
    (tmp_path / "cut.tries").unlink()
    said: list[str] = []
    assert _suite(tmp_path, ["good", "cut"], said).record() == []
    assert said[0] == "2 recordings, 1 are there"
    assert (tmp_path / "good.tries").read_text() == "x"
    assert not (tmp_path / CONSOLES).exists()


@pytest.mark.parametrize("damage", ["cut", "gone", "unlabelled"])
def test_a_case_is_whole_or_it_is_not(tmp_path: Path, damage: str) -> None:
    """A file that ends early, one that is missing, a case without a label: none of them is whole."""
    case = tmp_path / "a"
    case.mkdir()
    (case / "case.json").write_text(json.dumps({"signals": ["logs"]}))
    (case / "logs.jsonl.gz").write_bytes(gzip.compress(b'{"body": "x"}'))
    (tmp_path / "truth.jsonl").write_text('{"id": "a"}\n')
    assert is_whole(tmp_path, "a")
    if damage == "cut":
        (case / "logs.jsonl.gz").write_bytes(gzip.compress(b'{"body": "x"}')[:-4])
    elif damage == "gone":
        (case / "logs.jsonl.gz").unlink()
    else:
        (tmp_path / "truth.jsonl").write_text('{"id": "b"}\n')
    assert not is_whole(tmp_path, "a")


@pytest.mark.parametrize(
    ("under_way", "waiting", "streams", "left"),
    [([], [], 2, 0), ([30], [], 2, 30), ([30, 10], [20, 20], 2, 50), ([100], [20, 20, 20], 2, 100)],
)
def test_remaining_time(under_way: list[float], waiting: list[float], streams: int, left: float) -> None:
    """Each waiting one goes to the stream that is free first."""
    assert remaining_s(under_way, waiting, streams) == left
