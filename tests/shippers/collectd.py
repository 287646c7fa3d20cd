"""collectd with write_kafka in its JSON form: a value list a record, with raw counters and with rates."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.shippers.fixture import Fixture, Sent
from tests.shippers.programs import consume, program, running, version_line
from tests.support.broker import Broker, ExistingBroker

TOPICS = {"collectd-json": "false", "collectd-json-rates": "true"}
"""Fixture and topic → collectd's StoreRates: counters as they stand, or what they grew by each second."""
_NOTES = {
    "collectd-json": "Counters (derive) as they stand.",
    "collectd-json-rates": "The default, whatever the manual says. The type is still `derive`, but the "
    "values are what the counter grew by each second, null in the first round.",
}

_CONFIGURATION = """
Hostname "web-1"
FQDNLookup false
BaseDir "{folder}"
PIDFile "{folder}/pid"
PluginDir "/usr/lib/collectd"
TypesDB "/usr/share/collectd/types.db"
Interval 1
LoadPlugin cpu
LoadPlugin load
LoadPlugin memory
LoadPlugin contextswitch
LoadPlugin write_kafka
<Plugin write_kafka>
  Property "metadata.broker.list" "{bootstrap}"
{topics}</Plugin>
"""
_TOPIC = """  <Topic "{name}">
    Format JSON
    StoreRates {rates}
  </Topic>
"""
_KEPT = (
    ("cpu", "0", "user"),
    ("cpu", "0", "idle"),
    ("contextswitch", "", ""),
    ("load", "", ""),
    ("memory", "", "used"),
    ("memory", "", "free"),
)
"""Plugin, its instance and the type's: two rounds of these are enough to see how they relate."""


@contextlib.contextmanager
def running_collectd(bootstrap: str, topics: dict[str, str]) -> Iterator[Callable[[], str]]:
    """Run collectd that writes to each topic (name → StoreRates); yields the end of its output."""
    with tempfile.TemporaryDirectory(prefix="faultline-collectd-") as scratch:
        folder = Path(scratch)
        blocks = "".join(_TOPIC.format(name=name, rates=rates) for name, rates in topics.items())
        conf = folder / "collectd.conf"
        conf.write_text(
            _CONFIGURATION.format(folder=folder, bootstrap=bootstrap, topics=blocks), encoding="utf-8"
        )
        command = [program("collectd", "collectd-core libyajl2"), "-f", "-C", str(conf)]
        with running(command, folder) as tail:
            yield tail


def _chosen(record: Sent) -> bool:
    """Tell whether the record is of one of the few series that are kept."""
    (values,) = json.loads(record.value)
    return (values["plugin"], values["plugin_instance"], values["type_instance"]) in _KEPT


def fixtures(broker: Broker | ExistingBroker) -> Iterator[Fixture]:
    """Run collectd against a broker and yield one record of each series it wrote."""
    version = version_line([program("collectd", "collectd-core libyajl2"), "-h"], "collectd 5").split()[1]
    for name in TOPICS:
        broker.create_topic(name)
    with running_collectd(broker.bootstrap, TOPICS) as tail:
        for name, rates in TOPICS.items():
            sent = consume(broker.bootstrap, name, 2 * len(_KEPT), tail, keep=_chosen)
            yield Fixture(
                name=name,
                format="collectd",
                program=f"collectd write_kafka, Format JSON, StoreRates {rates}",
                version=version.rstrip(","),
                command="python -m tests.shippers collectd",
                note=_NOTES[name],
                suffix="json",
                sent=sent,
            )
