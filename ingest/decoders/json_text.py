"""Used by the JSON decoders: bytes to values, with every failure as a `DecodeError`. Pure.

Strict JSON takes orjson's fast way. The literals NaN and Infinity, which some shippers write, are not
JSON: they come out as the strings "NaN", "Infinity" and "-Infinity", so that the item they belong to can be
refused alone and the rest of its batch goes on.
"""

from __future__ import annotations

import json
import math
from typing import Any

import orjson

from ingest.events import DecodeError, RejectReason

_BOM = b"\xef\xbb\xbf"


def parse_json(value: bytes) -> Any:
    """Return the value that the bytes spell; `DecodeError` (malformed or too deep) when they spell none."""
    try:
        return orjson.loads(value.removeprefix(_BOM))
    except orjson.JSONDecodeError as error:
        if "depth" in error.msg:
            raise DecodeError(RejectReason.TOO_DEEP, "the JSON nests deeper than 1,024 levels") from None
        if b"NaN" in value or b"Infinity" in value or "infinity" in error.msg:
            return _parse_not_finite(value)
        raise DecodeError(RejectReason.MALFORMED, f"not JSON at character {error.pos}") from None


def to_text(value: Any) -> str:
    """Return a value as compact JSON; `DecodeError` (too deep) past 254 levels."""
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError as error:
        if "ecursion" in str(error):
            raise DecodeError(RejectReason.TOO_DEEP, "a value nests deeper than 254 levels") from None
        raise DecodeError(RejectReason.MALFORMED, "a value cannot be written as JSON") from None


def _finite_or_name(text: str) -> float | str:
    number = float(text)
    return number if math.isfinite(number) else ("-Infinity" if number < 0 else "Infinity")


def _parse_not_finite(value: bytes) -> Any:
    try:
        parsed = json.loads(value.removeprefix(_BOM), parse_constant=str, parse_float=_finite_or_name)
    except RecursionError:
        raise DecodeError(RejectReason.TOO_DEEP, "the JSON nests too deep") from None
    except ValueError:
        raise DecodeError(RejectReason.MALFORMED, "not JSON") from None
    to_text(parsed)  # refuses lone surrogates, which no later stage could write
    return parsed
