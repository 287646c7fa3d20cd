"""The shop, whole: every fault shows in what the shop itself sends, and nothing is left running."""

from __future__ import annotations

import os
import re
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from tests.support.broker import Broker
from tests.testbed.faults import (
    BAD_CONFIG,
    BAD_DEPLOY,
    CPU_BURN,
    DISK_FULL,
    DROPPED_CONNECTIONS,
    LOCK_CONTENTION,
    MEMORY_LEAK,
    POOL_EXHAUSTED,
    QUIET,
    REDIS_EVICTING,
    RETRY_STORM,
    SLOW_DEPENDENCY,
    Fault,
)
from tests.testbed.services.telemetry import CHANGES, LOGS, METRICS, TOPICS
from tests.testbed.shop import VERSIONS, Shop

PATIENCE_S = 120.0
RATE = 10.0


class Listener:
    """Reads the shop's logs, metrics and changes as they come."""

    def __init__(self, bootstrap: str) -> None:
        self._consumer = KafkaConsumer(
            LOGS, METRICS, CHANGES, bootstrap_servers=bootstrap, auto_offset_reset="earliest"
        )
        self._seen: list[tuple[str, str]] = []

    def forget(self) -> None:
        """Drop what came so far."""
        self._read(timeout_ms=1)
        self._seen.clear()

    def wait_for(self, service: str, sign: str, meanwhile: Callable[[], None]) -> str:
        """Return the first line of `service` (or of a change) in which the regular expression is found."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            for found, line in self._seen:
                if found == service and re.search(sign, line):
                    return line
            meanwhile()
            self._read(timeout_ms=500)
        raise AssertionError(f"{service} never sent {sign!r}")

    def _read(self, *, timeout_ms: int) -> None:
        for records in self._consumer.poll(timeout_ms=timeout_ms).values():
            for record in records:
                self._seen += _lines(record.topic, record.value)

    def close(self) -> None:
        self._consumer.close()


def _lines(topic: str, value: bytes) -> Iterator[tuple[str, str]]:
    if topic == CHANGES:
        yield "changes", value.decode()
    elif topic == METRICS:
        yield from _metrics(value)
    else:
        for sent in ExportLogsServiceRequest.FromString(value).resource_logs:
            for scope in sent.scope_logs:
                yield from ((_service(sent), log.body.string_value) for log in scope.log_records)


def _service(sent: Any) -> str:
    return next(str(a.value.string_value) for a in sent.resource.attributes if a.key == "service.name")


def _metrics(value: bytes) -> Iterator[tuple[str, str]]:
    """Yield `name attribute,attribute value` for each point of a gauge or counter."""
    for sent in ExportMetricsServiceRequest.FromString(value).resource_metrics:
        for metric in (metric for scope in sent.scope_metrics for metric in scope.metrics):
            if metric.HasField("histogram"):
                continue
            for point in getattr(metric, metric.WhichOneof("data")).data_points:
                of = ",".join(a.value.string_value for a in point.attributes)
                number = point.as_double if point.HasField("as_double") else point.as_int
                yield _service(sent), f"{metric.name} {of} {number:.0f}"


@pytest.fixture(scope="module")
def shop() -> Iterator[tuple[Shop, Listener]]:
    """Run a busy shop of its own, with its own broker; afterwards none of its processes may be left."""
    # Not among pytest's folders: PostgreSQL's own user has to pass, and pytest shuts them for it.
    scratch = Path(tempfile.mkdtemp(prefix="faultline-shop-"))
    scratch.chmod(0o711)
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
    shutil.rmtree(scratch)


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
        (BAD_CONFIG, "changes", "payments.timeout_s from 5 to 0.03"),
        (BAD_CONFIG, "checkout", "payments: no answer within 0.03s"),
        (CPU_BURN, "catalog", r"process\.cpu\.percent  [1-6]\d$"),
        (MEMORY_LEAK, "cart", r"process\.memory\.usage  1[3-9]\d{7}"),
        (DISK_FULL, "checkout", r"container\.filesystem\.usage  (1[5-9]|2\d)\d{6}"),
        (DROPPED_CONNECTIONS, "storefront", "http.client.requests orders,timeout [1-9]"),
        (RETRY_STORM, "storefront", r"http.client.requests inventory,4xx \d{3}"),
        (LOCK_CONTENTION, "postgres", "still waiting for .* of database"),
        (REDIS_EVICTING, "redis", r"redis\.keys\.evicted  [1-9]"),
        (REDIS_EVICTING, "cart", "not in Redis any more"),
        (POOL_EXHAUSTED, "inventory", "PoolTimeout"),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_fault_shows_in_what_the_shop_sends(
    shop: tuple[Shop, Listener], fault: Fault, service: str, sign: str
) -> None:
    """The service concerned tells of the fault by itself, customers doing the rest."""
    running, listener = shop
    if fault is not QUIET:
        listener.forget()
    if (fault, service) != (QUIET, "catalog"):
        fault.inject(running)
    try:
        listener.wait_for(service, sign, running.require)
    finally:
        fault.heal(running)


def test_dead_service_is_started_again_in_its_pod(shop: tuple[Shop, Listener]) -> None:
    """What dies comes back by itself, and says how often it did."""
    running, listener = shop
    os.kill(running.pid("payments"), signal.SIGKILL)
    listener.wait_for("payments", r"k8s\.container\.restart\.count  1", running.require)


def test_expired_cache_is_filled_again(shop: tuple[Shop, Listener]) -> None:
    """A share of the cached products goes, and catalog loads them anew."""
    running, listener = shop
    listener.wait_for("catalog", "loaded from database", running.require)
    listener.forget()
    assert running.expire_cache(1.0) > 0
    listener.wait_for("catalog", "loaded from database", running.require)
