"""The lock: what `make` installs is all that pyproject.toml asks for, and names no place to get it from."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def _canonical(requirement: str) -> str:
    found = _NAME.match(requirement)
    assert found is not None, requirement
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def test_lock_holds_every_requirement() -> None:
    """A dependency that was added by hand would be missing in a fresh clone: `make lock` adds it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = {_canonical(one) for one in (*project["dependencies"], *project["optional-dependencies"]["dev"])}
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    locked = {_canonical(line) for line in lines if "==" in line and not line.startswith((" ", "#"))}
    assert asked <= locked


def test_lock_names_no_place() -> None:
    """Where packages come from is the business of who installs them."""
    text = (ROOT / "requirements.lock").read_text()
    assert re.search(r"https?://|^\s*--(?:index|extra|find|trusted)|file:", text, re.MULTILINE) is None
