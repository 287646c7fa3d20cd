"""The sender: takes what waits in the outbox to its channels, until it is taken or given up.

At least once, in order per channel and incident, with the delivery id of the entry on every attempt.
Each channel has its own thread and claims only its own entries, so one that hangs holds up nobody else.
What fails waits twice as long each time; after `max_attempts` it is dead, and says why in the store.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from agent.deliver.channels import Channel, DeliveryError
from agent.deliver.notification import NotificationError, decode
from agent.deliver.sanitize import line
from agent.store.port import Delivery, OutboxStore
from ingest.ids import digest
from ingest.record import SECOND, Nanos

log = structlog.get_logger(__name__)

_ERROR_LENGTH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How long to wait between attempts, and when to give up."""

    first_wait: Nanos = 2 * SECOND
    longest_wait: Nanos = 900 * SECOND
    max_attempts: int = 12

    def wait(self, delivery_id: str, attempt: int) -> Nanos:
        """Return the wait after failed attempt number `attempt`: doubling, less up to half by the id.

        The spread keeps deliveries that failed together from coming back together; it is the same on
        every run.
        """
        full = min(self.first_wait << min(attempt - 1, 40), self.longest_wait)
        spread = _spread(delivery_id, attempt)
        return full - int(full / 2 * spread)


class Sender:
    """Sends what is due. `counts` holds (channel, outcome) for `/metrics`."""

    def __init__(
        self,
        *,
        store: OutboxStore,
        channels: Sequence[Channel],
        clock: Callable[[], Nanos] = time.time_ns,
        retry: RetryPolicy | None = None,
        batch: int = 5,
        claim_ttl: Nanos = 300 * SECOND,
        poll_s: float = 1.0,
    ) -> None:
        self._store, self._clock, self._retry = store, clock, retry or RetryPolicy()
        self._channels = {channel.name: channel for channel in channels}
        if len(self._channels) != len(channels):
            raise ValueError("two channels have the same name: give each its own")
        self._batch, self._claim_ttl, self._poll_s = batch, claim_ttl, poll_s
        self.counts: Counter[tuple[str, str]] = Counter()

    def send_due(self, now: Nanos) -> Counter[str]:
        """Try everything that is due at `now` once, channel by channel; return counts by outcome."""
        outcomes: Counter[str] = Counter()
        for channel in self._channels.values():
            while step := self._step(channel, now):
                outcomes += step
        return outcomes

    def run(self, stop: threading.Event) -> None:
        """Send until `stop`, a thread for each channel; returns when all have finished their delivery."""
        threads = [
            threading.Thread(target=self._loop, args=(channel, stop), name=f"send-{channel.name}")
            for channel in self._channels.values()
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        stop.wait()

    def close(self) -> None:
        """Close all channels."""
        for channel in self._channels.values():
            channel.close()

    def _loop(self, channel: Channel, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                idle = not self._step(channel, self._clock(), stop)
            except Exception as error:  # noqa: BLE001 - the worker boundary: a store that is away comes back
                self.counts[(channel.name, "store_failed")] += 1
                log.error(  # noqa: TRY400 - a database that is away is no surprise: no traceback
                    "deliver.store_failed", channel=channel.name, cause=_cause(error)
                )
                idle = True
            if idle:
                stop.wait(self._poll_s)

    def _step(self, channel: Channel, now: Nanos, stop: threading.Event | None = None) -> Counter[str]:
        outcomes: Counter[str] = Counter()
        for delivery in self._store.claim(now, self._batch, self._claim_ttl, channel.name):
            if stop is not None and stop.is_set():
                # Given back, else the next start would wait for the claim to run out.
                self._store.failed(delivery.entry.delivery_id, "the sender was stopped", now)
                continue
            outcome = self._deliver(channel, delivery)
            outcomes[outcome] += 1
            self.counts[(channel.name, outcome)] += 1
        return outcomes

    def _deliver(self, channel: Channel, delivery: Delivery) -> str:
        entry = delivery.entry
        try:
            receipt = channel.send(decode(entry.payload), delivery.attempt)
        except NotificationError as error:
            return self._failed(channel, delivery, DeliveryError(str(error), retryable=False))
        except DeliveryError as error:
            return self._failed(channel, delivery, error)
        except Exception as error:
            log.error("deliver.unexpected", channel=channel.name, cause=_cause(error), exc_info=True)
            return self._failed(channel, delivery, DeliveryError(_cause(error), retryable=True))
        self._store.sent(entry.delivery_id, self._clock(), receipt)
        return "sent"

    def _failed(self, channel: Channel, delivery: Delivery, error: DeliveryError) -> str:
        entry = delivery.entry
        final = not error.retryable or delivery.attempt >= self._retry.max_attempts
        wait = max(self._retry.wait(entry.delivery_id, delivery.attempt), error.retry_after or 0)
        self._store.failed(
            entry.delivery_id, line(error.detail, _ERROR_LENGTH), None if final else self._clock() + wait
        )
        log.warning(
            "deliver.dead" if final else "deliver.failed",
            channel=channel.name,
            incident_id=entry.incident_id,
            delivery_id=entry.delivery_id,
            attempt=delivery.attempt,
            cause=line(error.detail, _ERROR_LENGTH),
            retry_in_s=None if final else round(wait / SECOND, 1),
        )
        return "dead" if final else "failed"


def _spread(delivery_id: str, attempt: int) -> float:
    digits = digest("spread", delivery_id, str(attempt), length=8).rpartition("_")[2]
    return int(digits, base=16) / 0xFFFFFFFF


def _cause(error: Exception) -> str:
    return f"{type(error).__name__}: {line(str(error), _ERROR_LENGTH)}"
