"""The processor's favour for a shop that several others, or a busy machine, must not disturb."""

from __future__ import annotations

import os
from pathlib import Path


def raise_priority(root: int, niceness: int) -> None:
    """Set the niceness of every thread of all processes below `root`, not its own. Needs root below 0.

    What is started later begins as `root` is, so that starting disturbs nobody.
    """
    for pid in _descendants(root):
        for task in _names(Path(f"/proc/{pid}/task")):
            try:
                # Linux keeps a niceness a thread; new threads take that of their maker.
                os.setpriority(os.PRIO_PROCESS, int(task), niceness)
            except ProcessLookupError:
                continue


def _names(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir()]
    except FileNotFoundError:
        return []


def _descendants(root: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for name in _names(Path("/proc")):
        if name.isdigit() and (parent := _parent(int(name))) is not None:
            children.setdefault(parent, []).append(int(name))
    found, ahead = [], [root]
    while ahead:
        below = children.get(ahead.pop(), [])
        found += below
        ahead += below
    return found


def _parent(pid: int) -> int | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(text.rpartition(")")[2].split()[1])
