"""Real rsyslog and real collectd write to Kafka; `faultline run` remembers what they said.

Nobody tells the service which format a topic has.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from agent.store.sql import SqlStore
from ingest.events import MetricKind
from ingest.record import SECOND
from ingest.summary import SeriesWindow, WindowSummary
from tests.shippers.collectd import running_collectd
from tests.shippers.rsyslog import TEMPLATES, running_rsyslog, say
from tests.support.broker import Broker, ExistingBroker
from tests.support.service import RunningService, running_service

NAMED = [name for name, (form, _, _) in TEMPLATES.items() if form != "text"]
"""Templates that say which program spoke."""
COLLECTD = {"counters": "false", "rates": "true"}
"""Environment of collectd's topic → its StoreRates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """A running service, whose topics are named after a prefix and have an environment each."""

    service: RunningService
    bootstrap: str
    prefix: str
    database: str

    def windows(self, environment: str) -> dict[str, list[WindowSummary]]:
        """Return the stored windows of an environment by service."""
        store = SqlStore(self.database)
        now = time.time_ns()
        try:
            found = store.telemetry(environment, now - 3600 * SECOND, now + 3600 * SECOND)
        finally:
            store.close()
        return {
            service: [one for one in found if one.service == service]
            for service in {w.service for w in found}
        }


@pytest.fixture(scope="module")
def live(broker: Broker | ExistingBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Run one service that reads a topic of each template and of each kind of collectd's values."""
    folder, prefix = tmp_path_factory.mktemp("live"), f"live-{uuid.uuid4().hex[:8]}."
    environments = [*TEMPLATES, *COLLECTD]
    for name in ("incidents", "dead-letter", *environments):
        broker.create_topic(prefix + name)
    settings: dict[str, Any] = {
        "home": str(folder / "home"),
        "http": {"port": 0},
        "model": {"kind": "none"},
        "knowledge": {"embeddings": False},
        "windows": {"width": 1, "lateness": 4, "idle": 2},
        "stream": {"checkpoint_seconds": 0.2},
        "kafka": {
            "bootstrap_servers": broker.bootstrap,
            "group_id": f"{prefix}group",
            "topics": [{"name": prefix + name, "environment": name} for name in environments],
            "incidents_topic": f"{prefix}incidents",
            "dead_letter_topic": f"{prefix}dead-letter",
        },
    }
    with running_service(settings, folder) as service:
        database = f"sqlite:///{folder / 'home' / 'faultline.db'}"
        yield Live(service=service, bootstrap=broker.bootstrap, prefix=prefix, database=database)
        refused = {key: n for key, n in service.metrics().items() if key[0] == "faultline_rejected_total"}
        assert not any(refused.values()), refused
        assert service.terminate(within=20) == 0


@pytest.fixture(scope="module")
def said(live: Live) -> int:
    """Let rsyslog send one message of each kind in each template; return how many to a topic."""
    topics = {template: live.prefix + name for name, (_, template, _) in TEMPLATES.items()}
    with running_rsyslog(live.bootstrap, topics) as rsyslog:
        count = say(rsyslog, datetime.now(tz=UTC))

        def taken() -> bool:
            events = live.service.metrics().get(("faultline_events_total", ("LogEvent",)), 0)
            return events >= count * len(topics)

        live.service.eventually(taken, f"{count} messages in each of {len(topics)} topics\n{rsyslog.tail()}")
    return count


def counted(windows: dict[str, list[WindowSummary]], lines: int) -> dict[str, list[WindowSummary]] | None:
    """Return the windows when they count so many lines together, None otherwise."""
    found = sum(one.lines for service in windows.values() for one in service)
    return windows if found == lines else None


@pytest.mark.parametrize("name", NAMED)
def test_what_rsyslog_sends_is_in_the_memory_under_the_programs_that_said_it(
    live: Live, said: int, name: str
) -> None:
    """Every message of a template is there once: whose it is, how severe, and a trace in one piece."""
    windows = live.service.eventually(
        lambda: counted(live.windows(name), said), f"{said} messages of {name} in the memory"
    )
    assert set(windows) == {"checkout", "postgres", "su", "cart", "unknown"}
    lines = {
        (service, line.instance, line.text)
        for service, found in windows.items()
        for window in found
        for template in window.templates
        for line in template.lines
    }
    traceback = (
        "unhandled error\nTraceback (most recent call last):\n  File \"pay.py\", line 7\nKeyError: 'iban'"
    )
    assert ("checkout", "web-1", traceback) in lines
    assert ("postgres", "db-2", "deadlock – 3 waiters") in lines
    severities = {number for window in windows["checkout"] for number in window.severities}
    assert severities == ({0} if name == "rsyslog-file-lines" else {9, 17, 18})


def test_bare_messages_are_lines_of_the_topics_service(live: Live, said: int) -> None:
    """A template of nothing but the message leaves the rest to the topic's settings."""
    windows = live.service.eventually(
        lambda: counted(live.windows("rsyslog-text"), said), f"{said} bare messages in the memory"
    )
    assert set(windows) == {"unknown"}


@pytest.mark.parametrize("environment", COLLECTD)
def test_what_collectd_sends_comes_to_the_same_however_it_writes_counters(
    live: Live, environment: str
) -> None:
    """Counters as they stand and counters as rates are both what happened a second; levels stay levels."""
    with running_collectd(live.bootstrap, {live.prefix + environment: COLLECTD[environment]}) as tail:

        def known() -> list[SeriesWindow] | None:
            found = [one for window in live.windows(environment).get("unknown", []) for one in window.series]
            names = {one.key.name for one in found}
            return found if names >= {"cpu", "contextswitch", "load.midterm", "memory"} else None

        series = live.service.eventually(known, f"collectd's series are in the memory\n{tail()}")
    assert {one.unit for one in series if one.key.name in {"cpu", "contextswitch"}} == {"/s"}
    assert {one.unit for one in series if one.key.name in {"load.midterm", "memory"}} == {""}
    assert {one.kind for one in series} == {MetricKind.GAUGE}
    assert {one.key.instance for one in series} == {"web-1"}
    # The hundredths of a second that a CPU spends a second: the counter itself is far beyond.
    assert max(one.maximum for one in series if one.key.name == "cpu") < 1_000
