"""The faults, by name; one module for each kind of thing that goes wrong."""

from __future__ import annotations

from tests.testbed.faults.changes import BAD_CONFIG, BAD_DEPLOY, QUIET
from tests.testbed.faults.model import Fault, Truth
from tests.testbed.faults.neighbours import DROPPED_CONNECTIONS, RETRY_STORM, SLOW_DEPENDENCY
from tests.testbed.faults.resources import CPU_BURN, DISK_FULL, MEMORY_LEAK
from tests.testbed.faults.storage import LOCK_CONTENTION, POOL_EXHAUSTED, REDIS_EVICTING

FAULTS = {
    fault.name: fault
    for fault in (
        CPU_BURN,
        MEMORY_LEAK,
        DISK_FULL,
        SLOW_DEPENDENCY,
        DROPPED_CONNECTIONS,
        RETRY_STORM,
        POOL_EXHAUSTED,
        LOCK_CONTENTION,
        REDIS_EVICTING,
        BAD_DEPLOY,
        BAD_CONFIG,
        QUIET,
    )
}

__all__ = [
    "BAD_CONFIG",
    "BAD_DEPLOY",
    "CPU_BURN",
    "DISK_FULL",
    "DROPPED_CONNECTIONS",
    "FAULTS",
    "LOCK_CONTENTION",
    "MEMORY_LEAK",
    "POOL_EXHAUSTED",
    "QUIET",
    "REDIS_EVICTING",
    "RETRY_STORM",
    "SLOW_DEPENDENCY",
    "Fault",
    "Truth",
]
