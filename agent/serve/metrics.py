"""What `/metrics` can show: each family's name, kind, labels and meaning, filled from plain mappings.

Pure. The app hands in `{name: {label values: number}}`; a name that is not in the catalogue is an error of
ours and raises, so that no family goes out without words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Metric, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

Readings = Mapping[str, Mapping[tuple[str, ...], float]]
"""Family name → label values → number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One metric family. Counters get `_total` appended by the exposition."""

    name: str
    help: str
    labels: tuple[str, ...] = ()
    counter: bool = True


def _counter(name: str, text: str, *labels: str) -> Family:
    return Family(name=f"faultline_{name}", help=text, labels=labels)


def _gauge(name: str, text: str, *labels: str) -> Family:
    return Family(name=f"faultline_{name}", help=text, labels=labels, counter=False)


CATALOGUE: tuple[Family, ...] = (
    _counter("records", "Records taken from sources and over HTTP since the stream was last restored."),
    _counter("events", "Events decoded from records, by kind.", "kind"),
    _counter("cuts", "Fields, names and labels that a limit shortened, by reason.", "reason"),
    _counter("rejected", "Records or items that were refused and dead-lettered, by reason.", "reason"),
    _counter("windows_closed", "Windows that closed and went to the detectors."),
    _counter(
        "window_events",
        "Events that windows left out or cut, by reason: late, too far ahead, over a limit.",
        "reason",
    ),
    _gauge("window_buffered_events", "Events in windows that are still open."),
    _counter("anomalies", "Findings of detectors, by detector.", "detector"),
    _counter("shadowed", "Findings of detectors that settings keep in shadow, by detector.", "detector"),
    _counter("muted", "Findings that maintenance or mutes cover, by which of them.", "kind"),
    _gauge("mutes_active", "Mutes and maintenance windows that are in force, by kind.", "kind"),
    _gauge("detector_version", "Number of a detector's model, active or in shadow.", "detector", "status"),
    _gauge(
        "detector_drift",
        "Share of a detector's inputs that have moved since its model began, as of its last span.",
        "detector",
    ),
    _gauge(
        "detector_flagged",
        "Share of windows that a model flags: active in its last span, in shadow since it is compared.",
        "detector",
        "status",
    ),
    _counter("incident_changes", "Steps in incidents' lives: opened, updated, resolved, reopened.", "kind"),
    _counter("checkpoints", "Commits: incidents, outbox, snapshot and offsets in one transaction."),
    _counter("stream_failures", "Times the stream stopped on something unforeseen and was restored."),
    _counter("stream_states_lost", "Stored states that this version could not read; it learned afresh."),
    _counter("stream_fenced", "Times the stream ended because another process took over its owner name."),
    _gauge("stream_ready", "1 while the stream is restored and reading."),
    _gauge("loop_alive", "1 while a loop of the service runs, by loop.", "loop"),
    _counter("source_operations", "What the source did and met, by operation.", "operation"),
    _counter("source_bytes", "Bytes of record values taken from the source."),
    _gauge("source_lag_records", "Records in the topic not yet read, by partition.", "topic", "partition"),
    _counter("investigations", "Investigations by outcome: done, resumed, failed, given_up.", "outcome"),
    _counter("deliveries", "Attempts to deliver a message, by channel and outcome.", "channel", "outcome"),
    _gauge("outbox_waiting", "Messages that wait to be sent."),
    _gauge("outbox_dead", "Messages that were given up; the incident's page says which and why."),
    _gauge("incidents_open", "Incidents that are open."),
    _gauge("investigations_due", "Investigations that wait for a worker."),
    _gauge("store_up", "1 while the database answers."),
    _gauge("learning", "Services or series that are still being learned and page nobody.", "subject"),
    _gauge("known", "Services or series that are learned.", "subject"),
    _gauge("degraded", "1 for each part that is missing; answers are weaker without it.", "part"),
    _counter("http_requests", "HTTP requests, by route, method and status.", "route", "method", "status"),
    _counter("http_failures", "HTTP requests that failed on something unforeseen."),
)


def families(readings: Readings) -> Iterator[Metric]:
    """Yield the families that `readings` has numbers for. Raises ValueError on a name nobody described."""
    unknown = set(readings) - {family.name for family in CATALOGUE}
    if unknown:
        raise ValueError(f"metrics without a description in the catalogue: {sorted(unknown)}")
    for family in CATALOGUE:
        values = readings.get(family.name)
        if values is None:
            continue
        make = CounterMetricFamily if family.counter else GaugeMetricFamily
        metric = make(family.name, family.help, labels=family.labels)
        for labels, value in sorted(values.items()):
            metric.add_metric(labels, value)
        yield metric


class _Readings(Collector):
    """Asks for the numbers whenever somebody scrapes."""

    def __init__(self, collect: Callable[[], Iterable[Metric]]) -> None:
        self._collect = collect

    def collect(self) -> Iterable[Metric]:
        """Return all families now."""
        return self._collect()

    def describe(self) -> Iterable[Metric]:
        """Return nothing: without it registering would already ask for the numbers."""
        return ()


def registry(collect: Callable[[], Iterable[Metric]]) -> CollectorRegistry:
    """Return a registry of our own families and the process's memory, CPU and file handles."""
    made = CollectorRegistry(auto_describe=False)
    made.register(_Readings(collect))
    ProcessCollector(registry=made)
    return made
