"""What windows tell of a service's templates over time: how often, until when, and under which ids before.

Pure; for people and programs that hold a template id of some earlier window (an old incident, a mute).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ingest.record import Nanos
from ingest.summary import WindowSummary


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownTemplate:
    """A template as last told, and every id that it went by in these windows."""

    template_id: str
    template: str
    lines: int
    last: Nanos
    aliases: tuple[str, ...]


def followed(windows: Iterable[WindowSummary]) -> dict[str, str]:
    """Return every id that was renamed in one service's windows with the id that it goes by at their end."""
    names: dict[str, str] = {}
    for window in sorted(windows, key=lambda one: one.start):
        names.update(window.renamed)
        # An id that is given out anew is none that went.
        for _, now in window.renamed:
            names.pop(now, None)
    return {old: _end(names, old) for old in names}


def known_templates(windows: Iterable[WindowSummary]) -> tuple[KnownTemplate, ...]:
    """Return the templates of one service's windows, the most lines first."""
    kept = sorted(windows, key=lambda one: one.start)
    names = followed(kept)
    texts: dict[str, tuple[Nanos, str]] = {}
    lines: dict[str, int] = {}
    for window in kept:
        for counted in window.templates:
            name = names.get(counted.template_id, counted.template_id)
            lines[name] = lines.get(name, 0) + counted.count
            last = max(counted.last, texts.get(name, (0, ""))[0])
            texts[name] = (last, counted.template)
    return tuple(
        KnownTemplate(
            template_id=name,
            template=texts[name][1],
            lines=lines[name],
            last=texts[name][0],
            aliases=tuple(sorted(old for old, now in names.items() if now == name)),
        )
        for name in sorted(lines, key=lambda name: (-lines[name], name))
    )


def _end(names: Mapping[str, str], name: str) -> str:
    seen = {name}
    while (after := names.get(name)) is not None and after not in seen:
        name = after
        seen.add(name)
    return name
