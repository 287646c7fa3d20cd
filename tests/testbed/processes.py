"""Child processes of the testbed: started to die with it, stopped in order, their console kept for errors."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


CONSOLE = "TESTBED_CONSOLE"
"""In every process's environment: whose it is can be told from outside."""


class ProcessError(RuntimeError):
    """A process of the shop ended or never came up; the message holds the end of its console."""


class Child:
    """One running process with its console in a file."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], console: Path) -> None:
        self.name = name
        self._process = process
        self._console = console

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def resident_bytes(self) -> int:
        """Return its resident memory, 0 when it has ended."""
        try:
            pages = Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()[1]
        except (OSError, IndexError):
            return 0
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def kill(self) -> None:
        """End it at once, as the kernel does for want of memory."""
        self._process.kill()
        self._process.wait()

    def require(self) -> None:
        """Raise ProcessError when the process has ended."""
        if not self.running:
            raise ProcessError(f"{self.name} ended with {self._process.returncode}:\n{self.tail()}")

    def tail(self, lines: int = 20) -> str:
        """Return the end of its console."""
        return "\n".join(self._console.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])

    def wait(self, timeout_s: float) -> int | None:
        """Return the exit status, or None when it still runs after `timeout_s`."""
        try:
            return self._process.wait(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def stop(self, *, how: signal.Signals = signal.SIGTERM, timeout_s: float = 15.0) -> None:
        """End it: politely, then not."""
        if self.running:
            self._process.send_signal(how)
        if self.wait(timeout_s) is None:
            self._process.kill()
            self._process.wait()


def start(
    name: str,
    command: Sequence[str],
    *,
    console: Path,
    environment: Mapping[str, str] | None = None,
    user: str | None = None,
    when_we_die: str = "TERM",
    niceness: int = 0,
    through: Sequence[str] = (),
) -> Child:
    """Start `command` in the repository's root, as `user` when given, ended by the kernel when we are.

    `through` is a command that prepares something and then becomes the one it is given.
    """
    prefix: list[str] = []
    if niceness:
        prefix += ["nice", "-n", str(niceness)]
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise ProcessError("setpriv is missing: `apt-get install -y util-linux`")
    prefix += [setpriv, "--pdeathsig", when_we_die]
    if user is not None:
        prefix += [f"--reuid={user}", f"--regid={user}", "--init-groups"]
    with console.open("ab") as out:
        process = subprocess.Popen(
            [*prefix, *through, *command],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd=REPOSITORY if user is None else "/",
            env={**os.environ, **(environment or {}), CONSOLE: str(console)},
        )
    return Child(name, process, console)


def start_python(
    name: str,
    module: str,
    *arguments: str,
    console: Path,
    environment: Mapping[str, str] | None = None,
    niceness: int = 0,
    through: Sequence[str] = (),
) -> Child:
    """Start a module of this repository with this interpreter."""
    return start(
        name,
        [sys.executable, "-m", module, *arguments],
        console=console,
        environment=environment,
        niceness=niceness,
        through=through,
    )
