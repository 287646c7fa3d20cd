"""Modified z-scores of thousands of series at once, fitted anew with every value: PyOD's without the loop.

Each row keeps its latest values sorted. The median is then two reads, and the median deviation a search for
the values nearest to it, which lie side by side. Scores are the same to the last bit as those of a PyOD MAD
fitted to each row's values (B. Iglewicz and D. Hoaglin, *How to Detect and Handle Outliers*, 1993); a row
without spread scores 0 at its level and `SENSELESS` elsewhere.
"""

from __future__ import annotations

import numpy as np

from detectors.metrics.columns import Rows, Values

NORMAL = 0.6745
"""Makes the median deviation of normal noise 1 / 1.4826 of its standard deviation, as PyOD has it."""
SENSELESS = float(np.finfo(np.float64).max)


class Mads:
    """The latest `kept` values of each of `rows` series, sorted."""

    def __init__(self, rows: int, kept: int) -> None:
        self._kept = kept
        self._ring: Values = np.full((rows, kept), np.inf)
        self._sorted: Values = np.full((rows, kept), np.inf)
        self._seen: Rows = np.zeros(rows, dtype=np.intp)

    def fit(self, histories: Values) -> None:
        """Take a history of the same length (rows, at most `kept`) for every row; replaces all."""
        length = histories.shape[1]
        self._ring[:, :length] = histories
        self._ring[:, length:] = np.inf
        self._sorted = np.sort(self._ring, axis=1)
        self._seen[:] = length

    def score(self, values: Values) -> Values:
        """Return the score of one value a row against the values it keeps; 0 where it keeps none."""
        centers, deviations = self.measures()
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            scores: Values = np.nan_to_num(NORMAL * np.abs(values - centers) / deviations)
        return scores

    def measures(self) -> tuple[Values, Values]:
        """Return the median and the median deviation of every row."""
        count = np.minimum(self._seen, self._kept)
        begin = np.arange(len(count)) * self._kept
        low, high = np.maximum(count - 1, 0) // 2, np.minimum(count // 2, self._kept - 1)
        ordered = self._sorted.ravel()
        centers = _middle(ordered.take(begin + low), ordered.take(begin + high))
        with np.errstate(invalid="ignore"):
            return centers, self._deviations(ordered, begin, centers, count)

    def _deviations(self, ordered: Values, begin: Rows, centers: Values, count: Rows) -> Values:
        """Return the medians of distances: that of the nearest half, and of the one beyond where even."""
        near = (count + 1) // 2
        end = begin + self._kept - 1
        first, last = begin, begin + count - near
        for _ in range(int(self._kept).bit_length()):
            middle = (first + last) >> 1
            beyond = ordered.take(np.minimum(middle + near, end)) - centers
            right = (first < last) & (centers - ordered.take(middle) > beyond)
            first, last = np.where(right, middle + 1, first), np.where(right, last, middle)
        left_away = centers - ordered.take(first)
        right_away = ordered.take(np.maximum(first + near - 1, begin)) - centers
        inside = np.maximum(left_away, right_away)
        before = np.where(first > begin, centers - ordered.take(np.maximum(first - 1, begin)), np.inf)
        after = first + near
        behind = np.where(after < begin + count, ordered.take(np.minimum(after, end)) - centers, np.inf)
        even = (count % 2 == 0) & (count > 0)
        return np.where(even, _middle(inside, np.minimum(before, behind)), inside)

    def learn(self, values: Values) -> None:
        """Take one finite value a row; the oldest gives way."""
        lines = np.arange(len(values))
        place = self._seen % self._kept
        leaving = self._ring[lines, place]
        self._ring[lines, place] = values
        self._seen += 1
        self._replace(leaving, values)

    def _replace(self, leaving: Values, values: Values) -> None:
        """Keep the rows sorted while `leaving` goes and `values` come."""
        self._sorted[np.arange(len(values)), self._places(leaving)] = values
        # Sorting rows that are all but sorted costs less than moving what lies between.
        self._sorted.sort(axis=1)

    def _places(self, values: Values) -> Rows:
        """Return how many of each row's values are less than the one given for it."""
        ordered = self._sorted.ravel()
        begin = np.arange(len(values)) * self._kept
        end = begin + self._kept - 1
        first, last = begin, end + 1
        for _ in range(int(self._kept).bit_length()):
            middle = (first + last) >> 1
            less = (ordered.take(np.minimum(middle, end)) < values) & (first < last)
            first, last = np.where(less, middle + 1, first), np.where(less, last, middle)
        return first - begin


def _middle(low: Values, high: Values) -> Values:
    middle: Values = (low + high) / 2.0
    return middle


def fitted(histories: Values) -> tuple[Values, Values]:
    """Return median and median deviation of each row of histories of one length, as PyOD's MAD fits them."""
    mads = Mads(*histories.shape)
    mads.fit(histories)
    return mads.measures()
