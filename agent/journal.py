"""The detectors' state between checkpoints: whole now and then, and the windows that it has seen since.

A checkpoint is one consistent cut, so it must hold the detectors as they are at its offsets. Their state is
large and changes everywhere with every window; but it follows from an older one and the windows since, in
order, as detectors know no clock. So a checkpoint writes those windows, and the whole state once they are
many. Restoring observes them again. Pure; one thread.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import msgspec
import zstandard

from ingest.summary import ClosedWindow

WINDOWS = 12
"""Two minutes live. More would save little writing and make a restart slow: each is observed once more."""
_LEVEL = 1
"""The state of ten thousand series shrinks to a seventh in a twentieth of the time that it takes to dump."""
_MAX_WINDOW = 1024 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What a checkpoint writes of the state."""

    recent: bytes
    """All but the detectors, and how many windows they have seen since the base."""
    base: bytes | None = None
    """The detectors' whole state; None where the one written before still stands."""
    windows: tuple[tuple[int, bytes], ...] = ()
    """Windows that came since, numbered from the base; when read back, all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the detectors stand: so many windows after the base with this checksum."""

    base: str
    windows: int


class Journal:
    """Closed windows since the last base. New, it has none: the first snapshot is whole."""

    def __init__(self) -> None:
        self._base: str | None = None
        self._written = 0
        self._fresh: list[ClosedWindow] = []

    def add(self, closed: ClosedWindow) -> None:
        """Note a window that the detectors have seen."""
        if self._base is None:
            return
        self._fresh.append(closed)
        if self._written + len(self._fresh) > WINDOWS:
            self.spoil()

    def spoil(self) -> None:
        """Have the next snapshot be whole: the state has changed by more than windows, or by too many."""
        self._base, self._written = None, 0
        self._fresh.clear()

    def begin(self, state: bytes) -> bytes:
        """Begin anew after the whole `state`; return it as it is to be stored."""
        self.spoil()
        self._base = _sum(state)
        return zstandard.compress(state, level=_LEVEL)

    def taken(self) -> tuple[Place, tuple[tuple[int, bytes], ...]] | None:
        """Return where the detectors stand and the windows not yet written; None where a base is needed."""
        if self._base is None:
            return None
        packed = tuple(
            (number, zstandard.compress(msgspec.msgpack.encode(closed), level=_LEVEL))
            for number, closed in enumerate(self._fresh, self._written)
        )
        self._written += len(packed)
        self._fresh.clear()
        return Place(base=self._base, windows=self._written), packed

    def resume(self, snapshot: Snapshot, place: Place) -> tuple[bytes, list[ClosedWindow]]:
        """Return the whole state of the base, and the windows to observe after it. Raises ValueError."""
        wanted = [packed for number, packed in sorted(snapshot.windows) if number < place.windows]
        try:
            state = zstandard.decompress(snapshot.base or b"")
            windows = [
                msgspec.msgpack.decode(
                    zstandard.decompress(packed, max_output_size=_MAX_WINDOW), type=ClosedWindow
                )
                for packed in wanted
            ]
        except (zstandard.ZstdError, msgspec.DecodeError) as error:
            raise ValueError(f"the detectors' state cannot be read ({error}); start without it") from error
        if _sum(state) != place.base or len(windows) != place.windows:
            raise ValueError("the detectors' windows do not go with their state; start without it")
        self.spoil()
        self._base, self._written = place.base, place.windows
        return state, windows


def _sum(state: bytes) -> str:
    return hashlib.sha256(state).hexdigest()
