"""The port of this room: what a channel is. Held by `tests/contract/test_channel.py`.

A channel renders a notification and hands it to the outside once; retrying is the sender's business. It
blocks for at most its own time-outs. The same delivery id goes along on every attempt.
"""

from __future__ import annotations

from typing import Protocol

from agent.deliver.notification import Notification
from ingest.record import SECOND, Nanos

MAX_RETRY_AFTER: Nanos = 3600 * SECOND
"""No receiver can park a delivery for longer than this."""


class DeliveryError(Exception):
    """The outside did not take it. Not `retryable`: the same again would be refused again."""

    def __init__(self, detail: str, *, retryable: bool, retry_after: Nanos | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retryable = retryable
        self.retry_after = None if retry_after is None else min(max(retry_after, 0), MAX_RETRY_AFTER)
        """Nanoseconds that the receiver asked to be left alone."""


class Channel(Protocol):
    """One way out. `send` is called from one thread at a time."""

    @property
    def name(self) -> str:
        """Name in the outbox: `kafka`, `webhook:<name>`, `slack:<name>`."""
        ...

    def send(self, notification: Notification, attempt: int) -> str | None:
        """Deliver and return the receiver's receipt, if it gives one. Raises `DeliveryError`."""
        ...

    def close(self) -> None:
        """Close connections. Not to be used afterwards."""
        ...
