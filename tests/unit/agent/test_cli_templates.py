"""`faultline templates`: what is remembered of a service's lines, and under which ids it went."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from agent.app import parts
from agent.cli import main
from agent.settings import load_settings
from agent.store.port import TelemetryRow
from ingest.record import SECOND
from ingest.templates import Templates
from ingest.windows import Windows
from tests.support.samples import checkpoint
from tests.support.telemetry import log, of

USERS = ("ann", "bob", "cid", "dan", "eve", "fay")


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the commands a store of their own."""
    monkeypatch.setenv("FAULTLINE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "250")


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["templates", *arguments])


def _remember() -> list[str]:
    """Store two windows of lines whose names turn out to be values; return the ids given out at first."""
    now = time.time_ns() // (60 * SECOND) * 60 * SECOND - 120 * SECOND
    templates, windows = Templates(), Windows(Templates())
    given = []
    for number, user in enumerate(USERS):
        body = f"user {user} logged in from the office today \x1b[31m"
        given.append(templates.assign("default", "cart", body).template_id)
        at = now + (1 if number < 3 else 12) * SECOND
        windows.add(log(at, body, offset=number), partition=("logs", 0), wall=at)
    summaries = of(windows.flush())
    row = TelemetryRow(environment="default", service="cart", minute=now, windows=tuple(summaries))
    store = parts.store(load_settings())
    try:
        epoch = store.take_over("stream").epoch
        store.checkpoint(checkpoint(epoch, telemetry=(row,)))
    finally:
        store.close()
    return given


def test_how_far_back_has_an_end() -> None:
    """Endless hours are refused with what is possible, not tripped over."""
    assert "0<x<=10000" in _run("cart", "--hours", "inf").output


def test_an_old_id_leads_to_the_template_it_became() -> None:
    """All lines count under the oldest id; the others are named as what it was, and are found."""
    given = _remember()
    (one,) = [json.loads(line) for line in _run("cart", "--json").output.splitlines()]
    assert one["template_id"] == given[0]
    assert one["template"].startswith("user <*> logged in")
    assert one["lines"] == len(USERS)
    assert set(given[1:4]) <= set(one["aliases"])
    shown = _run("cart", given[2])
    assert shown.exit_code == 0, shown.output
    assert given[0] in shown.output
    assert "\x1b" not in shown.output


def test_what_is_not_there_is_said() -> None:
    """Nothing remembered, or an id that never was: what to do is in the error."""
    assert "nothing is remembered of 'cart'" in _run("cart").output
    _remember()
    assert "name another --environment" in _run("cart", "--environment", "prod").output
    assert "no template of 'cart' is or was 'tpl_none'" in _run("cart", "tpl_none").output
