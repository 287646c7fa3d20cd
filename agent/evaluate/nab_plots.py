"""One SVG a series: its values, the labelled windows, and where the detector said something.

Pure but for writing the files. A detection inside a window is drawn green, one outside red, one that does
not count (probation) grey; of a plot's columns only the extremes are drawn, so that files stay small.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

from agent.evaluate.nab_data import Series
from agent.evaluate.nab_score import Scores, Weights

_WIDTH, _HEIGHT = 1000, 260
_LEFT, _TOP, _BOTTOM = 10, 30, 250
_COLUMNS = 900
_FONT = 'font-family="sans-serif" font-size="13"'
_GREEN, _RED, _GREY = "#1a7f37", "#cf222e", "#8c959f"


def draw(
    folder: Path, series: Sequence[Series], weights: Sequence[Weights], scores: Sequence[Scores], limit: float
) -> int:
    """Write `<category>__<name>.svg` for every series into `folder`; return how many."""
    folder.mkdir(parents=True, exist_ok=True)
    for one, weight, values in zip(series, weights, scores, strict=True):
        name = one.name.removesuffix(".csv").replace("/", "__") + ".svg"
        (folder / name).write_text(picture(one, weight, values >= limit), encoding="utf-8")
    return len(series)


def picture(series: Series, weights: Weights, detected: NDArray[np.bool_]) -> str:
    """Return the drawing of one series with its detections."""
    rows = len(series.values)
    hits = np.flatnonzero(detected)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" {_FONT}>',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>',
        f'<text x="{_LEFT}" y="18">{escape(series.name)}: {_verdict(weights, hits)}</text>',
        _band(0, weights.first - 1, rows, "#f0f0f0"),
        *(_band(left, right, rows, "#fff1c2") for left, right in series.windows),
        f'<path d="{_path(series)}" fill="none" stroke="#0969da" stroke-width="1"/>',
    ]
    for row in hits.tolist():
        inside = weights.window[row] >= 0
        color = _GREY if row < weights.first else _GREEN if inside else _RED
        x = _x(row, rows)
        parts.append(f'<path d="M{x} {_BOTTOM}V{_TOP}" stroke="{color}" stroke-width="1.5" opacity=".8"/>')
    return "\n".join([*parts, "</svg>\n"])


def _verdict(weights: Weights, hits: NDArray[np.intp]) -> str:
    counted = [int(row) for row in hits if row >= weights.first]
    inside = {int(weights.window[row]) for row in counted} - {-1}
    false = sum(weights.window[row] < 0 for row in counted)
    return f"{len(inside)} of {weights.windows} windows found, {false} false alarms"


def _band(left: int, right: int, rows: int, color: str) -> str:
    x, end = _x(left, rows), _x(right + 1, rows)
    return f'<rect x="{x}" y="{_TOP}" width="{round(end - x, 1)}" height="{_BOTTOM - _TOP}" fill="{color}"/>'


def _path(series: Series) -> str:
    """Return the curve: of every column of the plot its lowest and highest value, in their order."""
    values = np.nan_to_num(series.values, nan=float(np.nanmedian(series.values)))
    low, high = float(values.min()), float(values.max())
    span = (high - low) or 1.0
    points = []
    for part in np.array_split(np.arange(len(values)), min(_COLUMNS, len(values))):
        ends = sorted({int(part[values[part].argmin()]), int(part[values[part].argmax()])})
        for row in ends:
            y = _BOTTOM - (values[row] - low) / span * (_BOTTOM - _TOP)
            points.append(f"{_x(row, len(values))} {round(float(y), 1)}")
    return "M" + "L".join(points)


def _x(row: int, rows: int) -> float:
    return round(_LEFT + row / max(rows, 1) * (_WIDTH - 2 * _LEFT), 1)
