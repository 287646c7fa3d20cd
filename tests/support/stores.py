"""What the contract suites of the store share: incidents with work due, and threads that start together."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from agent.store.port import Store
from agent.store.retention import HOUR
from ingest.record import SECOND
from tests.support.samples import T0, checkpoint, due, incident

T = TypeVar("T")
TTL = 60 * SECOND
NOW = T0 + HOUR


def opened(store: Store, *ids: str, **fields: object) -> int:
    """Save incidents of those ids with their due investigations; return the epoch."""
    epoch = store.take_over("stream").epoch
    incidents = tuple(incident(identity) for identity in ids or ("inc_a",))
    dues = tuple(due(incident_id=item.id, as_of=T0 + n) for n, item in enumerate(incidents))
    store.checkpoint(checkpoint(epoch, **{"incidents": incidents, "due": dues, **fields}))
    return epoch


def together(count: int, task: Callable[[int], T]) -> list[T]:
    """Run `task(0)` … `task(count - 1)` in threads that start at the same moment."""
    gate = threading.Barrier(count)

    def run(number: int) -> T:
        gate.wait()
        return task(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))
