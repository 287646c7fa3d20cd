"""Processes of the testbed really end: asked, forced, or because we were killed."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.testbed.processes import Child, ProcessError, start

SLEEP = "import time; print('up', flush=True); time.sleep(600)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEP


def _start(code: str, folder: Path) -> Child:
    return start("child", [sys.executable, "-c", code], console=folder / "console")


def _wait_for(text: str, path: Path) -> str:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if path.exists() and text in (found := path.read_text()):
            return found
        time.sleep(0.05)
    raise AssertionError(f"{text!r} never stood in {path}")


def _is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


@pytest.mark.parametrize("code", [SLEEP, STUBBORN], ids=["polite", "stubborn"])
def test_stop_ends_the_process(code: str, tmp_path: Path) -> None:
    """A process that ignores SIGTERM is killed after its time; either way it is gone."""
    child = _start(code, tmp_path)
    _wait_for("up", tmp_path / "console")
    child.stop(timeout_s=0.5)
    assert not child.running
    assert _is_gone(child.pid)


def test_dead_process_is_noticed_with_its_console(tmp_path: Path) -> None:
    """`require` raises once the process has ended, and says what it printed last."""
    child = _start("raise SystemExit('no such table')", tmp_path)
    assert child.wait(20) == 1
    with pytest.raises(ProcessError, match="child ended with 1:\nno such table"):
        child.require()


def test_killed_parent_takes_its_children_along(tmp_path: Path) -> None:
    """`kill -9` of the testbed leaves no process behind: the kernel ends what it started."""
    script = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from tests.testbed.processes import start\n"
        f"console = Path({str(tmp_path / 'inner')!r})\n"
        f"child = start('child', [sys.executable, '-c', {SLEEP!r}], console=console)\n"
        "print('pid', child.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    parent = _start(script, tmp_path)
    pid = int(_wait_for("pid", tmp_path / "console").split()[1])
    _wait_for("up", tmp_path / "inner")
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait(20)
    deadline = time.monotonic() + 20
    while not _is_gone(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert _is_gone(pid)
