"""What is fuzzed: every decoder of `Decode`, redaction, masking and templates, each with what it promises.

A decoder may raise `DecodeError` and nothing else, and what it returns keeps the limits that later stages
rely on. What it returns then goes through redaction and masking, as in the service.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable

import msgspec

from ingest.decode import Decode
from ingest.decoders.batch import AHEAD, MAX_FIELD, MAX_LABEL, MAX_LABELS, OLDEST, Batch
from ingest.distribution import MAX_BUCKETS, Distribution
from ingest.events import (
    AlertEvent,
    ChangeEvent,
    Decoded,
    DecodeError,
    Event,
    Labels,
    LogEvent,
    MetricPoint,
    SpanEvent,
    TopicDefaults,
)
from ingest.masking import mask, subject
from ingest.record import SECOND, Nanos, Origin, Record
from ingest.redaction import RedactionError, Redactor
from ingest.templates import Templates
from tests.fuzz.case import BrokenPromiseError, Case
from tests.fuzz.grammar_words import NOW_S
from tests.fuzz.otlp_paths import Paths, have_two_paths

NOW: Nanos = NOW_S * SECOND
STAGES = ("redact", "mask", "templates")
PATHS = ("paths:otlp_logs", "paths:otlp_metrics", "paths:otlp_traces", "paths:otlp")
"""The compiled reading of OTLP against the reference, where there are both."""
_TWO_PATHS = ("auto", "json", "otlp", "otlp_logs", "otlp_metrics", "otlp_traces")
_BEHIND = 8
"""Events of a record that go on to redaction and masking."""
_LONGEST_DETAIL = 300
"""Characters; what a reject says goes to headers and logs, and must not grow with the telemetry."""

Run = Callable[[Case, Counter[str]], None]
"""Takes a case, counts what became of it; raises `BrokenPromiseError`, or what should not have left."""


def names() -> tuple[str, ...]:
    """Return every target."""
    return (*(f"decode:{form}" for form in Decode({}).formats), *STAGES, *(PATHS if have_two_paths() else ()))


def target(name: str) -> Run:
    """Return what runs one case against the target."""
    if name == "redact":
        return _Redact()
    if name == "mask":
        return _mask
    if name == "templates":
        return _templates
    if name in PATHS:
        return Paths(name.removeprefix("paths:"), NOW)
    return _Decoder(name.removeprefix("decode:"))


class _Decoder:
    def __init__(self, form: str) -> None:
        # An empty configuration on the topic, as most have, and one with every setting.
        topics = {
            "plain": TopicDefaults(format=form),
            "set": TopicDefaults(format=form, environment="e", service="s", time_field="time",
            extra=(("host", "h"),)),
        }  # fmt: skip
        self._decode = Decode(topics)
        self._reference = Decode(topics, make_batch=_Reference) if form in _TWO_PATHS else None
        self._redactor = Redactor(b"fuzz")
        self._turn = 0

    def __call__(self, case: Case, counts: Counter[str]) -> None:
        topic = "plain" if len(case.value) % 4 else "set"
        origin = Origin(topic=topic, partition=0, offset=1)
        record = Record(origin=origin, value=case.value, key=case.key, headers=case.headers, received=NOW)
        try:
            decoded = self._decode.decode(record, NOW)
            self._compare(record, decoded)
        except DecodeError as error:
            self._compare(record, error)
            counts[f"refused:{error.reject.reason}"] += 1
            _check_detail(error.reject.detail)
            return
        counts["taken"] += 1
        counts["events"] += len(decoded.events)
        counts["rejects"] += len(decoded.rejects)
        check(decoded, origin)
        self._turn += 1
        if self._turn % 16 == 0 and self._decode.decode(record, NOW) != decoded:
            raise BrokenPromiseError("decoding twice gave two results")
        for event in decoded.events[:_BEHIND]:
            _behind(self._redactor, event)

    def _compare(self, record: Record, found: Decoded | DecodeError) -> None:
        """Hold what the compiled decoder said to what the reference says."""
        if self._reference is None:
            return
        try:
            expected: Decoded | DecodeError = self._reference.decode(record, NOW)
        except DecodeError as error:
            expected = error
        if _told(found) != _told(expected):
            raise BrokenPromiseError("the compiled decoder and the reference differ")


class _Reference(Batch):
    """Not the plain batch, and so read by the reference path."""


def _told(result: Decoded | DecodeError) -> object:
    return result.reject if isinstance(result, DecodeError) else result


def _behind(redactor: Redactor, event: Event) -> None:
    try:
        redacted = redactor.redact(event)
    except RedactionError:
        return  # the record stops there: allowed, and counted by the service
    if type(redacted) is not type(event):
        raise BrokenPromiseError("redaction changed the kind of an event")
    if isinstance(redacted, LogEvent):
        mask(subject(redacted.body))


def check(decoded: Decoded, origin: Origin) -> None:
    """Hold a result to what later stages rely on; `BrokenPromiseError` says what does not hold."""
    if not decoded.events and decoded.rejects:
        raise BrokenPromiseError("every item was refused, yet no DecodeError")
    for reject in decoded.rejects[:100]:
        _check_detail(reject.detail)
    for event in decoded.events:
        _check_event(event, origin)
    try:
        msgspec.msgpack.encode(decoded.events)
    except UnicodeEncodeError:
        raise BrokenPromiseError("an event holds text that is not Unicode (a lone surrogate)") from None


def _check_event(event: Event, origin: Origin) -> None:
    _that(event.origin == origin, "an event's origin is not its record's")
    _that(OLDEST <= event.time <= NOW + AHEAD and isinstance(event.time, int), "a time outside its bounds")
    resource = event.resource
    named = (resource.environment, resource.service, resource.instance, resource.node)
    _that(bool(resource.environment and resource.service), "an environment or service without a name")
    _that(all(_short(name) for name in named if name is not None), "a name over its limit")
    if isinstance(event, LogEvent):
        _that(_bytes(event.body) <= MAX_FIELD, "a body over its limit")
        _that(0 <= event.severity_number <= 24, "a severity outside 0..24")
        _check_labels(event.attributes)
    elif isinstance(event, MetricPoint):
        _that(
            isinstance(event.value, float) and math.isfinite(event.value), "a value that is no finite float"
        )
        # A suffix such as `.count` comes after the cut.
        _that(_bytes(event.name) <= MAX_LABEL + 16, "a name over its limit")
        _that(0 <= event.start <= NOW + AHEAD, "a counter's start outside its bounds")
        if event.distribution is not None:
            _check_distribution(event.distribution)
        _check_labels(event.labels)
    elif isinstance(event, SpanEvent):
        _that(OLDEST <= event.start <= event.end, "a span that ends before it starts")
        _that(bool(event.trace_id and event.span_id) and len(event.trace_id) <= 64, "a span without its ids")
        _that(_short(event.name), "a name over its limit")
        _check_labels(event.attributes)
    elif isinstance(event, ChangeEvent):
        _that(_bytes(event.title) <= MAX_FIELD and _short(event.kind), "a change's text over its limit")
        _check_labels(event.attributes)
    elif isinstance(event, AlertEvent):
        _check_labels(event.labels)
        _check_labels(event.annotations)


def _check_distribution(spread: Distribution) -> None:
    _that(spread.count >= 0 and spread.zero >= 0, "a negative number of values")
    sides = (spread.counts, spread.positive.counts, spread.negative.counts)
    _that(all(len(side) <= MAX_BUCKETS for side in sides), "more buckets than the limit")
    _that(all(count >= 0 for side in sides for count in side), "a bucket with a negative count")
    _that(
        not spread.counts or len(spread.counts) == len(spread.bounds) + 1,
        "buckets that do not fit their bounds",
    )
    _that(list(spread.bounds) == sorted(set(spread.bounds)), "bounds that do not rise")
    known = (spread.total, spread.minimum, spread.maximum)
    _that(all(math.isfinite(value) for value in known if value is not None), "a total that is not finite")


def _check_labels(labels: Labels) -> None:
    _that(len(labels) <= MAX_LABELS, "more labels than the limit")
    _that(list(labels) == sorted(labels), "labels that are not sorted")
    _that(all(_short(name) and _short(value) for name, value in labels), "a label over its limit")


def _check_detail(detail: str) -> None:
    _that(0 < len(detail) <= _LONGEST_DETAIL, "a reject's detail is empty or over 300 characters")


def _short(text: str) -> bool:
    return len(text) <= MAX_LABEL // 4 or _bytes(text) <= MAX_LABEL


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "replace"))


def _that(holds: bool, otherwise: str) -> None:
    if not holds:
        raise BrokenPromiseError(otherwise)


class _Redact:
    def __init__(self) -> None:
        self._redactor = Redactor(b"fuzz")

    def __call__(self, case: Case, counts: Counter[str]) -> None:
        text = case.value[:MAX_FIELD].decode("utf-8", "replace")
        try:
            once = self._redactor.redact_text(text)
        except RedactionError:
            counts["refused:redaction_failed"] += 1
            return
        counts["taken"] += 1
        if once != text:
            counts["events"] += 1
            _that(self._redactor.redact_text(once) == once, "redacting twice is not redacting once")


def _mask(case: Case, counts: Counter[str]) -> None:
    text = case.value.decode("utf-8", "replace")
    masked = mask(subject(text))
    counts["taken"] += 1
    counts["events"] += masked != text


def _templates(case: Case, counts: Counter[str]) -> None:
    """Grow one tree from the bodies of a case, and again from its dump."""
    templates = Templates(limit=40)
    bodies = [body.decode("utf-8", "replace") for body in case.value.split(b"\x1e")[:200]]
    given = [templates.assign("e", "s", body).template_id for body in bodies]
    copy = Templates(limit=40)
    copy.load(templates.dump())
    for template_id in given:
        _that(
            copy.text("e", "s", template_id) == templates.text("e", "s", template_id),
            "a dump lost a template",
        )
    counts["taken"] += 1
    counts["events"] += len(templates)
