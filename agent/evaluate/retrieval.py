"""Measures runbook search on labelled pairs: whether an alert's text finds its runbook.

The alert's name is left out of the query, also where its texts repeat it; a pair without any other text is
skipped and counted. Reads files and fills a fresh index that its caller gives.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.evaluate.data import DataError
from agent.knowledge.load import load_folder
from agent.knowledge.port import RunbookIndex

PAIRS_FILE = "alert_runbook_pairs.jsonl"
_TEXTS = ("summary", "description")
_PLACEHOLDER = re.compile(r"\{\{.*?\}\}", re.DOTALL)
_AT = (1, 5)


class RetrievalDataError(DataError):
    """The data folder or pairs file cannot be used; the message says where and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """An alert's text without its name, and the path of the runbook that belongs to it."""

    group: str
    query: str
    runbook: str


def evaluate_retrieval(
    data: Path,
    index: RunbookIndex,
    *,
    pairs: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, dict[str, float]]:
    """Return `{set: {r1, r5, queries, skipped}}` over `data/runbooks`; raises `RetrievalDataError`."""
    folder = data / "runbooks" if (data / "runbooks").is_dir() else data
    asked = read_pairs(pairs or folder / PAIRS_FILE)
    library = load_folder(folder)
    if not library.runbooks:
        raise RetrievalDataError(
            f"{folder} holds no Markdown: give the folder that has `runbooks/**.md` in it"
        )
    paths = {runbook.id: runbook.path for runbook in library.runbooks}
    index.sync(library.runbooks)
    places: dict[str, list[int | None]] = {}
    for number, pair in enumerate(asked, start=1):
        ranks = places.setdefault(pair.group, [])
        if pair.query:
            ranks.append(_place(index, pair, paths))
        if progress is not None:
            progress(number, len(asked))
    skipped = {name: sum(not pair.query for pair in asked if pair.group == name) for name in places}
    return {name: _figures(ranks, skipped[name]) for name, ranks in places.items()}


def _place(index: RunbookIndex, pair: Pair, paths: Mapping[str, str]) -> int | None:
    hits = index.search(pair.query, limit=max(_AT))
    found = [paths[hit.runbook] for hit in hits]
    return found.index(pair.runbook) + 1 if pair.runbook in found else None


def _figures(ranks: list[int | None], skipped: int) -> dict[str, float]:
    figures: dict[str, float] = {
        f"r{k}": sum(rank is not None and rank <= k for rank in ranks) / len(ranks) if ranks else 0.0
        for k in _AT
    }
    return {**figures, "queries": len(ranks), "skipped": skipped}


def read_pairs(file: Path) -> tuple[Pair, ...]:
    """Read the pairs file; raises `RetrievalDataError` naming file and line."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise RetrievalDataError(f"{file} cannot be read ({error.strerror}): give --pairs FILE") from error
    found: list[Pair] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            found.append(Pair(group=row["set"], query=query_of(row), runbook=row["runbook"]))
        except (ValueError, KeyError, TypeError) as error:
            needs = "one JSON object a line with set, alert, runbook"
            raise RetrievalDataError(f"{file}:{number}: needs {needs} ({error!r})") from error
    return tuple(found)


def query_of(row: Mapping[str, str | None]) -> str:
    """Return what is known of an alert beside its name: its annotations without template placeholders."""
    text = " ".join(_PLACEHOLDER.sub(" ", row.get(field) or "") for field in _TEXTS)
    name = row.get("alert")
    if name:
        text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", " ", text, flags=re.IGNORECASE)
    return " ".join(text.split())
