"""What a fault is: how it is caused and cured in a running shop, and what the truth about it is.

A cause is never telemetry: an outside company gets slow, a loop does not end, a batch job takes a lock. What
the shop then sends is its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.testbed.shop import Shop


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What really was wrong: the label that a ranking is scored against, and the account of it."""

    service: str
    mechanism: str
    fault: str
    metric_or_code: str
    postmortem: str


def _anywhere(shop: Shop) -> None:
    """Most faults can be caused wherever the shop runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that can be done to the shop. `truth` is None where nothing goes wrong."""

    name: str
    summary: str
    symptom: str | None
    truth: Truth | None
    inject: Callable[[Shop], None]
    heal: Callable[[Shop], None]
    check: Callable[[Shop], None] = _anywhere
    """Raises ProcessError where the fault cannot be caused; asked before a run spends its time."""
