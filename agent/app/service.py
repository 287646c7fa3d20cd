"""The running service: one process, all stages, each loop on a thread of its own.

Start order: store, stream, worker, sender, HTTP. Stop order: HTTP takes nothing more in, the stream
finishes its step and commits, the worker finishes or leaves its investigation to the next start, what is
undelivered stays in the outbox.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import structlog

from agent.analysis import Analysis, Severity, Stage
from agent.app import parts
from agent.app.language import Language, open_language
from agent.deliver.announce import Announcer
from agent.deliver.channels import Channel
from agent.deliver.decide import ChannelPolicy
from agent.deliver.kafka import KafkaChannel
from agent.deliver.outbox import RetryPolicy, Sender
from agent.deliver.slack import SlackChannel
from agent.deliver.webhook import WebhookChannel
from agent.investigate import Worker
from agent.settings import Settings
from agent.store.port import StoreError
from agent.store.sql import SqlStore
from agent.stream import Stream
from ingest.deadletter import DeadLetterSink, FileDeadLetters, KafkaDeadLetters
from ingest.decoders.otlp import Otlp
from ingest.kafka_producer import Producer
from ingest.partials import KafkaParts
from ingest.record import SECOND
from ingest.sources.kafka import KafkaSource
from ingest.sources.port import Partition, Positions, Source
from ingest.sources.replay import ReplaySource

log = structlog.get_logger(__name__)

HOUR = 3600.0
INGEST_LOOPS = frozenset({"stream"})
"""What is old is for a process that detects to say: one without partitions knows no time but the clock's."""
WILDCARDS = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared with, not bound to


@dataclass(slots=True, kw_only=True)
class Service:
    """Everything that runs; built by `build`, started by `start`, ended by `stop`."""

    settings: Settings
    store: SqlStore
    stream: Stream
    worker: Worker
    sender: Sender
    announcer: Announcer
    language: Language
    source: Source
    degraded: tuple[str, ...]
    _closing: ExitStack
    _stop: threading.Event
    _threads: list[threading.Thread]

    def start(self) -> None:
        """Start all loops; returns at once."""
        loops: tuple[tuple[str, Callable[[threading.Event], None]], ...] = (
            ("stream", self.stream.run),
            ("worker", self.worker.run),
            ("sender", self.sender.run),
            ("housekeeping", self._housekeeping),
        )
        if self.settings.role == "ingest":
            # Investigations and messages are for a process that detects: one that only reads loads no model.
            loops = tuple(one for one in loops if one[0] in INGEST_LOOPS)
        else:
            self.language.warm()
        for name, loop in loops:
            thread = threading.Thread(target=loop, args=(self._stop,), name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    @property
    def ended(self) -> bool:
        """True once the service has stopped itself: another process holds its owner."""
        return self._stop.is_set()

    def alive(self) -> dict[str, bool]:
        """Return which loops still run."""
        return {thread.name: thread.is_alive() for thread in self._threads}

    def stop(self, within: float = 20.0) -> None:
        """Ask all loops to finish and wait at most `within` seconds for all of them together."""
        self._stop.set()
        deadline = time.monotonic() + within
        for thread in self._threads:
            thread.join(max(0.1, deadline - time.monotonic()))
        late = [thread.name for thread in self._threads if thread.is_alive()]
        if late:
            log.warning(
                "service.stopped_early", still_running=late, next="the next start takes up their work"
            )
        self._closing.close()

    def _housekeeping(self, stop: threading.Event) -> None:
        """Prune once an hour: telemetry by stream time, so that replayed recordings are kept."""
        while not stop.wait(HOUR):
            now = time.time_ns()
            stream_now = self.stream.pipeline.windows.stream_time(now)
            try:
                telemetry = self.store.prune(stream_now)
                deliveries = self.store.prune_deliveries(now)
            except StoreError as error:
                log.warning("store.prune_failed", cause=str(error), next="trying again in an hour")
                continue
            log.info("store.pruned", telemetry=telemetry, deliveries=deliveries)


def build(
    settings: Settings,
    *,
    source: Source | None = None,
    on_step: Callable[[int], None] = lambda _: None,
    language: Language | None = None,
) -> Service:
    """Construct the service; nothing runs yet. `source` replaces Kafka, `on_step` sees commit steps."""
    closing = ExitStack()
    store = parts.store(settings)
    closing.callback(store.close)
    model = settings.model
    if settings.role == "ingest":
        model = model.model_copy(update={"kind": "none"})
    language = language or open_language(model, parts.models_home(settings))
    closing.callback(language.close)
    index, missing = (None, None) if settings.role == "ingest" else parts.runbook_index(settings)
    if index is not None:
        closing.callback(index.close)
    producer = _producer(settings)
    if producer is not None:
        closing.callback(producer.close)
    channels, policies = delivery(settings, producer)
    sender = Sender(
        store=store, channels=channels, retry=RetryPolicy(max_attempts=settings.deliver.max_attempts)
    )
    closing.callback(sender.close)
    announcer = Announcer(store, policies)
    make = parts.pipeline(settings, parts.redaction_key(settings))
    log.info("decode.otlp", path=Otlp().path)
    holder: list[Stream] = []

    def positions_for(partitions: Sequence[Partition]) -> Positions:
        return holder[0].positions(partitions)

    source = source or _source(settings, positions_for)
    stream = Stream(
        owner=settings.owner,
        pipeline=make,
        source=source,
        store=store,
        dead_letters=_dead_letters(settings, producer),
        announce=announcer.changes,
        parts=_part_sink(settings, producer),
        mutes=parts.configured_mutes(settings),
        checkpoint_every=int(settings.stream.checkpoint_seconds * SECOND),
        on_step=on_step,
    )
    holder.append(stream)
    saver = closing.enter_context(parts.checkpointer(settings))
    investigation = parts.investigation(
        settings,
        reader=store,
        context=store,
        publish=publisher(store, announcer, stream.lead),
        language=language,
        index=index,
        no_index=missing,
        versions=stream.pipeline.versions(),
        checkpointer=saver,
    )
    worker = Worker(
        name=f"worker-{settings.owner}",
        store=store,
        investigation=investigation,
        baseline=settings.incidents.baseline_minutes * 60 * SECOND,
    )
    return Service(
        settings=settings,
        store=store,
        stream=stream,
        worker=worker,
        sender=sender,
        announcer=announcer,
        language=language,
        source=source,
        degraded=(missing,) if missing else (),
        _closing=closing,
        _stop=threading.Event(),
        _threads=[],
    )


def publisher(
    store: SqlStore, announcer: Announcer, lead: Callable[[str, str], None] = lambda *_: None
) -> Callable[[Analysis], None]:
    """Return what stores an analysis together with the messages it calls for, once, and says who leads."""

    def publish(analysis: Analysis) -> None:
        incident = store.incident(analysis.incident_id)
        entries = announcer.analysed(incident, analysis) if incident is not None else ()
        store.save_analysis(analysis, entries, time.time_ns())
        if analysis.stage is Stage.STATISTICS and analysis.hypotheses:
            lead(analysis.incident_id, analysis.hypotheses[0].service)

    return publish


def delivery(settings: Settings, producer: Producer | None) -> tuple[list[Channel], list[ChannelPolicy]]:
    """Return the configured channels and what each wants to hear."""
    # A wildcard address is no place that a reader could open: without a public url no link is sent.
    reachable = settings.http.host not in WILDCARDS
    public = settings.deliver.public_url or (
        f"http://{settings.http.host}:{settings.http.port}" if reachable else None
    )
    channels: list[Channel] = []
    policies: list[ChannelPolicy] = []
    if producer is not None:
        channels.append(
            KafkaChannel(producer=producer, topic=settings.kafka.incidents_topic, public_url=public)
        )
        policies.append(ChannelPolicy(channel="kafka", every=True, muted_too=True))
    for hook in settings.deliver.webhooks:
        channels.append(
            WebhookChannel(
                name=hook.name,
                url=hook.url,
                secret=hook.secret.get_secret_value().encode(),
                timeout_s=hook.timeout_seconds,
                public_url=public,
            )
        )
        minimum = Severity(hook.minimum_severity)
        policies.append(ChannelPolicy(channel=f"webhook:{hook.name}", every=True, minimum_severity=minimum))
    for slack in settings.deliver.slack:
        url = slack.webhook_url.get_secret_value()
        channels.append(SlackChannel(name=slack.name, webhook_url=url, public_url=public))
        minimum = Severity(slack.minimum_severity)
        policies.append(ChannelPolicy(channel=f"slack:{slack.name}", minimum_severity=minimum))
    return channels, policies


def _producer(settings: Settings) -> Producer | None:
    if not settings.kafka.bootstrap_servers:
        return None
    client = {**settings.kafka.client, **settings.kafka.producer}
    return Producer(bootstrap_servers=settings.kafka.bootstrap_servers, client=client)


def _source(settings: Settings, positions_for: Callable[[Sequence[Partition]], Positions]) -> Source:
    kafka = settings.kafka
    if not kafka.bootstrap_servers:
        return ReplaySource(())
    detects = settings.role == "detect"
    return KafkaSource(
        bootstrap_servers=kafka.bootstrap_servers,
        topics=[kafka.windows_topic] if detects else [topic.name for topic in kafka.topics],
        group_id=f"{kafka.group_id}-detect" if detects else kafka.group_id,
        client={**kafka.client, **kafka.consumer},
        positions_for=positions_for,
        pause_at=settings.stream.pause_at,
        resume_at=settings.stream.resume_at,
    )


def _part_sink(settings: Settings, producer: Producer | None) -> KafkaParts | None:
    if settings.role != "ingest" or producer is None:
        return None
    return KafkaParts(producer, settings.kafka.windows_topic)


def _dead_letters(settings: Settings, producer: Producer | None) -> DeadLetterSink:
    if producer is None:
        return FileDeadLetters(settings.home_folder / "dead-letters.jsonl")
    return KafkaDeadLetters(producer, settings.kafka.dead_letter_topic)
