"""One SVG a set: which sequences were found odd when, how odd, and by which of their templates.

Above, a dot a sequence at its score (1 is where it becomes odd), green where it is labelled anomalous, red
where not; labelled ones that were missed lie amber on the ground, all others are the grey there. Below, what
set them apart, the commonest first. Pure but for writing the file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from agent.evaluate.sequence_stream import Judged
from detectors.sequence_known import Deviation
from ingest.record import SECOND, Nanos

_WIDTH, _LEFT, _TOP, _GROUND = 1000, 40, 40, 300
_LINE, _REASONS, _BAR = 20, 15, 150
_FONT = 'font-family="sans-serif" font-size="13"'
_GREEN, _RED, _AMBER, _GREY, _BLUE = "#1a7f37", "#cf222e", "#bf8700", "#d0d7de", "#0969da"
_TEXT = 95
_LEAST = 2.0
"""The score axis goes to this at least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Axes:
    first: Nanos
    last: Nanos
    highest: float

    def x(self, time: Nanos) -> float:
        part = (time - self.first) / max(self.last - self.first, 1)
        return round(_LEFT + part * (_WIDTH - 2 * _LEFT), 1)

    def y(self, score: float) -> float:
        return round(_GROUND - 14 - score / self.highest * (_GROUND - 14 - _TOP), 1)


def draw(folder: Path, name: str, judged: Judged, labels: Mapping[str, bool]) -> Path:
    """Write `<name>.svg` into `folder`; return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.svg"
    path.write_text(picture(name, judged, labels), encoding="utf-8")
    return path


def picture(name: str, judged: Judged, labels: Mapping[str, bool]) -> str:
    """Return the drawing of one set."""
    scores = [verdict.why.score for verdict in judged.odd.values() if verdict.why]
    axes = _Axes(
        first=min(judged.last.values(), default=0),
        last=max(judged.last.values(), default=1),
        highest=max([_LEAST, *scores]),
    )
    reasons = _reasons(judged, labels)
    height = _GROUND + 30 + _LINE * (len(reasons) + 1)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" {_FONT}>',
            f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>',
            f'<text x="{_LEFT}" y="22">{escape(name)}: {_verdict(judged, labels)}</text>',
            *_ground(judged, labels, axes),
            *_dots(judged, labels, axes),
            *_threshold(axes),
            *_bars(reasons),
            "</svg>\n",
        ]
    )


def _verdict(judged: Judged, labels: Mapping[str, bool]) -> str:
    right = sum(labels.get(key, False) for key in judged.odd)
    return (
        f"{right} of {sum(labels.values())} anomalous sequences found, "
        f"{len(judged.odd) - right} false alarms among {len(judged.last)} sequences"
    )


def _ground(judged: Judged, labels: Mapping[str, bool], axes: _Axes) -> list[str]:
    """Return the sequences that were called ordinary: one stroke a place, drawn over where one was missed."""
    ordinary: dict[float, str] = {}
    for key, time in judged.last.items():
        if key in judged.odd:
            continue
        missed = labels.get(key, False)
        x = axes.x(time)
        ordinary[x] = _AMBER if missed or ordinary.get(x) == _AMBER else _GREY
    return [
        f'<path d="M{x} {_GROUND}v{-10}" stroke="{color}" stroke-width="{2 if color == _AMBER else 1}"/>'
        for x, color in sorted(ordinary.items())
    ]


def _dots(judged: Judged, labels: Mapping[str, bool], axes: _Axes) -> list[str]:
    return [
        f'<circle cx="{axes.x(verdict.last)}" cy="{axes.y(verdict.why.score)}" r="3" '
        f'fill="{_GREEN if labels.get(key, False) else _RED}" opacity=".7"/>'
        for key, verdict in judged.odd.items()
        if verdict.why
    ]


def _threshold(axes: _Axes) -> list[str]:
    y, hours = axes.y(1.0), (axes.last - axes.first) / (3600 * SECOND)
    return [
        f'<path d="M{_LEFT} {y}H{_WIDTH - _LEFT}" stroke="{_BLUE}" stroke-dasharray="6 4"/>',
        f'<text x="{_LEFT - 8}" y="{y + 4}" text-anchor="end">1</text>',
        f'<text x="{_LEFT - 8}" y="{_TOP + 4}" text-anchor="end">{axes.highest:.1f}</text>',
        f'<text x="{_WIDTH - _LEFT}" y="{_GROUND + 18}" text-anchor="end">{hours:.1f} h</text>',
    ]


def _reasons(judged: Judged, labels: Mapping[str, bool]) -> list[tuple[str, int, int]]:
    """Return (what, anomalous, not anomalous) of what set the found apart, the commonest first."""
    found: Counter[tuple[str, bool]] = Counter(
        (_told(verdict.why, judged.texts), labels.get(key, False))
        for key, verdict in judged.odd.items()
        if verdict.why
    )
    total: Counter[str] = Counter()
    for (what, _), number in found.items():
        total[what] += number
    return [(what, found[what, True], found[what, False]) for what, _ in total.most_common(_REASONS)]


def _told(why: Deviation, texts: Mapping[str, str]) -> str:
    text = texts.get(why.template, why.template)
    beside = f" beside {texts.get(why.given, why.given)}" if why.given else ""
    told = f"{why.count}× {text}{beside}" if why.count else f"no {text}{beside}"
    return told if len(told) <= _TEXT else told[: _TEXT - 1] + "…"


def _bars(reasons: list[tuple[str, int, int]]) -> list[str]:
    widest = max((right + wrong for _, right, wrong in reasons), default=1)
    parts = []
    for row, (what, right, wrong) in enumerate(reasons):
        y = _GROUND + 30 + row * _LINE
        green, red = round(right / widest * _BAR, 1), round(wrong / widest * _BAR, 1)
        parts += [
            f'<rect x="{_LEFT}" y="{y}" width="{green}" height="14" fill="{_GREEN}"/>',
            f'<rect x="{_LEFT + green}" y="{y}" width="{red}" height="14" fill="{_RED}"/>',
            f'<text x="{_LEFT + _BAR + 10}" y="{y + 12}">{right + wrong} · {escape(what)}</text>',
        ]
    return parts
