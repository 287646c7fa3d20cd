"""All detectors in their order: a closed window in, its anomalies out, sorted the same way every time.

The state of all travels as one block of bytes with a manifest (name, version, sha256), so that damage is
noticed and a detector whose version changed starts afresh instead of misreading the old one's state.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from detectors.absence import Absence
from detectors.anomaly import Anomaly
from detectors.calls import Calls
from detectors.flow import Flow
from detectors.joint import Joint
from detectors.metrics.exhaustion import HORIZON, Exhaustion
from detectors.metrics.stalled import Stalled
from detectors.metrics.surprise import ALARMS_A_DAY, Surprise
from detectors.new_template import NewTemplate
from detectors.outliers import Outliers
from detectors.port import Detector, LearnsSeries
from detectors.saturation import Saturation
from detectors.sequences import Sequences
from detectors.severity import SeverityRise
from detectors.shares import Shares
from detectors.silence import Silence
from detectors.state import touch
from detectors.stateful import MAX_SERVICES
from detectors.template_rate import TemplateRate
from detectors.warmup import Warmup
from ingest.record import Nanos
from ingest.summary import ClosedWindow

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One detector's line in the manifest, and its state."""

    name: str
    version: str
    sha256: str
    state: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The dumped suite."""

    schema: int
    warmups: dict[tuple[str, str], Warmup]
    last: int
    detectors: tuple[Entry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Learning:
    """How much is still being learned, for `/metrics` and the status page."""

    services: int
    services_known: int
    series: int
    series_known: int


def default_detectors(
    *, alarms_a_day: float = ALARMS_A_DAY, horizon: Nanos = HORIZON
) -> tuple[Detector, ...]:
    """Return the shipped detectors in their order, with what the settings say of them."""
    return (
        NewTemplate(),
        TemplateRate(),
        SeverityRise(),
        Silence(),
        Calls(),
        Flow(),
        Absence(),
        Saturation(),
        Shares(),
        Sequences(),
        Outliers(),
        Surprise(alarms_a_day=alarms_a_day),
        Exhaustion(horizon=horizon),
        Stalled(),
        Joint(),
    )


@dataclass(slots=True)
class _State:
    warmups: dict[tuple[str, str], Warmup] = field(default_factory=dict)
    last: int = 0


class Suite:
    """Runs detectors over closed windows. Not thread-safe."""

    def __init__(self, detectors: Sequence[Detector] | None = None) -> None:
        self._detectors = tuple(default_detectors() if detectors is None else detectors)
        self._state = _State()
        self.fresh: tuple[str, ...] = ()
        """Detectors that the last `load` had no fitting state for."""

    def observe(self, closed: ClosedWindow) -> tuple[Anomaly, ...]:
        """Return the anomalies of a window, in the order (environment, service, detector, subject)."""
        for summary in closed.summaries:
            key = (summary.environment, summary.service)
            self._state.warmups.setdefault(key, Warmup(first=summary.start)).saw()
            touch(self._state.warmups, key, MAX_SERVICES)
        self._state.last = closed.end
        found: list[Anomaly] = []
        for detector in self._detectors:
            for summary in closed.summaries:
                found.extend(detector.observe(summary))
            found.extend(detector.tick(closed.end))
        return tuple(sorted(found, key=lambda a: (a.environment, a.service, a.detector, a.subject, a.start)))

    def learning(self) -> Learning:
        """Return how many services and series are being learned and how many are known."""
        young = sum(warmup.learning(self._state.last) for warmup in self._state.warmups.values())
        series = [d.learning_series() for d in self._detectors if isinstance(d, LearnsSeries)]
        learning, total = (sum(part) for part in zip(*series, strict=True)) if series else (0, 0)
        return Learning(
            services=young,
            services_known=len(self._state.warmups) - young,
            series=learning,
            series_known=total - learning,
        )

    def versions(self) -> tuple[str, ...]:
        """Return `name@version` of each detector, for provenance."""
        return tuple(f"{detector.name}@{detector.version}" for detector in self._detectors)

    def dump(self) -> bytes:
        """Return the state of all detectors with their manifest."""
        entries = []
        for detector in self._detectors:
            state = detector.dump()
            entries.append(
                Entry(
                    name=detector.name,
                    version=detector.version,
                    sha256=hashlib.sha256(state).hexdigest(),
                    state=state,
                )
            )
        return msgspec.msgpack.encode(
            Manifest(
                schema=SCHEMA, warmups=self._state.warmups, last=self._state.last, detectors=tuple(entries)
            )
        )

    def load(self, state: bytes) -> None:
        """Replace the state; `fresh` names detectors that start anew because their version changed.

        Raises ValueError when the bytes are damaged or of another schema.
        """
        try:
            manifest = msgspec.msgpack.decode(state, type=Manifest)
        except msgspec.DecodeError as error:
            raise ValueError(f"the detectors' state cannot be read ({error}); start without it") from error
        if manifest.schema != SCHEMA:
            raise ValueError(
                f"the detectors' state has schema {manifest.schema}, this version reads {SCHEMA}"
            )
        entries = {entry.name: entry for entry in manifest.detectors}
        for entry in manifest.detectors:
            if hashlib.sha256(entry.state).hexdigest() != entry.sha256:
                raise ValueError(f"the state of {entry.name} is damaged (sha256 differs); start without it")
        fresh: list[str] = []
        for detector in self._detectors:
            fitting = entries.get(detector.name)
            if fitting is not None and fitting.version == detector.version:
                detector.load(fitting.state)
            else:
                fresh.append(detector.name)
        self._state = _State(warmups=manifest.warmups, last=manifest.last)
        self.fresh = tuple(fresh)
