"""One SVG a series: its values, the labelled windows, and where the detector said something.

Pure but for writing the files. Above the curve stands what the best threshold in hindsight detects, below
it what the alarm budget let through: green inside a window, red outside, grey where it does not count
(probation). Of a plot's columns only the extremes are drawn, so that files stay small.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

from agent.evaluate.nab_data import Series
from agent.evaluate.nab_score import Scores, Weights
from ingest.record import SECOND

_WIDTH, _HEIGHT = 1000, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 990, 64, 276
_COLUMNS = 900
_DATES = 5
_FONT = 'font-family="sans-serif" font-size="13"'
_SMALL = 'font-size="11" fill="#57606a"'
_GREEN, _RED, _GREY = "#1a7f37", "#cf222e", "#8c959f"
_LEGEND = (
    f'<text x="{_LEFT}" y="38" {_SMALL}>▼ above: at the best threshold · ▲ below: by the alarm budget · '
    f'<tspan fill="{_GREEN}">green</tspan> in a labelled window (yellow) · <tspan fill="{_RED}">red</tspan> '
    f'false · <tspan fill="{_GREY}">grey</tspan> in the probation (not counted)</text>'
)


def draw(
    folder: Path,
    series: Sequence[Series],
    weights: Sequence[Weights],
    detected: Sequence[NDArray[np.bool_]],
    alarms: Sequence[Scores],
) -> int:
    """Write `<category>__<name>.svg` for every series into `folder`; return how many."""
    folder.mkdir(parents=True, exist_ok=True)
    for one, weight, found, told in zip(series, weights, detected, alarms, strict=True):
        name = one.name.removesuffix(".csv").replace("/", "__") + ".svg"
        (folder / name).write_text(picture(one, weight, found, told > 0), encoding="utf-8")
    return len(series)


def picture(series: Series, weights: Weights, detected: NDArray[np.bool_], alarms: NDArray[np.bool_]) -> str:
    """Return the drawing of one series with its detections and the alarms of the budget."""
    rows = len(series.values)
    hits, told = np.flatnonzero(detected), np.flatnonzero(alarms)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" {_FONT}>',
            f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>',
            f'<text x="{_LEFT}" y="20">{escape(series.name)}: {_verdict(weights, hits)}</text>',
            _LEGEND,
            _band(0, weights.first - 1, rows, "#f0f0f0"),
            *(_band(left, right, rows, "#fff1c2") for left, right in series.windows),
            *(_mark(row, weights, rows, above=True) for row in hits.tolist()),
            f'<path d="{_path(series)}" fill="none" stroke="#0969da" stroke-width="1"/>',
            *(_mark(row, weights, rows, above=False) for row in told.tolist()),
            *_axes(series),
            "</svg>\n",
        ]
    )


def _mark(row: int, weights: Weights, rows: int, *, above: bool) -> str:
    """Return the sign of something said at a row, with a line behind the curve where it is `above`."""
    inside = weights.window[row] >= 0
    color = _GREY if row < weights.first else _GREEN if inside else _RED
    x = _x(row, rows)
    if not above:
        return f'<path d="M{x} {_BOTTOM + 2}l-4 8h8z" fill="{color}"/>'
    line = f'<path d="M{x} {_BOTTOM}V{_TOP}" stroke="{color}" stroke-width="1" opacity=".5"/>'
    return f'{line}<path d="M{x} {_TOP}l-4 -8h8z" fill="{color}"/>'


def _axes(series: Series) -> Iterator[str]:
    """Yield the highest and lowest value, and some times (UTC)."""
    for value, y in ((np.nanmax(series.values), _TOP + 10), (np.nanmin(series.values), _BOTTOM)):
        yield f'<text x="{_LEFT - 6}" y="{y}" text-anchor="end" {_SMALL}>{value:.4g}</text>'
    last = len(series.times) - 1
    for number in range(_DATES):
        row = round(number * last / (_DATES - 1))
        time = datetime.fromtimestamp(series.times[row] / SECOND, UTC)
        anchor = "start" if number == 0 else "end" if number == _DATES - 1 else "middle"
        x = _x(row, last + 1)
        yield f'<text x="{x}" y="{_BOTTOM + 28}" text-anchor="{anchor}" {_SMALL}>{time:%Y-%m-%d %H:%M}</text>'


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
    return round(_LEFT + row / max(rows, 1) * (_RIGHT - _LEFT), 1)
