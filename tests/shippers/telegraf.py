"""Telegraf with its Kafka output in the JSON format: a measurement of several fields a record."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.shippers import golang
from tests.shippers.fixture import Fixture, Sent
from tests.shippers.programs import consume, running
from tests.support.broker import Broker, ExistingBroker

TOPICS = {"telegraf-json": "1s", "telegraf-json-nanoseconds": "1ns"}
"""Fixture and topic → Telegraf's json_timestamp_units; a second is the default."""

_CONFIGURATION = """
[global_tags]
  environment = "prod"
  service = "checkout"
[agent]
  interval = "1s"
  flush_interval = "1s"
  hostname = "web-1"
[[inputs.cpu]]
  percpu = false
  totalcpu = true
[[inputs.mem]]
[[inputs.system]]
[[inputs.internal]]
"""
_OUTPUT = """
[[outputs.kafka]]
  brokers = ["{bootstrap}"]
  topic = "{topic}"
  routing_tag = "host"
  data_format = "json"
  json_timestamp_units = "{units}"
"""
_KEPT = {"cpu": 2, "mem": 2, "system": 3, "internal_write": 2}
"""Measurement → records of it. `system` comes as gauges, as an integer and as a text."""


@contextlib.contextmanager
def running_telegraf(bootstrap: str, topics: dict[str, str]) -> Iterator[Callable[[], str]]:
    """Run Telegraf that writes to each topic (name → units of its times); yields the end of its output."""
    with tempfile.TemporaryDirectory(prefix="faultline-telegraf-") as scratch:
        folder = Path(scratch)
        outputs = (
            _OUTPUT.format(bootstrap=bootstrap, topic=topic, units=units) for topic, units in topics.items()
        )
        conf = folder / "telegraf.conf"
        conf.write_text(_CONFIGURATION + "".join(outputs), encoding="utf-8")
        with running([str(golang.telegraf()), "--config", str(conf)], folder) as tail:
            yield tail


class _Chosen:
    """Takes the first records of each measurement in `_KEPT`."""

    def __init__(self) -> None:
        self._left = dict(_KEPT)

    def __call__(self, record: Sent) -> bool:
        name = json.loads(record.value)["name"]
        self._left[name] = self._left.get(name, 0) - 1
        return self._left[name] >= 0


def fixtures(broker: Broker | ExistingBroker) -> Iterator[Fixture]:
    """Build and run Telegraf, and yield some records of each measurement."""
    for name in TOPICS:
        broker.create_topic(name)
    with running_telegraf(broker.bootstrap, TOPICS) as tail:
        for name, units in TOPICS.items():
            yield Fixture(
                name=name,
                format="telegraf",
                program=f"Telegraf, Kafka output, json, json_timestamp_units {units}",
                version=golang.TELEGRAF,
                command="python -m tests.shippers telegraf",
                suffix="json",
                sent=consume(broker.bootstrap, name, sum(_KEPT.values()), tail, keep=_Chosen()),
            )
