"""Telemetry for speed measurements: seeded, so every run sees the same, and varied as real systems are.

Only speed is measured on it. Accuracy is measured on recordings: what is generated here has no faults.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import orjson

from ingest.events import LogEvent, MetricKind, MetricPoint, Resource, SpanEvent, SpanKind
from ingest.record import SECOND, Nanos, Origin
from ingest.summary import SeriesKey, SeriesWindow, WindowSummary
from ingest.times import format_time

START: Nanos = 1_700_000_040 * SECOND
"""A full minute."""
PER_SECOND = 1_000
"""Log lines, of all services together."""
SERVICES = ("cart", "catalog", "checkout", "orders", "payments", "storefront")

_TEXT = """
request response connection order payment session cache worker queue token upstream replica shard leader
index batch customer inventory reservation heartbeat snapshot partition schema route handler retry accepted
finished started closed opened expired refused committed flushed scheduled restored evicted received
forwarded validated rejected with from for to after on at by in of
"""
_WORDS = tuple(_TEXT.split())
_SLOTS: tuple[Callable[[random.Random], str], ...] = (
    lambda r: str(r.randrange(100_000)),
    lambda r: f"{r.randrange(1, 9_000)}ms",
    lambda r: f"10.{r.randrange(256)}.{r.randrange(256)}.{r.randrange(256)}:{r.randrange(1024, 65_536)}",
    lambda r: f"{r.getrandbits(64):016x}",
    lambda r: f"user={r.randrange(10_000)}",
    lambda r: f"/api/v1/{r.choice(_WORDS)}/{r.randrange(10_000)}",
    lambda r: f"{r.random() * 100:.2f}%",
    lambda r: f"[{r.choice(_WORDS)}-{r.randrange(64)}]",
)
_SHAPES = 120
_SLOT_SHARE = 0.3
_ORIGIN = Origin(topic="generated", partition=0, offset=0)


class Shapes:
    """Log statements of a made-up system: the words of each stay, its parameters change every time."""

    def __init__(self, seed: int, count: int = _SHAPES) -> None:
        self._random = _seeded(seed)
        self._shapes = [self._shape() for _ in range(count)]

    def body(self) -> str:
        """Return the next log body; some statements are far more frequent than others."""
        number = int(len(self._shapes) * self._random.random() ** 2)
        return " ".join(
            part if isinstance(part, str) else part(self._random) for part in self._shapes[number]
        )

    def _shape(self) -> list[str | Callable[[random.Random], str]]:
        length = self._random.randrange(5, 14)
        return [
            self._random.choice(_SLOTS) if place and self._random.random() < _SLOT_SHARE else self._word()
            for place in range(length)
        ]

    def _word(self) -> str:
        return self._random.choice(_WORDS)


def bodies(count: int, seed: int = 1) -> list[tuple[str, str]]:
    """Return (service, log body) pairs; each service has statements of its own."""
    chance = _seeded(seed)
    shapes = {service: Shapes(seed + place) for place, service in enumerate(SERVICES)}
    names = [chance.choice(SERVICES) for _ in range(count)]
    return [(service, shapes[service].body()) for service in names]


def logs(count: int, seed: int = 2) -> list[LogEvent]:
    """Return log events in order of time."""
    chance = _seeded(seed)
    return [
        LogEvent(
            origin=_ORIGIN,
            resource=_resource(service, chance),
            time=START + number * SECOND // PER_SECOND,
            body=body,
            severity_number=chance.choice((9, 9, 9, 9, 13, 17)),
            trace_id=f"{chance.getrandbits(128):032x}" if chance.random() < 0.5 else None,
        )
        for number, (service, body) in enumerate(bodies(count, seed))
    ]


def metrics(count: int, seed: int = 3) -> list[MetricPoint]:
    """Return samples of many series, one sample each."""
    chance = _seeded(seed)
    return [
        MetricPoint(
            origin=_ORIGIN,
            resource=_resource(chance.choice(SERVICES), chance),
            time=START + number,
            name=f"process.{chance.choice(_WORDS)}.{chance.choice(('usage', 'count', 'duration'))}",
            value=chance.random() * 1_000,
            kind=chance.choice((MetricKind.GAUGE, MetricKind.CUMULATIVE)),
            labels=(("pool", chance.choice(_WORDS)), ("state", chance.choice(("idle", "used")))),
        )
        for number in range(count)
    ]


def spans(count: int, seed: int = 4) -> list[SpanEvent]:
    """Return finished spans with attributes as instrumentations set them."""
    chance = _seeded(seed)
    found = []
    for number in range(count):
        start = START + number * 1_000_000
        found.append(
            SpanEvent(
                origin=_ORIGIN,
                resource=_resource(chance.choice(SERVICES), chance),
                trace_id=f"{chance.getrandbits(128):032x}",
                span_id=f"{chance.getrandbits(64):016x}",
                parent_span_id=f"{chance.getrandbits(64):016x}" if chance.random() < 0.8 else None,
                name=f"GET /api/v1/{chance.choice(_WORDS)}",
                start=start,
                end=start + chance.randrange(100_000, 500_000_000),
                kind=chance.choice((SpanKind.SERVER, SpanKind.CLIENT, SpanKind.INTERNAL)),
                error=chance.random() < 0.02,
                attributes=(
                    ("http.request.method", "GET"),
                    ("http.response.status_code", chance.choice(("200", "200", "404", "500"))),
                    ("server.address", chance.choice(SERVICES)),
                ),
            )
        )
    return found


def json_lines(count: int, seed: int = 5) -> list[bytes]:
    """Return flat JSON log lines of about 200 B in the field names that log shippers use."""
    chance = _seeded(seed)
    lines = []
    for number, (service, body) in enumerate(bodies(count, seed)):
        line = {
            "time": format_time(START + number * SECOND // PER_SECOND)[:-7] + "Z",
            "level": chance.choice(("info", "info", "info", "warn", "error")),
            "service": service,
            "message": body,
            "trace_id": f"{chance.getrandbits(128):032x}",
        }
        lines.append(orjson.dumps(line))
    return lines


def histories(series: int, samples: int, seed: int = 6) -> list[list[float]]:
    """Return noise of `samples` values around a level of its own for each series."""
    chance = _seeded(seed)
    levels = [chance.uniform(10, 1_000) for _ in range(series)]
    return [[chance.gauss(level, level / 10) for _ in range(samples)] for level in levels]


def series_window(values: Sequence[Sequence[float]], start: Nanos, width: Nanos) -> WindowSummary:
    """Return a window of one service whose series number n has the samples `values[n]`."""
    return WindowSummary(
        environment="default",
        service=SERVICES[0],
        start=start,
        end=start + width,
        series=tuple(_series(number, samples, start, width) for number, samples in enumerate(values)),
    )


def _series(number: int, samples: Sequence[float], start: Nanos, width: Nanos) -> SeriesWindow:
    step = width // len(samples)
    return SeriesWindow(
        key=SeriesKey(name=f"series.{number:05d}"),
        kind=MetricKind.GAUGE,
        unit="",
        samples=tuple((start + place * step, value) for place, value in enumerate(samples)),
        count=len(samples),
        total=sum(samples),
        minimum=min(samples),
        maximum=max(samples),
    )


def _seeded(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - nothing here is secret


def _resource(service: str, chance: random.Random) -> Resource:
    return Resource(environment="default", service=service, instance=f"{service}-{chance.randrange(3)}")
