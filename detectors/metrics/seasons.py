"""What a series usually is at this time of day: the median of the last five days around the same minute.

A day has up to 288 slots; a slot holds the mean of what came in it. Days are told by event time, so gaps
leave holes and nothing shifts. Memory is taken only for series that have lived for hours.
"""

from __future__ import annotations

import numpy as np

from detectors.metrics.columns import Array, Column, Columns, Rows, Values
from ingest.record import SECOND

DAYS = 5
_RING = DAYS + 1
SLOTS = 288
_DAY = 86_400 * SECOND
_WIDTHS = np.array([300, 600, 900, 1800, 3600, 7200], dtype=np.int64) * SECOND
_AGE = 3 * 3600 * SECOND
_FEWEST = 4
"""Slots that must be known around the same time of earlier days."""
_NONE = -1


class Seasons:
    """Daily profiles of the series that are old enough to have one."""

    def __init__(self) -> None:
        self.columns = Columns(
            {
                "first": Column(dtype="<i8", fresh=_NONE),
                "profile": Column(dtype="<i4", fresh=_NONE),
            }
        )
        self._profiles = Columns(
            {
                "means": Column(dtype="<f4", shape=(_RING, SLOTS), fresh=np.nan),
                "width": Column(dtype="<i8", fresh=float(_WIDTHS[0])),
                "day": Column(dtype="<i8", fresh=_NONE),
                "slot": Column(dtype="<i4", fresh=_NONE),
                "sum": Column(dtype="<f8"),
                "count": Column(dtype="<i4"),
            }
        )
        self._free: list[int] = []

    def residual(self, rows: Rows, times: Array, values: Values) -> Values:
        """Return how far each value is from its time's usual one; NaN where no history tells."""
        away = np.full(len(rows), np.nan)
        profiles = self.columns.at["profile"][rows]
        some = np.flatnonzero(profiles >= 0)
        if len(some):
            usual = self._usual(profiles[some], times[some])
            away[some] = np.abs(values[some] - usual)
        return away

    def _usual(self, profiles: Array, times: Array) -> Values:
        at = self._profiles.at
        width = at["width"][profiles]
        day, slot = times // _DAY, (times % _DAY) // width
        per_day = _DAY // width
        around = (slot[:, None] + np.array([-1, 0, 1])) % per_day[:, None]
        ages = (day[:, None] - np.arange(1, DAYS + 1)) % _RING
        found = at["means"][profiles[:, None, None], ages[:, :, None], around[:, None, :]]
        found = np.sort(found.reshape(len(profiles), -1), axis=1)
        count = np.isfinite(found).sum(axis=1)
        lines = np.arange(len(profiles))
        low = found[lines, np.maximum((count - 1) // 2, 0)]
        high = found[lines, np.maximum(count // 2, 0).clip(max=found.shape[1] - 1)]
        usual: Values = np.where(count >= _FEWEST, 0.5 * (low + high), np.nan).astype(np.float64)
        return usual

    def learn(self, rows: Rows, times: Array, values: Values, steps: Array) -> None:
        """Put each value into its slot; what is of an earlier one comes too late.

        `steps` is the usual time between samples, in nanoseconds.
        """
        at = self.columns.at
        young = at["first"][rows] < 0
        at["first"][rows[young]] = times[young]
        due = (at["profile"][rows] < 0) & (times - at["first"][rows] >= _AGE)
        for row, step in zip(rows[due].tolist(), steps[due].tolist(), strict=True):
            self._begin(row, step)
        profiles = at["profile"][rows]
        some = profiles >= 0
        if some.any():
            self._add(profiles[some].astype(np.intp), times[some], values[some])

    def _begin(self, row: int, step: float) -> None:
        profile = self._free.pop() if self._free else self._profiles.size
        self._profiles.grow(profile + 1)
        width = _WIDTHS[min(int(np.searchsorted(_WIDTHS, step * 0.9)), len(_WIDTHS) - 1)]
        self._profiles.at["width"][profile] = width
        self.columns.at["profile"][row] = profile

    def _add(self, profiles: Rows, times: Array, values: Values) -> None:
        at = self._profiles.at
        width = at["width"][profiles]
        day, slot = times // _DAY, ((times % _DAY) // width).astype(np.int32)
        late = (day < at["day"][profiles]) | ((day == at["day"][profiles]) & (slot < at["slot"][profiles]))
        if late.any():
            # Going back would wipe out what is known of the days since.
            profiles, values, day, slot = profiles[~late], values[~late], day[~late], slot[~late]
        moved = (at["slot"][profiles] != slot) | (at["day"][profiles] != day)
        done = profiles[moved & (at["count"][profiles] > 0)]
        at["means"][done, at["day"][done] % _RING, at["slot"][done]] = at["sum"][done] / at["count"][done]
        for profile, now in zip(profiles[moved].tolist(), day[moved].tolist(), strict=True):
            before = int(at["day"][profile])
            for passed in range(max(before + 1, now - _RING + 1), now + 1) if before >= 0 else ():
                at["means"][profile, passed % _RING] = np.nan
        at["sum"][profiles[moved]], at["count"][profiles[moved]] = 0.0, 0
        at["slot"][profiles], at["day"][profiles] = slot, day
        at["sum"][profiles] += values
        at["count"][profiles] += 1

    def reset(self, row: int) -> None:
        """Forget a series."""
        profile = int(self.columns.at["profile"][row])
        if profile >= 0:
            self._profiles.reset(profile)
            self._free.append(profile)
        self.columns.reset(row)

    def dump(self) -> list[bytes]:
        """Return the state as blocks of bytes."""
        free = np.array(self._free, dtype="<i8").tobytes()
        return [self.columns.dump(), self._profiles.dump(), free]

    def load(self, blocks: list[bytes]) -> None:
        """Replace the state."""
        rows, profiles, free = blocks
        self.columns.load(rows)
        self._profiles.load(profiles)
        self._free = np.frombuffer(free, dtype="<i8").tolist()
