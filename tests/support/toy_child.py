"""A child process for supervisor tests: the product's request loop around a toy model.

It does what the last message says: `say X`, `noise X`, `die`, `die once MARKER`, `hang`, `slow`. A weight
file that starts with `broken` does not open, `dies` ends the process, `slow` takes a while.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from models.child_loop import Interrupt, RefusedError, serve
from models.protocol import BAD_REQUEST, Answer, Chat, Load


class ToyRuntime:
    """Stands where llama.cpp stands."""

    gpu = False
    context_tokens = 100

    def __init__(self, request: Load, interrupt: Interrupt) -> None:
        self._interrupt = interrupt
        content = Path(request.path).read_text()
        if content.startswith("broken"):
            raise ValueError("not a model")
        if content.startswith("dies"):
            os._exit(9)
        if content.startswith("slow"):
            time.sleep(1.5)

    def chat(self, request: Chat) -> Answer:
        """Do what the last message says."""
        if request.schema == "bad":
            raise RefusedError(BAD_REQUEST, "bad schema")
        verb, _, rest = request.messages[-1].content.partition(" ")
        if verb == "die":
            self._die(rest)
        if verb == "hang":
            time.sleep(3600)
        while verb == "slow":
            time.sleep(0.01)
            if (reason := self._interrupt.reason()) is not None:
                raise RefusedError(reason, "stopped")
        if verb == "noise":
            print("noise" * 2000, flush=True)  # noqa: T201
            os.write(1, b"more noise")
        return Answer(
            id=request.id,
            text=rest,
            finish_reason="stop",
            prompt_tokens=1,
            completion_tokens=1,
            prompt_seconds=0.0,
            seconds=0.0,
        )

    def count(self, text: str) -> int:
        """Count words."""
        return len(text.split())

    def forget(self) -> None:
        """Nothing is kept."""

    def _die(self, rest: str) -> None:
        marker = Path(rest.removeprefix("once ")) if rest else None
        if marker is None or not marker.exists():
            if marker is not None:
                marker.touch()
            os._exit(7)


if __name__ == "__main__":
    serve(ToyRuntime)
