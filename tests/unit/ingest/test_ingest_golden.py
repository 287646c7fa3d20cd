"""Bytes of real shippers: each kept record decodes to the events that a person checked against it."""

from __future__ import annotations

import json

import pytest

from ingest.decode import Decode
from tests.shippers.fixture import HOME, MANIFEST, Fixture, all_fixtures, expected, load, read, save

FIXTURES = all_fixtures()
MAX_BYTES = 30_000
"""Of one fixture's records: what is kept shows a form, it does not measure anything."""


@pytest.mark.parametrize("fixture", FIXTURES, ids=lambda fixture: fixture.name)
def test_kept_bytes_mean_what_a_person_read_in_them(fixture: Fixture) -> None:
    """Under the format that the manifest names, every event and every field is as expected."""
    assert read(fixture) == expected(fixture.name)


@pytest.mark.parametrize("fixture", FIXTURES, ids=lambda fixture: fixture.name)
def test_auto_reads_what_the_named_format_reads(fixture: Fixture) -> None:
    """Nobody has to set a format for a shipper that we know."""
    assert read(fixture, "auto") == expected(fixture.name)


@pytest.mark.parametrize("fixture", FIXTURES, ids=lambda fixture: fixture.name)
def test_a_fixture_says_where_it_came_from(fixture: Fixture) -> None:
    """Program, version and the command that makes it again; or the documentation it follows."""
    assert fixture.program
    assert fixture.version
    assert fixture.format in Decode({}).formats
    assert (fixture.documentation is None) == fixture.command.startswith("python -m tests.shippers ")
    assert 0 < sum(len(one.value) for one in fixture.sent) < MAX_BYTES


def test_at_least_these_programs_sent_what_is_kept() -> None:
    """Fixtures of the programs that can be run here are theirs, not ours."""
    live = {fixture.name.partition("-")[0] for fixture in FIXTURES if fixture.documentation is None}
    assert live >= {"rsyslog", "alertmanager", "otel", "collectd", "telegraf", "cloudevents", "ecs"}


@pytest.mark.parametrize("fixture", FIXTURES, ids=lambda fixture: fixture.name)
def test_saving_a_fixture_keeps_every_byte(
    fixture: Fixture, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Keys, headers and values come back as they came, whatever bytes they are."""
    home = tmp_path_factory.mktemp("wire")
    folder = save(fixture, home)
    assert load(folder) == fixture
    assert json.loads((folder / MANIFEST).read_text(encoding="utf-8")) == json.loads(
        (HOME / fixture.name / MANIFEST).read_text(encoding="utf-8")
    )
