"""Recordings: finding the times of lines where they stand reads the same as parsing every line."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.decode import Decode
from ingest.decoders.flat_json import compiled_times
from ingest.events import Decoded, DecodeError, Reject, TopicDefaults
from ingest.record import Nanos
from ingest.recordings import Recording, RecordingError

_CASE = {
    "baseline_windows": [
        {"signals": ["logs", "spans"], "start": "2023-01-29T09:00:00Z", "end": "2023-01-29T09:10:00Z"},
        {"signals": ["spans"], "start": "2023-01-29T07:00:00Z", "end": "2023-01-29T07:10:00Z"},
    ],
    "incident": {"start": "2023-01-29T08:00:00Z", "end": "2023-01-29T08:10:00Z"},
}
_TIMES = st.sampled_from(
    [
        "2023-01-29T08:00:01.5Z",
        "2023-01-29T09:03:00.000000001Z",
        "2023-01-29T07:03:00Z",
        "2023-01-29T09:03:00+00:00",
        "1675000000",
        "tomorrow",
    ]
)
_EXTRAS = st.sampled_from(
    ["", ',"k":"\u00e9\\n"', ',"k":"\\x"', ', "n" : 1.0', ',"m":{"a":[]}', ',"time":1', ",", "}"]
)
_LOG = st.builds(lambda time, extra: f'{{"time":"{time}","body":"a"{extra}}}', _TIMES, _EXTRAS)
_SPAN = st.builds(
    lambda one, other, extra: (
        f'{{"trace_id":"a1","span_id":"b1","name":"x","end":"{one}","start":"{other}"{extra}}}'
    ),
    _TIMES,
    _TIMES,
    _EXTRAS,
)
_Told = list[tuple[Nanos, Decoded | Reject]]


def _told(folder: Path, *, shift: bool, compiled: bool) -> _Told | str:
    """Return what is read, record by record, or why nothing is."""
    decode = Decode({"^recording": TopicDefaults(format="json")}, compiled=False)
    found: _Told = []
    try:
        for time, record in Recording(folder, compiled=compiled).records(shift=shift):
            try:
                found.append((time, decode.decode(record, time)))
            except DecodeError as error:
                found.append((time, error.reject))
    except RecordingError as error:
        return str(error)
    return found


@settings(max_examples=150, deadline=None)
@given(logs=st.lists(_LOG, max_size=3), spans=st.lists(_SPAN, max_size=3), shift=st.booleans())
def test_both_paths_read_the_same(logs: list[str], spans: list[str], shift: bool) -> None:
    """Times, order, events and errors are equal, with baselines where they lay and moved."""
    assert compiled_times() is not None, "run `python .ci/build_decoder.py` to compile the extensions"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "case.json").write_text(json.dumps(_CASE))
        (folder / "logs.jsonl").write_text("\n".join(logs))
        (folder / "spans.jsonl").write_text("\r\n".join(spans))
        fast, reference = (_told(folder, shift=shift, compiled=compiled) for compiled in (True, False))
    assert fast == reference


@pytest.mark.parametrize(
    "line", ["", "[]", "{}", "1", '{"time":"2023-01-29T08:00:01Z"} x', '{"time":"2023-01-29T08:']
)
def test_what_is_no_plain_line_is_left_to_the_reference(line: str) -> None:
    """Nothing is found in what is no whole object with a time."""
    find = compiled_times()
    assert find is not None
    assert find(line.encode(), (b"time",)) is None
