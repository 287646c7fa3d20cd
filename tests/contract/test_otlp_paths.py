"""The compiled OTLP decoder against the reference: whatever the bytes, both say the same."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import msgpack, structs

from ingest.decoders import otlp
from ingest.decoders._otlp import MESSAGES_FROM, ROOTS, SCHEMA, Requests
from ingest.decoders.batch import Batch
from ingest.events import Decoded, DecodeError, LogEvent, MetricKind, RejectReason, SpanKind, TopicDefaults
from ingest.record import Origin, Record
from tests.fuzz.bytes_mutations import flip, insert, remove, splice, truncate
from tests.fuzz.protobuf_mutations import mutate_protobuf
from tests.support.otlp_requests import NOW, REQUESTS, request

SIGNALS = ("logs", "metrics", "traces")
Outcome = Decoded | tuple[RejectReason, str]


class Reference(Batch):
    """A batch that is not the plain one, and so goes through the reference."""


def _batch(value: bytes, kind: type[Batch] = Batch) -> Batch:
    origin = Origin(topic="t", partition=0, offset=1)
    defaults = TopicDefaults(environment="e", service="s", extra=(("host", "h"),))
    return kind(Record(origin=origin, value=value, received=NOW), NOW, defaults)


def _outcome(read: Callable[[bytes, Batch], None], value: bytes, kind: type[Batch]) -> Outcome:
    batch = _batch(value, kind)
    try:
        read(value, batch)
        return batch.decoded()
    except DecodeError as error:
        return error.reject.reason, error.reject.detail


def _same(reader: otlp.Otlp, signal: str, value: bytes) -> Outcome:
    read = getattr(reader, f"decode_{signal}")
    fast, slow = _outcome(read, value, Batch), _outcome(read, value, Reference)
    assert fast == slow
    return fast


def _taken(signal: str, value: bytes) -> bool:
    """Whether the compiled path takes the request itself."""
    return bool(getattr(Requests(), f"read_{signal}")(value, _batch(value)))


@pytest.fixture(scope="module")
def reader() -> otlp.Otlp:
    """One reader for all, so that what it remembers meets other requests."""
    made = otlp.Otlp()
    assert made.path == "compiled", "the decoder was not compiled: install again with a C compiler"
    return made


@pytest.mark.parametrize("signal", SIGNALS)
@given(seed=st.integers(0, 2**32))
@settings(max_examples=150, deadline=None)
def test_any_request_gives_the_same(reader: otlp.Otlp, signal: str, seed: int) -> None:
    """Requests of every field and form, read by either path, and by both where nobody says what they are."""
    value = request(signal, seed)
    _same(reader, signal, value)
    _same(reader, "any", value)


@pytest.mark.parametrize("signal", SIGNALS)
@given(seed=st.integers(0, 2**32))
@settings(max_examples=300, deadline=None)
def test_mutated_bytes_give_the_same(reader: otlp.Otlp, signal: str, seed: int) -> None:
    """Fields that move, nest, lie about their length, end early: taken or refused for the same reason."""
    rng = Random(seed)
    value = request(signal, seed)
    others = (value, request(rng.choice(SIGNALS), seed + 1))
    changed = (
        mutate_protobuf(value, rng, others)
        if rng.random() < 0.7
        else rng.choice((flip, splice, truncate, remove, insert))(value, rng, others)
    )
    _same(reader, signal, changed or value[: rng.randrange(len(value) + 1)])
    _same(reader, "any", changed or value)


@pytest.mark.parametrize("signal", SIGNALS)
def test_plain_requests_take_the_compiled_path(signal: str) -> None:
    """Nearly all that the library accepts is read without it, or this file would compare it with itself."""
    values = [request(signal, seed) for seed in range(200)]
    assert sum(_taken(signal, value) for value in values) > 190


def _kind(field: Any, messages: dict[str, int]) -> Any:
    if field.message_type is not None:
        return field.message_type
    packed = field.is_repeated and field.type != FieldDescriptor.TYPE_STRING
    fixed64 = {FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FIXED64, FieldDescriptor.TYPE_SFIXED64}
    if field.type in fixed64:
        return 6 if packed else 2
    if field.type in {
        FieldDescriptor.TYPE_FIXED32,
        FieldDescriptor.TYPE_FLOAT,
        FieldDescriptor.TYPE_SFIXED32,
    }:
        return 3
    texts = {FieldDescriptor.TYPE_STRING: 4, FieldDescriptor.TYPE_BYTES: 5}
    return texts.get(field.type, 7 if packed else 1)


@pytest.mark.parametrize("signal", SIGNALS)
def test_the_schema_is_the_librarys(signal: str) -> None:
    """Every field that the installed opentelemetry-proto knows is checked as it would, and no other."""
    waiting = [(ROOTS[signal], REQUESTS[signal].DESCRIPTOR)]
    seen: dict[str, int] = {}
    while waiting:
        number, descriptor = waiting.pop()
        if seen.setdefault(descriptor.full_name, number) != number:
            pytest.fail(f"{descriptor.full_name} has two numbers")
        assert set(SCHEMA[number]) == {field.number for field in descriptor.fields}, descriptor.full_name
        for field in descriptor.fields:
            ours, theirs = SCHEMA[number][field.number], _kind(field, seen)
            if ours >= MESSAGES_FROM:
                if theirs.full_name not in seen:
                    waiting.append((ours - MESSAGES_FROM, theirs))
                assert seen.get(theirs.full_name, ours - MESSAGES_FROM) == ours - MESSAGES_FROM
            else:
                assert ours == theirs, f"{descriptor.full_name}.{field.name}"


def test_a_refused_request_leaves_the_batch_as_it_was() -> None:
    """Items before the malformed one are taken back, with what they refused and cut."""
    whole = request("logs", 3)
    batch = _batch(whole)
    batch.cuts["label"] = 2
    assert not Requests().read_logs(whole + b"\x0a\x05\x12", batch)
    assert (batch.events, batch.rejects, dict(batch.cuts)) == ([], [], {"label": 2})


def test_what_is_remembered_is_bounded_and_by_defaults() -> None:
    """A resource is remembered under its topic's defaults only, and thousands of resources leave no trace."""
    requests = Requests()
    message = REQUESTS["logs"]()
    scope = message.resource_logs.add().scope_logs.add()
    scope.log_records.add(time_unix_nano=NOW).body.string_value = "x"
    value = message.SerializeToString()
    services = []
    for service in ("one", "two", "one"):
        origin = Origin(topic="t", partition=0, offset=1)
        batch = Batch(Record(origin=origin, value=value), NOW, TopicDefaults(service=service))
        assert requests.read_logs(value, batch)
        services += [event.resource.service for event in batch.events if isinstance(event, LogEvent)]
    assert services == ["one", "two", "one"]


@pytest.mark.parametrize("signal", SIGNALS)
def test_no_reference_is_lost_or_left(signal: str) -> None:
    """Events own what they hold: after they are gone, what they shared is held as often as before."""
    requests, values = Requests(), [request(signal, seed) for seed in range(40)]
    batches = [_batch(value) for value in values]
    shared = [batches[0].origin, "", None, MetricKind.GAUGE, SpanKind.CLIENT, ()]

    def read() -> None:
        for value, known in zip(values, batches, strict=True):
            batch = _batch(value)
            batch.origin = batches[0].origin
            read_one = getattr(requests, f"read_{signal}")
            assert read_one(value, batch)
            assert not read_one(value + b"\x0a\x05\x12", batch)
            assert known.origin == batch.origin

    read()
    gc.collect()
    before, blocks = [sys.getrefcount(one) for one in shared], sys.getallocatedblocks()
    for _ in range(3):
        read()
    gc.collect()
    after = [sys.getrefcount(one) for one in shared]
    assert all(abs(b - a) < 20 for a, b in zip(before, after, strict=True)), (before, after)
    assert sys.getallocatedblocks() - blocks < 200


def test_an_event_made_in_place_is_like_any_other() -> None:
    """It hashes, compares, copies, encodes and refuses to change as one from the constructor does."""
    for signal in SIGNALS:
        value = request(signal, 5)
        batch = _batch(value)
        assert getattr(Requests(), f"read_{signal}")(value, batch)
        for event in batch.events:
            fields = {name: getattr(event, name) for name in event.__struct_fields__}
            built = type(event)(**fields)
            assert (built, hash(built), repr(built)) == (event, hash(event), repr(event))
            assert structs.replace(event, origin=event.origin) == event
            assert msgpack.encode(built) == msgpack.encode(event)
            with pytest.raises(AttributeError):
                event.origin = batch.origin  # type: ignore[misc]
