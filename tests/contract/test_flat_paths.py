"""Flat JSON: the compiled path says the same of any bytes as the reference."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.decode import Decode
from ingest.decoders.flat_json import compiled_lines
from ingest.events import Decoded, DecodeError, Reject, TopicDefaults
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
        "service.name",
        "metric",
        "unit",
        "kind",
        "type",
        "parent_span_id",
        "start",
        "end",
        "duration",
        "status",
        "error",
        "peer.service",
        "http.route",
        "change",
        "histogram.count",
        "log.level",
        "event",
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
            'a "quoted" \\ one',
            "line\twith\x7f\n",
            "\u00e9" * 70,
            "2023-11-14T22:14:00+01:00",
            "2024-02-30T22:14:00Z",
            "2023-11-14T23:14:00Z",
            "counter",
            "client",
            "deploy",
            "unset",
        ]
    ),
    st.sampled_from(
        [None, True, False, 0, 9, 17, 1_700_000_000, 1_700_000_000.5, 1_700_000_000_000, [], ["a", [1]]]
    ),
    st.sampled_from([{"a": 1}, {"message": "in"}, -0.0, 1e300, 0.1, -12, 2**53 + 1, 2**63, 12345678901234.5]),
)
_OBJECTS = st.dictionaries(_NAMES, _VALUES, max_size=7)
_TIME = "2023-11-14T22:14:00.5Z"
_FULL = st.builds(
    lambda made, some: {**made, **some},
    st.sampled_from(
        [
            {"time": _TIME, "level": "info", "message": "went", "service": "s"},
            {"time": _TIME, "service": "s", "name": "cpu", "unit": "1", "value": 0.25},
            {"trace_id": "ab12", "span_id": "cd", "parent_span_id": None, "service": "s", "name": "GET /",
             "start": "2023-11-14T22:13:59Z", "end": _TIME},
        ]
    ),
    _OBJECTS,
)  # fmt: skip
_ITEMS: st.SearchStrategy[object] = st.one_of(_FULL, _OBJECTS, st.sampled_from([1, "a", None, []]))
_DEFAULTS = st.sampled_from(
    [
        TopicDefaults(),
        TopicDefaults(environment="prod", service="cart", extra=(("pod", "p1"),)),
        TopicDefaults(time_field="ts", time_zone="+02:00"),
    ]
)


_FORMATS = ("json", "auto")
_BYTES = [b"", b" ", b"\n", b"\\", b'"', b"0", b"-", b"\0", b"\xff", b"\xc3\xa9", b"}"]


def _outcome(decode: Decode, value: bytes) -> Decoded | Reject:
    record = Record(origin=Origin(topic="t", partition=0, offset=1), value=value, received=_NOW)
    try:
        return decode.decode(record, _NOW)
    except DecodeError as error:
        return error.reject


def _differing(value: bytes, defaults: TopicDefaults) -> list[str]:
    """Return the formats under which the two paths differ, on the first reading or when it is repeated."""
    assert compiled_lines() is not None, "run `python .ci/build_decoder.py` to compile the extensions"
    return [form for form in _FORMATS if _differs(value, replace(defaults, format=form))]


def _differs(value: bytes, defaults: TopicDefaults) -> bool:
    fast, reference = Decode({"t": defaults}), Decode({"t": defaults}, compiled=False)
    told = [_outcome(fast, value) == _outcome(reference, value) for _ in range(2)]
    return not all(told) or fast.choices != reference.choices


@settings(max_examples=400, deadline=None)
@given(items=st.lists(_ITEMS, min_size=1, max_size=4), form=st.sampled_from("ola"), defaults=_DEFAULTS)
def test_both_paths_say_the_same(items: list[object], form: str, defaults: TopicDefaults) -> None:
    """One object, an object a line or an array: events, rejects, cuts and errors are equal."""
    if form == "o":
        value = orjson.dumps(items[0])
    elif form == "a":
        value = orjson.dumps(items)
    else:
        value = b"\n".join(map(orjson.dumps, items)) + b"\n"
    assert not _differing(value, defaults)


@settings(max_examples=200, deadline=None)
@given(item=_FULL, others=st.lists(st.tuples(_NAMES, _VALUES), min_size=1, max_size=4))
def test_what_is_remembered_of_one_object_is_not_told_of_another(
    item: dict[str, object], others: list[tuple[str, object]]
) -> None:
    """Objects that differ in one value each, one after the other, are read as they would be alone."""
    made = [item, *({**item, name: value} for name, value in others), item]
    assert not _differing(b"\n".join(map(orjson.dumps, made)), TopicDefaults())


@settings(max_examples=300, deadline=None)
@given(item=_FULL, data=st.data())
def test_damaged_bytes_are_read_alike(item: dict[str, object], data: st.DataObject) -> None:
    """A byte more, less or another than JSON has makes no difference between the paths."""
    value = orjson.dumps(item)
    at = data.draw(st.integers(min_value=0, max_value=len(value)))
    put = data.draw(
        st.sampled_from([b"", b" ", b"\n", b"\\", b'"', b"0", b"-", b"\0", b"\xff", b"\xc3\xa9", b"}"])
    )
    cut = data.draw(st.integers(min_value=0, max_value=2))
    assert not _differing(value[:at] + put + value[at + cut :], TopicDefaults())


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
        b'[ {"msg":"a"} , {"msg":"b"} ]\n',
        b'[{"msg":"a"}',
        b'[{"msg":"a"},]',
        b'[{"msg":"a"}] 1',
        b'{"msg":"a"} {"msg":"b"}',
        b'{"msg":"a","msg":"b"}',
        b'{ "msg" : "a" , "n" : [1, "]"] }\r\n\r\n{"msg":"b"}',
        b'{"msg":"a","n":01}',
        b'{"msg":"a","n":-0}',
        b'{"msg":"a","n":1.0e2,"m":123456789012345678901}',
        b'{"msg":"a","n":[01]}',
        b'{"msg":"\\ud800"}',
        b'{"msg":"\\u00e9\\n","k":"\\x"}',
        b'{"msg":"a"}' * 2,
        b'{"msg":"' + b"x" * 70_000 + b'"}',
        b'{"msg":"a","k":"' + b"x" * 300 + b'"}',
        b'{"' + b"k" * 300 + b'":"v","msg":"a"}',
        b'{"msg":"a",' + b",".join(b'"k%d":"v"' % n for n in range(40)) + b"}",
        b'{"msg":"a",' + b",".join(b'"k%d":"v"' % n for n in range(60)) + b"}",
        b"[" + b",".join([b"{}"] * 50_001) + b"]",
        b"{}\n" * 50_001,
    ],
)
def test_odd_bytes_are_read_alike(value: bytes) -> None:
    """What is no JSON, or hardly, comes to the same on both paths."""
    assert not _differing(value, TopicDefaults())
