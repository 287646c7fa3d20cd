"""`faultline eval`: accuracy on labelled data, the same commands on everyone's."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from agent.evaluate.figures import Figures
    from agent.settings import Settings

DATA = "FAULTLINE_DATA"
_REDACTION_KEY = b"evaluation only!"
"""Redaction runs as in production; nothing of what it makes here is kept."""

_SYSTEM = click.option("--system", default="", help="Only these systems, separated by commas.")


def _options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that every evaluation has."""
    function = click.option(
        "--json", "json_path", metavar="PATH", help="Write the figures as JSON; - is standard output."
    )(function)
    return click.option(
        "--data",
        envvar=DATA,
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        required=True,
        help=f"Folder of labelled data; {DATA} sets it for good.",
    )(function)


@click.group()
def command() -> None:
    r"""Measure accuracy on labelled data.

    Every command prints a table; --json writes {group: {figure: number}}.

    \b
    Examples:
      faultline eval rca --data tests/recordings
      faultline eval incidents --data tests/recordings --json -
    """


_SIGNALS = ("logs", "metrics", "spans", "changes")
_WITHOUT = click.option("--without", default="", help="Hide these signals: logs, metrics, spans, changes.")
_LOOKED_AT = click.option("--looked-at", is_flag=True, help="Leave cases alone that are held out of tuning.")


@command.command()
@_options
@_SYSTEM
@click.option(
    "--predictions",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write every case's ranking as JSON lines.",
)
@click.option("--ablate", is_flag=True, help="Add what is lost with each kind of evidence left out.")
@_WITHOUT
@_LOOKED_AT
@click.option(
    "--report",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write a page for every case, and an index, into this folder.",
)
def rca(
    data: Path,
    json_path: str | None,
    system: str,
    predictions: Path | None,
    ablate: bool,
    without: str,
    looked_at: bool,
    report: Path | None,
) -> None:
    r"""Rank root causes of labelled recordings: AC@1/3/5, Avg@5, mechanism, seconds, calibration.

    Beside ours, simple and published rankings of the same telemetry (rival) and each fault class are
    scored. The group all is the confidence as analyses say it; all/other_systems is fitted anew for each
    system on the others.

    \b
    Examples:
      faultline eval rca --data recordings --report out --ablate
      faultline eval rca --data recordings --without spans
    """
    from agent.evaluate import rca as measured
    from agent.evaluate.rca_report import CasePages

    options = measured.Options(ablate=ablate, without=_signals(without), looked_at=looked_at)
    written = CasePages(report) if report else None
    notes: list[str] = []

    def run(tell: Callable[[str], None]) -> Figures:
        each = {"on_analysis": written.add} if written else {}
        figures = measured.evaluate(
            data, _names(system), options, predictions=predictions, on_case=tell, **each
        )
        if written:
            notes.append(f"report: {written.finish(figures)}")
        return figures

    _measure("Root cause", json_path, run, notes)


@command.command()
@_options
@_SYSTEM
@_WITHOUT
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to write the parameters as JSON.  [default: only print what they give]",
)
def calibrate(data: Path, json_path: str | None, system: str, without: str, out: Path | None) -> None:
    r"""Fit how sure a ranking is, on labelled recordings that are not held out.

    The figures are of parameters fitted on other systems than the one they judge; what --out gets is fitted
    on all. Several --data folders are one: give their parent.

    \b
    Example:
      faultline eval calibrate --data recordings --out agent/suspects/calibration.json
    """
    from agent.evaluate import calibrate as fitting
    from agent.evaluate import rca as measured
    from agent.evaluate.rca_figures import figures_of

    options = measured.Options(without=_signals(without), looked_at=True)
    notes: list[str] = []

    def run(tell: Callable[[str], None]) -> Figures:
        answers = measured.collect(data, _names(system), options, on_case=tell)
        learned = fitting.with_thresholds(fitting.fit(answers), fitting.held_apart(answers))
        weights = ", ".join(f"{name} {weight:.2f}" for name, weight in learned.weights.items())
        notes.append(f"confidence: intercept {learned.intercept:.2f}, {weights}")
        notes.append(f"confirmed from {learned.confirmed:.2f}, likely from {learned.likely:.2f}")
        if out:
            fitting.write(learned, out)
            notes.append(f"written: {out}")
        return {group: values for group, values in figures_of(answers).items() if group.startswith("all")}

    _measure("Confidence", json_path, run, notes)


def _signals(separated: str) -> frozenset[str]:
    named = frozenset(_names(separated))
    unknown = sorted(named - set(_SIGNALS))
    if unknown:
        raise click.BadParameter(
            f"{', '.join(unknown)}: name some of {', '.join(_SIGNALS)}", param_hint="--without"
        )
    return named


@command.command()
@_options
@_SYSTEM
def incidents(data: Path, json_path: str | None, system: str) -> None:
    """Count recordings whose fault opens an incident, and whose quiet baseline does.

    Replays each recording through the service's own stages: the detectors learn from the first two thirds
    of the baseline. opened_fault is better the higher, opened_baseline and opened_quiet the lower.
    """
    from agent.app import parts
    from agent.evaluate import openings
    from agent.pipeline import Pipeline

    settings = _settings()

    def fresh(edges: openings.Edges) -> Pipeline:
        with_edges = settings.model_copy(update={"edges": (*settings.edges, *edges)})
        return parts.pipeline(with_edges, _REDACTION_KEY)()

    _measure(
        "Incidents",
        json_path,
        lambda tell: openings.evaluate(data, _names(system), pipeline=fresh, on_case=tell),
    )


@command.command()
@_options
@_SYSTEM
def parse(data: Path, json_path: str | None, system: str) -> None:
    """Group labelled log lines by template: group accuracy (ga), its F1 over templates (fga), speed."""
    from agent.evaluate import parsing

    _measure("Log parsing", json_path, lambda tell: parsing.evaluate(data, _names(system), on_case=tell))


@command.command()
@_options
@_SYSTEM
@click.option(
    "--peers/--no-peers", default=True, show_default=True, help="Show PyOD's detectors beside ours."
)
def logs(data: Path, json_path: str | None, system: str, peers: bool) -> None:
    r"""Find labelled sequences of log lines that are written as few are: precision, recall, F1.

    Lines are streamed once, unsupervised; labels only score. PyOD's detectors are given whole sequences and
    the threshold that suits each best.

    \b
    Examples:
      faultline eval logs --data DATA
      faultline eval logs --data DATA --no-peers --json -
    """
    from agent.evaluate import sequence_logs, sequence_peers

    beside = sequence_peers.count_vector_peers if peers else dict
    _measure(
        "Log sequences",
        json_path,
        lambda tell: sequence_logs.evaluate(data, _names(system), peers=beside, on_case=tell),
    )


@command.command()
@_options
@click.option(
    "--plots",
    type=click.Path(file_okay=False, path_type=Path),
    help="Draw every series with its windows and what was found into this folder, as SVG.",
)
@click.option(
    "--alarms-a-day",
    type=click.FloatRange(min=0, min_open=True),
    default=0.3,
    show_default=True,
    help="Alarm budget of each series for `faultline (budget)`.",
)
@click.option("--peers/--no-peers", default=True, help="Run the other detectors too (minutes).")
def metrics(data: Path, json_path: str | None, plots: Path | None, alarms_a_day: float, peers: bool) -> None:
    """Find labelled anomalies in metric series: score of the NAB formula, standard profile.

    0 is finding nothing, 100 finding every window at its first sample without a false alarm. Each detector
    has the one threshold that is best for it over all series; `faultline (budget)` sets its own.
    """
    from agent.evaluate import nab

    _measure(
        "Metric anomalies",
        json_path,
        lambda tell: nab.evaluate(
            data, plots=plots, with_peers=peers, alarms_a_day=alarms_a_day, on_case=tell
        ),
    )


@command.command()
@_options
@click.option(
    "--pairs",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Alerts and their runbooks as JSON lines, instead of the folder's own.",
)
def retrieval(data: Path, json_path: str | None, pairs: Path | None) -> None:
    """Search runbooks for alerts by their text, without their name: found first (r1), among five (r5).

    Searches by words and meaning where the embedding model is there (`faultline models pull`), else by
    words only, and says so.
    """
    from agent.evaluate.retrieval import evaluate_retrieval
    from agent.knowledge.index import open_index
    from models.embeddings import MiniLmEmbeddings
    from models.registry import EMBEDDING_MODEL

    settings = _settings()
    wanted = settings.knowledge.embeddings
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    home = settings.home_folder / "models"
    embeddings = MiniLmEmbeddings.from_home(home, threads=threads) if wanted else None
    index = open_index(":memory:", embeddings, embedding_model=EMBEDDING_MODEL if embeddings else "")
    notes: list[str] = []

    def run(tell: Callable[[str], None]) -> Figures:
        found = evaluate_retrieval(
            data, index, pairs=pairs, progress=lambda done, of: tell(f"alert {done} of {of}")
        )
        notes.extend(f"note: {reason}" for reason in index.degraded)
        return found

    try:
        _measure("Runbook search", json_path, run, notes)
    finally:
        index.close()


def _measure(
    title: str,
    json_path: str | None,
    run: Callable[[Callable[[str], None]], Figures],
    notes: Sequence[str] = (),
) -> None:
    """Run an evaluation with its progress on standard error, then print and write its figures."""
    from agent.evaluate.data import DataError
    from agent.evaluate.report import show, write_json
    from ingest.recordings import RecordingError

    errors = Console(stderr=True)
    try:
        with errors.status("reading data") as status:
            figures = run(lambda text: status.update(Text(text)))
    except (DataError, RecordingError) as error:
        raise click.ClickException(str(error)) from error
    if json_path == "-":
        for note in notes:
            click.echo(note, err=True)
    else:
        show(title, figures, notes)
    if json_path:
        write_json(figures, json_path)


def _names(separated: str) -> list[str]:
    return [name.strip() for name in separated.split(",") if name.strip()]


def _settings() -> Settings:
    from agent.settings import SettingsError, load_settings

    try:
        return load_settings()
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
