"""Small labelled recordings in a folder laid out like the reference data, for tests of the evaluation."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ingest.record import Nanos
from ingest.recording_writer import RecordingWriter
from tests.support.telemetry import at, log, point, resource

SERVICES = ("alder", "birch", "cedar")
BASELINE = 900
"""Seconds; two thirds of it are longer than detectors need to learn."""
FAULT = 180


def write_truth(system: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write the labels of a system."""
    system.mkdir(parents=True, exist_ok=True)
    (system / "truth.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def row(identity: str, service: str | None, fault: str = "cpu", **known: Any) -> dict[str, Any]:
    """Return one line of `truth.jsonl`; without a service a quiet recording's."""
    cause = {"service": service, "fault": fault} if service else None
    return {"id": identity, "root_cause": cause, **known}


def write_recording(
    folder: Path, *, broken: str | None, from_second: int = BASELINE, incident: bool = True, seed: int = 7
) -> None:
    """Write `BASELINE` quiet seconds, then `FAULT` seconds of incident.

    From `from_second` on for a minute and a half or to the end of the incident, whichever comes first, the
    service `broken` burns CPU and logs a failure that was never there before.
    """
    chance = random.Random(seed)
    with RecordingWriter(folder) as writer:
        for second in range(0, BASELINE + FAULT, 5):
            for service in SERVICES:
                ill = service == broken and from_second <= second < from_second + 90
                _write(writer, service, at(second), chance, ill=ill)
        end = at(BASELINE + FAULT)
        writer.close(
            id=folder.name,
            system="test",
            baseline=[(at(0), at(BASELINE) if incident else end)],
            incident=(at(BASELINE), end) if incident else None,
        )


def _write(writer: RecordingWriter, service: str, time: Nanos, chance: random.Random, *, ill: bool) -> None:
    where = resource(service, instance=f"{service}-0")
    cpu = chance.gauss(95, 1) if ill else chance.gauss(20, 1)
    writer.write(point(time, cpu, name="cpu", unit="%", of=where))
    writer.write(point(time, chance.gauss(300, 5), name="memory", unit="Mi", of=where))
    writer.write(log(time, f"served request {chance.randrange(1000)}", of=where, severity_number=9))
    if ill:
        writer.write(log(time, "worker starved of processor time", of=where, severity_number=17))
