"""`faultline eval retrieval`: runbooks found for alerts."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.cli.eval_command.options import measure, settings, with_data

if TYPE_CHECKING:
    from agent.evaluate.figures import Figures


@click.command()
@with_data
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

    configured = settings()
    wanted = configured.knowledge.embeddings
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    home = configured.home_folder / "models"
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
        measure("Runbook search", json_path, run, notes)
    finally:
        index.close()
