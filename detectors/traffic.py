"""A service's operations and its calls to others in one window, on equal terms for `detectors.calls`.

Pure: operations first, then calls, each in the window's order; what did not happen at all is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from detectors.anomaly import EvidenceKind
from ingest.sketch import Sketch
from ingest.summary import WindowSummary


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """One operation or edge in one window."""

    kind: EvidenceKind
    subject: str
    label: str
    count: int
    errors: int
    latency: Sketch
    entry: bool


def traffic_of(summary: WindowSummary) -> Iterator[Traffic]:
    """Yield the operations and calls of a window that happened."""
    for operation in summary.operations:
        if operation.count > 0:
            yield Traffic(
                kind=EvidenceKind.OPERATION,
                subject=operation.operation,
                label=f"{summary.service} {operation.operation}",
                count=operation.count,
                errors=operation.errors,
                latency=operation.duration,
                entry=operation.entry > 0,
            )
    for call in summary.calls:
        if call.count > 0:
            yield Traffic(
                kind=EvidenceKind.CALL,
                subject=f"{call.callee}|{call.operation}",
                label=f"{summary.service} → {call.callee} {call.operation}",
                count=call.count,
                errors=call.errors,
                latency=call.caller_latency,
                entry=False,
            )
