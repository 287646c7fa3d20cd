"""The processor for a shop that others on a busy machine must not disturb: ahead of all that is ordinary.

Niceness is not enough: it shares out time, but a request that hops through ten processes waits at each hop
until whoever runs has had his slice. A real-time thread takes the processor at once.
"""

from __future__ import annotations

import os
from pathlib import Path

REAL_TIME = os.SCHED_RR


def schedule_below(root: int, policy: int = REAL_TIME) -> None:
    """Give every thread of all processes below `root`, not `root`'s own, the lowest priority of `policy`.

    Real time needs root. What is started later begins as `root` is, so that starting disturbs nobody.
    """
    lowest = os.sched_param(os.sched_get_priority_min(policy))
    for pid in _descendants(root):
        for task in _names(Path(f"/proc/{pid}/task")):
            try:
                if os.sched_getscheduler(int(task)) != policy:
                    os.sched_setscheduler(int(task), policy, lowest)
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
