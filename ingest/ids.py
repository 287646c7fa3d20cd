"""Deterministic ids: the same facts give the same id on every worker, run and restart."""

from __future__ import annotations

import hashlib


def digest(prefix: str, *parts: str, length: int = 16) -> str:
    """Return `prefix_` and `length` hex digits of a hash over `parts`, order and boundaries kept."""
    hasher = hashlib.blake2b(digest_size=16)
    for part in parts:
        raw = part.encode("utf-8", "surrogatepass")
        hasher.update(len(raw).to_bytes(4, "big"))
        hasher.update(raw)
    return f"{prefix}_{hasher.hexdigest()[:length]}"
