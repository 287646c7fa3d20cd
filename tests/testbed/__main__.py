"""`python -m tests.testbed run|list|look`: break the shop on purpose and keep what it sent."""

from __future__ import annotations

import re
import time
from pathlib import Path

import click

from tests.support.broker import BrokerError
from tests.testbed.faults import FAULTS
from tests.testbed.look import table
from tests.testbed.processes import ProcessError
from tests.testbed.run import Plan
from tests.testbed.run import run as run_once

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


DURATION = Duration()


@click.group(help=__doc__)
def main() -> None:
    """Group the commands."""


@main.command("list", help="Show the faults.")
def show() -> None:
    """Print every fault with its truth."""
    for fault in FAULTS.values():
        cause = f"{fault.truth.service}, {fault.truth.mechanism}" if fault.truth else "no fault"
        click.echo(f"{fault.name:16} {cause:34} {fault.summary}")


@main.command("run", help="Run the shop, inject a fault, and write the recording with its truth.")
@click.option("--fault", required=True, type=click.Choice(list(FAULTS)))
@click.option(
    "--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Dataset folder."
)
@click.option("--warmup", type=DURATION, default="45s", show_default=True)
@click.option("--baseline", type=DURATION, default="8m", show_default=True)
@click.option("--duration", type=DURATION, default="4m", show_default=True, help="How long the fault lasts.")
@click.option("--after", type=DURATION, default="0", show_default=True, help="How long to run on, mended.")
@click.option("--rate", type=float, default=6.0, show_default=True, help="Requests a second, on average.")
@click.option("--traces", type=float, default=0.4, show_default=True, help="Share of traces kept.")
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--nice", "niceness", type=int, default=0, show_default=True, help="Niceness of the shop.")
def run(fault: str, out: Path, **options: float) -> None:
    """Make one recording."""
    began = time.monotonic()

    def say(text: str) -> None:
        click.echo(f"[{time.monotonic() - began:6.1f} s] {text}")

    plan = Plan(
        warmup_s=options["warmup"],
        baseline_s=options["baseline"],
        duration_s=options["duration"],
        after_s=options["after"],
        rate=options["rate"],
        traces=options["traces"],
        seed=int(options["seed"]),
        niceness=int(options["niceness"]),
    )
    try:
        case = run_once(FAULTS[fault], out, plan, say)
    except (ProcessError, BrokerError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(table(case))
    click.echo(f"recorded {case}")


@main.command("look", help="Print what a recording holds, minute by minute.")
@click.argument("case", type=click.Path(exists=True, file_okay=False, path_type=Path))
def look(case: Path) -> None:
    """Print the table of one recording."""
    click.echo(table(case))


if __name__ == "__main__":
    main()
