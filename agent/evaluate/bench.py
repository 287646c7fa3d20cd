"""`faultline bench`: the speed of our stages as ratios to raw components, measured in turns in one run.

A figure is our speed over that of the raw component on the same input: 0.5 is half as fast, 2 twice as
fast. Absolute times depend on the machine and are not shown. One thread, its processor time, and each
side's best round count, so that what else the machine does disturbs least.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from agent.evaluate import generated, generated_otlp
from agent.evaluate.peers import MadLoop, PlainDrain
from detectors.metrics.mad import Mads
from detectors.outliers import Outliers
from ingest.decode import Decode
from ingest.events import AlertEvent, TopicDefaults
from ingest.record import SECOND, Nanos, Origin, Record
from ingest.redaction import Redactor
from ingest.summary import ClosedWindow, WindowSummary
from ingest.templates import DEPTH, SIMILARITY, Templates
from ingest.windows import Windows

TOPIC = "bench"
WINDOW: Nanos = 10 * SECOND
_HISTORY = 120
_WARM_SAMPLES = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much is measured."""

    requests: int = 20
    """Small OTLP requests."""
    small: int = 20_000
    large: int = 200_000
    """Bytes of an OTLP request."""
    short_rounds: int = 40
    """Rounds of some milliseconds, of which many fit between two interruptions."""
    lines: int = 100_000
    shared_lines: int = 800_000
    """Lines that one process reads, and then two."""
    shared_rounds: int = 6
    """By the clock on the wall, which other work disturbs more than processor time."""
    bodies: int = 30_000
    series: int = 10_000
    watched: int = 1_000
    """Of these come as whole windows."""
    looped: int = 300
    """Of these the loop does so many: it takes as long for each."""
    windows: int = 30
    rounds: int = 5


QUICK = Sizes(
    requests=2,
    short_rounds=2,
    lines=1_000,
    shared_lines=2_000,
    shared_rounds=2,
    bodies=1_000,
    series=50,
    watched=50,
    looped=50,
    windows=5,
    rounds=2,
)

_MESSAGES: dict[str, Any] = {
    "logs": ExportLogsServiceRequest,
    "metrics": ExportMetricsServiceRequest,
    "traces": ExportTraceServiceRequest,
}
Side = Callable[[], Callable[[], int]]
"""Prepares one round, untimed; what it returns is timed and says how many items it did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One row: our speed over the raw component's, and what both were given."""

    name: str
    speed: float
    against: str
    given: str


@dataclass(slots=True)
class Bench:
    """Runs the measurements in order."""

    sizes: Sizes = field(default_factory=Sizes)
    on_row: Callable[[str], None] = lambda name: None  # noqa: ARG005

    def run(self) -> list[Result]:
        """Return all rows; takes some seconds for each."""
        return [*self._otlp(), self._windows(), self._templates(), *self._scoring()]

    def _otlp(self) -> list[Result]:
        """Each signal by itself, then all: as many bytes in small requests as in large ones."""
        size = self.sizes
        values = {
            signal: [
                *generated_otlp.requests(signal, size.small, size.requests),
                *generated_otlp.requests(
                    signal, size.large, max(1, size.requests * size.small // size.large)
                ),
            ]
            for signal in _MESSAGES
        }
        rows = [self._decoding(f"otlp_{signal}_decode", {signal: values[signal]}) for signal in _MESSAGES]
        return [*rows, self._decoding("otlp_decode", values)]

    def _decoding(self, name: str, values: Mapping[str, list[bytes]]) -> Result:
        decode = Decode({signal: TopicDefaults(format=f"otlp_{signal}") for signal in values})
        records = [record for signal in values for record in _records(values[signal], signal)]
        pairs = [(_MESSAGES[signal].FromString, value) for signal in values for value in values[signal]]
        now = generated.START + 3600 * SECOND

        def ours() -> Callable[[], int]:
            return lambda: sum(len(decode.decode(record, now).events) > 0 for record in records)

        def raw() -> Callable[[], int]:
            return lambda: sum(parse(value) is not None for parse, value in pairs)

        sizes = " and ".join(f"{size / 1000:.0f} kB" for size in (self.sizes.small, self.sizes.large))
        given = f"requests of about {sizes}, read by the {decode.otlp_path} path"
        return self._row(name, ours, raw, "protobuf FromString", given, self.sizes.short_rounds)

    def _windows(self) -> Result:
        lines = generated.json_lines(self.sizes.lines)
        records = _records(lines)
        decode = Decode({TOPIC: TopicDefaults(format="json")})

        def ours() -> Callable[[], int]:
            windows, redactor = Windows(Templates()), Redactor(b"bench")
            return lambda: to_windows(records, decode, redactor, windows)

        def raw() -> Callable[[], int]:
            return lambda: sum(len(orjson.loads(line)) > 0 for line in lines)

        given = f"one flat JSON log line a record, {_mean(lines):.0f} B on average"
        return self._row("json_logs_to_windows", ours, raw, "orjson.loads", given)

    def _templates(self) -> Result:
        bodies = generated.bodies(self.sizes.bodies)

        def ours() -> Callable[[], int]:
            templates = Templates()
            return lambda: sum(bool(templates.assign("default", *line).template_id) for line in bodies)

        def raw() -> Callable[[], int]:
            drain = PlainDrain(depth=DEPTH, similarity=SIMILARITY)
            return lambda: sum(drain.assign(*line) > 0 for line in bodies)

        length = sum(len(body) for _, body in bodies) / len(bodies)
        given = f"{len(bodies)} bodies of {len(generated.SERVICES)} services, {length:.0f} characters"
        return self._row("templates_assign", ours, raw, "Drain3 after the same masks", given)

    def _scoring(self) -> list[Result]:
        size = self.sizes
        histories = generated.histories(size.series, _HISTORY + size.windows)
        known = [history[:_HISTORY] for history in histories]
        following = [[history[_HISTORY + n] for history in histories] for n in range(size.windows)]

        def ours() -> Callable[[], int]:
            detector, time = _warm_detector(known[: size.watched])
            windows = [
                generated.series_window(
                    [[value] for value in values[: size.watched]], time + n * WINDOW, WINDOW
                )
                for n, values in enumerate(following)
            ]
            return lambda: _observed(detector, windows)

        def bank() -> Callable[[], int]:
            mads = Mads(size.series, _HISTORY)
            mads.fit(np.array(known))
            return lambda: sum(_scored(mads, np.array(values)) for values in following)

        def fitting() -> Callable[[], int]:
            loop = MadLoop(known[: size.looped])
            return lambda: len(loop.fit_and_score(following[0][: size.looped]))

        given = f"{size.series} series with {_HISTORY} samples, {size.windows} windows of one more"
        against = "loop of PyOD MAD, fit and score"
        return [
            self._row("metric_scoring", bank, fitting, f"{against}: the same scores", given),
            self._row(
                "metric_windows",
                ours,
                fitting,
                against,
                f"{min(size.watched, size.series)} series, whole windows to anomalies",
            ),
        ]

    def _row(
        self, name: str, ours: Side, raw: Side, against: str, given: str, rounds: int | None = None
    ) -> Result:
        self.on_row(name)
        # The input outlives its measurement only here: it must not make every garbage collection longer.
        gc.collect()
        gc.freeze()
        try:
            speed = ratio(ours, raw, rounds or self.sizes.rounds)
        finally:
            gc.unfreeze()
        return Result(name=name, speed=speed, against=against, given=given)


def ratio(ours: Side, raw: Side, rounds: int, clock: Callable[[], float] = time.process_time) -> float:
    """Return our items per second over the raw component's, each side's best of `rounds` taken in turns."""
    best_raw = best_ours = 0.0
    for _ in range(rounds):
        best_raw = max(best_raw, _items_per_second(raw, clock))
        best_ours = max(best_ours, _items_per_second(ours, clock))
    return best_ours / best_raw


def _items_per_second(side: Side, clock: Callable[[], float]) -> float:
    work = side()
    started = clock()
    done = work()
    seconds = clock() - started
    if not done:
        raise RuntimeError("a measured side did nothing; the generated input does not fit it any more")
    return done / seconds


def to_windows(records: Iterable[Record], decode: Decode, redactor: Redactor, windows: Windows) -> int:
    """Do what the service does up to closed windows; return the lines in them."""
    closed: list[ClosedWindow] = []
    ticked: Nanos = 0
    for record in records:
        for event in decode.decode(record, record.received).events:
            redacted = redactor.redact(event)
            if not isinstance(redacted, AlertEvent):
                windows.add(redacted, partition=(TOPIC, 0), wall=record.received)
        if record.received - ticked >= SECOND:
            ticked = record.received
            closed.extend(windows.advance(ticked))
    closed.extend(windows.flush())
    return sum(summary.lines for window in closed for summary in window.summaries)


def _warm_detector(histories: Sequence[Sequence[float]]) -> tuple[Outliers, Nanos]:
    """Return a detector that knows the histories, and when they end."""
    detector, time = Outliers(), generated.START
    for first in range(0, _HISTORY, _WARM_SAMPLES):
        part = [history[first : first + _WARM_SAMPLES] for history in histories]
        detector.observe(generated.series_window(part, time, WINDOW))
        time += WINDOW
    return detector, time


def _scored(mads: Mads, values: NDArray[np.float64]) -> int:
    """Score one value of every series by its history, then take it in."""
    scores = mads.score(values)
    mads.learn(values)
    return len(scores)


def _observed(detector: Outliers, windows: Sequence[WindowSummary]) -> int:
    for window in windows:
        detector.observe(window)
    return sum(len(window.series) for window in windows)


def _records(values: Sequence[bytes], topic: str = TOPIC) -> list[Record]:
    """Return records that arrived as fast as their lines say."""
    return [
        Record(
            origin=Origin(topic=topic, partition=0, offset=number),
            value=value,
            received=generated.START + number * SECOND // generated.PER_SECOND,
        )
        for number, value in enumerate(values)
    ]


def _mean(values: Sequence[bytes]) -> float:
    return sum(map(len, values)) / len(values)
