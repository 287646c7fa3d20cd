"""The webhook's signature, for both ends: HMAC-SHA256 over time and body. Pure.

A receiver that calls `verify` with the raw body knows who sent it, that nobody changed it and that it
is not an old message played again; with the `Idempotency-Key` it also acts only once.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

from ingest.record import SECOND, Nanos

TIMESTAMP = "X-Faultline-Timestamp"
SIGNATURE = "X-Faultline-Signature"
TOLERANCE: Nanos = 300 * SECOND


class SignatureError(Exception):
    """The message is not to be trusted; says why."""


def sign(secret: bytes, timestamp: int, body: bytes) -> str:
    """Return the signature header's value for a body sent at `timestamp` (seconds since the epoch)."""
    return f"v1={_mac(secret, str(timestamp), body)}"


def verify(
    secret: bytes, headers: Mapping[str, str], body: bytes, now: Nanos, tolerance: Nanos = TOLERANCE
) -> None:
    """Raise `SignatureError` unless `body` was signed with `secret` within `tolerance` of `now`.

    Several signatures, comma-separated, are allowed while a secret is being changed: one must fit.
    """
    by_name = {name.lower(): value for name, value in headers.items()}
    timestamp = by_name.get(TIMESTAMP.lower(), "")
    given = by_name.get(SIGNATURE.lower(), "")
    if not timestamp or not given:
        raise SignatureError(f"the headers {TIMESTAMP} and {SIGNATURE} must both be there")
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        raise SignatureError(f"{TIMESTAMP} is not a number of seconds")
    if abs(now - int(timestamp) * SECOND) > tolerance:
        raise SignatureError("the message is too old, or the clocks differ")
    expected = _mac(secret, timestamp, body).encode()
    candidates = [part.strip().removeprefix("v1=") for part in given.split(",") if "v1=" in part]
    if not any(hmac.compare_digest(expected, one.encode("utf-8", "replace")) for one in candidates):
        raise SignatureError("the signature does not fit body, time and secret")


def _mac(secret: bytes, timestamp: str, body: bytes) -> str:
    return hmac.new(secret, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
