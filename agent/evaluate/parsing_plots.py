"""`faultline eval parse --plots`: figures beside Drain3's as bars, and the worst system's misses, as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from agent.evaluate.figures import Figures
from agent.evaluate.parsing_misses import SHOWN, Miss

_FONT = 'font-family="system-ui, sans-serif" font-size="12"'
_COLORS = ("#0969da", "#8250df", "#9a9a9a")
_BAR, _GAP, _LEFT, _WIDTH = 12, 14, 130, 760
_SPAN = _WIDTH - _LEFT - 60
_TEXT = 130
"""Characters of a line that are drawn."""
_MOST = 20


def write(folder: Path, figures: Figures, misses: Mapping[str, Sequence[Miss]]) -> list[Path]:
    """Write `parse_ga.svg`, `parse_fga.svg` and `parse_worst_<system>.svg`; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    drawings = {f"parse_{figure}.svg": bars(figures, figure) for figure in ("ga", "fga")}
    if any(misses.values()):
        worst = min((name for name in misses if misses[name]), key=lambda name: figures[name]["fga"])
        safe = "".join(sign if sign.isalnum() or sign in "-_" else "_" for sign in worst)
        drawings[f"parse_worst_{safe}.svg"] = picture_of_misses(worst, misses[worst])
    for name, drawing in drawings.items():
        (folder / name).write_text(drawing, encoding="utf-8")
    return [folder / name for name in drawings]


def bars(figures: Figures, figure: str) -> str:
    """Return one figure of every system as bars: ours, then each rival's."""
    systems = [name for name in figures if "/" not in name]
    rivals = list(dict.fromkeys(name.partition("/")[2] for name in figures if "/" in name))
    names = ["faultline", *rivals]
    step = _BAR * len(names) + _GAP
    title = {"ga": "Group accuracy (share of lines)", "fga": "F1 of grouping over templates"}[figure]
    parts = [f'<text x="8" y="20" font-weight="600">{title}</text>']
    for place, name in enumerate(names):
        x = _LEFT + place * 200
        parts.append(f'<rect x="{x}" y="30" width="10" height="10" fill="{_COLORS[place % 3]}"/>')
        parts.append(f'<text x="{x + 14}" y="39">{escape(name)}</text>')
    for row, system in enumerate(systems):
        top = 54 + row * step
        parts.append(f'<text x="8" y="{top + step // 2 - 3}">{escape(system)}</text>')
        for place, name in enumerate(names):
            group = system if place == 0 else f"{system}/{name}"
            if group in figures:
                parts += _bar(top + place * _BAR, figures[group][figure], _COLORS[place % 3])
    return _svg(_WIDTH, 60 + len(systems) * step, parts)


def _bar(top: int, value: float, color: str) -> list[str]:
    width = round(value * _SPAN, 1)
    return [
        f'<rect x="{_LEFT}" y="{top}" width="{width}" height="{_BAR - 2}" fill="{color}"/>',
        f'<text x="{_LEFT + width + 4}" y="{top + _BAR - 3}" font-size="10">{value:.3f}</text>',
    ]


def picture_of_misses(system: str, misses: Sequence[Miss]) -> str:
    """Return the system's split and merged templates, the most lines first."""
    rows: list[tuple[int, str, str]] = []
    for miss in misses[:_MOST]:
        rows.append((8, f"{miss.event}: {miss.kind}, {miss.lines} lines. {miss.example}", "#1f2328"))
        rows += [(28, f"{count} × {text}", _COLORS[0]) for text, count in miss.groups[:SHOWN]]
        rows += [(28, f"with {count} of {label}", "#cf222e") for label, count in miss.others[:SHOWN]]
    parts = [f'<text x="8" y="20" font-weight="600">{escape(system)}: split and merged templates</text>']
    for number, (x, text, color) in enumerate(rows):
        shown = escape(_drawable(text if len(text) <= _TEXT else f"{text[: _TEXT - 1]}…"))
        parts.append(f'<text x="{x}" y="{44 + number * 17}" fill="{color}">{shown}</text>')
    return _svg(1000, 56 + len(rows) * 17, parts)


def _drawable(text: str) -> str:
    """Return the text without signs that XML cannot hold: lines are untrusted."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)


def _svg(width: int, height: int, parts: Sequence[str]) -> str:
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {_FONT}>',
            f'<rect width="{width}" height="{height}" fill="#fff"/>',
            *parts,
            "</svg>\n",
        ]
    )
