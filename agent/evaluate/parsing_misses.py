"""Beside `faultline eval parse`: which true templates were split or merged, and by what. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

SHOWN = 3
"""Groups and examples that a miss names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Miss:
    """A true template whose lines are not exactly one group of ours."""

    system: str
    event: str
    """The label."""
    kind: str
    """`split`: into several groups; `merged`: with other templates' lines; `both`."""
    lines: int
    groups: tuple[tuple[str, int], ...]
    """Our templates' texts with how many of its lines each holds, most first."""
    others: tuple[tuple[str, int], ...]
    """Labels that stand in the same groups, with how many lines, most first."""
    example: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """One system's lines with their labels, our ids for them and these templates' texts."""

    system: str
    lines: Sequence[tuple[str, str]]
    """(content, label)."""
    ids: Sequence[str]
    texts: dict[str, str]


def misses(parsed: Parsed) -> list[Miss]:
    """Return what was not grouped exactly, the most lines first."""
    by_label: dict[str, Counter[str]] = defaultdict(Counter)
    by_id: dict[str, Counter[str]] = defaultdict(Counter)
    examples: dict[str, str] = {}
    for (content, label), template_id in zip(parsed.lines, parsed.ids, strict=True):
        by_label[label][template_id] += 1
        by_id[template_id][label] += 1
        examples.setdefault(label, content)
    found = []
    for label, groups in by_label.items():
        others: Counter[str] = sum((by_id[one] for one in groups), Counter())
        del others[label]
        if len(groups) == 1 and not others:
            continue
        found.append(
            Miss(
                system=parsed.system,
                event=label,
                kind="both" if others and len(groups) > 1 else "merged" if others else "split",
                lines=groups.total(),
                groups=tuple((parsed.texts[one], count) for one, count in groups.most_common()),
                others=tuple(others.most_common()),
                example=examples[label],
            )
        )
    return sorted(found, key=lambda miss: (-miss.lines, miss.event))
