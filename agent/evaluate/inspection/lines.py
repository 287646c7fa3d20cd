"""Which kinds of log lines a recording holds: templates before and during the incident, with lines to show.

The service's own template miner runs over the lines in file order. Memory: templates and a few lines of each.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from agent.deliver.sanitize import block, cut
from ingest.events import LogEvent
from ingest.record import Nanos
from ingest.templates import Templates

_SHOWN = 2
_HEAD, _TAIL = 2, 4
"""Lines kept of a long text: a stack trace says what happened first and last."""
_LONGEST = 600
_VARIABLE = re.compile(r"<[a-z*_][^<> ]*>(?:[\s:.,-]*<[a-z*_][^<> ]*>)*", re.IGNORECASE)
_ID = re.compile(r"\b(?:trace|span|request)[_-]?id\b\s*[:=]?\s*…", re.IGNORECASE)
_MOST = 8
_SEVERE = 13
_FEWEST = 5.0
"""Lines that must be missing, or be more than expected, before it is told."""


@dataclass(slots=True)
class _Kind:
    """One template. `counts` are lines before and during the incident; other times are in `total`."""

    counts: list[int] = field(default_factory=lambda: [0, 0])
    total: int = 0
    severity: int = 0
    first: Nanos = 0
    lines: list[tuple[Nanos, str]] = field(default_factory=list)
    told: bool = False
    """The lines kept are of the incident."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A template that tells something: `what` is new, gone, more, fewer or frequent."""

    what: str
    text: str
    severe: bool
    before: float
    during: float
    """Lines a minute."""
    first: Nanos
    lines: tuple[tuple[Nanos, str], ...]

    @property
    def gist(self) -> str:
        """Return the template without what differs from line to line and without ids."""
        text = _ID.sub("", _VARIABLE.sub("…", self.text.split("\n")[0]))
        return " ".join(text.split()).strip("… ")


class Lines:
    """All templates of a recording, by service."""

    def __init__(self) -> None:
        self._templates = Templates()
        self._kinds: dict[str, dict[str, _Kind]] = {}

    def add(self, event: LogEvent, service: str, phase: int | None) -> None:
        """Count a line; `phase` is 0 before the incident, 1 during it, None at other times."""
        assigned = self._templates.assign("", service, event.body)
        kind = self._kinds.setdefault(service, {}).setdefault(assigned.template_id, _Kind())
        kind.total += 1
        kind.severity = max(kind.severity, event.severity_number)
        kind.first = min(kind.first or event.time, event.time)
        if phase is not None:
            kind.counts[phase] += 1
        if phase == 1 and not kind.told:
            kind.told, kind.lines = True, []
        if len(kind.lines) < _SHOWN and (phase == 1 or not kind.told):
            kind.lines.append((event.time, _shortened(event.body)))

    def told(self, service: str, before: Nanos, during: Nanos, *, incident: bool) -> tuple[Template, ...]:
        """Return what is worth reading, the strongest first; lengths are those of recorded logs."""
        kinds = self._kinds.get(service, {})
        scored = [
            (score, what, key, kind)
            for key, kind in kinds.items()
            for what, score in [_judged(kind, before, during, incident=incident)]
            if what
        ]
        scored.sort(key=lambda item: (-item[0], item[2]))
        return tuple(
            Template(
                what=what,
                text=block(self._templates.text("", service, key), _LONGEST),
                severe=kind.severity >= _SEVERE,
                before=_a_minute(kind.counts[0], before),
                during=_a_minute(kind.counts[1], during),
                first=kind.first,
                lines=tuple(kind.lines),
            )
            for _, what, key, kind in scored[:_MOST]
        )


def _shortened(body: str) -> str:
    lines = block(body).split("\n")
    if len(lines) > _HEAD + _TAIL + 1:
        lines = [*lines[:_HEAD], f"… {len(lines) - _HEAD - _TAIL} lines", *lines[-_TAIL:]]
    return cut("\n".join(cut(line, _LONGEST // 3) for line in lines), _LONGEST)


def _judged(kind: _Kind, before: Nanos, during: Nanos, *, incident: bool) -> tuple[str, float]:
    """Return what a template tells and how much, ("", 0) for nothing."""
    severe = kind.severity >= _SEVERE
    if not incident or not before:  # nothing to compare with: what somebody would look for first
        return ("frequent", float(kind.total)) if severe else ("", 0.0)
    was, now = kind.counts
    if not was:
        return ("new", (10.0 if severe else 1.0) * now) if now >= (1 if severe else 3) else ("", 0.0)
    expected = was * during / before
    if not now:
        return ("gone", expected) if expected >= _FEWEST else ("", 0.0)
    noise = 4 * (expected + 1) ** 0.5
    if now > 2 * expected and now - expected > max(noise, _FEWEST):
        return "more", (4.0 if severe else 1.0) * (now - expected)
    if 2 * now < expected and expected - now > max(noise, _FEWEST):
        return "fewer", expected - now
    return "", 0.0


def _a_minute(count: int, length: Nanos) -> float:
    return count / max(length / 60e9, 1e-9) if length else float(count)
