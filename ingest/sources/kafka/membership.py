"""Group membership of the Kafka source: commits and rebalances, as the client's own thread sees them.

A revocation waits, for a bounded time, until the stream has written its checkpoint, commits what that
hands over, and only then lets the partitions go. One commit request is in flight at a time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

import structlog
from kafka import AsyncConsumerRebalanceListener, KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka.net.selector import KernelEvent

from ingest.sources.handover import Handover
from ingest.sources.port import Positions

log = structlog.get_logger(__name__)


def offsets_with_metadata(offsets: Positions) -> dict[TopicPartition, OffsetAndMetadata]:
    """Return `offsets` as the client's commit calls want them."""
    return {TopicPartition(*part): OffsetAndMetadata(offset, "", -1) for part, offset in offsets.items()}


class Committer:
    """Sends the newest offsets, one request in flight; used by the owner thread only."""

    GIVE_UP_S = 30.0

    def __init__(self, consumer: KafkaConsumer, handover: Handover) -> None:
        self._consumer, self._handover = consumer, handover
        self._sent_at: float | None = None

    def send(self, now: float) -> None:
        """Send what was handed in since the last answer; `now` is monotonic seconds."""
        if self._sent_at is not None and now - self._sent_at < self.GIVE_UP_S:
            return
        offsets = self._handover.offsets_to_commit()
        if not offsets:
            return
        self._sent_at = now

        def done(_: object, answer: object) -> None:
            self._sent_at = None
            self._handover.commit_done(offsets, str(answer) if isinstance(answer, Exception) else None)

        self._consumer.commit_async(offsets_with_metadata(offsets), callback=done)


class Listener(AsyncConsumerRebalanceListener):  # type: ignore[misc]
    """Runs on the client's I/O thread while the owner polls; gives the stream time to write a checkpoint."""

    def __init__(
        self, consumer: KafkaConsumer, handover: Handover, timeout_s: float, stop: threading.Event
    ) -> None:
        self._consumer, self._handover, self._timeout_s, self._stop = consumer, handover, timeout_s, stop
        self.leaving = False

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self._consumer.pause(*assigned)
        self._handover.came((tp.topic, tp.partition) for tp in assigned)
        log.info("kafka.assigned", partitions=sorted(f"{tp.topic}/{tp.partition}" for tp in assigned))

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        parts = [(tp.topic, tp.partition) for tp in revoked]
        if not parts or self.leaving:
            return
        log.info("kafka.revoked", partitions=sorted(f"{topic}/{number}" for topic, number in parts))
        if not self._handover.gone(parts, lost=False):
            return
        if not await self._until(self._handover.mailbox.settled):
            log.warning("kafka.revoke_timeout", waited_s=self._timeout_s, next="its next owner repeats work")
        await self._commit()
        self._handover.release(parts)

    async def on_partitions_lost(self, lost: Iterable[TopicPartition]) -> None:
        parts = [(tp.topic, tp.partition) for tp in lost]
        log.warning("kafka.lost", partitions=sorted(f"{topic}/{number}" for topic, number in parts))
        self._handover.gone(parts, lost=True)

    async def _commit(self) -> None:
        offsets = self._handover.offsets_to_commit()
        if not offsets:
            return
        answers: list[object] = []
        future = self._consumer.commit_async(offsets_with_metadata(offsets))
        future.add_both(answers.append)
        await self._until(lambda: bool(answers))
        answer = answers[0] if answers else TimeoutError("no answer to the last commit before a rebalance")
        self._handover.commit_done(offsets, str(answer) if isinstance(answer, Exception) else None)

    async def _until(self, reached: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + self._timeout_s
        while not reached():
            if self._stop.is_set() or time.monotonic() > deadline:
                return False
            # The client's loop has no public sleep; this is the event its own coroutines wait with.
            await KernelEvent("_sleep", 0.02)
        return True
