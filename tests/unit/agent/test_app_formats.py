"""Which wire formats the settings offer, and what the log says of one that was recognised."""

from __future__ import annotations

from typing import get_args

import pytest
from pydantic import ValidationError
from structlog.testing import capture_logs

from agent.app.parts import pipeline, topics
from agent.settings import Format, Settings, TopicSettings
from ingest.decode import Decode
from ingest.record import SECOND, Origin, Record

NOW = 1_790_000_000 * SECOND


def test_the_settings_offer_every_format_that_there_is() -> None:
    """A decoder that nobody can choose would be dead code, a name without one a trap."""
    assert set(get_args(Format)) == set(Decode({}).formats)


def test_a_recognised_format_is_logged_once_with_its_reason() -> None:
    """Topic, format, reason and the first record; never the text of a record."""
    build = pipeline(Settings(), b"key")
    with capture_logs() as logs:
        for offset in range(3):
            build().take(
                Record(
                    origin=Origin(topic="telemetry.logs", partition=0, offset=offset),
                    value=b"<34>1 - web app - - - hunter2",
                    received=NOW,
                ),
                NOW,
            )
    (said,) = [entry for entry in logs if entry["event"] == "decode.recognised"]
    assert (said["topic"], said["format"], said["first"]) == (
        "telemetry.logs",
        "syslog",
        "telemetry.logs/0/0",
    )
    assert "<priority>" in said["why"]
    assert "hunter2" not in str(said)


def test_a_topics_time_zone_reaches_its_decoder_and_has_to_exist() -> None:
    """A wrong name is a mistake in the settings, not in each record."""
    topic = TopicSettings(name="logs", time_zone="Europe/Berlin")
    settings = Settings()
    kafka = settings.kafka.model_copy(update={"topics": (topic,)})
    read = topics(settings.model_copy(update={"kafka": kafka}))
    assert read["logs"].time_zone == "Europe/Berlin"
    with pytest.raises(ValidationError, match="no time zone 'Mars/Base'"):
        TopicSettings(name="logs", time_zone="Mars/Base")
