"""The shop's scheduling reaches every thread below a process, and not the process itself."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tests.testbed.priority import schedule_below
from tests.testbed.processes import start

THREADS = "import threading, time; threading.Thread(target=time.sleep, args=(60,), daemon=True).start(); "


def test_threads_below_get_it_and_we_do_not(tmp_path: Path) -> None:
    """A child with two threads is moved as a whole; one that starts later begins as we are."""
    ours = os.sched_getscheduler(0)
    code = THREADS + "print('up', flush=True); time.sleep(60)"
    child = start("child", [sys.executable, "-c", code], console=tmp_path / "console")
    while "up" not in child.tail():
        child.require()
    # Not real time: this policy needs no right.
    schedule_below(os.getpid(), os.SCHED_BATCH)
    tasks = [int(path.name) for path in Path(f"/proc/{child.pid}/task").iterdir()]
    assert len(tasks) == 2
    assert {os.sched_getscheduler(task) for task in tasks} == {os.SCHED_BATCH}
    assert os.sched_getscheduler(0) == ours
    child.stop()
