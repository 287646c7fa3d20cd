"""checkout's journal on its own disk: what an order has got to, so that a crash loses none half-way.

Segments are written for good at a steady pace, their snapshots of open carts included, and the janitor drops
all but the newest. With the flag `keep_segments` it does not, and the disk fills up.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from opentelemetry.metrics import Meter

from tests.testbed.services.process_metrics import observe

FLAG = "keep_segments"
SEGMENT_BYTES = 1_000_000
SEGMENT_S = 2.5
KEPT = 12
KEPT_ORDERS = 200


class JournalError(Exception):
    """An entry could not be written."""


class Journal:
    """The segments in a folder, and beside them a file for each of the latest orders."""

    def __init__(self, folder: Path, *, log: logging.Logger, flags: dict[str, Any]) -> None:
        self._folder = folder
        self._log = log
        self._flags = flags
        self._lock = threading.Lock()
        self._segments = self._entries = 0

    def append(self, entry: str) -> None:
        """Write an order's entry. Raises JournalError."""
        with self._lock:
            self._entries += 1
            self._write(self._folder / f"order-{self._entries:06d}", entry.encode() + b"\n")

    def roll(self) -> None:
        """Write a segment, and drop the oldest. A full disk is logged, not raised."""
        with self._lock:
            self._segments += 1
            path = self._folder / f"segment-{self._segments:06d}"
            if not self._flags.get(FLAG):
                self._drop("segment-*", KEPT - 1)
                self._drop("order-*", KEPT_ORDERS)
            try:
                self._write(path, os.urandom(4096) * (SEGMENT_BYTES // 4096))
            except JournalError as error:
                self._log.error("journal: %s not written: %s", path.name, error)

    def _drop(self, pattern: str, kept: int) -> None:
        for old in sorted(self._folder.glob(pattern))[:-kept]:
            old.unlink()

    @staticmethod
    def _write(path: Path, data: bytes) -> None:
        try:
            with path.open("ab") as file:
                file.write(data)
        except OSError as error:
            # The path is the machine's business, the reason everybody's.
            raise JournalError(f"[Errno {error.errno}] {error.strerror}") from None

    def start(self) -> None:
        """Roll at a steady pace beside the requests, as a daemon."""

        def run() -> None:
            while True:
                time.sleep(SEGMENT_S)
                self.roll()

        threading.Thread(target=run, name="journal", daemon=True).start()


def watch_volume(meter: Meter, folder: Path) -> None:
    """Register how full the disk under `folder` is, and how large."""

    def of(read: Callable[[os.statvfs_result], int]) -> Callable[[], float]:
        return lambda: float(read(os.statvfs(folder)))

    used = of(lambda disk: (disk.f_blocks - disk.f_bfree) * disk.f_frsize)
    size = of(lambda disk: disk.f_blocks * disk.f_frsize)
    meter.create_observable_gauge("container.filesystem.usage", [observe(used)], unit="By")
    meter.create_observable_gauge("container.filesystem.capacity", [observe(size)], unit="By")
