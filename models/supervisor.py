"""Keeps one llama.cpp child at work: starts it, bounds every request in time, replaces it when it dies.

One request runs at a time; others wait their turn, and waiting counts against their deadline. A crash
costs one restart and one more try within the same deadline; a hang costs the child. After repeated
crashes requests fail at once for a growing quiet period. Every failure is a `ModelUnavailable`.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from models.child_process import CHILD_COMMAND, ChildDeathError, ChildProcess, ChildSilenceError
from models.integrity import checked_sum
from models.protocol import (
    BAD_REQUEST,
    Answer,
    Cancel,
    Chat,
    Count,
    Counted,
    Failed,
    Load,
    Loaded,
    Message,
    Ping,
    Pong,
    Reply,
    Request,
)
from models.quiet import QuietPeriod, QuietPolicy
from models.unavailable import ModelUnavailable, UnavailableReason

_CANCEL_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildOptions:
    """How the child loads its model and how patient the parent is; all times in seconds."""

    context_tokens: int = 4096
    threads: int = 2
    load_seconds: float = 180.0
    grace_seconds: float = 2.0
    """Beyond a deadline, for the child to stop by itself and keep the model loaded."""
    quiet: QuietPolicy = field(default_factory=QuietPolicy)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """What to ask; `schema` is JSON Schema text that the answer must satisfy, `seconds` the deadline."""

    messages: tuple[Message, ...]
    schema: str | None = None
    max_tokens: int = 256
    temperature: float = 0.0
    seed: int = 1
    stop: tuple[str, ...] = ()
    seconds: float = 60.0


class Supervisor:
    """Answers chats with a GGUF in a supervised child process; safe to share between threads."""

    def __init__(
        self,
        path: Path,
        *,
        expected_sha256: str | None = None,
        options: ChildOptions | None = None,
        command: Sequence[str] = CHILD_COMMAND,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = path
        self.loaded: Loaded | None = None
        """What the running child said on loading, None while none is ready."""
        self._expected = expected_sha256
        self._sha256: str | None = None
        self._options = options or ChildOptions()
        self._command = command
        self._clock = clock
        self._turns = threading.Lock()
        self._owner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="llamacpp-owner")
        self._child: ChildProcess | None = None
        self._loading = 0
        self._load_started = 0.0
        self._ids = itertools.count(1)
        self._quiet = QuietPeriod(self._options.quiet)
        self._closed = False

    @property
    def sha256(self) -> str | None:
        """The weights' sum, known once the first request came or `start` ran."""
        return self._sha256

    @property
    def pid(self) -> int | None:
        """The child's process id, None while none runs."""
        child = self._child
        return child.pid if child is not None and child.alive else None

    def start(self) -> Loaded:
        """Check the file, start the child and load the model now instead of at the first request."""
        self.ping(self._options.load_seconds)
        loaded = self.loaded
        if loaded is None:
            raise self._unavailable(UnavailableReason.CRASHED, "the child ended right after loading.")
        return loaded

    def chat(self, request: ChatRequest, cancel: threading.Event | None = None) -> Answer:
        """Answer within `request.seconds` or raise `ModelUnavailable`; ValueError for a bad schema."""

        def wire(seconds: float) -> Chat:
            return Chat(
                id=next(self._ids),
                messages=request.messages,
                schema=request.schema,
                max_tokens=request.max_tokens,
                temperature=request.temperature,
                seed=request.seed,
                stop=request.stop,
                deadline=seconds,
            )

        reply = self._ask(wire, request.seconds, cancel)
        if not isinstance(reply, Answer):
            raise self._off_script(reply)
        return reply

    def count_tokens(self, texts: Sequence[str], seconds: float = 60.0) -> tuple[int, ...]:
        """Return each text's token count in the model's own vocabulary."""
        reply = self._ask(lambda _: Count(id=next(self._ids), texts=tuple(texts)), seconds, None)
        if not isinstance(reply, Counted):
            raise self._off_script(reply)
        return reply.tokens

    def ping(self, seconds: float = 5.0) -> None:
        """Return when the child, started if need be, has answered."""
        reply = self._ask(lambda _: Ping(id=next(self._ids)), seconds, None)
        if not isinstance(reply, Pong):
            raise self._off_script(reply)

    def close(self) -> None:
        """End the child; a request under way fails as cancelled. Closing twice is fine."""
        self._closed = True
        child = self._child
        if child is not None:
            child.kill()
        self._owner.shutdown(wait=True)

    def _ask(self, wire: Callable[[float], Request], seconds: float, cancel: threading.Event | None) -> Reply:
        with self._turn(self._clock() + seconds) as deadline:
            for last_try in (False, True):
                try:
                    child = self._ready_child(deadline)
                    reply = self._exchange(child, wire(deadline - self._clock()), deadline, cancel)
                except ChildDeathError as died:
                    self._note_death()
                    if last_try:
                        raise self._unavailable(
                            UnavailableReason.CRASHED, f"llama.cpp died: {died}"
                        ) from died
                else:
                    self._quiet.note_success()
                    return self._accepted(reply)
        raise AssertionError("the second try returns or raises")

    @contextmanager
    def _turn(self, deadline: float) -> Iterator[float]:
        if not self._turns.acquire(timeout=max(deadline - self._clock(), 0.0)):
            raise self._unavailable(UnavailableReason.TIMED_OUT, "other requests held the model too long.")
        try:
            yield deadline
        finally:
            self._turns.release()

    def _exchange(
        self, child: ChildProcess, request: Request, deadline: float, cancel: threading.Event | None
    ) -> Reply:
        limit = deadline + self._options.grace_seconds
        try:
            child.tell(request, limit - self._clock())
            reply, cancelled = self._await(child, request.id, limit, cancel)
        except ChildSilenceError:
            reply, cancelled = None, False
        if reply is not None:
            return reply
        self._replace()
        if cancelled:
            raise self._unavailable(UnavailableReason.CANCELLED, "the caller cancelled.")
        self._quiet.note_crash(self._clock())
        raise self._unavailable(
            UnavailableReason.TIMED_OUT, "llama.cpp hung past its deadline and was ended."
        )

    def _await(
        self, child: ChildProcess, request_id: int, limit: float, cancel: threading.Event | None
    ) -> tuple[Reply | None, bool]:
        cancelled = False
        while (left := limit - self._clock()) > 0:
            if cancel is not None and cancel.is_set() and not cancelled:
                cancelled = True
                limit = min(limit, self._clock() + self._options.grace_seconds)
                child.tell(Cancel(id=request_id), limit - self._clock())
            patience = left if cancel is None else min(left, _CANCEL_POLL_SECONDS)
            reply = child.wait_reply(request_id, patience)
            if reply is not None:
                return reply, cancelled
        return None, cancelled

    def _ready_child(self, deadline: float) -> ChildProcess:
        if self._closed:
            raise self._unavailable(UnavailableReason.CANCELLED, "the model runtime is closed.")
        wait = self._quiet.left(self._clock())
        if wait > 0:
            raise self._unavailable(
                UnavailableReason.CRASHED,
                f"after {self._quiet.crashes} crashes in a row it is left alone for another {wait:.0f} s.",
            )
        child = self._child
        if child is None or not child.alive:
            child = self._spawn(deadline)
        if self.loaded is None:
            self._finish_loading(child, deadline)
        return child

    def _spawn(self, deadline: float) -> ChildProcess:
        self._replace()
        self._check_file()
        child = self._child = ChildProcess(self._owner, self._command)
        if self._closed:  # closed while it started: `close` may have missed it
            child.kill()
        self._loading = next(self._ids)
        self._load_started = self._clock()
        load = Load(
            id=self._loading,
            path=str(self.path),
            context_tokens=self._options.context_tokens,
            threads=self._options.threads,
        )
        try:
            child.tell(load, max(deadline - self._clock(), self._options.grace_seconds))
        except ChildSilenceError as silent:
            self._replace()
            self._quiet.note_crash(self._clock())
            raise self._unavailable(UnavailableReason.TIMED_OUT, f"on starting, {silent}.") from silent
        return child

    def _finish_loading(self, child: ChildProcess, deadline: float) -> None:
        limit = min(deadline, self._load_started + self._options.load_seconds)
        reply = child.wait_reply(self._loading, limit - self._clock())
        if reply is None:
            # Short of its own limit the load goes on, and the next request finds it further along.
            if self._clock() >= self._load_started + self._options.load_seconds:
                self._replace()
                self._quiet.note_crash(self._clock())
            raise self._unavailable(
                UnavailableReason.TIMED_OUT, "the model was still loading at the deadline."
            )
        if not isinstance(reply, Loaded):
            self._replace()
            reply = self._accepted(reply)
            raise self._off_script(reply)
        self.loaded = reply

    def _check_file(self) -> None:
        try:
            found = checked_sum(self.path)
        except OSError as error:
            raise self._unavailable(
                UnavailableReason.FILE_MISSING, f"{error.strerror}; run `faultline models pull`."
            ) from error
        if self._expected is not None and found != self._expected:
            raise self._unavailable(
                UnavailableReason.FILE_CORRUPT,
                f"its sha256 is {found}, wanted is {self._expected}; "
                "delete it and run `faultline models pull`.",
            )
        self._sha256 = found

    def _accepted(self, reply: Reply) -> Reply:
        if not isinstance(reply, Failed):
            return reply
        if reply.reason == BAD_REQUEST:
            raise ValueError(reply.message)
        raise self._unavailable(UnavailableReason(reply.reason), reply.message)

    def _replace(self) -> None:
        child, self._child, self.loaded = self._child, None, None
        if child is not None:
            child.kill()

    def _note_death(self) -> None:
        self._replace()
        if self._closed:
            raise self._unavailable(UnavailableReason.CANCELLED, "the model runtime was closed meanwhile.")
        self._quiet.note_crash(self._clock())

    def _unavailable(self, reason: UnavailableReason, message: str) -> ModelUnavailable:
        return ModelUnavailable(reason, f"{self.path.name}: {message}")

    def _off_script(self, reply: Reply) -> ModelUnavailable:
        self._replace()
        return self._unavailable(
            UnavailableReason.CRASHED, f"the child answered with {type(reply).__name__}."
        )
