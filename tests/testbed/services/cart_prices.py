"""The price watch of cart: with the flag `price_watch` it looks at all prices every second.

It keeps every look it ever took, and nothing ever asks for the old ones. That is how the memory leaks.
"""

from __future__ import annotations

import threading
import time
from typing import Any

FLAG = "price_watch"
EVERY_S = 1.0
LOOK_BYTES = 1_900_000
"""What one look at all prices weighs, with its copies by currency and region."""


class PriceWatch:
    """All looks that were taken."""

    def __init__(self, flags: dict[str, Any]) -> None:
        self._flags = flags
        self.looks: list[bytearray] = []

    def start(self) -> None:
        """Watch the flag beside the requests, as a daemon."""
        threading.Thread(target=self._run, name="price-watch", daemon=True).start()

    def _run(self) -> None:
        while True:
            time.sleep(EVERY_S)
            if self._flags.get(FLAG):
                # Every page is written to, or the kernel would lend it without counting it.
                self.looks.append(bytearray(b"\x01") * LOOK_BYTES)
