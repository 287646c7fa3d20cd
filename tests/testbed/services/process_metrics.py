"""What every shop process reports about itself, read from /proc when the metric reader asks."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from tests.testbed.services.limits import CPU_LIMIT_PERCENT, MEMORY_LIMIT_BYTES

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class ProcessUsage:
    """CPU share since the last look; everything else as it is now."""

    def __init__(self) -> None:
        self._seen = (time.monotonic(), self._cpu_seconds())

    @staticmethod
    def _cpu_seconds() -> float:
        fields = Path("/proc/self/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def cpu_percent(self) -> float:
        """Return percent of one core since the previous call."""
        now = (time.monotonic(), self._cpu_seconds())
        elapsed, used = now[0] - self._seen[0], now[1] - self._seen[1]
        self._seen = now
        return round(100 * used / elapsed, 3) if elapsed > 0 else 0.0

    def resident_bytes(self) -> int:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE

    def threads(self) -> int:
        return len([*Path("/proc/self/task").iterdir()])

    def open_files(self) -> int:
        return len([*Path("/proc/self/fd").iterdir()])

    def collections(self) -> int:
        return sum(generation["collections"] for generation in gc.get_stats())


def observe(read: Callable[[], float]) -> Callable[[CallbackOptions], Iterable[Observation]]:
    """Turn a reading into a callback as the SDK wants it."""

    def callback(_: CallbackOptions) -> Iterable[Observation]:
        return [Observation(read())]

    return callback


def _always(value: float) -> Callable[[], float]:
    return lambda: value


def watch_process(meter: Meter, *, restarts: int = 0) -> None:
    """Register the process metrics and, beside each resource, how much of it there is."""
    usage, started = ProcessUsage(), round(time.time(), 3)
    for name, value, unit in (
        ("process.start_time", started, "s"),
        ("process.cpu.limit", CPU_LIMIT_PERCENT, "%"),
        ("process.memory.limit", MEMORY_LIMIT_BYTES, "By"),
        ("k8s.container.restart.count", restarts, "{restart}"),
    ):
        meter.create_observable_gauge(name, [observe(_always(value))], unit=unit)
    meter.create_observable_gauge("process.cpu.percent", [observe(usage.cpu_percent)], unit="%")
    meter.create_observable_gauge("process.memory.usage", [observe(usage.resident_bytes)], unit="By")
    meter.create_observable_gauge("process.thread.count", [observe(usage.threads)], unit="{thread}")
    meter.create_observable_gauge(
        "process.open_file_descriptor.count", [observe(usage.open_files)], unit="{file_descriptor}"
    )
    meter.create_observable_counter(
        "cpython.gc.collections", [observe(usage.collections)], unit="{collection}"
    )
