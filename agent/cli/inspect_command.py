"""`faultline inspect`: a recording as a page that a person can read, and its gist in the terminal."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text


@click.command()
@click.argument("recording", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to write the page.  [default: inspect-<recording>.html in this folder]",
)
@click.option("--json", "json_path", metavar="PATH", help="Write the summary as JSON; - is standard output.")
def command(recording: Path, out: Path | None, json_path: str | None) -> None:
    r"""Plot what happened in RECORDING: one HTML file, and a summary here.

    Shows each service's requests, latency, failures, log lines and resources over time, with normal times,
    incident and changes marked; services that changed most come first. A `truth.jsonl` beside the recording
    is shown on top. The file needs no network and holds redacted log lines only.

    \b
    Examples:
      faultline inspect tests/recordings/demo/slow-dependency
      faultline inspect recordings/today --out today.html --json -
    """
    from agent.evaluate.inspection import inspect_recording, render, summary, summary_lines
    from ingest.recordings import RecordingError

    errors = Console(stderr=True)
    try:
        with errors.status("reading") as status:
            report = inspect_recording(recording, lambda text: status.update(Text(text)))
            status.update("drawing")
            page = render(report)
    except RecordingError as error:
        raise click.ClickException(_hint(recording, str(error))) from error
    target = out or Path(f"inspect-{_safe(recording.resolve().name)}.html")
    try:
        target.write_text(page, encoding="utf-8")
    except OSError as error:
        raise click.ClickException(
            f"{target} cannot be written ({error.strerror}); choose another --out"
        ) from error
    if json_path == "-":
        click.echo(json.dumps({**summary(report), "page": str(target)}, indent=1))
        return
    if json_path:
        text = json.dumps({**summary(report), "page": str(target)}, indent=1)
        Path(json_path).write_text(text + "\n", encoding="utf-8")
    console = Console()
    for line in summary_lines(report):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    console.print(f"page: {target}", markup=False, highlight=False, soft_wrap=True)


def _hint(recording: Path, message: str) -> str:
    """Return the message, with the recordings that lie inside where it is a folder of them."""
    if (recording / "case.json").is_file():
        return message
    inside = sorted(path.parent.name for path in recording.glob("*/case.json"))
    if not inside:
        return message
    named = ", ".join(inside[:8]) + (", …" if len(inside) > 8 else "")
    return f"{recording} holds {len(inside)} recordings; name one of them: {named}"


def _safe(name: str) -> str:
    """Return a folder's name as a file name without surprises."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "recording"
