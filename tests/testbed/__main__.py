"""`python -m tests.testbed run|suite|list|look`: break the shop on purpose and keep what it sent."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import click

from tests.support.broker import BrokerError
from tests.testbed.daily import Day
from tests.testbed.faults import FAULTS
from tests.testbed.look import table
from tests.testbed.processes import ProcessError
from tests.testbed.run import Plan
from tests.testbed.run import run as run_once
from tests.testbed.suite import CONSOLES, Shape, Suite, jobs

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}


class Duration(click.ParamType[float]):
    """Seconds from `90`, `90s`, `8m` or `1h`."""

    name = "duration"

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, (int, float)):
            return float(value)
        match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", value)
        if match is None:
            self.fail(f"{value!r} is no duration; write for example 90s or 8m", param, ctx)
        return float(match[1]) * _UNITS[match[2]]


class Signals(click.ParamType[tuple[str, ...]]):
    """Names of signals, separated by commas."""

    name = "signals"
    known = ("logs", "metrics", "traces", "changes")

    def convert(
        self, value: str | tuple[str, ...], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        names = tuple(name.strip() for name in value.split(",") if name.strip())
        if unknown := [name for name in names if name not in self.known]:
            self.fail(f"no signal {', '.join(unknown)}; there are {', '.join(self.known)}", param, ctx)
        return names


DURATION = Duration()
SIGNALS = Signals()


@click.group(help=__doc__)
def main() -> None:
    """Group the commands."""


@main.command("list", help="Show the faults.")
def show() -> None:
    """Print every fault with its truth."""
    for fault in FAULTS.values():
        cause = f"{fault.truth.service}, {fault.truth.mechanism}" if fault.truth else "no fault"
        click.echo(f"{fault.name:16} {cause:34} {fault.summary}")


WITHOUT = click.option(
    "--without",
    type=SIGNALS,
    default="",
    help="Signals that the shop does not send: logs, metrics, traces, changes, separated by commas.",
)
TRACES = click.option("--traces", type=float, default=0.4, show_default=True, help="Share of traces kept.")
REALTIME = click.option(
    "--realtime",
    is_flag=True,
    help="Let the shop, once it is up, run ahead of all else on a busy machine; needs root.",
)


@main.command("run", help="Run the shop, inject a fault, and write the recording with its truth.")
@click.option("--fault", required=True, type=click.Choice(list(FAULTS)))
@click.option(
    "--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Dataset folder."
)
@click.option("--name", default="", help="Name of the recording.  [default: the fault's]")
@click.option("--warmup", type=DURATION, default="45s", show_default=True)
@click.option("--baseline", type=DURATION, default="8m", show_default=True)
@click.option("--duration", type=DURATION, default="4m", show_default=True, help="How long the fault lasts.")
@click.option("--after", type=DURATION, default="0", show_default=True, help="How long to run on, mended.")
@click.option("--rate", type=float, default=6.0, show_default=True, help="Requests a second, on average.")
@TRACES
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--nice", "niceness", type=int, default=0, show_default=True, help="Niceness of the shop.")
@REALTIME
@click.option("--day", type=DURATION, default="2h", show_default=True, help="How long a day of the shop is.")
@click.option("--depth", type=float, default=0.3, show_default=True, help="0: no hour differs; 1: all do.")
@click.option("--begins", type=float, default=10.0, show_default=True, help="Hour at which it begins.")
@click.option("--calm", is_flag=True, help="Nothing but the fault: no releases, restarts, cleared caches.")
@WITHOUT
@click.option(
    "--held-out-after",
    type=DURATION,
    help="Mark what comes this long after the start as held out; 0 is all of it.  [default: nothing]",
)
def run(fault: str, out: Path, name: str, **options: Any) -> None:
    """Make one recording."""
    began = time.monotonic()

    def say(text: str) -> None:
        click.echo(f"[{time.monotonic() - began:6.1f} s] {text}")

    seed = options["seed"]
    plan = Plan(
        warmup_s=options["warmup"],
        baseline_s=options["baseline"],
        duration_s=options["duration"],
        after_s=options["after"],
        rate=options["rate"],
        traces=options["traces"],
        seed=seed,
        niceness=options["niceness"],
        realtime=options["realtime"],
        day=Day(length_s=options["day"], depth=options["depth"], begins=options["begins"], seed=seed),
        background=not options["calm"],
        without=options["without"],
        held_out_after_s=options["held_out_after"],
    )
    try:
        case = run_once(FAULTS[fault], out, plan, say, name=name)
    except (ProcessError, BrokerError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(table(case))
    click.echo(f"recorded {case}")


@main.command("suite")
@click.option(
    "--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Dataset folder."
)
@click.option("--streams", type=int, default=3, show_default=True, help="Shops side by side.")
@click.option("--runs", type=int, default=3, show_default=True, help="Recordings of each fault.")
@click.option("--faults", "only", default="", help="Only these, separated by commas.  [default: all]")
@click.option("--quiet-hours", type=float, default=2.0, show_default=True, help="Without a fault; 0 is none.")
@click.option("--baseline", type=DURATION, default="7m", show_default=True)
@click.option("--duration", type=DURATION, default="3m", show_default=True, help="Of each fault.")
@click.option("--rate", type=float, default=4.0, show_default=True, help="Requests a second, on average.")
@TRACES
@REALTIME
@WITHOUT
def record_all(out: Path, **options: Any) -> None:
    """Make all kept recordings: the fault-free day, then every fault again and again.

    What is there and whole is left alone, so an interrupted suite goes on where it was. A recording that
    fails is tried once more; at the end those that are still missing are named, with their consoles in
    OUT/.consoles. The first run of a fault may be looked at while tuning, the others are held out; of the
    fault-free day both halves are, and its first third is recorded once more.
    """
    wanted = [name for name in options["only"].split(",") if name] or [*FAULTS]
    if unknown := sorted(set(wanted) - set(FAULTS)):
        raise click.UsageError(f"no fault {', '.join(unknown)}; there are {', '.join(FAULTS)}")
    shape = Shape(
        runs=options["runs"],
        quiet_s=options["quiet_hours"] * 3600,
        baseline_s=options["baseline"],
        duration_s=options["duration"],
        rate=options["rate"],
        traces=options["traces"],
        realtime=options["realtime"],
        without=options["without"],
    )
    faults = [name for name in wanted if FAULTS[name].truth]
    failed = Suite(out, jobs(shape, faults), options["streams"], click.echo).record()
    if failed:
        raise click.ClickException(f"not recorded: {', '.join(failed)}; look into {out / CONSOLES}")


@main.command("look", help="Print what a recording holds, minute by minute.")
@click.argument("case", type=click.Path(exists=True, file_okay=False, path_type=Path))
def look(case: Path) -> None:
    """Print the table of one recording."""
    click.echo(table(case))


if __name__ == "__main__":
    main()
