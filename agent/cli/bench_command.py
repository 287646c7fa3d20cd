"""`faultline bench`: how fast our stages are beside the raw components they stand on."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING

import click
from rich.console import Console

if TYPE_CHECKING:
    from agent.evaluate.bench import Result, Sizes


@click.command()
@click.option("--json", "json_path", metavar="PATH", help="Write the ratios as JSON; - is standard output.")
@click.option(
    "--kafka", "bootstrap", metavar="HOST:PORT", help="A broker: adds kafka_to_windows and two_processes."
)
@click.option("--quick", is_flag=True, help="Tiny inputs: shows that it works, the figures are rough.")
def command(json_path: str | None, bootstrap: str | None, quick: bool) -> None:
    r"""Measure speed as ratios to raw components, in one run and on one core.

    speed is ours over that of the component named beside it, on the same generated input: 0.5 is half as
    fast, 2 twice as fast. Takes some minutes. With --kafka topics of some 80 MB are made on that broker;
    `make bench` starts one of its own.

    \b
    Example:
      faultline bench --json bench.json
      faultline bench --kafka localhost:9092
    """
    from agent.evaluate.bench import QUICK, Bench, Sizes
    from agent.evaluate.bench_memory import resident
    from agent.evaluate.report import show_bench, write_json

    errors = Console(stderr=True)
    with errors.status("measuring") as status:
        results = Bench(
            QUICK if quick else Sizes(), on_row=lambda name: status.update(f"measuring {name}")
        ).run()
        if bootstrap is not None:
            results.extend(_kafka(bootstrap, QUICK if quick else Sizes(), status.update))
        status.update("measuring memory")
        series, templates = (50, 50) if quick else (10_000, 5_000)
        memory = resident(series, templates)
    if json_path != "-":
        show_bench(results)
        click.echo(f"Memory with {series} series and {templates} templates: {memory:.0f} MB resident")
    if json_path:
        figures = {result.name: {"speed": result.speed} for result in results}
        write_json(figures | {"memory": {"rss_mb": memory}}, json_path)


def _kafka(bootstrap: str, sizes: Sizes, tell: Callable[[str], None]) -> list[Result]:
    from agent.evaluate.bench_processes import processes_row
    from agent.evaluate.stream_bench import kafka_row

    topic = f"faultline-bench-{uuid.uuid4().hex[:8]}"
    tell("measuring kafka_to_windows")
    rows = [kafka_row(bootstrap, topic, sizes.lines, sizes.rounds)]
    tell("measuring two_processes")
    return [*rows, processes_row(bootstrap, f"{topic}-2", sizes.shared_lines, sizes.shared_rounds)]
