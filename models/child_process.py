"""The parent's end of one llama.cpp child: start it, exchange frames with time limits, kill it.

Never blocks past the time it is given: a reader thread takes replies off the pipe, and everything that
could block (starting, writing) runs in a thread of its own. Knows nothing of retries; see the supervisor.
"""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

from models.protocol import BrokenFrameError, Reply, Request, decode_reply, read_frame, write_frame

_LAST_WORDS = 12
_KILL_SECONDS = 10.0

CHILD_COMMAND: tuple[str, ...] = (sys.executable, "-P", "-m", "models.llamacpp_child")


class ChildDeathError(Exception):
    """The process ended or broke the protocol; the message carries its last words on standard error."""


class ChildSilenceError(Exception):
    """No reply within the time given."""


class ChildProcess:
    """One running child; `ask` from one thread at a time, `tell` and `kill` from any."""

    def __init__(self, owner: ThreadPoolExecutor, command: Sequence[str] = CHILD_COMMAND) -> None:
        # Linux kills the child when the *thread* that started it ends (PR_SET_PDEATHSIG), so the thread
        # must live as long as the child is wanted: the owner's, not the caller's.
        self._owner = owner
        try:
            self._process = owner.submit(_spawn, command).result()
        except RuntimeError as error:  # the owner was shut down meanwhile
            raise ChildDeathError(str(error)) from error
        self._replies: queue.SimpleQueue[Reply | None] = queue.SimpleQueue()
        self._last_words: deque[str] = deque(maxlen=_LAST_WORDS)
        self._drains = [
            threading.Thread(target=self._read_replies, name="llamacpp-replies", daemon=True),
            threading.Thread(target=self._read_errors, name="llamacpp-errors", daemon=True),
        ]
        for drain in self._drains:
            drain.start()

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def tell(self, request: Request, seconds: float) -> None:
        """Send a request; `ChildSilenceError` where the child does not take it within `seconds`."""
        try:
            sent = self._owner.submit(write_frame, _pipe(self._process.stdin), request)
            sent.result(timeout=max(seconds, 0.0))
        except TimeoutError as error:
            raise ChildSilenceError(f"it took no request for {seconds:.1f} s") from error
        except (OSError, ValueError, RuntimeError) as error:
            raise ChildDeathError(self.last_words()) from error

    def wait_reply(self, request_id: int, seconds: float) -> Reply | None:
        """Return the reply to that request, None if `seconds` pass first; `ChildDeathError` at its end."""
        while True:
            try:
                reply = self._replies.get(timeout=max(seconds, 0.0))
            except queue.Empty:
                return None
            if reply is None:
                self._replies.put(None)  # the end stays the end for whoever asks next
                raise ChildDeathError(self.last_words())
            if reply.id == request_id:
                return reply

    def last_words(self) -> str:
        """Return how the process ended and the last lines it wrote on standard error."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=1.0)
        code = self._process.poll()
        ended = "it still runs" if code is None else f"exit status {code}"
        return "; ".join((ended, *self._last_words))

    def kill(self) -> None:
        """End the process now and wait until it is gone."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()  # SIGKILL also ends a stopped process
        self._process.wait(timeout=_KILL_SECONDS)
        for drain in self._drains:
            drain.join(timeout=_KILL_SECONDS)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            with contextlib.suppress(OSError):
                _pipe(stream).close()

    def _read_replies(self) -> None:
        with contextlib.suppress(BrokenFrameError, OSError):
            while (body := read_frame(_pipe(self._process.stdout))) is not None:
                self._replies.put(decode_reply(body))
        self._replies.put(None)

    def _read_errors(self) -> None:
        for line in _pipe(self._process.stderr):
            if text := line.decode("utf-8", errors="replace").strip():
                self._last_words.append(text)


def _spawn(command: Sequence[str]) -> subprocess.Popen[bytes]:
    # -P and an explicit path: a folder named `models` where the user stands must not shadow ours.
    root = str(Path(__file__).resolve().parent.parent)
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    return subprocess.Popen(  # noqa: S603 - our own module under our own interpreter
        list(command),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # Idle compute threads sleep instead of spinning: on two busy cores with two threads, generation
        # went from 1.5 to 30 tokens/s. Who wants the spin sets the variable.
        env={"OMP_WAIT_POLICY": "passive", **os.environ, "PYTHONPATH": path},
    )


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise AssertionError("every stream of the child is a pipe")
    return stream
