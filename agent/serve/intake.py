"""Between the HTTP routes that take telemetry or alerts in, and the stream: answered once it is stored.

What is handed in is a record like any other. Success means that a checkpoint holds it; whatever else happens
is `NotStoredError`, and the sender should come again: a repeat of what is stored, or on its way, adds nothing
as long as it is remembered (`Repeats`). What says no time may be news when it is said again: of such bodies
only those on their way are remembered.
"""

from __future__ import annotations

import asyncio
import hashlib
import queue
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future

import structlog

from ingest.events import Receipt
from ingest.record import Record

log = structlog.get_logger(__name__)

Submit = Callable[[Record], Future[Receipt]]
"""Hands a record to the stream; raises `queue.Full` when the stream is too far behind."""
REMEMBERED = 4096


class NotStoredError(Exception):
    """The record may not be stored; the message says what the sender should do."""


def origin_number(raw: bytes) -> int:
    """Return an offset for a body that no broker numbered: equal bodies have equal ones."""
    return int.from_bytes(hashlib.blake2b(raw, digest_size=8).digest()) >> 1


async def stored(submit: Submit, record: Record, within: float) -> Receipt:
    """Hand `record` in and return what was taken of it, once stored. Raises `NotStoredError`."""
    try:
        waiting = submit(record)
    except queue.Full:
        raise NotStoredError("The stream is too far behind; send again.") from None
    try:
        # Shielded: the stream completes its future whether or not anybody still waits here.
        return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(waiting)), within)
    except TimeoutError:
        raise NotStoredError("It was not stored in time; send again, a repeat adds nothing.") from None
    except Exception as error:  # what made the stream fail: its own log has the rest
        log.warning("intake.not_stored", cause=type(error).__name__, exc_info=True)
        raise NotStoredError("The stream failed over this checkpoint; send again.") from None


class Repeats:
    """Wraps a `Submit`: a record like one of the last `REMEMBERED` shares its fate. For one event loop."""

    def __init__(self, submit: Submit, remembered: int = REMEMBERED) -> None:
        self._submit, self._remembered = submit, remembered
        self._known: OrderedDict[bytes, Future[Receipt]] = OrderedDict()

    def __call__(self, record: Record) -> Future[Receipt]:
        """Submit a record, unless it is stored or on its way already. Raises `queue.Full`."""
        return self._shared(record, stored=True)

    def untimed(self, record: Record) -> Future[Receipt]:
        """Submit a record with an item that says no time, unless it is on its way. Raises `queue.Full`."""
        return self._shared(record, stored=False)

    def _shared(self, record: Record, *, stored: bool) -> Future[Receipt]:
        key = hashlib.blake2b(record.value, digest_size=16, key=record.origin.topic.encode()[:64]).digest()
        known = self._known.get(key)
        if known is None or (known.done() and (not stored or known.exception() is not None)):
            known = self._known[key] = self._submit(record)
        self._known.move_to_end(key)
        while len(self._known) > self._remembered:
            self._known.popitem(last=False)
        return known
