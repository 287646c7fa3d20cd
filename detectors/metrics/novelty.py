"""How new a value is: its distance from the nearest of what its series has shown, in value and in change.

Values and changes are compared on a scale that is linear around the median and logarithmic far from it
(inverse hyperbolic sine of the deviation over its usual size), so that a spike twice as high as one seen
before is only a little new. What was new once is known afterwards: a spike that returns is no news. The
memory is a bounded set of representatives; the one unused for longest gives way.
"""

from __future__ import annotations

import numpy as np

from detectors.metrics.columns import Array, Column, Columns, Rows, Values

KEPT = 256
SAMPLED = 128
FIRST = 50
"""Values before the scale is known."""
FAR = 1.5
"""Distances beyond it are all alike."""
_APART = 50
"""Closer than this (thousandths) is the same representative."""
_UNIT = 1000.0
_LARGEST = 16.0
_EVERY = 100
"""Values after which the scale is measured again."""
_STRIDE = 32
"""A value in so many is kept for that, once the first are in."""


class Novelty:
    """Representatives of each series' values and changes."""

    def __init__(self) -> None:
        self.columns = Columns(
            {
                "known": Column(dtype="<i2", shape=(2, KEPT)),
                "used": Column(dtype="<i4", shape=(KEPT,), fresh=-1),
                "seen": Column(dtype="<i4"),
                "sample": Column(dtype="<f4", shape=(2, SAMPLED), fresh=np.nan),
                "center": Column(dtype="<f4", shape=(2,)),
                "scale": Column(dtype="<f4", shape=(2,), fresh=1.0),
            }
        )

    def score(self, rows: Rows, values: Values, changes: Values) -> Values:
        """Return the distance of each (value, change) from the nearest known one, 0 to `FAR`."""
        at = self.columns.at
        ready = at["seen"][rows] >= FIRST
        distances = np.zeros(len(rows))
        if ready.any():
            some = rows[ready]
            nearest, _ = self._nearest(some, self._features(some, values[ready], changes[ready]))
            distances[ready] = np.minimum(nearest / _UNIT, FAR)
        return distances

    def learn(self, rows: Rows, values: Values, changes: Values, *, sampled: Array) -> None:
        """Learn one value of each row; only those `sampled` may say what the usual size is."""
        at = self.columns.at
        seen = at["seen"][rows].copy()
        kept = sampled & ((seen < SAMPLED) | (seen % _STRIDE == 0))
        place = np.where(seen < SAMPLED, seen, seen // _STRIDE) % SAMPLED
        at["sample"][rows[kept], 0, place[kept]] = values[kept]
        at["sample"][rows[kept], 1, place[kept]] = changes[kept]
        at["seen"][rows] = seen + 1
        ready = seen >= FIRST
        if ready.any():
            self._remember(rows[ready], self._features(rows[ready], values[ready], changes[ready]))
        self._measure(rows[(seen >= FIRST) & (seen % _EVERY == 0)])
        begun = rows[seen + 1 == FIRST]
        if len(begun):
            self._begin(begun)

    def _nearest(self, rows: Rows, features: Array) -> tuple[Array, Array]:
        away = np.abs(self.columns.at["known"][rows] - features[:, :, None]).max(axis=1)
        place = away.argmin(axis=1)
        return away[np.arange(len(rows)), place], place

    def _remember(self, rows: Rows, features: Array) -> None:
        at = self.columns.at
        nearest, place = self._nearest(rows, features)
        new = nearest > _APART
        place[new] = at["used"][rows[new]].argmin(axis=1)
        at["known"][rows[new], :, place[new]] = features[new]
        at["used"][rows, place] = at["seen"][rows]

    def _begin(self, rows: Rows) -> None:
        """Measure the first values and remember them all."""
        at = self.columns.at
        self._measure(rows)
        first = self._features(rows, at["sample"][rows, 0, 0], at["sample"][rows, 1, 0])
        # All places hold the same until something else takes them.
        at["known"][rows] = first[:, :, None]
        for number in range(FIRST):
            values, changes = at["sample"][rows, 0, number], at["sample"][rows, 1, number]
            whole = np.isfinite(values) & np.isfinite(changes)
            if whole.any():
                some = rows[whole]
                self._remember(some, self._features(some, values[whole], changes[whole]))

    def _features(self, rows: Rows, values: Array, changes: Array) -> Array:
        at = self.columns.at
        pair = np.stack([np.nan_to_num(values), np.nan_to_num(changes)], axis=1).astype(np.float64)
        scaled = np.arcsinh((pair - at["center"][rows]) / at["scale"][rows])
        return np.rint(np.clip(scaled, -_LARGEST, _LARGEST) * _UNIT).astype(np.int16)

    def _measure(self, rows: Rows) -> None:
        """Set center and scale to the median and the median deviation of the sample."""
        if not len(rows):
            return
        at = self.columns.at
        sample = at["sample"][rows].astype(np.float64)
        sample = sample[:, :, : int(min(SAMPLED, max(1, at["seen"][rows].max())))]
        center = np.nan_to_num(_median(sample))
        away = np.abs(sample - center[:, :, None])
        scale = np.nan_to_num(_median(away))
        # More than half alike: the mean deviation still knows the rest.
        mean = np.nan_to_num(np.nansum(away, axis=2) / np.maximum(np.isfinite(away).sum(axis=2), 1))
        scale = np.where(scale > 0, scale, mean / 3.0)
        at["center"][rows] = center
        at["scale"][rows] = np.where(scale > 0, scale, 0.01 * np.abs(center) + 1e-9)


def _median(values: Array) -> Array:
    """Return the median over the last axis without NaN (NaN where there is nothing else)."""
    ordered = np.sort(values, axis=-1)
    count = np.isfinite(values).sum(axis=-1)
    low, high = np.maximum((count - 1) // 2, 0), np.maximum(count // 2, 0)
    first = np.take_along_axis(ordered, low[..., None], axis=-1)[..., 0]
    second = np.take_along_axis(ordered, np.minimum(high, values.shape[-1] - 1)[..., None], axis=-1)[..., 0]
    middle: Array = 0.5 * (first + second)
    return middle
