"""A detector with the versions of its model: the active one judges, a new one learns beside it unheard.

`Versioned` is a `Detector` around a detector, so the suite knows nothing of it. What the shadow finds is
counted and told to nobody. A version that is live no longer is handed out once, with its state, by
`retired`: store it in the transaction that stores `dump`. Pure, no clock, deterministic.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from detectors.anomaly import Anomaly
from detectors.drift import EVERYTHING, READS, records
from detectors.manifest import Learned, ModelVersion, Status
from detectors.port import Detector, LearnsSeries
from detectors.retraining import Rules, Trial, Watch
from detectors.state import freeze, thaw
from detectors.stateful import MAX_SERVICES
from ingest.record import Nanos
from ingest.summary import WindowSummary

FIRST = "the first start"
Retired = tuple[ModelVersion, bytes | None]
"""A version that is over, and its state where it can be rolled back to."""


class RefusedError(Exception):
    """What was asked of a detector's versions cannot be done; the message says why and what to do."""


@dataclass(slots=True)
class Line:
    """One live version: why it was begun and what it has learned from since."""

    number: int
    why: str
    parent: int | None = None
    active_since: Nanos | None = None
    since: Nanos = 0
    until: Nanos = 0
    windows: int = 0
    records: int = 0
    services: dict[tuple[str, str], None] = field(default_factory=dict)

    def saw(self, summary: WindowSummary, count: int) -> None:
        """Count one service's window with `count` records that the detector reads."""
        self.since = self.since or summary.start
        self.until = summary.end
        self.windows += 1
        self.records += count
        if len(self.services) < MAX_SERVICES:
            self.services[summary.environment, summary.service] = None

    def learned(self) -> Learned:
        """Return what it has learned from."""
        return Learned(
            since=self.since,
            until=self.until,
            windows=self.windows,
            records=self.records,
            services=len(self.services),
        )


@dataclass(slots=True)
class _State:
    active: Line = field(default_factory=lambda: Line(number=1, why=FIRST))
    shadow: Line | None = None
    trial: Trial = field(default_factory=lambda: Trial(begun=0))
    watch: Watch = field(default_factory=Watch)
    newest: int = 1
    now: Nanos = 0
    """End of the last window."""
    rest_until: Nanos = 0
    """Before this no rule begins a retraining."""


@dataclass(slots=True)
class _Dumped:
    state: _State
    active: bytes
    shadow: bytes | None


class Versioned:
    """One detector and its model's versions. Not thread-safe."""

    def __init__(self, detector: Detector, rules: Rules | None = None) -> None:
        # A copy of what came, not of its class: whoever made it may have given it a threshold of its own.
        self._blank = copy.deepcopy(detector)
        self._active: Detector = detector
        self._shadow: Detector | None = None
        self._rules = rules or Rules()
        self._reads = READS.get(detector.name, EVERYTHING)
        self._state = _State()
        self._gone: list[Retired] = []
        self._sums: dict[int, str] = {}
        self.name, self.version = detector.name, detector.version
        self.loaded = False
        """Whether a stored state was taken up: else the numbers have to be told by `follow`."""

    def observe(self, summary: WindowSummary) -> Sequence[Anomaly]:
        """Judge by the active version; both learn."""
        count = records(summary, self._reads)
        found = self._active.observe(summary)
        flagged = len(_flagged(found))
        if count:
            self._state.active.saw(summary, count)
            self._state.watch.saw(summary, self._reads, self._rules, flagged=flagged > 0)
        if self._shadow is not None and self._state.shadow is not None:
            unheard = len(_flagged(self._shadow.observe(summary)))
            if count:
                self._state.shadow.saw(summary, count)
                self._state.trial.saw(summary.start, self._rules, judged=1, old=flagged, new=unheard)
        return found

    def tick(self, end: Nanos) -> Sequence[Anomaly]:
        """Judge what did not come by the active version, then see whether versions change."""
        found = self._active.tick(end)
        missing = len(_flagged(found))
        self._state.watch.judged += missing
        self._state.watch.flagged += missing
        if self._shadow is not None:
            unheard = len(_flagged(self._shadow.tick(end)))
            self._state.trial.saw(end, self._rules, judged=0, old=missing, new=unheard)
        self._state.now = end
        reason = self._state.watch.end_span(end, self._rules)
        if self._shadow is not None:
            self._settle()
        elif reason and self._rules.automatic and end >= self._state.rest_until:
            self.retrain(reason)
        return found

    def retrain(self, why: str) -> int:
        """Begin a new version in shadow and return its number. Raises `RefusedError` while there is one."""
        if not self._state.now:
            raise RefusedError(f"{self.name} has seen no window yet: there is nothing to learn anew")
        if self._state.shadow is not None:
            raise RefusedError(
                f"version {self._state.shadow.number} of {self.name} learns in shadow already: "
                "wait until it takes over or is dropped"
            )
        self._state.newest += 1
        self._shadow = copy.deepcopy(self._blank)
        self._state.shadow = Line(number=self._state.newest, why=why)
        self._state.trial = Trial(begun=self._state.now)
        return self._state.newest

    def rollback(self, to: ModelVersion, state: bytes) -> int:
        """Go on at once from the stored state of version `to`, as a new version; return its number.

        Raises `RefusedError` when the state does not fit this detector.
        """
        restored = copy.deepcopy(self._blank)
        try:
            restored.load(state)
        except ValueError as error:
            raise RefusedError(f"version {to.number} of {self.name} cannot be used: {error}") from error
        why = f"rolled back to version {to.number}"
        self._drop_shadow(why)
        self._state.newest += 1
        self._replace(restored, Line(number=self._state.newest, why=why, parent=to.number), why)
        return self._state.newest

    def live(self) -> tuple[ModelVersion, ...]:
        """Return the active version and the one in shadow, with the checksums of the last `dump`."""
        watch, state = self._state.watch, self._state
        active = self._told(state.active, Status.ACTIVE, self._sums.get(state.active.number, ""))
        found = [replace(active, drift=watch.drift, flagged=watch.flagged_share)]
        if state.shadow is not None:
            sha256 = self._sums.get(state.shadow.number, "")
            share = state.trial.new / state.trial.judged if state.trial.judged else 0.0
            found.append(replace(self._told(state.shadow, Status.SHADOW, sha256), flagged=share))
        return tuple(found)

    def retired(self) -> tuple[Retired, ...]:
        """Return the versions that ended since the last call, and forget them."""
        gone, self._gone = tuple(self._gone), []
        return gone

    def follow(self, stored: Sequence[ModelVersion]) -> None:
        """After a start without the stored state: number on from the store and end what it has live."""
        if self.loaded or not stored:
            return
        changed = next((one.code for one in stored if one.code != self.version), None)
        why = "its state could not be read" if changed is None else f"the detector changed to {self.version}"
        self._gone.extend((ended(one, why), None) for one in stored if one.status is not Status.RETIRED)
        self._state.newest = max(one.number for one in stored) + 1
        self._state.active = Line(number=self._state.newest, why=why)

    def learning_series(self) -> tuple[int, int]:
        """Return how many series are being learned, and how many there are."""
        return self._active.learning_series() if isinstance(self._active, LearnsSeries) else (0, 0)

    def dump(self) -> bytes:
        """Return the state of both versions; `load(dump())` into a fresh one continues identically."""
        active = self._active.dump()
        shadow = self._shadow.dump() if self._shadow is not None else None
        self._sum_up(active, shadow)
        return freeze(self._kind(), self.version, _Dumped(state=self._state, active=active, shadow=shadow))

    def load(self, state: bytes) -> None:
        """Replace the state. Raises ValueError on bytes of another detector or version."""
        dumped = thaw(self._kind(), self.version, _Dumped, state)
        active = copy.deepcopy(self._blank)
        active.load(dumped.active)
        shadow = copy.deepcopy(self._blank) if dumped.shadow is not None else None
        if shadow is not None and dumped.shadow is not None:
            shadow.load(dumped.shadow)
        self._active, self._shadow, self._state = active, shadow, dumped.state
        self._sum_up(dumped.active, dumped.shadow)
        self.loaded = True

    def _sum_up(self, active: bytes, shadow: bytes | None) -> None:
        """Note the checksums of the states as they are stored."""
        self._sums = {self._state.active.number: _sha256(active)}
        if shadow is not None and self._state.shadow is not None:
            self._sums[self._state.shadow.number] = _sha256(shadow)

    def _kind(self) -> str:
        return f"the versions of {self.name}"

    def _settle(self) -> None:
        """Let the shadow take over, or drop it, once it has run long enough."""
        state, line, shadow = self._state, self._state.shadow, self._shadow
        if line is None or shadow is None or not state.trial.over(state.now, self._rules):
            return
        told = f"{state.trial.new} windows flagged against {state.trial.old} of {state.trial.judged}"
        if state.trial.louder(self._rules):
            self._drop_shadow(f"dropped, louder than version {state.active.number}: {told}")
            state.rest_until = state.now + self._rules.pause
            return
        self._shadow, state.shadow = None, None
        self._replace(shadow, line, f"version {line.number} took over: {told}")

    def _replace(self, detector: Detector, line: Line, why: str) -> None:
        """Retire the active version, keeping its state, and put another in its place."""
        state = self._active.dump()
        drift = self._state.watch.drift_now(self._rules)
        active = self._told(self._state.active, Status.ACTIVE, _sha256(state))
        measured = replace(active, drift=drift, flagged=self._state.watch.flagged_share)
        self._gone.append((ended(measured, why, self._state.now), state))
        line.active_since = self._state.now
        self._active, self._state.active = detector, line
        self._state.watch = Watch()
        self._state.rest_until = self._state.now + self._rules.pause

    def _drop_shadow(self, why: str) -> None:
        if self._state.shadow is not None:
            shadow = self._told(self._state.shadow, Status.SHADOW, "")
            self._gone.append((ended(shadow, why, self._state.now), None))
        self._shadow, self._state.shadow = None, None

    def _told(self, line: Line, status: Status, sha256: str) -> ModelVersion:
        active_since = line.active_since
        if status is Status.ACTIVE and active_since is None and line.since:
            active_since = line.since
        return ModelVersion(
            detector=self.name,
            number=line.number,
            code=self.version,
            status=status,
            why=line.why,
            parent=line.parent,
            active_since=active_since,
            learned=line.learned(),
            sha256=sha256,
        )


def ended(version: ModelVersion, why: str, at: Nanos | None = None) -> ModelVersion:
    """Return `version` as it is once retired at `at`, by default the end of what it learned from."""
    when = version.learned.until if at is None else at
    return replace(version, status=Status.RETIRED, retired_at=when, retired_why=why)


def _flagged(found: Sequence[Anomaly]) -> set[tuple[str, str]]:
    """Return the services with a finding that may page."""
    return {(one.environment, one.service) for one in found if one.fatal or not one.learning}


def _sha256(state: bytes) -> str:
    return hashlib.sha256(state).hexdigest()
