"""The CPU quota of a process, kept as the kernel's CFS keeps a container's: used up means stopped.

In each period the process may use so many milliseconds of CPU; then all of it stands still until the next
period begins. It is enforced by whoever burns, since nobody else in the shop comes near the quota.
"""

from __future__ import annotations

import ctypes
import time

from tests.testbed.services.limits import CPU_LIMIT_PERCENT, CPU_PERIOD_S


class Quota:
    """Counts this process's CPU by periods."""

    def __init__(self, percent: float = CPU_LIMIT_PERCENT, period_s: float = CPU_PERIOD_S) -> None:
        self._allowed_s = period_s * percent / 100
        self._period_s = period_s
        self._begin = time.monotonic()
        self._used = time.process_time()
        # PyDLL keeps the interpreter's lock during the call: every thread of the process stands still.
        self._usleep = ctypes.PyDLL(None).usleep
        self.throttled_s = 0.0
        """How long the process has stood still."""

    def spend(self) -> None:
        """Stand still until the period ends if this one's quota is used up."""
        now = time.monotonic()
        left = self._begin + self._period_s - now
        if left <= 0:
            self._begin, self._used = now, time.process_time()
            return
        if time.process_time() - self._used >= self._allowed_s:
            self._usleep(int(left * 1e6))
            self.throttled_s += left
            self._begin, self._used = time.monotonic(), time.process_time()
