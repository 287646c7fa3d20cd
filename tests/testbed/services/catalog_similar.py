"""Which products are alike: catalog's background job, which compares all descriptions once at the start.

With the flag `similar_products_live` it never stops comparing: a loop that was meant to wait does not.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from difflib import SequenceMatcher
from typing import Any

from tests.testbed.services.quota import Quota
from tests.testbed.services.stores import Database

FLAG = "similar_products_live"
POLL_S = 1.0
WORKERS = 2


class SimilarProducts:
    """Pairs of products and how alike they are."""

    def __init__(self, database: Database, flags: dict[str, Any]) -> None:
        self._database = database
        self._flags = flags
        self.scores: dict[tuple[str, str], float] = {}
        self.quota = Quota()

    def start(self) -> None:
        """Watch the flag beside the requests, as daemons."""
        for _ in range(WORKERS):
            threading.Thread(target=self._run, name="similar-products", daemon=True).start()

    def _run(self) -> None:
        while True:
            if self._flags.get(FLAG):
                self._compare(self._descriptions(), until=lambda: not self._flags.get(FLAG))
            else:
                time.sleep(POLL_S)

    def _descriptions(self) -> list[tuple[str, str]]:
        with self._database.transaction() as statements:
            rows = statements.run("SELECT sku, description FROM products ORDER BY sku")
        return [(row["sku"], row["description"]) for row in rows]

    def _compare(self, products: list[tuple[str, str]], *, until: Callable[[], bool]) -> None:
        for sku, text in products:
            for other, second in products:
                if until():
                    return
                self.scores[sku, other] = SequenceMatcher(None, text, second, autojunk=False).ratio()
                self.quota.spend()
