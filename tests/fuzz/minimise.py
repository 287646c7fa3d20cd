"""Makes a failing case small: cuts stretches out of its value as long as the same fault stays."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import Counter
from multiprocessing.connection import Connection

from tests.fuzz.case import Case
from tests.fuzz.case_maker import shorter
from tests.fuzz.targets import target
from tests.fuzz.worker import limit_memory, timed

TRIES = 400
_WAIT_S = 60.0


def verdict(name: str, case: Case) -> tuple[str, str, str] | None:
    """Run the case in a process of its own; return (kind, signature, detail) where it breaks a promise."""
    context = multiprocessing.get_context("fork")
    told, end = context.Pipe(duplex=False)
    process = context.Process(target=_judge, args=(name, case, end), daemon=True)
    process.start()
    end.close()
    try:
        if not told.poll(_WAIT_S):
            process.kill()
            return "hang", "hang", f"no end within {_WAIT_S:.0f} s"
        found: tuple[str, str, str] | None = told.recv()
    except EOFError:
        process.join()
        code = process.exitcode or 0
        died = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return "crash", f"crash {died}", f"the process ended with {died}"
    finally:
        process.join()
        told.close()
    return found


def _judge(name: str, case: Case, told: Connection) -> None:
    limit_memory()
    told.send(timed(target(name), case, Counter())[1])
    told.close()
    os._exit(0)


def minimise(name: str, case: Case, kind: str, signature: str, tries: int = TRIES) -> Case:
    """Return the smallest case found within `tries` that fails in the same way; the case itself at worst."""
    step = max(1, len(case.value) // 2)
    while step and tries > 0:
        start = 0
        while start < len(case.value) and tries > 0:
            candidate = shorter(case, start, start + step)
            tries -= 1
            found = verdict(name, candidate)
            if found is not None and (found[0], found[1]) == (kind, signature):
                case = candidate
            else:
                start += step
            if kind in {"hang", "slow"}:
                tries -= 20  # each costs seconds
        step //= 2
    return case
