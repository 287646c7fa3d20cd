"""How much memory detection takes at the size that the contract names: measured in a process of its own.

`python -m agent.evaluate.bench_memory SERIES TEMPLATES` teaches the shipped detectors so many series and the
template miner so many templates, and prints the resident memory of the process in MB (10^6 bytes).
"""

from __future__ import annotations

import gc
import os
import resource
import subprocess
import sys
from pathlib import Path

_PAGES = Path("/proc/self/statm")
_WINDOWS, _SAMPLES = 15, 10
_SERVICES = 20


def resident(series: int, templates: int) -> float:
    """Return the megabytes that a fresh process holds after learning that many; takes some seconds."""
    done = subprocess.run(  # noqa: S603 - ourselves
        [sys.executable, "-m", "agent.evaluate.bench_memory", str(series), str(templates)],
        check=True,
        capture_output=True,
        text=True,
    )
    return float(done.stdout)


def _learn(series: int, templates: int) -> object:
    from agent.evaluate import generated
    from detectors.suite import Suite
    from ingest.record import SECOND
    from ingest.summary import ClosedWindow
    from ingest.templates import Templates

    suite, miner = Suite(), Templates()
    for window in range(_WINDOWS):
        start = generated.START + window * 10 * SECOND
        values = generated.histories(series, _SAMPLES, seed=window)
        summary = generated.series_window(values, start, 10 * SECOND)
        suite.observe(ClosedWindow(start=start, end=summary.end, summaries=(summary,)))
    words = [f"w{chr(97 + n % 26)}{chr(97 + n // 26 % 26)}{chr(97 + n // 676)}" for n in range(templates)]
    for number, word in enumerate(words):
        service = f"service {number % _SERVICES}"
        miner.assign("default", service, f"{word} {word[::-1]} of {word}{word} took {number} ms")
    return suite, miner


def _megabytes() -> float:
    if _PAGES.exists():
        return int(_PAGES.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6
    # Where the kernel does not tell what is held now, the most that ever was.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def main() -> None:
    """Print the figure."""
    kept = _learn(int(sys.argv[1]), int(sys.argv[2]))
    gc.collect()
    sys.stdout.write(f"{_megabytes():.1f}\n")
    del kept


if __name__ == "__main__":
    main()
