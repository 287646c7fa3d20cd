"""What a finished recording says beside its telemetry: what was done to the shop, and what is held out."""

from __future__ import annotations

import gzip
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import pytest

from tests.testbed.__main__ import SIGNALS
from tests.testbed.background import DEPLOY, INJECT, Mark
from tests.testbed.faults import BAD_DEPLOY, POOL_EXHAUSTED, QUIET
from tests.testbed.look import table
from tests.testbed.recording import HeldOut, Times, finish_case, stamp, write_truth

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
ONSET = START + timedelta(minutes=8)
TIMES = Times(start=START, injected=ONSET, healed=ONSET, end=ONSET)


def _case(folder: Path) -> Path:
    case = folder / "bad-deploy-1"
    case.mkdir()
    (case / "case.json").write_text(json.dumps({"id": "recorded"}))
    line = {"time": stamp(START), "service.name": "orders", "body": "order booked"}
    (case / "logs.jsonl.gz").write_bytes(
        gzip.compress((json.dumps(line) + "\n").encode() * 50, compresslevel=1)
    )
    return case


def _truths(folder: Path) -> dict[str, dict[str, Any]]:
    return {line["id"]: line for line in map(json.loads, (folder / "truth.jsonl").read_text().splitlines())}


def test_marks_name_what_was_harmless_and_only_when_the_fault_was(tmp_path: Path) -> None:
    """In order of time; the service that was broken stands in the truth and nowhere in the case."""
    case = _case(tmp_path)
    marks = [
        Mark(time=ONSET, what=INJECT, harmless=False),
        Mark(
            time=START + timedelta(minutes=2), what=DEPLOY, service="cart", title="cart 1.4.1: translations"
        ),
    ]
    finish_case(case, BAD_DEPLOY, TIMES, notes=[], marks=marks)
    known = json.loads((case / "case.json").read_text())
    deploy, inject = known["marks"]
    assert deploy["service.name"] == "cart"
    assert deploy["harmless"] is True
    assert inject == {"time": stamp(ONSET), "what": INJECT, "harmless": False}
    assert BAD_DEPLOY.truth is not None
    assert BAD_DEPLOY.truth.service not in json.dumps(known)
    assert "2.0  deploy cart 1.4.1: translations" in table(case)


def test_pressing_keeps_the_content_and_names_no_time(tmp_path: Path) -> None:
    """The same lines are the same bytes, however they were compressed before."""
    before = _case(tmp_path)
    lines = gzip.decompress((before / "logs.jsonl.gz").read_bytes())
    finish_case(before, BAD_DEPLOY, TIMES, notes=[])
    pressed = (before / "logs.jsonl.gz").read_bytes()
    assert gzip.decompress(pressed) == lines
    assert pressed == gzip.compress(lines, compresslevel=9, mtime=0)


def test_the_label_says_what_is_held_out(tmp_path: Path) -> None:
    """Whole, from some time on, or not at all."""
    write_truth(tmp_path, "a", BAD_DEPLOY)
    write_truth(tmp_path, "b", BAD_DEPLOY, HeldOut(whole=True))
    write_truth(tmp_path, "c", QUIET, HeldOut(after=ONSET))
    truths = _truths(tmp_path)
    assert [truths[name]["held_out"] for name in "abc"] == [False, True, False]
    assert [truths[name].get("held_out_from") for name in "abc"] == [None, None, stamp(ONSET)]


def test_shops_that_finish_together_lose_no_label(tmp_path: Path) -> None:
    """Every one of many writers at once finds its line afterwards."""
    names = [f"pool-exhausted-{number}" for number in range(24)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: write_truth(tmp_path, name, POOL_EXHAUSTED), names))
    assert list(_truths(tmp_path)) == sorted(names)


def test_signals_to_leave_out_are_checked() -> None:
    """Known names pass, also none; an unknown one is named with those there are."""
    assert SIGNALS.convert("logs, traces", None, None) == ("logs", "traces")
    assert SIGNALS.convert("", None, None) == ()
    with pytest.raises(click.BadParameter, match="no signal spans; there are logs"):
        SIGNALS.convert("spans", None, None)
