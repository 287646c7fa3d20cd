"""The services as a cluster keeps them: each in a pod, brought back when it dies, replaced without a gap.

Nothing runs by itself: `make_round` is to be called every second or so, and blocks no longer than starting a
process takes. Replacing and restarting block until the new process answers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from tests.testbed.processes import Child, ProcessError
from tests.testbed.services.limits import MEMORY_LIMIT_BYTES
from tests.testbed.services.telemetry import pod_name

READY_S = 60.0
RESTART_AFTER_S = 12.0
"""What a cluster takes to notice that a process has died, and backs off before it starts it again."""
MOST_RESTARTS = 5
"""A service that dies more often than this is not the fault's doing but a mistake of ours."""


class Launch(Protocol):
    """Starts a service's process."""

    def __call__(self, name: str, *, version: str, pod: str, restarts: int) -> Child:
        """Return the process as soon as it is started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A service's process and the pod that it runs in. `died` is by the clock."""

    child: Child
    version: str
    pod: str
    restarts: int = 0
    died: float | None = None


class Services:
    """All services of a shop, each with its present process."""

    def __init__(
        self,
        launch: Launch,
        answering: Callable[[str], str | None],
        *,
        clock: Callable[[], float] = time.monotonic,
        memory_limit: int = MEMORY_LIMIT_BYTES,
    ) -> None:
        """`answering` returns the pod that answers under a service's name, None when none does."""
        self._launch = launch
        self._answering = answering
        self._clock = clock
        self._memory_limit = memory_limit
        self._placed: dict[str, Placed] = {}

    def __getitem__(self, name: str) -> Placed:
        return self._placed[name]

    def start(self, versions: Mapping[str, str]) -> None:
        """Start services in their order and return when all answer. Raises ProcessError."""
        for name, version in versions.items():
            self._placed[name] = self._place(name, version)
        for name in versions:
            self._wait_until_ready(name)

    def make_round(self) -> None:
        """Kill what has outgrown its memory, bring back what has died. Raises ProcessError if in vain."""
        for name, placed in self._placed.items():
            if placed.child.resident_bytes() > self._memory_limit:
                placed.child.kill()
            if not placed.child.running:
                self._placed[name] = self._bring_back(name, placed)

    def replace(self, name: str, version: str) -> None:
        """Start another pod, and end the old one when the new one answers."""
        old = self._placed[name].child
        self._placed[name] = self._place(name, version)
        try:
            self._wait_until_ready(name)
        finally:
            old.stop()

    def restart(self, name: str, version: str) -> None:
        """End a service, then start another pod of it."""
        self._placed[name].child.stop()
        self._placed[name] = self._place(name, version)
        self._wait_until_ready(name)

    def stop(self) -> None:
        """End all, callers first."""
        for placed in reversed(self._placed.values()):
            placed.child.stop()

    def _place(self, name: str, version: str) -> Placed:
        pod = pod_name(name)
        child = self._launch(name, version=version, pod=pod, restarts=0)
        return Placed(child=child, version=version, pod=pod)

    def _bring_back(self, name: str, placed: Placed) -> Placed:
        """Start the process of a pod again, once it has been dead for long enough."""
        if placed.restarts >= MOST_RESTARTS:
            placed.child.require()
        now = self._clock()
        if placed.died is None:
            return replace(placed, died=now)
        if now - placed.died < RESTART_AFTER_S:
            return placed
        restarts = placed.restarts + 1
        child = self._launch(name, version=placed.version, pod=placed.pod, restarts=restarts)
        return replace(placed, child=child, restarts=restarts, died=None)

    def _wait_until_ready(self, name: str) -> None:
        """Wait until this very pod answers: it may share its port with an older one."""
        placed, deadline = self._placed[name], time.monotonic() + READY_S
        while time.monotonic() < deadline:
            placed.child.require()
            if self._answering(name) == placed.pod:
                return
            time.sleep(0.2)
        raise ProcessError(
            f"{name} {placed.version} did not answer within {READY_S:g}s:\n{placed.child.tail()}"
        )
