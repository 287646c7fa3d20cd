"""The request loop of a model's child process, free of any model library.

Reads frames on one thread, answers them one at a time on another, and ends the process when its input
closes or its parent dies. What libraries print goes to standard error, never into a frame.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Protocol

from models.protocol import (
    BAD_REQUEST,
    Answer,
    BrokenFrameError,
    Cancel,
    Chat,
    Count,
    Counted,
    Failed,
    Load,
    Loaded,
    Ping,
    Pong,
    Reply,
    Request,
    decode_request,
    read_frame,
    write_frame,
)
from models.unavailable import UnavailableReason

_PR_SET_PDEATHSIG = 1


class RefusedError(Exception):
    """A request that gets `Failed` for an answer; the process goes on."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Interrupt:
    """Says whether the running request has to stop; asked from the library's compute threads too."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: int | None = None
        self._cancelled: set[int] = set()
        self._deadline = float("inf")

    def begin(self, request: int, seconds: float) -> None:
        with self._lock:
            self._running = request
            self._deadline = time.monotonic() + seconds

    def end(self) -> None:
        with self._lock:
            if self._running is not None:
                self._cancelled.discard(self._running)
            self._running = None
            self._deadline = float("inf")

    def cancel(self, request: int) -> None:
        with self._lock:
            self._cancelled.add(request)

    def reason(self) -> UnavailableReason | None:
        if self._running in self._cancelled:
            return UnavailableReason.CANCELLED
        if time.monotonic() > self._deadline:
            return UnavailableReason.TIMED_OUT
        return None


class Runtime(Protocol):
    """An opened model. Every method may raise `RefusedError`."""

    gpu: bool
    context_tokens: int

    def chat(self, request: Chat) -> Answer: ...

    def count(self, text: str) -> int: ...

    def forget(self) -> None:
        """Drop state that an interrupted request may have left half written."""


OpenRuntime = Callable[[Load, Interrupt], Runtime]
"""Opens a file; ValueError or RuntimeError where it is no model."""


class _Child:
    """Answers requests in order until the input closes."""

    def __init__(self, output: IO[bytes], open_runtime: OpenRuntime) -> None:
        self._output = output
        self._open_runtime = open_runtime
        self._runtime: Runtime | None = None
        self.interrupt = Interrupt()

    def answer(self, request: Request) -> None:
        try:
            reply = self._reply(request)
        except RefusedError as refused:
            if self._runtime is not None:
                self._runtime.forget()
            reply = Failed(id=request.id, reason=refused.reason, message=str(refused))
        write_frame(self._output, reply)

    def _reply(self, request: Request) -> Reply:
        match request:
            case Load():
                return self._load(request)
            case Chat():
                return self._chat(request)
            case Count():
                counts = tuple(map(self._opened().count, request.texts))
                return Counted(id=request.id, tokens=counts)
            case Ping():
                return Pong(id=request.id)
            case Cancel():
                raise RefusedError(BAD_REQUEST, "A cancel belongs to the reader thread.")

    def _load(self, request: Load) -> Loaded:
        started = time.monotonic()
        if not Path(request.path).is_file():
            raise RefusedError(UnavailableReason.FILE_MISSING, f"There is no file {request.path}.")
        try:
            self._runtime = self._open_runtime(request, self.interrupt)
        except (ValueError, RuntimeError) as error:
            raise RefusedError(
                UnavailableReason.FILE_CORRUPT, f"the file cannot be opened as a model: {error}"
            ) from error
        return Loaded(
            id=request.id,
            gpu=self._runtime.gpu,
            context_tokens=self._runtime.context_tokens,
            seconds=time.monotonic() - started,
        )

    def _chat(self, request: Chat) -> Answer:
        runtime = self._opened()
        self.interrupt.begin(request.id, request.deadline)
        try:
            return runtime.chat(request)
        except RuntimeError as error:
            reason = self.interrupt.reason()
            if reason is None:
                raise
            raise RefusedError(reason, f"The request was stopped: {reason}.") from error
        finally:
            self.interrupt.end()

    def _opened(self) -> Runtime:
        if self._runtime is None:
            raise RefusedError(BAD_REQUEST, "Load a model first.")
        return self._runtime


def _read_requests(source: IO[bytes], inbox: queue.SimpleQueue[Request], interrupt: Interrupt) -> None:
    # Ends the process from this thread: the main one may be deep inside the model library.
    with contextlib.suppress(BrokenFrameError):
        while (body := read_frame(source)) is not None:
            request = decode_request(body)
            if isinstance(request, Cancel):
                interrupt.cancel(request.id)
            else:
                inbox.put(request)
    os._exit(0)


def _die_with_parent() -> None:
    if sys.platform != "linux":
        return  # elsewhere the closed pipe alone ends the child
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)


def serve(open_runtime: OpenRuntime) -> None:
    """Answer frames from standard input on standard output until the input closes."""
    _die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    source = os.fdopen(os.dup(0), "rb")
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123 - a device, not a path
        os.dup2(nothing.fileno(), 0)
    child = _Child(output, open_runtime)
    inbox: queue.SimpleQueue[Request] = queue.SimpleQueue()
    reader = threading.Thread(
        target=_read_requests, args=(source, inbox, child.interrupt), name="requests", daemon=True
    )
    reader.start()
    while True:
        child.answer(inbox.get())
