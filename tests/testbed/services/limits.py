"""What every service may use, of memory and of a core: enforced by the shop, reported by the services."""

from __future__ import annotations

MEMORY_LIMIT_BYTES = 256 * 1024 * 1024
"""Beyond it the shop's supervisor kills the process, as the kernel does with a container."""
CPU_LIMIT_PERCENT = 50.0
"""Of one core."""
CPU_PERIOD_S = 0.1
"""The quota is counted anew in every period, as CFS does."""
