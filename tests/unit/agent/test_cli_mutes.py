"""`faultline mutes`: what is asked for stands in the store; what is wrong is said and mutes nothing."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from agent.app import parts
from agent.cli import main
from agent.mutes import Mute, MuteKind
from agent.settings import load_settings
from ingest.record import SECOND


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the commands a store of their own."""
    monkeypatch.setenv("FAULTLINE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "250")


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["mutes", *arguments])


def _kept() -> tuple[Mute, ...]:
    store = parts.store(load_settings())
    try:
        return store.mutes(0)
    finally:
        store.close()


def test_maintenance_and_mutes_are_kept_listed_and_lifted() -> None:
    """Both commands store what was said; the list shows it; lifting ends it."""
    before = time.time_ns()
    made = _run("maintenance", "orders", "payments", "--until", "2h", "--reason", "moving", "--author", "ana")
    assert made.exit_code == 0, made.output
    noisy = ["--detector", "severity", "--service", "cart", "--until", "3d", "--reason", "ticket 4711"]
    assert _run("add", *noisy).exit_code == 0
    first, second = _kept()
    assert (first.kind, first.services, first.author) == (MuteKind.MAINTENANCE, ("orders", "payments"), "ana")
    assert 7200 * SECOND <= first.ends - before < 7260 * SECOND
    assert (second.kind, second.detector, second.services) == (MuteKind.MUTE, "severity", ("cart",))
    listed = _run("list").output
    assert "services orders, payments" in listed
    assert "ticket 4711" in listed
    assert _run("lift", first.id, "--author", "bo").output == f"lifted {first.id}\n"
    assert first.id not in _run("list").output
    assert "lifted by bo" in _run("list", "--ended").output


def test_what_somebody_wrote_is_shown_as_it_is() -> None:
    """Brackets are no markup, control sequences never reach the terminal."""
    said = ["--reason", "see [/bold] [red]4711", "--author", "a\x1b[2Jb"]
    assert _run("add", "--subject", "tpl_1", "--until", "1d", *said).exit_code == 0
    listed = _run("list")
    assert listed.exit_code == 0
    assert "see [/bold] [red]4711" in listed.output
    assert "\x1b" not in listed.output


def test_a_user_without_a_name_is_asked_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system knows no name for the user, the command says so instead of failing."""

    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 1234")

    monkeypatch.setattr("agent.cli.mutes_command.getpass.getuser", nobody)
    refused = _run("add", "--subject", "tpl_1", "--until", "1d", "--reason", "noise")
    assert "author is empty: say who asks for it" in refused.output
    assert isinstance(refused.exception, SystemExit)


def test_what_would_hide_too_much_is_refused() -> None:
    """The command fails, says what to give, and keeps nothing."""
    everything = _run("maintenance", "--until", "2h", "--reason", "quiet please")
    assert everything.exit_code == 1
    assert "nothing was muted: maintenance of everything is refused" in everything.output
    assert "no time" in _run("add", "--subject", "tpl_1", "--until", "later", "--reason", "noise").output
    assert _run("add", "--subject", "tpl_1", "--until", "1d").exit_code == 2
    assert "there is no mute" in _run("lift", "mu_none").output
    mistyped = ["--detector", "severtiy", "--service", "cart", "--until", "1d", "--reason", "noise"]
    assert (
        "there is no detector 'severtiy'; there are: absence, alertmanager," in _run("add", *mistyped).output
    )
    assert _kept() == ()
    assert _run("list").output == "nothing is muted\n"


def test_the_settings_can_mute_until_some_time(tmp_path: Path) -> None:
    """A window in the file is listed and taken up; one without an end or a reason is no configuration."""
    config = tmp_path / "faultline.yaml"
    entry = "{services: [orders], starts: '2026-01-01T00:00:00Z', until: '%s', reason: '%s'}"
    config.write_text(f"maintenance: [{entry % ('2026-01-02T00:00:00Z', 'disks')}]")
    (one,) = parts.configured_mutes(load_settings(config))
    assert "take it out there and restart" in _run("lift", one.id, "--config", str(config)).output
    assert (one.kind, one.services, one.author) == (MuteKind.MAINTENANCE, ("orders",), "the configuration")
    for until, reason, says in (
        ("2026-01-02T00:00:00", "disks", "names no time zone"),
        ("2026-01-02T00:00:00Z", "", "reason is empty"),
        ("2027-01-02T00:00:00Z", "disks", "90 days"),
    ):
        config.write_text(f"maintenance: [{entry % (until, reason)}]")
        refused = _run("list", "--config", str(config))
        assert refused.exit_code == 1
        assert says in refused.output
    config.write_text("detectors: {shadow: [severtiy]}")
    assert "there is no detector 'severtiy'; there are:" in _run("list", "--config", str(config)).output
