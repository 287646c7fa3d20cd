"""Record to events: picks the topic's decoder, or recognises the format where the topic says `auto`.

Pure: no clock, no I/O. `DecodeError` means that nothing of the record could be taken and it belongs to the
dead letter; a `Decoded` with rejects is a batch whose good part goes on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from ingest.decoders import alertmanager, docker, flat_json, otlp, otlp_json, text
from ingest.decoders.batch import MAX_RECORD, Batch
from ingest.decoders.json_text import parse_json
from ingest.events import Decoded, DecodeError, RejectReason, TopicDefaults
from ingest.record import Nanos, Record

_JSON_START = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:\{\s*[\"}]|\[\s*[\[{\]])")
_OTLP_START = re.compile(rb"\n(?:[\x80-\xff]{0,4}[\x00-\x7f](?:[\n\x12]|\Z)|[\x80-\xff]{1,4}\Z|\Z)")
"""Tag 1, a length, and tag 1 or 2 of what is inside: how every OTLP request begins, whole or cut."""
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_MOSTLY = 0.1
"""Share of characters that are not UTF-8 up to which bytes still count as text."""

Decoder = Callable[[bytes, Batch], None]


class Decode:
    """Decodes by topic: `topics` maps exact names, then regular expressions (`^…`) in order, to defaults."""

    def __init__(self, topics: Mapping[str, TopicDefaults]) -> None:
        self._topics = dict(topics)
        self._decoders: dict[str, Decoder] = {
            "auto": decode_auto,
            "otlp": otlp.decode_any,
            "otlp_logs": otlp.decode_logs,
            "otlp_metrics": otlp.decode_metrics,
            "otlp_traces": otlp.decode_traces,
            "otlp_json": otlp_json.decode,
            "json": flat_json.decode,
            "docker": docker.decode,
            "text": text.decode,
            "alertmanager": alertmanager.decode,
        }

    @property
    def formats(self) -> tuple[str, ...]:
        """Names that a topic's `format` may have."""
        return tuple(self._decoders)

    def decode(self, record: Record, now: Nanos) -> Decoded:
        """Return the record's events; `DecodeError` with its reason when none could be taken."""
        size = len(record.value)
        if size > MAX_RECORD:
            raise DecodeError(RejectReason.TOO_LARGE, f"{size} bytes, the limit is {MAX_RECORD}")
        defaults = self.defaults(record.origin.topic)
        decoder = self._decoders.get(defaults.format)
        if decoder is None:
            known = ", ".join(self._decoders)
            detail = f"the topic's format {defaults.format!r} is not one of {known}; change its setting"
            raise DecodeError(RejectReason.UNKNOWN_FORMAT, detail)
        batch = Batch(record, now, defaults)
        decoder(record.value, batch)
        return batch.decoded()

    def defaults(self, topic: str) -> TopicDefaults:
        """Return what the settings say about a topic."""
        exact = self._topics.get(topic)
        if exact is not None:
            return exact
        matching = (
            found
            for pattern, found in self._topics.items()
            if pattern.startswith("^") and re.match(pattern, topic)
        )
        return next(matching, TopicDefaults())


def decode_auto(value: bytes, batch: Batch) -> None:
    """Read whatever the bytes are; `DecodeError` (unknown format) when they look like nothing we know."""
    if _JSON_START.match(value):
        _json_decoder(value)(value, batch)
        return
    if _OTLP_START.match(value):
        otlp.decode_any(value, batch)
    else:
        _decode_text(value, batch)


def _json_decoder(value: bytes) -> Decoder:
    """Tell the JSON forms apart by the first document alone."""
    first = _first_document(value)
    if docker.is_wrapper(first):
        return docker.decode
    if isinstance(first, dict) and any(name in first for names in otlp_json.ROOTS for name in names):
        return otlp_json.decode
    return flat_json.decode


def _first_document(value: bytes) -> Any:
    line, _, more = value.partition(b"\n")
    try:
        return parse_json(line)
    except DecodeError:
        try:
            return parse_json(value) if more else None
        except DecodeError:
            return None


def _decode_text(value: bytes, batch: Batch) -> None:
    if not value:
        raise DecodeError(RejectReason.MALFORMED, "the record is empty")
    if _CONTROL.search(value):
        raise DecodeError(RejectReason.UNKNOWN_FORMAT, "neither OTLP, JSON nor text; set the topic's format")
    shown = value.decode("utf-8", "replace")
    if shown.count("\ufffd") > _MOSTLY * len(shown):
        raise DecodeError(RejectReason.UNKNOWN_FORMAT, "mostly not UTF-8; set the topic's format")
    text.decode(value, batch)
