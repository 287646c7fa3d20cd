"""Values to bytes and back: JSON for what people may want to read in the database, zstd for telemetry.

What no codec can carry is replaced, never refused, because a value that cannot be stored would stop the
stream for ever: infinities become the largest float, NaN becomes 0, lone surrogates become U+FFFD.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec
import zstandard

from agent.store.schema import storable
from ingest.summary import WindowSummary

T = TypeVar("T")
_LEVEL = 3
_MAX_ROW = 256 * 1024 * 1024
"""Bytes a telemetry row may unpack to: far above any real row, so that a damaged one cannot fill memory."""


def to_json(value: object) -> str:
    """Return `value` (a dataclass) as JSON text."""
    return msgspec.json.encode(_clean(msgspec.to_builtins(value))).decode()


def from_json(text: str | bytes, kind: type[T]) -> T:
    """Return the value that `to_json` encoded. Raises msgspec.ValidationError on anything else."""
    return msgspec.json.decode(text, type=kind)


def pack_windows(windows: Sequence[WindowSummary]) -> bytes:
    """Return windows as zstd-compressed MessagePack."""
    try:
        raw = msgspec.msgpack.encode(windows)
    except UnicodeEncodeError:
        raw = msgspec.msgpack.encode(_clean(msgspec.to_builtins(windows)))
    return zstandard.ZstdCompressor(level=_LEVEL).compress(raw)


def unpack_windows(raw: bytes) -> tuple[WindowSummary, ...]:
    """Return the windows that `pack_windows` packed."""
    unpacked = zstandard.ZstdDecompressor().decompress(raw, max_output_size=_MAX_ROW)
    return msgspec.msgpack.decode(unpacked, type=tuple[WindowSummary, ...])


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return value if value.isprintable() else storable(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else _finite(value)
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    return value


def _finite(value: float) -> float:
    return 0.0 if math.isnan(value) else math.copysign(sys.float_info.max, value)
