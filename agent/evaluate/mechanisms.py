"""Fault names of public data sets, and which of our mechanisms say the same.

The table for people is in ARCHITECTURE.md, and a test holds the two together. Our own names stand for
themselves, in a label's `fault` or its `mechanism`. A code fault that came with a release is as well named by
the release.
"""

from __future__ import annotations

from agent.analysis import Mechanism
from agent.evaluate.data import Truth

MECHANISMS: dict[str, frozenset[Mechanism]] = {
    "cpu": frozenset({Mechanism.CPU}),
    "cpu_contention": frozenset({Mechanism.CPU}),
    "cpu_consumed": frozenset({Mechanism.CPU}),
    "mem": frozenset({Mechanism.MEMORY}),
    "memory": frozenset({Mechanism.MEMORY}),
    "disk": frozenset({Mechanism.DISK}),
    "network_delay": frozenset({Mechanism.NETWORK}),
    "network_loss": frozenset({Mechanism.NETWORK}),
    "delay": frozenset({Mechanism.NETWORK}),
    "loss": frozenset({Mechanism.NETWORK}),
    "exception": frozenset({Mechanism.EXCEPTION, Mechanism.CHANGE}),
    "return": frozenset({Mechanism.BAD_RETURN, Mechanism.CHANGE}),
}


def right_mechanism(mechanism: Mechanism, truth: Truth) -> bool:
    """Say whether `mechanism` is what the label names, in our words or in those of public data."""
    named = {truth.mechanism, truth.fault} | {one.value for one in MECHANISMS.get(truth.fault, ())}
    return mechanism.value in named
