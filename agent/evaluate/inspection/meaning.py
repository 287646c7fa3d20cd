"""What a metric seems to measure, read from its name, unit and labels: no source is known by name.

Pure. Families are those that suspects are ranked with, plus which series states a capacity, a latency's
quantile, a request rate.
"""

from __future__ import annotations

import re

from agent.evaluate.inspection.samples import Series
from agent.suspects.resources import SHARED, family_of

RESOURCES = ("cpu", "memory", "pool", "disk")
TITLES = {"cpu": "CPU", "memory": "Memory", "pool": "Connections", "disk": "Disk"}
_CONNECTION = re.compile(r"connection|pool|client\.?s?\.connected|backends", re.IGNORECASE)
_CAPACITY = re.compile(
    r"(?:^|[._\- ])(?:limit|max|maximum|maxmemory|capacity|quota|size|allocatable|total|ceiling)s?"
    r"(?:$|[._\- ])",
    re.IGNORECASE,
)
_TIME_UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_QUANTILE = re.compile(r"(?:^|[^0-9a-z])p(\d\d)(?:$|[^0-9])|P(\d\d)", re.IGNORECASE)
_REQUESTS = re.compile(
    r"(?:^|[._\- ])(?:requests?|workload|load|qps|rps|throughput)$|Workload$", re.IGNORECASE
)
_PER_SECOND = re.compile(r"^(?:1|req|requests?|ops?)?/s$|^ops$|^rps$|^hz$", re.IGNORECASE)
_STARTED = re.compile(r"start.?time|uptime|build_info", re.IGNORECASE)
_FREE = re.compile(r"free|avail|idle", re.IGNORECASE)


def family(series: Series) -> str:
    """Return `cpu`, `memory`, `pool`, `disk`, `machine`, `identity`, another family's name, or ""."""
    name = series.id.name
    if "filesystem" in name.lower():  # a volume is its service's own, whatever it is called
        return "disk"
    if SHARED.match(name):
        return "machine"
    unit = series.unit.strip("{}").lower()
    if not series.rate and (unit == "connection" or (_CONNECTION.search(name) and unit not in _TIME_UNITS)):
        return "pool"
    if _STARTED.search(name):
        return "identity"
    found = family_of(name)
    if found is not None and "syscall" in name.lower():
        return "calls"  # of any descriptor: sockets mostly
    return found.name if found is not None else ""


def is_capacity(series: Series) -> bool:
    """Return whether the series states how much there is, not how much is used."""
    return not series.rate and bool(_CAPACITY.search(series.id.name)) and family(series) in RESOURCES


def is_free(series: Series) -> bool:
    """Return whether less of it is worse."""
    return bool(_FREE.search(series.label))


def seconds(series: Series) -> float | None:
    """Return how many seconds one unit of a latency is; None for what is no latency."""
    scale = _TIME_UNITS.get(series.unit)
    return scale if scale is not None and not series.rate and family(series) == "latency" else None


def quantile(series: Series) -> int | None:
    """Return the quantile that name or labels state, in percent."""
    for key, value in series.id.labels:
        if key in {"quantile", "percentile"}:
            try:
                number = float(value.strip("p"))
            except ValueError:
                continue
            return round(number * 100 if number <= 1 else number)
    match = _QUANTILE.search(series.id.name)
    return int(match[1] or match[2]) if match else None


def is_requests(series: Series) -> bool:
    """Return whether the series is a rate of requests that the service got."""
    if re.search("client|active|pending", series.id.name, re.IGNORECASE):
        return False
    return bool(_REQUESTS.search(series.id.name)) and (series.rate or bool(_PER_SECOND.search(series.unit)))


def is_failing(series: Series) -> bool:
    """Return whether a request series counts only what failed on the server's side."""
    return any(re.fullmatch(r"5(?:xx|\d\d)|error|failed", value) for _, value in series.id.labels)


def is_success_share(series: Series) -> bool:
    """Return whether the series is the share of what succeeded, in percent."""
    return series.unit == "%" and bool(re.search("success", series.id.name, re.IGNORECASE))
