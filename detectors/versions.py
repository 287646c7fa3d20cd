"""The versions of all detectors together: what the store keeps of them, and what people ask of them.

Sits between the detectors' own `Versioned` and the stream's commit. Pure; changes nothing by itself.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from detectors.manifest import ModelVersion, Status
from detectors.port import Detector
from detectors.retraining import Rules
from detectors.versioned import RefusedError, Retired, Versioned, ended

NO_LONGER = "this version of Faultline has no such detector"


class Versions:
    """The versioned detectors of one stream. Not thread-safe."""

    def __init__(self, detectors: Sequence[Detector] = (), rules: Rules | None = None) -> None:
        self.detectors = tuple(Versioned(detector, rules) for detector in detectors)
        self._strangers: list[Retired] = []

    def live(self) -> tuple[ModelVersion, ...]:
        """Return every active version and every one in shadow."""
        return tuple(version for detector in self.detectors for version in detector.live())

    def retired(self) -> tuple[Retired, ...]:
        """Return the versions that ended since the last call, and forget them."""
        strangers, self._strangers = self._strangers, []
        return (*strangers, *(one for detector in self.detectors for one in detector.retired()))

    def follow(self, stored: Sequence[ModelVersion]) -> None:
        """After a restore: number on from the store, and end what it holds live that no longer is."""
        names = {detector.name for detector in self.detectors}
        for detector in self.detectors:
            detector.follow([one for one in stored if one.detector == detector.name])
        self._strangers = [
            (ended(one, NO_LONGER), None)
            for one in stored
            if one.detector not in names and one.status is not Status.RETIRED
        ]

    def retrain(self, name: str, why: str) -> str:
        """Begin a new version of a detector in shadow; say so. Raises `RefusedError`."""
        return f"version {self._named(name).retrain(why)} of {name} learns in shadow"

    def rollback(self, name: str, to: ModelVersion, state: bytes) -> str:
        """Go on from the state of version `to` at once; say so. Raises `RefusedError`."""
        number = self._named(name).rollback(to, state)
        return f"version {number} of {name} is active, with the state of version {to.number}"

    def _named(self, name: str) -> Versioned:
        for detector in self.detectors:
            if detector.name == name:
                return detector
        known = [detector.name for detector in self.detectors]
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(known)}"
        raise RefusedError(f"there is no detector {name}; {hint}")
