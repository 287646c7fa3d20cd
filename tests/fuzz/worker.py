"""The process that decodes: says in shared memory what it is about to try, so that its death tells the case.

Beside what a target raises it notices cases that take too long or too much memory, by the processor's clock
and by the peak of resident memory: a busy machine makes no findings.
"""

from __future__ import annotations

import faulthandler
import gc
import mmap
import os
import resource
import struct
import time
import traceback
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

from tests.fuzz import corpus
from tests.fuzz.case import BrokenPromiseError, Case, Finding
from tests.fuzz.case_maker import CaseMaker
from tests.fuzz.targets import Run, target

BASE_S, PER_BYTE_S = 0.2, 3e-6
"""Processor seconds that a case may take: 0.2, and 3 µs more a byte (64 KiB 0.4 s, 4 MiB 13 s)."""
BASE_MEMORY, PER_BYTE_MEMORY = 64 * 1024 * 1024, 200
"""Bytes by which one case may raise the peak of resident memory."""
ROOM = 2 * 1024 * 1024 * 1024
"""Bytes of address space that a worker may take beyond its start; what asks for more gets MemoryError."""
_STATE = struct.Struct("<qqq")
IDLE, MAKING, TRYING = 0, 1, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Cases [start, stop) of one target."""

    target: str
    start: int
    stop: int


@dataclass(slots=True, kw_only=True)
class Tally:
    """What became of a chunk."""

    target: str
    records: int = 0
    bytes: int = 0
    cpu_s: float = 0.0
    slowest_s: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)


class Board:
    """Shared memory of a worker and its parent: which chunk, which case of it."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _STATE.size)
        self.write(IDLE, 0, 0)

    def write(self, doing: int, chunk: int, index: int) -> None:
        """Say what comes next."""
        _STATE.pack_into(self._memory, 0, doing, chunk, index)

    def read(self) -> tuple[int, int, int]:
        """Return (what it is doing, place of the chunk, index of the case)."""
        doing, chunk, index = _STATE.unpack_from(self._memory, 0)
        return int(doing), int(chunk), int(index)


def allowed_s(case: Case) -> float:
    """Return the processor seconds that the case may take."""
    return BASE_S + PER_BYTE_S * case.size


def limit_memory() -> None:
    """Turn unbounded memory into MemoryError instead of a machine that swaps."""
    with open("/proc/self/statm") as told:  # noqa: PTH123
        now = int(told.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + ROOM, resource.getrlimit(resource.RLIMIT_AS)[1]))


def try_case(run: Run, case: Case, counts: Counter[str]) -> tuple[str, str, str] | None:
    """Run one case; return (kind, signature, detail) where it broke a promise."""
    try:
        run(case, counts)
    except BrokenPromiseError as error:
        return "broken", str(error), str(error)
    except MemoryError:
        return "memory", "MemoryError", "the case wanted more memory than the worker may have"
    except Exception as error:  # noqa: BLE001  whatever leaves a target is what is looked for
        frames = traceback.extract_tb(error.__traceback__)
        last = next((f for f in reversed(frames) if "site-packages" not in f.filename), frames[-1])
        place = f"{last.filename.rpartition('/')[2]}:{last.lineno}"
        return (
            "exception",
            f"{type(error).__name__} at {place}",
            f"{type(error).__name__}: {error} ({place})"[:500],
        )
    return None


def timed(run: Run, case: Case, counts: Counter[str]) -> tuple[float, tuple[str, str, str] | None]:
    """Run one case; return its processor seconds and what it broke, slowness confirmed by repeats."""
    peak = _peak()
    began = time.thread_time()
    found = try_case(run, case, counts)
    took = time.thread_time() - began
    if found is None and _peak() - peak > BASE_MEMORY + PER_BYTE_MEMORY * case.size:
        grown = (_peak() - peak) // 2**20
        return took, ("memory", "peak", f"{case.size} bytes raised the peak of memory by {grown} MiB")
    repeats = 0
    while found is None and took > allowed_s(case) and repeats < 2:
        began = time.thread_time()
        try_case(run, case, Counter())
        took = min(took, time.thread_time() - began)
        repeats += 1
    if found is None and took > allowed_s(case):
        found = (
            "slow",
            "slow",
            f"{case.size} bytes took {took:.2f} s of processor time, {allowed_s(case):.2f} allowed",
        )
    return took, found


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def makers(names: Sequence[str], known: Mapping[str, tuple[Case, ...]], seed: int) -> dict[str, CaseMaker]:
    """Return a case maker for each target."""
    return {name: CaseMaker(name, *corpus.of(name, known), seed=seed) for name in names}


def work(
    chunks: Sequence[Chunk],
    first: int,
    index: int,
    made: Mapping[str, CaseMaker],
    board: Board,
    told: Connection,
) -> None:
    """Run the chunks from place `first` on, the first from case `index`; send tallies and findings."""
    gc.freeze()
    limit_memory()
    faulthandler.enable(file=2)
    parent = os.getppid()
    for place in range(first, len(chunks)):
        if os.getppid() != parent:
            return  # whoever started this is gone, and nobody watches
        chunk = chunks[place]
        start = max(chunk.start, index) if place == first else chunk.start
        told.send(_chunk(place, chunk, start, made[chunk.target], board, told))
    told.send(None)


def _chunk(place: int, chunk: Chunk, start: int, maker: CaseMaker, board: Board, told: Connection) -> Tally:
    run = target(chunk.target)
    tally = Tally(target=chunk.target)
    for index in range(start, chunk.stop):
        board.write(MAKING, place, index)
        case = maker.make(index)
        board.write(TRYING, place, index)
        took, found = timed(run, case, tally.counts)
        tally.records += 1
        tally.bytes += case.size
        tally.cpu_s += took
        tally.slowest_s = max(tally.slowest_s, took)
        if found is not None:
            kind, signature, detail = found
            told.send(
                Finding(
                    target=chunk.target,
                    kind=kind,
                    signature=signature,
                    detail=detail,
                    seed=maker.seed,
                    index=index,
                )
            )
    board.write(IDLE, place, chunk.stop)
    return tally
