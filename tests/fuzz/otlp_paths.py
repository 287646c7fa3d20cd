"""The compiled reading of OTLP held to the reference: the same events, refusals and cuts for any bytes."""

from __future__ import annotations

from collections import Counter
from typing import Any

from ingest.decoders.batch import Batch
from ingest.decoders.otlp import Otlp
from ingest.events import Decoded, DecodeError, TopicDefaults
from ingest.record import Nanos, Origin, Record
from tests.fuzz.case import BrokenPromiseError, Case

_ORIGIN = Origin(topic="t", partition=0, offset=1)


def have_two_paths() -> bool:
    """Say whether the compiled path was built here."""
    return Otlp().path == "compiled"


class Paths:
    """Decodes each case on both paths. The compiled one keeps its memo, as in the service."""

    def __init__(self, form: str, now: Nanos) -> None:
        name = "decode_any" if form == "otlp" else f"decode_{form.removeprefix('otlp_')}"
        self._now = now
        self._fast: Any = getattr(Otlp(), name)
        self._plain: Any = getattr(Otlp(compiled=False), name)

    def __call__(self, case: Case, counts: Counter[str]) -> None:
        fast, plain = self._read(self._fast, case), self._read(self._plain, case)
        if fast != plain:
            raise BrokenPromiseError(
                f"the compiled path differs from the reference: {_difference(fast, plain)}"
            )
        if isinstance(fast, Decoded):
            counts["taken"] += 1
            counts["events"] += len(fast.events)
        else:
            counts[f"refused:{fast.partition(':')[0]}"] += 1

    def _read(self, decoder: Any, case: Case) -> Decoded | str:
        record = Record(origin=_ORIGIN, value=case.value, received=self._now)
        batch = Batch(record, self._now, TopicDefaults())
        try:
            decoder(case.value, batch)
            return batch.decoded()
        except DecodeError as error:
            return f"{error.reject.reason}: {error.reject.detail}"


def _difference(fast: Decoded | str, plain: Decoded | str) -> str:
    """Say in which part two results differ, without their contents: so that like findings look alike."""
    if isinstance(fast, str) or isinstance(plain, str):
        return " / ".join(one if isinstance(one, str) else "taken" for one in (fast, plain))
    if len(fast.events) != len(plain.events):
        return "number of events"
    for one, other in zip(fast.events, plain.events, strict=True):
        if type(one) is not type(other):
            return "kind of an event"
        for name in one.__struct_fields__:
            if getattr(one, name) != getattr(other, name):
                return f"{type(one).__name__}.{name}"
    return "rejects" if fast.rejects != plain.rejects else "cuts"
