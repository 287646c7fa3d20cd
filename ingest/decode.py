"""Record to events: picks the topic's decoder, or recognises the format where the topic says `auto`.

Pure: no clock, no I/O. `DecodeError` means that nothing of the record could be taken and it belongs to the
dead letter; a `Decoded` with rejects is a batch whose good part goes on. What `auto` saw is kept as choices
for people to read; no record is read differently because of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial

import msgspec

from ingest.decoders import (
    alertmanager,
    cloudevents,
    collectd,
    docker,
    ecs,
    flat_json,
    fluent,
    otlp,
    otlp_json,
    prometheus_json,
    syslog,
    syslog_json,
    telegraf,
    text,
)
from ingest.decoders.batch import MAX_RECORD, Batch
from ingest.decoders.recognise import FLAT, Seen, decode_auto
from ingest.decoders.times import zone_named
from ingest.events import Decoded, DecodeError, RejectReason, TopicDefaults
from ingest.record import Nanos, Origin, Record

AUTO = "auto"
_JSON = "json"
Decoder = Callable[[bytes, Batch], object]
"""Adds a record's events to the batch; `auto` also returns what it saw."""


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """The first record of a topic that `auto` took for a format, and why: said once, in our log."""

    topic: str
    format: str
    why: str
    first: Origin


class Decode:
    """Decodes by topic: `topics` maps exact names, then regular expressions (`^…`) in order, to defaults.

    `on_choice` is told once of each format that `auto` meets in a topic; `make_batch` lets `faultline decode`
    watch what decoders ask of their batch. Flat JSON is read on the compiled path where there is one, unless
    `compiled` is False or somebody watches. Raises ValueError on a time zone that does not exist.
    """

    def __init__(
        self,
        topics: Mapping[str, TopicDefaults],
        on_choice: Callable[[Choice], None] | None = None,
        make_batch: Callable[[Record, Nanos, TopicDefaults], Batch] = Batch,
        *,
        compiled: bool = True,
    ) -> None:
        self._topics = dict(topics)
        self._lines = flat_json.compiled_lines() if compiled and make_batch is Batch else None
        requests = otlp.Otlp()
        self.otlp_path = requests.path
        self._on_choice = on_choice
        self._make_batch = make_batch
        self._choices: dict[tuple[str, str], Choice] = {}
        self._counts: dict[tuple[str, str], int] = {}
        self._known: dict[str, TopicDefaults] = {}
        self._decoders: dict[str, Decoder] = {
            AUTO: partial(decode_auto, read_otlp=requests.decode_any),
            "otlp": requests.decode_any,
            "otlp_logs": requests.decode_logs,
            "otlp_metrics": requests.decode_metrics,
            "otlp_traces": requests.decode_traces,
            "otlp_json": otlp_json.decode,
            _JSON: flat_json.decode,
            "ecs": ecs.decode,
            "fluent_bit": fluent.decode_fluent_bit,
            "vector": fluent.decode_vector,
            "docker": docker.decode,
            "syslog": syslog.decode,
            "syslog_json": syslog_json.decode,
            "text": text.decode,
            "telegraf": telegraf.decode,
            "prometheus_json": prometheus_json.decode,
            "collectd": collectd.decode,
            "cloudevents": cloudevents.decode,
            "alertmanager": alertmanager.decode,
        }
        for defaults in self._topics.values():
            if defaults.time_zone is not None:
                zone_named(defaults.time_zone)

    @property
    def formats(self) -> tuple[str, ...]:
        """Names that a topic's `format` may have."""
        return tuple(self._decoders)

    @property
    def choices(self) -> tuple[tuple[Choice, int], ...]:
        """What `auto` met, by topic and format, with the number of records of each."""
        return tuple((choice, self._counts[key]) for key, choice in sorted(self._choices.items()))

    def decode(self, record: Record, now: Nanos) -> Decoded:
        """Return the record's events; `DecodeError` with its reason when none could be taken."""
        size = len(record.value)
        if size > MAX_RECORD:
            raise DecodeError(RejectReason.TOO_LARGE, f"{size} bytes, the limit is {MAX_RECORD}")
        defaults = self._known.get(record.origin.topic) or self.defaults(record.origin.topic)
        auto = defaults.format == AUTO
        if self._lines is not None and (not record.headers if auto else defaults.format == _JSON):
            plain = self._lines.read(record, now, defaults, auto)
            if plain is not None:
                if auto:
                    self._note(record.origin, FLAT.seen)
                return plain
        decoder = self._decoders.get(defaults.format)
        if decoder is None:
            known = ", ".join(self._decoders)
            detail = f"the topic's format {defaults.format!r} is not one of {known}; change its setting"
            raise DecodeError(RejectReason.UNKNOWN_FORMAT, detail)
        batch = self._make_batch(record, now, defaults)
        seen = decoder(record.value, batch)
        decoded = batch.decoded()
        if isinstance(seen, Seen):
            self._note(record.origin, seen)
        return decoded

    def defaults(self, topic: str) -> TopicDefaults:
        """Return what the settings say about a topic."""
        known = self._known.get(topic) or self._topics.get(topic)
        if known is None:
            matching = (
                found
                for pattern, found in self._topics.items()
                if pattern.startswith("^") and re.match(pattern, topic)
            )
            known = next(matching, TopicDefaults())
        self._known[topic] = known
        return known

    def _note(self, origin: Origin, seen: Seen) -> None:
        key = (origin.topic, seen.format)
        count = self._counts.get(key, 0)
        self._counts[key] = count + 1
        if count == 0:
            choice = Choice(topic=origin.topic, format=seen.format, why=seen.why, first=origin)
            self._choices[key] = choice
            if self._on_choice is not None:
                self._on_choice(choice)
