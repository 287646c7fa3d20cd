"""Parts of the service in a process of their own, which kills itself where a test wants it to.

`python -m tests.support.harness stream CONFIG --until TOPIC=OFFSET … [--kill-at-step N]` and the like. The
service is the real one, as `agent.app.build` makes it. The result goes to standard output as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

from langchain_core.messages import BaseMessage

from agent.app import Service, build
from agent.app.language import Language, estimated_tokens
from agent.cli import logs
from agent.settings import load_settings
from models.scripted import ScriptedChat


def killed() -> None:
    """End this process as a crash would: nothing is flushed, closed or said."""
    os.kill(os.getpid(), signal.SIGKILL)


class KillAtStep:
    """Kills the process at one numbered step of the first commit that has news of an incident."""

    def __init__(self, step: int | None) -> None:
        self._step = step
        self._known = 0
        self.service: Service | None = None

    def __call__(self, step: int) -> None:
        news = sum(self.service.stream.pipeline.counts.changes.values()) if self.service else 0
        if step == self._step and news > self._known:
            killed()
        if step == 3:
            self._known = news


def stream(config: Path, until: dict[str, int], kill_at_step: int | None) -> dict[str, object]:
    """Run the stream until it has taken and stored all records before the `until` offsets."""
    kill = KillAtStep(kill_at_step)
    service = build(load_settings(config), on_step=kill)
    kill.service = service
    stop = threading.Event()
    thread = threading.Thread(target=service.stream.run, args=(stop,), name="stream")
    thread.start()
    ends = {(topic, 0): offset for topic, offset in until.items()}
    while service.stream.positions(list(ends)) != ends and not service.stream.counts.failures:
        time.sleep(0.05)
    stop.set()
    thread.join()
    counts, windows = service.stream.counts, service.stream.pipeline.windows
    service.stop()
    return {"checkpoints": counts.checkpoints, "failures": counts.failures, "late": windows.counts["late"]}


def investigate(config: Path, suspect: str | None, *, kill: bool) -> dict[str, object]:
    """Work off what is due; a scripted model words it when there is a `suspect`, or kills the process."""

    def say(messages: list[BaseMessage]) -> str:
        if kill:
            killed()
        claim = {"text": f"{suspect} took longer.", "evidence": ["E1"]}
        return json.dumps(
            {
                "suspect": suspect,
                "headline": f"{suspect} took longer and calls to it waited",
                "claims": [claim],
            }
        )

    language = scripted(say) if kill or suspect else None
    service = build(load_settings(config), language=language)
    while service.worker.step():
        pass
    counts = service.worker.counts
    service.stop()
    return {"investigations": counts.investigations, "resumed": counts.resumed, "failures": counts.failures}


def send(config: Path) -> dict[str, object]:
    """Take everything that waits in the outbox to its channels, once."""
    service = build(load_settings(config))
    outcomes = service.sender.send_due(time.time_ns())
    service.stop()
    return dict(outcomes)


def scripted(say: Callable[[list[BaseMessage]], str]) -> Language:
    def nothing() -> None:
        """Do nothing."""

    return Language(model=ScriptedChat(say), count=estimated_tokens, close=nothing, warm=nothing)


def main() -> None:
    """Run one part."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.harness", description=main.__doc__)
    parser.add_argument("part", choices=["stream", "investigate", "send"])
    parser.add_argument("config", type=Path)
    parser.add_argument("--until", action="append", default=[], metavar="TOPIC=OFFSET")
    parser.add_argument("--kill-at-step", type=int)
    parser.add_argument("--kill-when-asked", action="store_true")
    parser.add_argument("--suspect")
    told = parser.parse_args()
    logs.configure("warning")
    if told.part == "stream":
        until = {topic: int(offset) for topic, _, offset in (text.partition("=") for text in told.until)}
        result = stream(told.config, until, told.kill_at_step)
    elif told.part == "investigate":
        result = investigate(told.config, told.suspect, kill=told.kill_when_asked)
    else:
        result = send(told.config)
    print(json.dumps(result))  # noqa: T201


if __name__ == "__main__":
    main()
