"""The streaming model of single series, thousands side by side: how strange this value is, here and now.

Three residuals (the change, the last twelve values against the 144 before, the time of day against earlier
days) are each put on the scale of their own past (`tails`), taken together, and weighed by how new the value
is (`novelty`). What stays strange is told once: a score counts only above the decaying highest of late, and
less the more often its series has reached it before, hardly at all where it comes at even intervals
(`events`). `score` reads, `learn` writes; a value that was flagged does not enter what is taken for usual.
No clock, no look-ahead, memory bounded per series.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import msgspec
import numpy as np

from detectors.metrics.columns import Array, Column, Columns, Flags, Rows, Values
from detectors.metrics.events import Events
from detectors.metrics.novelty import FAR, Novelty
from detectors.metrics.seasons import Seasons
from detectors.metrics.tails import Tails

_SHORT, _LONG = 12, 144
_RING = _SHORT + _LONG
_CHANGE, _SHIFT, _DAY = range(3)
_CAP = 4.0
"""One residual alone says no more than one in 10,000."""
_AGREEMENT = 0.35
_KNOWN_WEIGHT = 0.3
"""What is left of the score of a value that is not new at all."""
_FADE = math.exp(-1.0 / 80.0)
_MEASURED = 50
"""Values after which the scale is known on which levels are compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What `score` saw of one value a row; `learn` takes it from there."""

    rows: Rows
    times: Array
    values: Values
    residuals: tuple[Values, ...]
    changes: Values
    strange: Values
    """Before what came shortly before is taken off."""
    scores: Values


class Bank:
    """State of all series; a row is one series. Not thread-safe."""

    def __init__(self) -> None:
        self._columns = Columns(
            {
                "seen": Column(dtype="<i4"),
                "time": Column(dtype="<i8"),
                "step": Column(dtype="<f8"),
                "last": Column(dtype="<f8"),
                "ring": Column(dtype="<f4", shape=(_RING,)),
                "short": Column(dtype="<f8"),
                "long": Column(dtype="<f8"),
                "peak": Column(dtype="<f4"),
                "center": Column(dtype="<f4"),
                "scale": Column(dtype="<f4"),
            }
        )
        self._events = Events()
        self._tails = Tails(3)
        self._novelty = Novelty()
        self._seasons = Seasons()

    def grow(self, rows: int) -> None:
        """Make room for rows 0 to `rows` - 1."""
        for columns in self._parts():
            columns.grow(rows)

    def reset(self, row: int) -> None:
        """Forget the series of a row, so that another can take it."""
        for columns in (self._columns, self._tails.columns, self._novelty.columns, self._events.columns):
            columns.reset(row)
        self._seasons.reset(row)

    def seen(self, rows: Rows) -> Array:
        """Return how many values of each row were learned."""
        seen: Array = self._columns.at["seen"][rows]
        return seen

    def recent(self, row: int) -> Values:
        """Return the latest values of a row, up to 156, in no order."""
        at = self._columns.at
        recent: Values = at["ring"][row, : min(int(at["seen"][row]), _RING)].astype(np.float64)
        return recent

    def score(self, rows: Rows, times: Array, values: Values) -> Look:
        """Judge one finite value of each row by what was learned before it; 0 is as usual."""
        at = self._columns.at
        seen = at["seen"][rows]
        changes = np.where(seen > 0, values - at["last"][rows], np.nan)
        residuals = (
            np.abs(changes),
            self._shift(rows, values),
            self._seasons.residual(rows, times, values),
        )
        rarity = np.stack(
            [np.minimum(self._tails.score(kind, rows, one), _CAP) for kind, one in enumerate(residuals)]
        )
        together = rarity.max(axis=0) + _AGREEMENT * rarity.mean(axis=0)
        new = np.sqrt(self._novelty.score(rows, values, changes) / FAR)
        strange = together * (_KNOWN_WEIGHT + new)
        fresh = np.maximum(strange - at["peak"][rows] * _FADE, 0.0)
        return Look(
            rows=rows,
            times=times,
            values=values,
            residuals=residuals,
            changes=changes,
            strange=strange,
            scores=self._events.weighed(rows, seen, fresh),
        )

    def learn(self, look: Look, flagged: Flags) -> None:
        """Learn what was looked at; flagged values stay out of what is taken for usual."""
        at, rows = self._columns.at, look.rows
        for kind, one in enumerate(look.residuals):
            self._tails.learn(kind, rows, one)
        self._novelty.learn(rows, look.values, look.changes, sampled=~flagged)
        usual = ~flagged
        self._seasons.learn(rows[usual], look.times[usual], look.values[usual], at["step"][rows[usual]])
        fresh = np.maximum(look.strange - at["peak"][rows] * _FADE, 0.0)
        self._events.learn(rows, at["seen"][rows], fresh)
        self._push(rows, look.values)
        at["peak"][rows] = np.maximum(at["peak"][rows] * _FADE, look.strange)
        passed = np.maximum(look.times - at["time"][rows], 0).astype(np.float64)
        step = at["step"][rows]
        first = (step == 0) & (at["time"][rows] > 0)
        at["step"][rows] = np.where(first, passed, step + 0.1 * (np.minimum(passed, 4 * step) - step))
        at["time"][rows], at["last"][rows] = look.times, look.values
        at["seen"][rows] += 1

    def _shift(self, rows: Rows, values: Values) -> Values:
        """Return how far the mean of the last twelve is from that of the up to 144 before them."""
        at = self._columns.at
        seen = at["seen"][rows]
        leaving = self._scaled(rows, at["ring"][rows, (seen - _SHORT) % _RING])
        short = at["short"][rows] + self._scaled(rows, values) - leaving
        before = np.minimum(seen - _SHORT + 1, _LONG)
        oldest = np.where(seen >= _RING, self._scaled(rows, at["ring"][rows, seen % _RING]), 0.0)
        long = at["long"][rows] + leaving - oldest
        away = np.abs(short / _SHORT - long / np.maximum(before, 1))
        return np.where(seen >= _MEASURED, away, np.nan)

    def _scaled(self, rows: Rows, values: Array) -> Values:
        """Return values on a scale on which one spike does not outweigh what is around it."""
        at = self._columns.at
        scale = at["scale"][rows].astype(np.float64)
        away = values.astype(np.float64) - at["center"][rows]
        scaled: Values = np.arcsinh(away / np.where(scale > 0, scale, 1.0))
        return scaled

    def _push(self, rows: Rows, values: Values) -> None:
        """Put a value into the ring and move both sums; they are summed afresh when the ring comes round."""
        at = self._columns.at
        seen = at["seen"][rows]
        place = seen % _RING
        held = values.astype(np.float32)
        leaving = self._scaled(rows, at["ring"][rows, (seen - _SHORT) % _RING])
        oldest = np.where(seen >= _RING, self._scaled(rows, at["ring"][rows, place]), 0.0)
        at["short"][rows] += self._scaled(rows, held) - leaving
        at["long"][rows] += leaving - oldest
        at["ring"][rows, place] = held
        self._sum(rows[place == _RING - 1], _LONG)
        measured = rows[seen == _MEASURED - 1]
        if len(measured):
            self._measure(measured)
            self._sum(measured, _MEASURED - _SHORT)

    def _measure(self, rows: Rows) -> None:
        """Set the scale of levels once and for all, by the first values."""
        at = self._columns.at
        first = at["ring"][rows, :_MEASURED].astype(np.float64)
        center = np.median(first, axis=1)
        away = np.abs(first - center[:, None])
        scale = np.maximum(np.median(away, axis=1), first.std(axis=1) / 3.0)
        at["center"][rows] = center
        at["scale"][rows] = np.where(scale > 0, scale, 0.01 * np.abs(center) + 1e-9)

    def _sum(self, rows: Rows, long: int) -> None:
        """Sum the ring afresh: the `long` values from its beginning, and the short ones that follow."""
        if not len(rows):
            return
        at = self._columns.at
        ring = at["ring"][rows].astype(np.float64)
        scaled = self._scaled(np.repeat(rows, _RING), ring.ravel()).reshape(ring.shape)
        at["short"][rows] = scaled[:, long : long + _SHORT].sum(axis=1)
        at["long"][rows] = scaled[:, :long].sum(axis=1)

    def dump(self) -> bytes:
        """Return the whole state."""
        parts = (self._columns, self._tails.columns, self._novelty.columns, self._events.columns)
        return msgspec.msgpack.encode([*(part.dump() for part in parts), *self._seasons.dump()])

    def load(self, raw: bytes) -> None:
        """Replace the whole state; raises ValueError on bytes of another version."""
        try:
            blocks = msgspec.msgpack.decode(raw, type=list[bytes])
        except msgspec.DecodeError as error:
            raise ValueError(f"the series' state cannot be read ({error}); start afresh") from error
        parts = (self._columns, self._tails.columns, self._novelty.columns, self._events.columns)
        if len(blocks) != len(parts) + 3:
            raise ValueError("the series' state is of another version; start afresh")
        for part, block in zip(parts, blocks, strict=False):
            part.load(block)
        self._seasons.load(blocks[len(parts) :])

    def _parts(self) -> tuple[Columns, ...]:
        return (
            self._columns,
            self._tails.columns,
            self._novelty.columns,
            self._events.columns,
            self._seasons.columns,
        )
