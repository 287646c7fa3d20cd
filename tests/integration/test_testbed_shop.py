"""The shop, whole: every fault shows in what the shop itself sends, and nothing is left running."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka import KafkaConsumer
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from tests.support.broker import Broker
from tests.testbed.faults import BAD_DEPLOY, POOL_EXHAUSTED, QUIET, SLOW_DEPENDENCY, Fault
from tests.testbed.services.telemetry import CHANGES, LOGS, TOPICS
from tests.testbed.shop import VERSIONS, Shop

PATIENCE_S = 120.0
RATE = 10.0


class Listener:
    """Reads the shop's logs as they come."""

    def __init__(self, bootstrap: str) -> None:
        self._consumer = KafkaConsumer(
            LOGS, CHANGES, bootstrap_servers=bootstrap, auto_offset_reset="earliest"
        )
        self._seen: list[tuple[str, str]] = []

    def wait_for(self, service: str, text: str) -> str:
        """Return the first line that `service` (or a change event) wrote with `text` in it."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            for found, line in self._seen:
                if found == service and text in line:
                    return line
            for records in self._consumer.poll(timeout_ms=500).values():
                for record in records:
                    self._seen += _lines(record.topic, record.value)
        raise AssertionError(f"{service} never logged {text!r}")

    def close(self) -> None:
        self._consumer.close()


def _lines(topic: str, value: bytes) -> Iterator[tuple[str, str]]:
    if topic == CHANGES:
        yield "changes", value.decode()
        return
    for resource_logs in ExportLogsServiceRequest.FromString(value).resource_logs:
        attributes = {pair.key: pair.value.string_value for pair in resource_logs.resource.attributes}
        for scope_logs in resource_logs.scope_logs:
            for log in scope_logs.log_records:
                yield attributes["service.name"], log.body.string_value


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Shop, Listener]]:
    """Run a busy shop of its own, with its own broker; afterwards none of its processes may be left."""
    scratch = tmp_path_factory.mktemp("shop")
    for folder in (scratch, *scratch.parents[:2]):
        # PostgreSQL's own user has to pass.
        folder.chmod(folder.stat().st_mode | 0o011)
    broker = Broker()
    broker.start()
    for topic in TOPICS:
        broker.create_topic(topic)
    running = Shop(scratch, broker.bootstrap, rate=RATE, traces=0.1, seed=3)
    listener = Listener(broker.bootstrap)
    try:
        running.start()
        running.open_doors()
        assert len(_still_running(scratch)) >= len(VERSIONS), "the check at the end would see nothing"
        yield running, listener
    finally:
        listener.close()
        running.stop()
        broker.stop()
    assert _still_running(scratch) == []


def _still_running(scratch: Path) -> list[str]:
    """Return the command lines of processes that work in, or were told about, the scratch folder."""
    left = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            told = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
        except OSError:
            continue
        if str(scratch).encode() in told:
            left.append(told.split(b"\0")[0].decode())
    return left


@pytest.mark.parametrize(
    ("fault", "service", "sign"),
    [
        (QUIET, "changes", "catalog 1.8.1"),
        (QUIET, "catalog", "starting catalog 1.8.1"),
        (SLOW_DEPENDENCY, "payments", "acquirer took"),
        (BAD_DEPLOY, "orders", "KeyError: 'gold'"),
        (POOL_EXHAUSTED, "inventory", "PoolTimeout"),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_fault_shows_where_the_truth_says(
    shop: tuple[Shop, Listener], fault: Fault, service: str, sign: str
) -> None:
    """The service that the truth names logs the fault by itself, customers doing the rest."""
    running, listener = shop
    if service != "catalog":
        fault.inject(running)
    try:
        assert sign in listener.wait_for(service, sign)
        assert fault.truth is None or fault.truth.service == service
    finally:
        fault.heal(running)
    running.require()
