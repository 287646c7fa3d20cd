"""What the detectors of this room do alike: keep a state of services and runs, give it out and take it back.

A detector adds what it finds, in `observe`. The bytes are `state.freeze`'s, so equal state gives equal bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from detectors.anomaly import Anomaly
from detectors.state import freeze, thaw, touch
from detectors.threshold import Runs
from detectors.warmup import Warmup
from ingest.record import Nanos
from ingest.summary import WindowSummary

MAX_SERVICES = 5_000


class StateWithRuns(Protocol):
    """A detector's state: a dataclass of plain values that can be made without arguments."""

    runs: Runs


S = TypeVar("S", bound=StateWithRuns)
T = TypeVar("T")


class Stateful(Generic[S]):
    """A detector without its `observe`. Not thread-safe."""

    name: str
    version: str

    def __init__(self, kind: type[S]) -> None:
        self._kind = kind
        self._state = kind()

    def tick(self, end: Nanos) -> Sequence[Anomaly]:
        """Forget findings that nothing continues any more; find nothing."""
        self._state.runs.prune(end)
        return ()

    def dump(self) -> bytes:
        """Return the whole state, with the detector's name and version in front."""
        return freeze(self.name, self.version, self._state)

    def load(self, state: bytes) -> None:
        """Replace the state. Raises ValueError on bytes of another detector or version."""
        self._state = thaw(self.name, self.version, self._kind, state)


def service_of(
    services: dict[tuple[str, str], T], summary: WindowSummary, begin: Callable[[Warmup], T], *, speaks: bool
) -> T | None:
    """Return what is kept of the window's service, begun where it `speaks` for the first time, else None."""
    key = (summary.environment, summary.service)
    if key not in services:
        if not speaks:
            return None
        services[key] = begin(Warmup(first=summary.start))
    touch(services, key, MAX_SERVICES)
    return services[key]
