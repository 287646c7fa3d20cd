"""`python -m tests.fuzz`: mutated records against every decoder, redaction, masking and templates.

Exit status: 0 nothing found, 1 something found, 2 wrong usage. A run ended by --seconds says how far it came.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from tests.fuzz import case, corpus, runner, targets
from tests.fuzz.case import Finding
from tests.fuzz.case_maker import CaseMaker
from tests.fuzz.minimise import minimise, verdict
from tests.fuzz.runner import Result
from tests.fuzz.worker import makers

_EVERY_S = 10.0


def main(given: Sequence[str] | None = None) -> int:
    """Run, print a table, keep what was found; return the exit status."""
    told = _parser().parse_args(given)
    if told.replay:
        return _replay(told.replay)
    known = targets.names()
    chosen = [_target(name, known) for name in told.decoder] or list(known)
    unknown = [name for name in chosen if name not in known]
    if unknown:
        _say(f"no target {', '.join(unknown)}; there are {', '.join(known)}", to=sys.stderr)
        return 2
    made = makers(chosen, corpus.samples(told.seed), told.seed)
    _say(f"{told.records:,} records over {len(chosen)} targets, {told.processes} processes, seed {told.seed}")
    began = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # through `finally`: no worker stays behind
    result = runner.run(
        chosen,
        made,
        records=told.records,
        seconds=told.seconds,
        processes=told.processes,
        progress=_Progress(told.records),
    )
    _table(result, time.monotonic() - began)
    for finding in result.findings:
        _keep(finding, made[finding.target], told.out, result)
    if result.stopped:
        _say(f"stopped after {result.records:,} of {told.records:,} records: {result.stopped}")
    _say(f"{sum(result.seen.values())} findings in {result.records:,} records")
    return 1 if result.seen else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument(
        "--records", type=int, default=1_000_000, help="cases over all targets (default %(default)s)"
    )
    parser.add_argument(
        "--seconds", type=float, default=600.0, help="stop after so long (default %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=1, help="another seed, other cases (default %(default)s)")
    parser.add_argument(
        "--decoder", action="append", default=[], help="only this format or stage; may be repeated"
    )
    parser.add_argument(
        "--processes", type=int, default=os.cpu_count() or 1, help="(default: one a processor)"
    )
    parser.add_argument(
        "--out", type=Path, default=Path(".cache/fuzz"), help="where findings go (default %(default)s)"
    )
    parser.add_argument("--replay", type=Path, metavar="FILE.json", help="run one kept finding again")
    return parser


def _target(name: str, known: Sequence[str]) -> str:
    return name if name in known else f"decode:{name}"


def _replay(path: Path) -> int:
    name, kept = case.load(path)
    found = verdict(name, kept)
    _say(f"{name}: {found[0]}: {found[2]}" if found else f"{name}: nothing wrong with this case")
    return 1 if found else 0


def _keep(finding: Finding, maker: CaseMaker, out: Path, result: Result) -> None:
    small = minimise(finding.target, maker.make(finding.index), finding.kind, finding.signature)
    path = case.save(out, finding, small)
    times = result.seen[finding.target, finding.signature]
    _say(
        f"\n{finding.target}: {finding.kind}: {finding.detail} "
        f"(seen {times} times, now {len(small.value)} bytes)"
    )
    _say(f"  {small.value[:120]!r}{' ...' if len(small.value) > 120 else ''}")
    _say(f"  again: python -m tests.fuzz --replay {path}")


class _Progress:
    """One line now and then; on a terminal one that is written over."""

    def __init__(self, records: int) -> None:
        self._records, self._next, self._told = records, 0.0, 0
        self._terminal = sys.stdout.isatty()

    def __call__(self, result: Result, spent: float) -> None:
        for finding in result.findings[self._told :]:
            _say(f"{chr(10) * self._terminal}found: {finding.target} case {finding.index}: {finding.detail}")
        self._told = len(result.findings)
        if spent < self._next:
            return
        self._next = spent + (0.5 if self._terminal else _EVERY_S)
        done = result.records
        rate = done / max(spent, 0.001)
        line = f"{done:>9,} of {self._records:,} records  {rate:,.0f}/s  {len(result.findings)} findings"
        _say(f"\r\x1b[K{line}" if self._terminal else line, end="" if self._terminal else "\n")


def _table(result: Result, spent: float) -> None:
    _say(f"\n{'target':<24}{'records':>9}{'taken':>8}{'events':>9}{'µs':>7}{'slowest ms':>12}  refused as")
    for name, tally in result.tallies.items():
        refused = {
            reason.removeprefix("refused:"): count
            for reason, count in tally.counts.most_common()
            if reason.startswith("refused:")
        }
        told = " ".join(f"{reason} {count:,}" for reason, count in refused.items())
        taken = tally.counts["taken"] / max(1, tally.records)
        each = tally.cpu_s / max(1, tally.records) * 1e6
        _say(
            f"{name:<24}{tally.records:>9,}{taken:>8.0%}{tally.counts['events']:>9,}{each:>7.0f}"
            f"{tally.slowest_s * 1000:>12.1f}  {told}"
        )
    _say(f"\n{result.records:,} records in {spent:.0f} s, {result.records / max(spent, 0.001):,.0f} a second")


def _say(text: str, *, end: str = "\n", to: TextIO | None = None) -> None:
    stream = to or sys.stdout
    stream.write(text + end)
    stream.flush()


if __name__ == "__main__":
    sys.exit(main())
