"""Shares the cases among processes and watches them: who dies or hangs is replaced, and its case kept."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from pathlib import Path

from tests.fuzz.case import Finding
from tests.fuzz.case_maker import CaseMaker
from tests.fuzz.targets import STAGES
from tests.fuzz.worker import IDLE, MAKING, Board, Chunk, Tally, work

CHUNK = 500
HANG_CPU_S = 30.0
"""Processor seconds on one case after which its process is killed: twice what the largest may take."""
STUCK_S = 300.0
"""Seconds on one case without even using the processor: waiting for something that never comes."""
_STAGE = 0.25
"""A stage's cases to a decoder's: they cost several times as much, and decoders pass through them."""
FEW = 3
"""Findings of one fault that are kept."""
_MANY = 40
"""Distinct faults after which a run stops: more would say nothing new."""


@dataclass(slots=True, kw_only=True)
class Result:
    """Everything a run found."""

    tallies: dict[str, Tally] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    seen: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How often each (target, signature) came up."""
    deaths: int = 0
    stopped: str | None = None
    """Why not all cases ran; None where they did."""

    @property
    def records(self) -> int:
        return sum(tally.records for tally in self.tallies.values())

    def found(self, finding: Finding) -> None:
        """Count a finding and keep the first few of its kind."""
        self.seen[finding.target, finding.signature] += 1
        if self.seen[finding.target, finding.signature] <= FEW:
            self.findings.append(finding)

    def add(self, tally: Tally) -> None:
        """Add what became of one chunk."""
        known = self.tallies.setdefault(tally.target, Tally(target=tally.target))
        known.records += tally.records
        known.bytes += tally.bytes
        known.cpu_s += tally.cpu_s
        known.slowest_s = max(known.slowest_s, tally.slowest_s)
        known.counts.update(tally.counts)


def chunks(targets: Sequence[str], records: int) -> list[Chunk]:
    """Share `records` cases among targets, in chunks that take turns; a stage gets fewer than a decoder."""
    weights = [_STAGE if name in STAGES else 1 for name in targets]
    ends = [round(records * end / sum(weights)) for end in itertools.accumulate(weights)]
    totals = {name: end - start for name, start, end in zip(targets, (0, *ends), ends, strict=False)}
    return [
        Chunk(target=name, start=start, stop=min(start + CHUNK, totals[name]))
        for start in range(0, max(totals.values()), CHUNK)
        for name in targets
        if start < totals[name]
    ]


class _Slot:
    """One worker process, and the next when it dies."""

    def __init__(self, work_list: Sequence[Chunk], made: Mapping[str, CaseMaker]) -> None:
        self._chunks, self._made = work_list, made
        self.done = not work_list
        self._board = Board()
        self._from = (0, 0)
        self._process: ForkProcess | None = None
        self.told: Connection | None = None
        self._at: tuple[int, int, int] = (IDLE, 0, 0)
        self._since = (0.0, 0.0)
        if work_list:
            self._start(0, 0)

    def _start(self, place: int, index: int) -> None:
        context = multiprocessing.get_context("fork")
        self._board.write(IDLE, place, index)
        self.told, end = context.Pipe(duplex=False)
        arguments = (self._chunks, place, index, self._made, self._board, end)
        self._from, self._at = (place, index), (IDLE, 0, 0)
        self._process = context.Process(target=work, args=arguments, daemon=True)
        self._process.start()
        end.close()

    def hear(self, result: Result) -> None:
        """Take one message; an end without a farewell is a death."""
        assert self.told is not None
        try:
            message = self.told.recv()
        except EOFError:
            self._died(result, "crash")
            return
        if message is None:
            self.done = True
            self.stop()
        elif isinstance(message, Finding):
            result.found(message)
        else:
            result.add(message)

    def watch(self, result: Result) -> None:
        """Kill the process when it has been on one case for too long."""
        process = self._process
        if process is None or process.pid is None or self.done:
            return
        at, used, now = self._board.read(), _cpu(process.pid), time.monotonic()
        if at != self._at or at[0] == IDLE:
            self._at, self._since = at, (used, now)
        elif used - self._since[0] > HANG_CPU_S or now - self._since[1] > STUCK_S:
            self._died(result, "hang")

    def _died(self, result: Result, kind: str) -> None:
        """Keep the case that the board names and go on behind it; its chunk's tally is lost."""
        doing, place, index = self._board.read()
        code = self.stop()
        if doing in {IDLE, MAKING} and (code > 0 or kind == "hang"):
            self.done = True
            raise RuntimeError(f"the fuzzer itself failed ({kind}, {_signal(code)}) before case {index}")
        chunk = self._chunks[place]
        said = f"the process ended with {_signal(code)}" if kind == "crash" else "the case does not end"
        if doing in {IDLE, MAKING}:
            # Not this case: memory that an earlier one of the chunk has damaged shows only later.
            said += f" before case {index} was tried"
        finding = Finding(
            target=chunk.target, kind=kind, signature=f"{kind} {_signal(code)}", detail=said,
            seed=self._made[chunk.target].seed, index=index,
        )  # fmt: skip
        result.found(finding)
        result.deaths += 1
        start = max(chunk.start, self._from[1] if place == self._from[0] else 0)
        result.add(Tally(target=chunk.target, records=index + 1 - start))
        if index + 1 < chunk.stop:
            self._start(place, index + 1)
        elif place + 1 < len(self._chunks):
            self._start(place + 1, 0)
        else:
            self.done = True

    def stop(self) -> int:
        """End the process; return its exit code."""
        process, self._process = self._process, None
        if process is None:
            return 0
        if process.is_alive() and not self.done:
            process.join(0.2)  # after a crash the pipe closes before the process is gone
            if process.is_alive():
                process.kill()
        process.join()
        if self.told is not None:
            self.told.close()
        code = process.exitcode or 0
        process.close()
        return code


def run(
    targets: Sequence[str],
    made: Mapping[str, CaseMaker],
    *,
    records: int,
    seconds: float,
    processes: int,
    progress: Callable[[Result, float], None],
) -> Result:
    """Run all cases, or as many as fit in `seconds`; calls `progress(result, seconds so far)`."""
    everything = chunks(targets, records)
    result = Result()
    slots = [_Slot(everything[place::processes], made) for place in range(processes)]
    began = time.monotonic()
    try:
        while not all(slot.done for slot in slots):
            hearing = {slot.told: slot for slot in slots if not slot.done and slot.told is not None}
            for ready in wait(list(hearing), timeout=0.5):
                hearing[ready].hear(result)  # type: ignore[index]
            for slot in slots:
                slot.watch(result)
            spent = time.monotonic() - began
            progress(result, spent)
            if spent > seconds:
                result.stopped = f"the time of {seconds:.0f} s was over"
            elif len(result.seen) > _MANY:
                result.stopped = f"over {_MANY} distinct faults"
            elif result.deaths > _MANY:
                result.stopped = f"over {_MANY} processes died"
            if result.stopped:
                break
    finally:
        for slot in slots:
            slot.stop()
    return result


def _cpu(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _signal(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
