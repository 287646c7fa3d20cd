"""`faultline eval parse`: labelled log lines through the service's own templates, one fresh miner a system.

Lines are assigned once, in file order, with no setting for any system; a template that has become an alias
counts as the older one, as it does for every consumer. Group accuracy is the share of
lines whose group holds exactly the lines of one true template; FGA is the F1 of grouping over templates
(Jiang et al., ISSTA 2024), so that rare templates count as much as frequent ones.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from agent.evaluate.data import DataError, json_lines
from agent.evaluate.figures import Figures, Group
from agent.evaluate.parsing_misses import Miss, Parsed, misses
from ingest.templates import Templates

_SUFFIXES = (".jsonl.gz", ".jsonl")


class Rival(Protocol):
    """Another way to group lines."""

    def assign(self, service: str, body: str) -> Hashable:
        """Return the group of a body."""
        ...


@dataclass(slots=True)
class Details:
    """What else an evaluation is to note: rivals' figures beside ours, and misses by system."""

    rivals: Mapping[str, Callable[[], Rival]] = field(default_factory=dict)
    misses: dict[str, list[Miss]] = field(default_factory=dict)


def evaluate(
    data: Path,
    only: Sequence[str] = (),
    *,
    on_case: Callable[[str], None] = lambda _: None,
    details: Details | None = None,
) -> Figures:
    """Return the figures per system and their mean over systems; a rival's group is `<system>/<rival>`."""
    figures: Figures = {}
    rivals = {} if details is None else details.rivals
    for name, path in files(data, only).items():
        on_case(name)
        lines = _lines(path)
        figures[name], parsed = measure(name, lines)
        if details is not None:
            details.misses[name] = misses(parsed)
        for rival, fresh in rivals.items():
            figures[f"{name}/{rival}"] = _rival(name, lines, fresh())
    figures["mean"] = _mean(figures, "")
    figures |= {f"mean/{rival}": _mean(figures, f"/{rival}") for rival in rivals}
    return figures


def measure(system: str, lines: Sequence[tuple[str, str]]) -> tuple[Group, Parsed]:
    """Return the figures of one system's (content, true group) lines, and what came of each line."""
    templates = Templates()
    started = time.perf_counter()
    assigned = [templates.assign("default", system, content).template_id for content, _ in lines]
    aliases = templates.aliases("default", system)
    predicted = [aliases.get(template_id, template_id) for template_id in assigned]
    seconds = time.perf_counter() - started
    texts = {one: templates.text("default", system, one) for one in set(predicted)}
    parsed = Parsed(system=system, lines=lines, ids=predicted, texts=texts)
    return _figures(predicted, lines, seconds), parsed


def _rival(system: str, lines: Sequence[tuple[str, str]], rival: Rival) -> Group:
    started = time.perf_counter()
    predicted = [rival.assign(system, content) for content, _ in lines]
    return _figures(predicted, lines, time.perf_counter() - started)


def _figures(predicted: Sequence[Hashable], lines: Sequence[tuple[str, str]], seconds: float) -> Group:
    ga, fga = grouping(predicted, [group for _, group in lines])
    return {"ga": ga, "fga": fga, "lines_per_second": len(lines) / seconds}


def _mean(figures: Figures, suffix: str) -> Group:
    names = ("ga", "fga", "lines_per_second")
    groups = [group for name, group in figures.items() if f"/{name.partition('/')[2]}" == (suffix or "/")]
    return {n: sum(group[n] for group in groups) / len(groups) for n in names}


def grouping(predicted: Sequence[Hashable], true: Sequence[Hashable]) -> tuple[float, float]:
    """Return group accuracy over lines and the F1 over templates."""
    found, wanted = _groups(predicted), _groups(true)
    exact = found & wanted
    if not exact:
        return 0.0, 0.0
    precision, recall = len(exact) / len(found), len(exact) / len(wanted)
    return sum(map(len, exact)) / len(predicted), 2 * precision * recall / (precision + recall)


def _groups(names: Sequence[Hashable]) -> set[frozenset[int]]:
    members: dict[Hashable, set[int]] = defaultdict(set)
    for line, name in enumerate(names):
        members[name].add(line)
    return {frozenset(lines) for lines in members.values()}


def files(data: Path, only: Sequence[str] = ()) -> dict[str, Path]:
    """Return the file of each system, by its name without suffix."""
    for base in (data / "logs" / "loghub", data / "loghub", data):
        found = {
            path.name.removesuffix(suffix): path
            for suffix in reversed(_SUFFIXES)
            for path in sorted(base.glob(f"*{suffix}"))
            if not only or path.name.removesuffix(suffix) in only
        }
        if found:
            return dict(sorted(found.items()))
    wanted = f" of {', '.join(only)}" if only else ""
    raise DataError(f"{data}: no labelled log lines{wanted} (logs/loghub/<system>.jsonl[.gz])")


def _lines(path: Path) -> list[tuple[str, str]]:
    lines = []
    for number, item in json_lines(path):
        if "content" not in item or "event_id" not in item:
            raise DataError(f"{path}:{number}: needs `content` and `event_id`")
        lines.append((str(item["content"]), str(item["event_id"])))
    if not lines:
        raise DataError(f"{path}: holds no lines")
    return lines
