"""Used by the decoders of metrics in JSON: whose a sample is, and whether its value is a number. Pure."""

from __future__ import annotations

import math
from typing import Any

from ingest.decoders.batch import Batch
from ingest.events import Resource
from ingest.identity import SERVICE

_NO_WORKLOAD = frozenset({"", "POD"})
"""What cAdvisor calls the container that only holds a pod's network."""


def whose(labels: dict[str, str], batch: Batch) -> tuple[Resource, tuple[str, ...]]:
    """Return whose sample this is: the workload it names, else its container, else the job that scraped it.

    Beside it stand the names of the labels that say so.
    """
    if any(labels.get(name) for name in SERVICE):
        return batch.resource(labels)
    for name in ("container", "job"):
        named = labels.get(name, "")
        if named not in _NO_WORKLOAD:
            # OpenTelemetry writes `namespace/name` into `job`.
            resource, used = batch.resource({**labels, SERVICE[0]: named.rpartition("/")[2] or named})
            return resource, (*used, name)
    return batch.resource(labels)


def finite(value: Any) -> float | None:
    """Return a number, or what a text spells, as a float; None where it is none that is finite."""
    try:
        number = float(value) if isinstance(value, int | float | str) else math.nan
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
