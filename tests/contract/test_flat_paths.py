"""Flat JSON: the compiled path says the same of any bytes as the reference."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.decoders.batch import Batch
from ingest.decoders.flat_json import FlatJson, compiled_lines
from ingest.decoders.flat_json import decode as reference
from ingest.events import Decoded, DecodeError, RejectReason, TopicDefaults
from ingest.record import SECOND, Origin, Record

_NOW = 1_700_000_000 * SECOND
_NAMES = st.sampled_from(
    [
        "time",
        "timestamp",
        "ts",
        "level",
        "severity",
        "severity_number",
        "message",
        "msg",
        "log",
        "service",
        "app",
        "env",
        "trace_id",
        "span_id",
        "host",
        "pod",
        "user",
        "thread",
        "value",
        "name",
        "title",
        "labels",
        "error.message",
        "x",
        "stack_trace",
        "session_id",
        "start_time",
        "resource.service.name",
    ]
)
_VALUES = st.one_of(
    st.sampled_from(
        [
            "2023-11-14T22:14:00.000Z",
            "2023-11-14T22:14:00Z",
            "2023-11-14T22:14:00.123456789Z",
            "2023-11-14T22:14:00.Z",
            "2023-13-14T22:14:00Z",
            "2023-11-14 22:14:00",
            "1990-01-01T00:00:00Z",
            "2030-01-01T00:00:00Z",
            "info",
            "ERROR",
            "17",
            "",
            "shop",
            "unknown_service:java",
            "line\r\n",
            "cb91ce375bc8fbbcbde5c0994164d839",
            "CB91",
            "0000",
            "a b",
            "level=warn x",
            "x" * 70,
            "y" * 300,
            "[ERROR] \u00e9",
        ]
    ),
    st.sampled_from(
        [None, True, 0, 9, 17, 1_700_000_000, 1_700_000_000.5, [], ["a"], {"a": 1}, {"message": "in"}]
    ),
)
_OBJECTS = st.dictionaries(_NAMES, _VALUES, max_size=7)
_FULL = _OBJECTS.map(
    lambda some: {
        "time": "2023-11-14T22:14:00.5Z",
        "level": "info",
        "message": "went",
        "service": "s",
        **some,
    }
)
_ITEMS: st.SearchStrategy[object] = st.one_of(_FULL, _OBJECTS, st.sampled_from([1, "a", None, []]))
_DEFAULTS = st.sampled_from(
    [
        TopicDefaults(),
        TopicDefaults(environment="prod", service="cart", extra=(("pod", "p1"),)),
        TopicDefaults(time_field="ts", time_zone="+02:00"),
    ]
)


def _outcome(
    flat: FlatJson | None, value: bytes, defaults: TopicDefaults
) -> Decoded | tuple[RejectReason, str]:
    record = Record(origin=Origin(topic="t", partition=0, offset=1), value=value, received=_NOW)
    batch = Batch(record, _NOW, defaults)
    try:
        reference(value, batch) if flat is None else flat.decode(value, batch)
        return batch.decoded()
    except DecodeError as error:
        return error.reject.reason, error.reject.detail


@pytest.fixture(scope="module")
def flat() -> FlatJson:
    """Return the compiled path; the package is built with it wherever tests run."""
    assert compiled_lines() is not None, "run `python .ci/build_decoder.py` to compile the extensions"
    return FlatJson()


@settings(max_examples=400, deadline=None)
@given(items=st.lists(_ITEMS, min_size=1, max_size=4), form=st.sampled_from("ola"), defaults=_DEFAULTS)
def test_both_paths_say_the_same(
    flat: FlatJson, items: list[object], form: str, defaults: TopicDefaults
) -> None:
    """One object, an object a line or an array: events, rejects, cuts and errors are equal."""
    if form == "o":
        value = orjson.dumps(items[0])
    elif form == "a":
        value = orjson.dumps(items)
    else:
        value = b"\n".join(map(orjson.dumps, items)) + b"\n"
    assert _outcome(flat, value, defaults) == _outcome(None, value, defaults)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"{",
        b"\n\n",
        b'{"time":1}\n{',
        b'\xef\xbb\xbf{"msg":"a"}',
        b'{"msg":"a","v":NaN}',
        b'{\n"msg":"a"\n}',
        b"[1,2]",
    ],
)
def test_odd_bytes_are_read_alike(flat: FlatJson, value: bytes) -> None:
    """What is no JSON, or hardly, comes to the same on both paths."""
    assert _outcome(flat, value, TopicDefaults()) == _outcome(None, value, TopicDefaults())
