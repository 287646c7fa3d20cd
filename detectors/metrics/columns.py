"""Arrays with one row a series, that grow together and travel as bytes: the ground of the vectorised models.

A model names its arrays once, with what a fresh row holds; rows are handed out, freed and handed out again.
Equal content gives equal bytes. Only rows in use are written, packed: the bytes of numbers are laid side by
side by their place in the number first, since the upper ones hardly differ. Nothing is lost by that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import zstandard
from numpy.typing import NDArray

_LEAST = 64
_LEVEL = 1
"""Of zstd; higher ones gain little on noise."""

Rows = NDArray[np.intp]
"""Numbers of rows, each once."""
Values = NDArray[np.float64]
Flags = NDArray[np.bool_]
Array = NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """What one array holds for a series: its shape, its type, and the content of a fresh row."""

    dtype: str
    shape: tuple[int, ...] = ()
    fresh: float = 0.0


class Columns:
    """Named arrays of equal length. `size` rows are in use; numbers beyond are free."""

    def __init__(self, plan: Mapping[str, Column]) -> None:
        self._plan = dict(plan)
        self.size = 0
        self.at: dict[str, Array] = {name: self._fresh(one, 0) for name, one in self._plan.items()}

    def grow(self, size: int) -> None:
        """Make room for `size` rows in all; new ones are fresh."""
        have = len(next(iter(self.at.values())))
        if size > have:
            more = max(size, have + have // 2, _LEAST) - have
            for name, one in self._plan.items():
                self.at[name] = np.concatenate([self.at[name], self._fresh(one, more)])
        self.size = max(self.size, size)

    def reset(self, row: int) -> None:
        """Make one row fresh again."""
        for name, one in self._plan.items():
            self.at[name][row] = one.fresh

    def dump(self) -> bytes:
        """Return all rows in use as bytes."""
        return msgspec.msgpack.encode((self.size, {n: _packed(a[: self.size]) for n, a in self.at.items()}))

    def load(self, raw: bytes) -> None:
        """Replace all rows; raises ValueError on bytes of another plan."""
        try:
            size, arrays = msgspec.msgpack.decode(raw, type=tuple[int, dict[str, bytes]])
        except msgspec.DecodeError as error:
            raise ValueError(f"the arrays of the series cannot be read ({error}); start afresh") from error
        if arrays.keys() != self._plan.keys():
            raise ValueError("the arrays of the series are of another version; start afresh")
        for name, one in self._plan.items():
            number = size * int(np.prod(one.shape, dtype=np.int64))
            flat = _unpacked(arrays[name], np.dtype(one.dtype), number)
            if flat is None:
                raise ValueError(f"the array {name} of the series is cut or damaged; start afresh")
            self.at[name] = flat.reshape((size, *one.shape))
        self.size = size

    @staticmethod
    def _fresh(one: Column, rows: int) -> Array:
        return np.full((rows, *one.shape), one.fresh, dtype=one.dtype)


def _packed(array: Array) -> bytes:
    """Return an array's bytes, those of the same place in a number together, compressed."""
    places = np.ascontiguousarray(array).reshape(-1).view(np.uint8).reshape(-1, array.dtype.itemsize)
    return zstandard.ZstdCompressor(level=_LEVEL).compress(np.ascontiguousarray(places.T).tobytes())


def _unpacked(raw: bytes, dtype: np.dtype[Any], number: int) -> Array | None:
    """Return the `number` values of packed bytes, None where they are not that."""
    length = number * dtype.itemsize
    try:
        flat = zstandard.ZstdDecompressor().decompress(raw, max_output_size=length)
    except zstandard.ZstdError:
        return None
    if len(flat) != length:
        return None
    places = np.frombuffer(flat, dtype=np.uint8).reshape(dtype.itemsize, -1)
    return np.ascontiguousarray(places.T).reshape(-1).view(dtype)
