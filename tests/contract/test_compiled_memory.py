"""What the compiled decoders make is freed again: one reference too many for each event fills any memory."""

from __future__ import annotations

import gc
import sys

import orjson
import pytest

from agent.evaluate import generated, generated_otlp
from ingest.decode import Decode
from ingest.events import TopicDefaults
from ingest.record import SECOND, Origin, Record

_ROUNDS = 30
_LEFT = 200
"""Objects that the interpreter itself may keep; a reference lost leaves hundreds of each kind behind."""
_TIME = "2023-11-14T22:14:00.5Z"
_METRIC = {"time": _TIME, "service.name": "cart", "name": "cpu", "value": 0.5}
_SPAN = {
    "trace_id": "a" * 32, "span_id": "b" * 16, "parent_span_id": None, "service.name": "cart", "name": "GET",
    "start": _TIME, "end": _TIME,
}  # fmt: skip


def _values(format_: str) -> list[bytes]:
    if format_.startswith("otlp_"):
        return generated_otlp.requests(format_.removeprefix("otlp_"), 20_000, 2)
    lines = generated.json_lines(20)
    lines += [orjson.dumps(_METRIC | {"value": n / 7}) for n in range(20)]
    return lines + [orjson.dumps(_SPAN | {"span_id": f"{n + 1:016x}"}) for n in range(20)]


@pytest.mark.parametrize("format_", ["json", "auto", "otlp_logs", "otlp_metrics", "otlp_traces"])
def test_decoding_leaves_nothing_behind(format_: str) -> None:
    """Decoding the same records again and again leaves as many objects as there were."""
    decode = Decode({"t": TopicDefaults(format=format_)})
    records = [
        Record(origin=Origin(topic="t", partition=0, offset=number), value=value, received=generated.START)
        for number, value in enumerate(_values(format_))
    ]

    def left(rounds: int) -> int:
        events = 0
        for _ in range(rounds):
            events += sum(
                len(decode.decode(record, generated.START + 60 * SECOND).events) for record in records
            )
        assert events >= rounds * len(records)
        gc.collect()
        return sys.getallocatedblocks()

    before = left(3)
    assert left(_ROUNDS) - before < _LEFT
