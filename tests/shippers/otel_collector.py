"""The OpenTelemetry Collector with its Kafka exporter, in both of OTLP's encodings.

It is given what the SDK exports over OTLP/HTTP, so its fixtures hold the same telemetry twice re-encoded.
"""

from __future__ import annotations

import contextlib
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml
from opentelemetry.sdk.metrics.export import AggregationTemporality

from tests.shippers import golang
from tests.shippers.fixture import Fixture
from tests.shippers.otel_sdk import logs_and_traces, metrics
from tests.shippers.programs import consume, running, until
from tests.support.broker import Broker, ExistingBroker
from tests.support.ports import free_port

ENCODINGS = {"otlp_proto": ("", "pb"), "otlp_json": ("-json", "json")}
"""Encoding → what the fixtures' names end with, suffix of their files."""
SIGNALS = ("logs", "metrics", "traces")


@contextlib.contextmanager
def running_collector(bootstrap: str) -> Iterator[tuple[str, Callable[[], str]]]:
    """Run a Collector that writes each signal to the topic of its fixture; yields its URL for OTLP/HTTP."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="faultline-otelcol-") as scratch:
        folder = Path(scratch)
        conf = folder / "collector.yaml"
        conf.write_text(yaml.safe_dump(_configuration(bootstrap, port)), encoding="utf-8")
        with running([str(golang.collector()), f"--config=file:{conf}"], folder) as tail:
            until(lambda: "Everything is ready" in tail(), "the Collector is ready", tail)
            yield f"http://127.0.0.1:{port}", tail


def _configuration(bootstrap: str, port: int) -> dict[str, Any]:
    exporters: dict[str, Any] = {}
    for encoding, (ending, _) in ENCODINGS.items():
        topics = {
            signal: {"topic": f"otel-collector-{signal}{ending}", "encoding": encoding} for signal in SIGNALS
        }
        keyed = {"partition_traces_by_id": encoding == "otlp_proto"}
        exporters[f"kafka/{encoding}"] = {"brokers": [bootstrap], **topics, **keyed}
    pipeline = {"receivers": ["otlp"], "exporters": list(exporters)}
    return {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{port}"}}}},
        "exporters": exporters,
        "service": {
            "pipelines": dict.fromkeys(SIGNALS, pipeline),
            "telemetry": {"metrics": {"level": "none"}},
        },
    }


def _post(url: str, body: bytes) -> None:
    request = urllib.request.Request(
        url, data=body, headers={"Content-Type": "application/x-protobuf"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        answer.read()


def fixtures(broker: Broker | ExistingBroker) -> Iterator[Fixture]:
    """Build and run the Collector, and yield what it wrote of each signal in each encoding."""
    names = {
        f"otel-collector-{signal}{ending}": (signal, encoding, suffix)
        for encoding, (ending, suffix) in ENCODINGS.items()
        for signal in SIGNALS
    }
    for name in names:
        broker.create_topic(name)
    logs, traces = logs_and_traces()
    first, second = metrics(AggregationTemporality.CUMULATIVE)
    requests = {"logs": [logs], "metrics": [first, second], "traces": [traces]}
    with running_collector(broker.bootstrap) as (url, tail):
        for signal, bodies in requests.items():
            for body in bodies:
                _post(f"{url}/v1/{signal}", body)
        for name, (signal, encoding, suffix) in names.items():
            keyed = signal == "traces" and encoding == "otlp_proto"
            count = 3 if keyed else len(requests[signal])
            yield Fixture(
                name=name,
                format="otlp_json" if encoding == "otlp_json" else f"otlp_{signal}",
                program=f"OpenTelemetry Collector, Kafka exporter, encoding {encoding}",
                version=golang.COLLECTOR,
                command="python -m tests.shippers otel-collector",
                suffix=suffix,
                sent=consume(broker.bootstrap, name, count, tail),
                note="partition_traces_by_id: one record a trace." if keyed else None,
            )
