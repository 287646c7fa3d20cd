"""Finds the runbooks that come with Faultline, installed or in a checkout."""

from __future__ import annotations

from pathlib import Path

import agent

_PACKAGE = Path(agent.__file__).parent


def shipped_runbooks() -> Path:
    """Return the folder of the shipped runbooks; raises `FileNotFoundError` when it is not there."""
    for folder in (_PACKAGE / "_runbooks", _PACKAGE.parent / "runbooks"):
        if any(folder.glob("*.md")):
            return folder
    raise FileNotFoundError(f"no shipped runbooks beside {_PACKAGE}: install faultline again")
