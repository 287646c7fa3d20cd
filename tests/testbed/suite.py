"""All kept recordings in one go: which there are, several shops side by side, and how far it is.

Every recording is a process of its own (`python -m tests.testbed run`), so one that breaks ends alone. The
parts of the fault-free day come first because they take longest; then every fault once, every fault again,
and so on, so that a suite that is cut short has some of everything.
"""

from __future__ import annotations

import random
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.testbed.processes import Child, start
from tests.testbed.recording import is_whole

CONSOLES = ".consoles"
QUIET = "quiet"
HELD_OUT = ("--held-out-after", "0")
RUN = (sys.executable, "-m", "tests.testbed", "run")
TRIES = 2
WARMUP_S = 25.0
OVERHEAD_S = 60.0
"""Starting, settling and stopping a shop, on a busy machine."""
STAGGER_S = 20.0
"""Between the starts of two shops."""
_POLL_S = 1.0
_TELL_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What all recordings of a suite have in common. Times in seconds."""

    runs: int
    quiet_s: float
    baseline_s: float
    duration_s: float
    rate: float
    traces: float
    realtime: bool = False
    without: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One recording to be made: its name, the arguments of `run`, and the seconds it should take."""

    name: str
    arguments: tuple[str, ...]
    expected_s: float


def jobs(shape: Shape, faults: Sequence[str]) -> list[Job]:
    """Return every recording of a suite in the order of making; equal shapes give equal seeds."""
    found = _quiet(shape) if shape.quiet_s else []
    for number in range(1, shape.runs + 1):
        found += [_fault(shape, name, number) for name in faults]
    return found


def _quiet(shape: Shape) -> list[Job]:
    """Return a day in its two halves, which are held out, and its first third once more, to be looked at."""
    day, half = shape.quiet_s, shape.quiet_s / 2
    parts = ((1, day / 3, "0", ()), (2, half, "0", HELD_OUT), (3, half, "12", HELD_OUT))
    made: list[Job] = []
    for number, length, hour, held_out in parts:
        lengths = ("--baseline", f"{length:g}", "--duration", "0", "--day", f"{day:g}")
        own = (*lengths, "--depth", "1", "--begins", hour, *held_out)
        made.append(_job(shape, QUIET, f"{QUIET}-{number}", length, own))
    return made


def _fault(shape: Shape, fault: str, number: int) -> Job:
    """Return a fault at some hour of a mildly swinging day; from the second run on it is held out."""
    name = f"{fault}-{number}"
    hour = random.Random(name).uniform(0, 24)
    lengths = ("--baseline", f"{shape.baseline_s:g}", "--duration", f"{shape.duration_s:g}")
    held_out = HELD_OUT if number > 1 else ()
    own = (*lengths, "--begins", f"{hour:.1f}", *held_out)
    return _job(shape, fault, name, shape.baseline_s + shape.duration_s, own)


def _job(shape: Shape, fault: str, name: str, length_s: float, own: tuple[str, ...]) -> Job:
    shared = {
        "--fault": fault,
        "--name": name,
        "--warmup": f"{WARMUP_S:g}",
        "--rate": f"{shape.rate:g}",
        "--traces": f"{shape.traces:g}",
        "--seed": str(random.Random(name).randrange(1, 1_000_000)),
        "--without": ",".join(shape.without),
    }
    arguments = tuple(part for pair in shared.items() for part in pair)
    realtime = ("--realtime",) if shape.realtime else ()
    whole = (*arguments, *own, *realtime)
    return Job(name=name, arguments=whole, expected_s=WARMUP_S + length_s + OVERHEAD_S)


@dataclass(slots=True, kw_only=True)
class _Running:
    job: Job
    child: Child
    began: float
    attempt: int


class Suite:
    """Makes what is missing, `streams` recordings at a time. Blocks until all are made or failed."""

    def __init__(
        self,
        dataset: Path,
        wanted: Sequence[Job],
        streams: int,
        say: Callable[[str], None],
        *,
        command: Sequence[str] = RUN,
        stagger_s: float = STAGGER_S,
    ) -> None:
        self._dataset = dataset
        self._wanted = wanted
        self._streams = streams
        self._say = say
        self._command = command
        self._stagger_s = stagger_s
        self._waiting: deque[tuple[Job, int]] = deque()
        self._running: list[_Running] = []
        self._failed: list[str] = []
        self._began = time.monotonic()
        self._started = self._began - stagger_s

    def record(self) -> list[str]:
        """Return the names of those that failed for good."""
        missing = [job for job in self._wanted if not is_whole(self._dataset, job.name)]
        self._waiting = deque((job, 1) for job in missing)
        self._say(f"{len(self._wanted)} recordings, {len(self._wanted) - len(missing)} are there")
        (self._dataset / CONSOLES).mkdir(parents=True, exist_ok=True)
        told = 0.0
        try:
            while self._waiting or self._running:
                self._fill()
                time.sleep(_POLL_S)
                self._collect()
                if time.monotonic() - told > _TELL_S:
                    told = time.monotonic()
                    self._say(self._progress())
        finally:
            for one in self._running:
                one.child.stop(timeout_s=60)
        if not any((self._dataset / CONSOLES).iterdir()):
            (self._dataset / CONSOLES).rmdir()
        return self._failed

    def _fill(self) -> None:
        free = len(self._running) < self._streams and self._waiting
        if not free or time.monotonic() - self._started < self._stagger_s:
            return
        job, attempt = self._waiting.popleft()
        command = [*self._command, "--out", str(self._dataset.resolve())]
        console = self._dataset / CONSOLES / f"{job.name}.{attempt}"
        child = start(job.name, [*command, *job.arguments], console=console)
        self._started = time.monotonic()
        self._running.append(_Running(job=job, child=child, began=self._started, attempt=attempt))
        self._say(f"[{self._clock()}] {job.name} begins")

    def _collect(self) -> None:
        for one in [one for one in self._running if not one.child.running]:
            self._running.remove(one)
            if is_whole(self._dataset, one.job.name):
                for console in (self._dataset / CONSOLES).glob(f"{one.job.name}.*"):
                    console.unlink()
                self._say(f"[{self._clock()}] {one.job.name} is there. {self._progress()}")
            elif one.attempt < TRIES:
                self._say(
                    f"[{self._clock()}] {one.job.name} failed and waits for another try:\n{one.child.tail(5)}"
                )
                self._waiting.append((one.job, one.attempt + 1))
            else:
                self._say(f"[{self._clock()}] {one.job.name} failed for good:\n{one.child.tail()}")
                self._failed.append(one.job.name)

    def _progress(self) -> str:
        now = time.monotonic()
        under_way = [max(0.0, one.job.expected_s - (now - one.began)) for one in self._running]
        left = remaining_s(under_way, [job.expected_s for job, _ in self._waiting], self._streams)
        done = len(self._wanted) - len(self._waiting) - len(self._running) - len(self._failed)
        there = f"{done} of {len(self._wanted)} there, {len(self._running)} under way"
        return f"{there}, about {left / 60:.0f} min left"

    def _clock(self) -> str:
        minutes, seconds = divmod(int(time.monotonic() - self._began), 60)
        return f"{minutes:3d}:{seconds:02d}"


def remaining_s(under_way: Sequence[float], waiting: Sequence[float], streams: int) -> float:
    """Return the seconds until all is done, each waiting one going to the stream that is free first."""
    ends = sorted([*under_way, *([0.0] * max(0, streams - len(under_way)))])
    for seconds in waiting:
        ends[0] += seconds
        ends.sort()
    return max(ends, default=0.0)
