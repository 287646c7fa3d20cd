"""Why a model gave no answer, as one error that every runtime raises.

Callers degrade on it: the statistical stage of an analysis stands without a model.
"""

from __future__ import annotations

from enum import StrEnum


class UnavailableReason(StrEnum):
    """Stable words for provenance and metrics."""

    FILE_MISSING = "file_missing"
    FILE_CORRUPT = "file_corrupt"
    CRASHED = "crashed"
    TIMED_OUT = "timed_out"
    PROMPT_TOO_LONG = "prompt_too_long"
    CANCELLED = "cancelled"
    UNREACHABLE = "unreachable"
    """A model server could not be reached."""
    REFUSED = "refused"
    """A model server answered with an error."""


class ModelUnavailable(Exception):  # noqa: N818 - names a state of the world, as callers read it
    """No answer from the model; `reason` says why, the message what to do next."""

    def __init__(self, reason: UnavailableReason, message: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message
